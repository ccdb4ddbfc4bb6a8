"""A world of trained splats on a plain, flown over and walked through by cameras whose poses are exact.

    python -m tests.bench.made_world FOLDER splat.ply [splat.ply ...] --photos 1000 --side 5

The splats stand in a grid of plots, each turned and tinted anew, with ground between them; no two plots look
alike. Half of the cameras fly to and fro above, half walk along the paths between the plots. Leaves
FOLDER/world.ply, FOLDER/undistorted.zip (photos, exact poses, points with the photos that show them), and
FOLDER/photos with FOLDER/truth.json, as `tests.bench.many_photos` does. Splats must have z up.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from scripts.lib.core.console import Progress
from scripts.lib.core.geo import Sim3
from scripts.lib.core.threads import use_threads
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.colmap_model import Model, View, model_members
from scripts.lib.scene.start_view import look_at
from scripts.lib.splat.gaussians import SH_C0, Gaussians, read_ply, write_ply
from scripts.lib.splat.rotation import carried
from scripts.lib.visit.poster import BACKGROUND

Float = npt.NDArray[np.float64]
PLOT, PITCH = 24.0, 32.0  # metres: the side of a plot, and from plot to plot
INNER = (5, 95)  # percentiles of the means that a plot is cut from
LARGEST = 0.05  # of half a plot: the longest axis of a Gaussian
GROUND = 0.35  # metres between Gaussians of the ground
WALKED, FLOWN = 1.7, 38.0  # metres above the ground
FIELD = 70.0  # degrees, across
POINTS, SEEN = 40, 400  # points per photo in all, and the most that one photo is said to show
NEAR_SURFACE = 0.03  # share of the depth, between a point and what is drawn there
QUALITY = 92
NAMES = ("means", "quats", "scales", "opacities", "sh0", "shN")


@dataclass(frozen=True)
class World:
    """What the cameras see, and how large it is: metres from the middle to the outermost plot's edge."""

    gaussians: Gaussians
    reach: float


def plot(splat: Gaussians, random: np.random.Generator, place: Float) -> Gaussians:
    """The middle of a splat as a plot at `place` (2,) of the ground: turned, tinted, and of a plot's size."""
    low, high = np.percentile(splat.means, INNER, axis=0)
    middle, half = (low + high) / 2, (high - low)[:2].max() / 2
    inside = (np.abs(splat.means[:, :2] - middle[:2]) <= half).all(axis=1)
    inside &= (splat.means[:, 2] > low[2] - 0.1 * half) & (splat.means[:, 2] < low[2] + 1.5 * half)
    inside &= splat.scales.max(axis=1) < np.log(LARGEST * half)  # what a splat has far out, as haze
    scale = PLOT / 2 / half
    turn = Rotation.from_euler("z", random.uniform(0, 2 * np.pi)).as_matrix()
    middle = np.array([*middle[:2], low[2]])
    placed = carried(
        rows(splat, inside), Sim3(scale, turn, np.array([*place, 0.05]) - scale * turn @ middle)
    )
    tint = random.uniform(0.75, 1.25, 3).astype(np.float32)
    sh0 = (placed.sh0 * SH_C0 + 0.5) * tint
    return replace(placed, sh0=(sh0 - 0.5) / np.float32(SH_C0), shN=placed.shN * tint)


def rows(gaussians: Gaussians, chosen: npt.NDArray[np.bool_]) -> Gaussians:
    """Some of the Gaussians."""
    some = {name: getattr(gaussians, name)[chosen] for name in NAMES}
    return Gaussians(**some, antialiased=gaussians.antialiased)


def joined(parts: Sequence[Gaussians]) -> Gaussians:
    """All Gaussians in one, with the harmonics of the richest."""
    bands = max(part.shN.shape[1] for part in parts)
    wide = [
        replace(part, shN=np.pad(part.shN, ((0, 0), (0, bands - part.shN.shape[1]), (0, 0))))
        for part in parts
    ]
    whole = {name: np.concatenate([getattr(part, name) for part in wide]) for name in NAMES}
    return Gaussians(**whole, antialiased=wide[0].antialiased)


