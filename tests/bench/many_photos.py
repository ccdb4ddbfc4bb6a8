"""Sets of 75, 150, 300 and 600 photos with known poses: views of a trained splat along its photos' path.

    python -m tests.bench.many_photos undistorted.zip splat.ply FOLDER

Leaves FOLDER/600, FOLDER/300 (every second of them), FOLDER/150, FOLDER/75 and FOLDER/truth.json, which
`tests.bench.sfm --truth` reads. The same splat gives the same pictures. Made from the sample scene (preset
`standard`), photos of half a megapixel.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, Slerp

from scripts.lib.core.console import Progress
from scripts.lib.core.threads import use_threads
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import Scene, load_scene
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.visit.poster import BACKGROUND

SETS = (600, 300, 150, 75)
STRAY, TURN = 0.02, 0.06  # of the path: share of its size to the sides; radians
QUALITY = 90


def poses(scene: Scene, count: int, seed: int) -> Iterator[np.ndarray]:
    """`count` poses world_to_camera (4, 4) from the scene's first photo to its last, by an unsteady hand."""
    random = np.random.default_rng(seed)
    knots = np.arange(len(scene))
    turns = Slerp(knots, Rotation.from_matrix(scene.world_to_camera[:, :3, :3]))
    path = PchipInterpolator(knots, scene.centres)
    size = np.linalg.norm(np.ptp(scene.centres, axis=0))
    for at in np.linspace(0, len(scene) - 1, count):
        shaken = Rotation.from_rotvec(random.normal(0, TURN, 3)) * turns(at)
        centre = path(at) + random.normal(0, STRAY * size, 3) * [1, 1, 0.3]
        pose = np.eye(4)
        pose[:3, :3] = shaken.as_matrix()
        pose[:3, 3] = -pose[:3, :3] @ centre
        yield pose


def make(archive: Path, splat: Path, folder: Path, width: int, seed: int) -> None:
    """Render the largest set, link the smaller ones to its files, write truth.json."""
    scene = load_scene(archive)
    scale = width / max(scene.sizes[0])
    size = tuple(int(round(scale * side)) for side in scene.sizes[0])
    K = np.diag([scale, scale, 1.0]) @ scene.K[0]
    renderer = Renderer(read_ply(splat), background=BACKGROUND)
    progress, photos = Progress("many_photos", SETS[0]), {}
    for count in SETS:
        (folder / str(count)).mkdir(parents=True, exist_ok=True)
    for number, pose in enumerate(poses(scene, SETS[0], seed)):
        name = f"{number:04d}.jpg"
        picture = (255 * renderer.picture(pose, K, size)).round().astype(np.uint8)
        for count in SETS:
            path = folder / str(count) / name
            path.unlink(missing_ok=True)
            if count == SETS[0]:
                Image.fromarray(picture).save(path, quality=QUALITY)
            elif number % (SETS[0] // count) == 0:
                os.link(folder / str(SETS[0]) / name, path)
        photos[name] = {"centre": (-pose[:3, :3].T @ pose[:3, 3]).tolist()}
        progress.update(number + 1)
    spread = np.ptp([photo["centre"] for photo in photos.values()], axis=0)
    truth = {"photos": photos, "scene_size_m": float(np.linalg.norm(spread)), "K": K.tolist()}
    (folder / "truth.json").write_text(json.dumps(truth))


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, make the sets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scene", type=Path, help="undistorted.zip that the splat was trained on")
    parser.add_argument("splat", type=Path, help="splat.ply")
    parser.add_argument("folder", type=Path, help="folder for the sets")
    parser.add_argument("--width", type=int, default=864, help="long side in pixels")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    use_threads(0)
    make(args.scene, args.splat, args.folder, args.width, args.seed)


if __name__ == "__main__":
    main()
