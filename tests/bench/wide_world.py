"""A plain of many millions of Gaussians from trained splats, written a plot at a time, with some photos.

    python -m tests.bench.wide_world FOLDER splat.ply [splat.ply ...] --gaussians 10000000 --photos 16

As `tests.bench.made_world`, but never in memory as a whole: plots of the splats with ground around, every
value a little off, so that no two are alike, with harmonics of degree 3. Leaves FOLDER/splat.ply and
FOLDER/undistorted.zip: photos rendered from the splat, with noise, so that a loss of dB means what it does
in a real scene.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.lib.core.threads import use_threads
from scripts.lib.encode.codecs import decode
from scripts.lib.render.pieces import renderer_of
from scripts.lib.scene.colmap_model import Model, View
from scripts.lib.splat import pieces
from scripts.lib.splat.gaussians import SH_C0, SH_COEFFICIENTS, Gaussians, write_ply_parts
from scripts.lib.train.note import TrainingNote
from tests.bench.made_world import PITCH, World, plot, poses
from tests.unit.splat_scene import write_photos

DEGREE = 3
GROUND = 0.5  # metres between Gaussians of the ground
JITTER = 0.004  # of harmonics, colours and the logs of sizes
NOISE = 0.02  # of the photos, of their range: what training does not explain either
FIELD, WIDTH, HEIGHT = 70.0, 480, 360  # degrees across, pixels
POINTS = 20_000  # of the sparse model


def parts(splats: Sequence[Gaussians], side: int, seed: int) -> Iterator[Gaussians]:
    """A plot and the ground around it, row by row."""
    at = (np.arange(side) - (side - 1) / 2) * PITCH
    for number, place in enumerate(np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)):
        random = np.random.default_rng((seed, number))
        built = plot(splats[number % len(splats)], random, place)
        bands = SH_COEFFICIENTS[DEGREE] - built.shN.shape[1]
        shN = np.pad(built.shN, ((0, 0), (0, bands), (0, 0)))
        built = replace(built, shN=shN)
        both = pieces.joined([built, ground(place, built)])
        yield replace(
            both,
            shN=jittered(both.shN, random),
            scales=jittered(both.scales, random),
            sh0=jittered(both.sh0, random),
        )


def jittered(values: npt.NDArray[np.float32], random: np.random.Generator) -> np.ndarray:
    """The same values, a little off."""
    return values + random.normal(0, JITTER, values.shape).astype(np.float32)


def ground(place: np.ndarray, like: Gaussians) -> Gaussians:
    """Flat Gaussians under and around a plot; waves of some metres make their colours."""
    side = np.arange(-PITCH / 2, PITCH / 2, GROUND)
    x, y = (axis.ravel() + p for axis, p in zip(np.meshgrid(side, side), place, strict=True))
    wave = np.sin(x / 3.1) * np.cos(y / 2.3) + np.sin((x + 2 * y) / 11)
    colour = np.array([0.38, 0.36, 0.28]) + 0.06 * wave[:, None]
    count = len(x)
    return replace(
        like,
        means=np.stack([x, y, np.zeros(count)], axis=1).astype(np.float32),
        quats=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        scales=np.log(np.tile([0.6 * GROUND, 0.6 * GROUND, 0.02], (count, 1))).astype(np.float32),
        opacities=np.full(count, 5.0, np.float32),
        sh0=((colour - 0.5) / SH_C0).astype(np.float32),
        shN=np.zeros((count, like.shN.shape[1], 3), np.float32),
    )


def write(folder: Path, splats: Sequence[Gaussians], count: int, photos: int, seed: int = 0) -> int:
    """Write splat.ply of `count` Gaussians and undistorted.zip of `photos`; plots along each side."""
    each = np.mean([len(next(parts([splat], 1, seed))) for splat in splats])
    side = int(np.ceil(np.sqrt(count / each))) + 1

    def first() -> Iterator[Gaussians]:
        left = count
        for part in parts(splats, side, seed):
            some = part.take(np.arange(min(left, len(part))))
            yield some
            left -= len(some)
            if not left:
                return

    note = TrainingNote(WIDTH, 8).comment()
    write_ply_parts(folder / "splat.ply", first(), count, DEGREE, splats[0].antialiased, (note,))
    focal = WIDTH / 2 / np.tan(np.radians(FIELD) / 2)
    K = np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]])
    cameras = list(poses(World(splats[0], side * PITCH / 2), side, photos, seed))
    random = np.random.default_rng(seed)
    with pieces.opened(folder / "splat.ply", folder / "made") as found:
        renderer, pictures = renderer_of(found.splat), []
        for camera in cameras:
            picture = renderer.picture(camera, K, (WIDTH, HEIGHT))
            noisy = picture + random.normal(0, NOISE, picture.shape)
            pictures.append((255 * noisy.clip(0, 1) + 0.5).astype(np.uint8))
        chosen = POINTS / count
        points = np.concatenate(
            [
                part.means[random.random(len(part)) < chosen]
                for _, part in pieces.parts_of(found.splat)
            ]
        )
    views = tuple(
        View(f"photo_{number:04d}.jpg", WIDTH, HEIGHT, K, camera)
        for number, camera in enumerate(cameras)
    )
    grey = np.full((len(points), 3), 128, np.uint8)
    write_photos(folder / "undistorted.zip", Model(views, points.astype(float), grey), pictures)
    return side


def main() -> None:
    """Read the command line, write the world."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("splats", type=Path, nargs="+", help="of any format, z up")
    parser.add_argument("--gaussians", type=int, default=1_000_000)
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    use_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    side = write(args.folder, [decode(path) for path in args.splats], args.gaussians, args.photos)
    print(json.dumps({"gaussians": args.gaussians, "photos": args.photos, "side": side}))


if __name__ == "__main__":
    main()