def ground(reach: float, random: np.random.Generator, like: Gaussians) -> Gaussians:
    """Flat Gaussians over the whole plain, coloured by noise from a metre to tens of metres."""
    side = np.arange(-reach, reach, GROUND)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    colour = np.tile(np.array([0.38, 0.36, 0.28]), (len(x), 1))
    for size, strength in ((0.8, 0.08), (3.0, 0.08), (12.0, 0.06), (40.0, 0.06)):
        count = int(2 * reach / size) + 3
        grey = random.normal(0, strength, (count, count, 1))
        noise = grey + random.normal(0, strength / 3, (count, count, 3))
        at = np.stack([(x + reach) / size, (y + reach) / size])
        colour += np.stack([map_coordinates(noise[..., c], at, order=1) for c in range(3)], axis=1)
    count = len(x)
    scales = np.log(np.tile([0.6 * GROUND, 0.6 * GROUND, 0.02], (count, 1)))
    return replace(
        like,
        means=np.stack([x, y, np.zeros(count)], axis=1).astype(np.float32),
        quats=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        scales=scales.astype(np.float32),
        opacities=np.full(count, 5.0, np.float32),
        sh0=((colour.clip(0.02, 0.98) - 0.5) / SH_C0).astype(np.float32),
        shN=np.zeros((count, like.shN.shape[1], 3), np.float32),
    )


def make_world(splats: Sequence[Gaussians], side: int, seed: int) -> World:
    """`side` times `side` plots and the ground."""
    random = np.random.default_rng(seed)
    reach = side * PITCH / 2
    at = (np.arange(side) - (side - 1) / 2) * PITCH
    places = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    plots = [plot(splats[i % len(splats)], random, place) for i, place in enumerate(places)]
    return World(joined([*plots, ground(reach + PITCH / 2, random, splats[0])]), reach)


