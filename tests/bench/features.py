"""Our SIFT against COLMAP's on the CPU, same pictures, same process, one thread.

    python -m tests.bench.features [FOLDER]

Prints one JSON line: CPU seconds a photo, features, and how well a copy of each picture, turned by 20
degrees and at 0.8 of its size, is matched to it: right matches (within 2 pixels of where they must
be), their share of all, and their median distance in pixels. Pictures: photos of tests/data/lens,
doubled as `auto` does, and nine of them side by side, which are not; or the photos of FOLDER.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray
from PIL import Image

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from scripts.lib.sfm.features import first_octave
from scripts.lib.sfm.options import FeatureOptions
from scripts.lib.sfm.sift import Settings, sift
from scripts.lib.sfm.sift.pyramid import Workspace
from tests.conftest import ROOT
from tests.photo_lines import line

Grey = NDArray[np.uint8]
TURN, SIZE = np.radians(20.0), 0.8
RATIO = 0.8
PHOTOS = 4


def mosaics(pictures: list[Grey]) -> list[Grey]:
    """Nine pictures side by side each, from one more to the next."""
    count = len(pictures)
    return [
        np.block([[pictures[(k + 3 * i + j) % count] for j in range(3)] for i in range(3)])
        for k in range(PHOTOS)
    ]


def turned(picture: Grey) -> tuple[Grey, Callable[[NDArray[Any]], NDArray[Any]]]:
    """A smaller copy that is turned about its middle, and where each place (N, 2) lies in it."""
    height, width = picture.shape
    middle = np.array([width / 2, height / 2])
    c, s = np.cos(TURN), np.sin(TURN)
    turn = SIZE * np.array([[c, -s], [s, c]])
    back = np.linalg.inv(turn)
    offset = middle - back @ middle
    terms = (*back[0], offset[0], *back[1], offset[1])
    image = Image.fromarray(picture)
    copy = image.transform(image.size, Image.Transform.AFFINE, terms, Image.Resampling.BICUBIC)
    return np.asarray(copy), lambda places: middle + (places - middle) @ turn.T


Found = tuple[NDArray[np.float32], NDArray[np.float32]]  # places (N, 2), descriptors (N, 128)


def by_us(pictures: list[Grey], octave: int, options: FeatureOptions) -> list[Found]:
    settings = Settings(octave, options.max_features, contrast=options.peak_threshold)
    work, results = Workspace(), []
    for picture in pictures:
        found = sift(picture, settings, work=work)
        results.append((found.keypoints[:, :2], found.descriptors.astype(np.float32)))
    return results


def by_colmap(
    folder: Path, pictures: list[Grey], octave: int, options: FeatureOptions
) -> list[Found]:
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.num_threads, extraction.max_image_size = 1, -1
    extraction.sift.first_octave = octave
    extraction.sift.max_num_features = options.max_features
    extraction.sift.max_num_orientations = options.max_orientations
    database = folder / "c.db"
    pycolmap.extract_features(
        database, folder, extraction_options=extraction, device=pycolmap.Device.cpu
    )
    link, results = pycolmap.Database.open(database), []
    ids = {image.name: image.image_id for image in link.read_all_images()}
    for number in range(len(pictures)):
        at = ids[f"{number}.pgm"]
        points, texts = link.read_keypoints(at), link.read_descriptors(at).data
        results.append((np.asarray(points)[:, :2], np.asarray(texts, np.float32)))
    link.close()
    return results


def cpu(work: Callable[[], list[Found]]) -> tuple[float, list[Found]]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    found = work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime - before, found


def matched(one: Found, other: Found, place: Callable[[Any], Any]) -> tuple[int, int, float]:
    """Matches of a picture and its copy, those that are right, and the median distance of these."""
    a, b = one[1], other[1]
    distances = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    forth, back = distances.argmin(1), distances.argmin(0)
    near = np.partition(distances, 1, axis=1)
    good = (back[forth] == np.arange(len(a))) & (near[:, 0] < RATIO**2 * near[:, 1])
    off = np.hypot(*(place(one[0][good]) - other[0][forth[good]]).T)
    return len(off), int((off < 2).sum()), float(np.median(off[off < 2]))


def compared(pictures: list[Grey], octave: int) -> dict[str, Any]:
    """Both sides on the same pictures and their copies."""
    options = FeatureOptions()
    copies = [turned(picture) for picture in pictures]
    both = [*pictures, *(copy for copy, _ in copies)]
    result: dict[str, Any] = {
        "megapixels": round(pictures[0].size / 1e6, 2),
        "first_octave": octave,
    }
    with tempfile.TemporaryDirectory(prefix="bench.") as name:
        folder = Path(name)
        for number, picture in enumerate(both):
            Image.fromarray(picture).save(folder / f"{number}.pgm")
        by_us(both[:1], octave, options)  # compiles
        sides = {
            "ours": lambda: by_us(both, octave, options),
            "colmap": lambda: by_colmap(folder, both, octave, options),
        }
        for side, work in sides.items():
            seconds, found = cpu(work)
            pairs = [
                matched(found[k], found[k + len(pictures)], copies[k][1])
                for k in range(len(pictures))
            ]
            every, right, off = (float(np.mean(column)) for column in zip(*pairs, strict=True))
            result[side] = {
                "cpu_s": round(seconds / len(both), 4),
                "features": round(float(np.mean([len(places) for places, _ in found]))),
                "right_matches": round(right),
                "right_share": round(right / max(every, 1), 4),
                "distance_px": round(off, 3),
            }
    result["cpu_ratio"] = round(result["ours"]["cpu_s"] / result["colmap"]["cpu_s"], 3)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="photos to take instead")
    args = parser.parse_args()
    folder = args.folder or ROOT / "tests" / "data" / "lens" / "photos"
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    pictures = [
        np.asarray(Image.open(path).convert("L")) for path in paths[:: max(1, len(paths) // 12)]
    ]
    sets = [pictures[:PHOTOS]] if args.folder else [pictures[:PHOTOS], mosaics(pictures)]
    lines = []
    for chosen in sets:
        height, width = chosen[0].shape
        octave = first_octave(line("", width=width, height=height), FeatureOptions())
        lines.append(compared(chosen, octave))
    print(json.dumps({"sets": lines}))


if __name__ == "__main__":
    pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)
    main()
