"""A video walked along the photos of a finished scene, for trying how a video becomes a scene.

    python -m tests.bench.walk_video results/courtyard walk.mp4 --photos 36

The camera goes from photo to photo in the order of their names; the pictures are our own renderer's
view of the scene's splat.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, Slerp

from scripts.lib.core.console import Progress
from scripts.lib.core.threads import use_threads
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import load_scene
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.visit.film import writing_film
from scripts.lib.visit.poster import BACKGROUND


def walk(scene_folder: Path, film: Path, photos: int, width: int, fps: int, pace: float) -> int:
    """Write the film, `pace` seconds from photo to photo; returns its frames."""
    scene = load_scene(scene_folder / "undistorted.zip", width)
    count = min(photos, len(scene))
    turns = Slerp(np.arange(count), Rotation.from_matrix(scene.world_to_camera[:count, :3, :3]))
    path = PchipInterpolator(np.arange(count), scene.centres[:count])
    size = (int(scene.sizes[0][0]) // 2 * 2, int(scene.sizes[0][1]) // 2 * 2)
    gaussians = read_ply(scene_folder / "splat.clean.ply")
    renderer = Renderer(gaussians, background=BACKGROUND)
    moments = np.arange(0, count - 1, 1 / (fps * pace))
    progress = Progress("walk_video", len(moments))
    with writing_film(film, size, fps, crf=16) as out:
        for done, at in enumerate(moments, 1):
            pose = np.eye(4)
            pose[:3, :3] = turns(at).as_matrix()
            pose[:3, 3] = -pose[:3, :3] @ path(at)
            out.add(renderer.picture(pose, scene.K[0], size))
            progress.update(done)
    return len(moments)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, write the film."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scene", type=Path, help="folder of a finished scene")
    parser.add_argument("film", type=Path, help="mp4 to write")
    parser.add_argument("--photos", type=int, default=36, help="go along the first so many")
    parser.add_argument("--width", type=int, default=960, help="long side in pixels")
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--pace", type=float, default=1.5, help="seconds from photo to photo")
    args = parser.parse_args(argv)
    use_threads(0)
    frames = walk(args.scene, args.film, args.photos, args.width, args.fps, args.pace)
    print(f"{args.film}: {frames} frames")


if __name__ == "__main__":
    main()