def poses(world: World, side: int, count: int, seed: int) -> Iterator[Float]:
    """World-to-camera poses (4, 4): the flight's half of them, then the walk's."""
    random = np.random.default_rng(seed + 1)
    flown, reach = count // 2, world.reach
    lines = max(2, round(np.sqrt(flown)))
    for number in range(flown):
        line, along = divmod(number, -(-flown // lines))
        x = (line + 0.5) / lines * 2 - 1
        y = (along + 0.5) / (-(-flown // lines)) * 2 - 1
        place = np.array([x * reach, (y if line % 2 else -y) * reach, FLOWN])
        place += random.normal(0, 1.0, 3)
        ahead = np.array([random.normal(0, 8), (20 if line % 2 else -20) * (number % 3 != 0), 0])
        yield look_at(place, place * [1, 1, 0] + ahead)
    paths = (np.arange(side + 1) - side / 2) * PITCH
    walked = count - flown
    for number in range(walked):
        path, along = divmod(number, -(-walked // (2 * len(paths))))
        y = ((along + 0.5) / -(-walked // (2 * len(paths))) * 2 - 1) * reach
        place = np.array([paths[path % len(paths)], y]) + random.normal(0, 0.4, 2)
        turn = np.array([1.0, 0.35]) if number % 2 else np.array([-1.0, 0.35])
        if path >= len(paths):
            place, turn = place[::-1], turn[::-1]
        if np.abs(place).max() >= reach - 1:  # the outermost paths look inwards
            turn = -np.sign(place) * np.abs(turn)
        eye = np.array([*place, WALKED + random.normal(0, 0.1)])
        yield look_at(eye, eye + np.array([*turn * 10, random.normal(0, 0.6)]))


def shown(
    renderer: Renderer, points: Float, pose: Float, K: Float, size: tuple[int, int]
) -> tuple[npt.NDArray[np.int64], Float]:
    """The points (rows) that stand on what the camera sees, and where, in pixels."""
    x, y, depth = K @ pose[:3] @ np.c_[points, np.ones(len(points))].T
    before = np.flatnonzero(depth > 0.1)
    pixels = np.stack([x[before] / depth[before], y[before] / depth[before]], axis=1)
    inside = ((pixels >= 0) & (pixels < size)).all(axis=1)
    before, pixels = before[inside], pixels[inside]
    drawn, alpha = (t.cpu().numpy() for t in renderer.depth(pose, K, size))
    column, row = pixels.astype(int).T
    near = np.abs(drawn[row, column] / depth[before] - 1) < NEAR_SURFACE
    near &= alpha[row, column] > 0.9
    before, pixels = before[near], pixels[near]
    every = max(1, -(-len(before) // SEEN))
    return before[::every], pixels[::every]


def make(folder: Path, world: World, views: Sequence[Float], width: int, device: str) -> None:
    """Render the photos and write the files."""
    size = (width, width * 3 // 4)
    focal = width / 2 / np.tan(np.radians(FIELD) / 2)
    K = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]])
    renderer = Renderer(world.gaussians, device, background=BACKGROUND)
    random = np.random.default_rng(0)
    solid = np.flatnonzero(world.gaussians.opacities > 1)
    chosen = random.permutation(solid)[: POINTS * len(views)]
    points = world.gaussians.means[chosen].astype(np.float64)
    colours = (255 * (world.gaussians.sh0[chosen] * SH_C0 + 0.5)).clip(0, 255).astype(np.uint8)
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    progress, seen, jpegs = Progress("made_world", len(views)), [], []
    names = [f"{number:05d}.jpg" for number in range(len(views))]
    with ThreadPoolExecutor() as pool:
        for pose in views:
            picture = (255 * renderer.picture(pose, K, size)).round().astype(np.uint8)
            jpegs.append(pool.submit(as_jpeg, picture))
            seen.append(shown(renderer, points, pose, K, size))
            progress.update(len(seen))
    met = np.bincount(np.concatenate([found for found, _ in seen]), minlength=len(points)) >= 2
    number_of = np.cumsum(met) - 1
    seen = [(number_of[found[met[found]]], where[met[found]]) for found, where in seen]
    model = Model(
        tuple(View(name, *size, K, pose) for name, pose in zip(names, views, strict=True)),
        points[met],
        colours[met],
    )
    with zipfile.ZipFile(folder / "undistorted.zip", "w") as archive:
        for name, jpeg in zip(names, jpegs, strict=True):
            archive.writestr(f"images/{name}", jpeg.result())
            (folder / "photos" / name).write_bytes(jpeg.result())
        for member, data in model_members(model, seen=seen).items():
            archive.writestr(member, data)
    centres = {
        name: {"centre": (-pose[:3, :3].T @ pose[:3, 3]).tolist()}
        for name, pose in zip(names, views, strict=True)
    }
    spread = np.ptp([photo["centre"] for photo in centres.values()], axis=0)
    truth = {"photos": centres, "scene_size_m": float(np.linalg.norm(spread)), "K": K.tolist()}
    (folder / "truth.json").write_text(json.dumps(truth))
    write_ply(folder / "world.ply", world.gaussians)


def as_jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    """The bytes of a picture's JPEG."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=QUALITY)
    return data.getvalue()


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, make the world."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("splats", type=Path, nargs="+", help="splat.ply, z up")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--side", type=int, default=5, help="plots along each side")
    parser.add_argument("--width", type=int, default=800, help="of the photos, in pixels")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    use_threads(0)
    world = make_world([read_ply(path) for path in args.splats], args.side, args.seed)
    views = list(poses(world, args.side, args.photos, args.seed))
    make(args.folder, world, views, args.width, args.device)
    print(json.dumps({"gaussians": len(world.gaussians), "photos": len(views)}))


if __name__ == "__main__":
    main()
