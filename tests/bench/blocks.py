"""Whether blocks leave seams: dB on test photos by the distance of what a pixel shows to a border of cells.

    python -m tests.bench.blocks results/mill --against other/mill/splat.ply

`results/mill` was trained in blocks; `--against` names a splat of the same undistorted.zip, trained as one.
Each pixel of each test photo is placed on the ground by the depth of the splat in blocks, and counts at the
distance of that place to the nearest border between two cells, in cells: square roots of their usual area.
Prints one JSON line: pixels, dB of both, and the difference, for each range of distances.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.blocks import Blocks, Rectangle
from scripts.lib.contracts.record import read
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.blocks import within
from scripts.lib.scene.scene import Scene, load_scene
from scripts.lib.scene.split import recorded
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.train.note import read_note

Float = npt.NDArray[np.float64]
RANGES = (0.0, 0.02, 0.05, 0.1, 0.2, np.inf)  # of a cell's size


def to_border(places: Float, plan: Blocks) -> Float:
    """Distance (N,) of places (N, 2) on the ground to the nearest border between two cells; infinite beyond
    all cells."""
    found = np.full(len(places), np.inf)
    edge = plan.bounds
    for block in plan.blocks:
        own, cell = within(places, block.cell), block.cell
        for axis, side, outer in (
            (0, cell.west, edge.west),
            (0, cell.east, edge.east),
            (1, cell.south, edge.south),
            (1, cell.north, edge.north),
        ):
            if side != outer:
                found[own] = np.minimum(found[own], np.abs(places[own, axis] - side))
    return found


def size(cells: Sequence[Rectangle]) -> float:
    """Square root of the median area of the cells."""
    areas = [(cell.east - cell.west) * (cell.north - cell.south) for cell in cells]
    return float(np.sqrt(np.median(areas)))


def ground(renderer: Renderer, scene: Scene, row: int) -> tuple[Float, npt.NDArray[np.bool_]]:
    """Where on the ground (H * W, 2) the pixels of a photo show something, and which do."""
    width, height = (int(side) for side in scene.sizes[row])
    depth, alpha = renderer.depth(scene.world_to_camera[row], scene.K[row], scene.sizes[row])
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.linalg.inv(scene.K[row]) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    points = (rays * depth.cpu().numpy().ravel()).T
    pose = scene.world_to_camera[row]
    world = (points - pose[:3, 3]) @ pose[:3, :3]
    return world[:, :2], alpha.cpu().numpy().ravel() > 0.5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="a scene's folder, trained in blocks")
    parser.add_argument("--against", type=Path, required=True, help="splat.ply trained as one")
    args = parser.parse_args()
    plan = read(Blocks, args.results / "blocks" / "plan.json")
    note = read_note(args.results / "splat.ply")
    assert note is not None and note.split is not None, "a splat that was not trained here"
    scene = load_scene(args.results / "undistorted.zip", note.resolution)
    judged = recorded(note.split, scene.names, str(scene.path)).judged
    splats = [Renderer(read_ply(path)) for path in (args.results / "splat.ply", args.against)]
    distances, errors = [], []
    for row, photo in zip(judged, scene.photos(judged), strict=True):
        places, shown = ground(splats[0], scene, row)
        distances.append(to_border(places, plan)[shown])
        camera = (scene.world_to_camera[row], scene.K[row], scene.sizes[row])
        both = [
            ((splat.picture(*camera) - photo.astype(np.float32) / 255) ** 2).mean(axis=2).ravel()
            for splat in splats
        ]
        errors.append(np.stack(both, axis=1)[shown])
    away = np.concatenate(distances) / size([block.cell for block in plan.blocks])
    squares = np.concatenate(errors)
    told = []
    for low, high in zip(RANGES[:-1], RANGES[1:], strict=True):
        inside = (away >= low) & (away < high)
        if inside.any():
            blocks, one = (-10 * np.log10(squares[inside].mean(axis=0))).tolist()
            told.append(
                {
                    "from": low,
                    "pixels": int(inside.sum()),
                    "blocks_db": round(blocks, 3),
                    "one_db": round(one, 3),
                    "difference_db": round(blocks - one, 3),
                }
            )
    print(json.dumps({"bench": "blocks", "blocks": len(plan.blocks), "ranges": told}))


if __name__ == "__main__":
    main()
