"""People, a car and laundry in two of three photos: what they cost, and what leaving them out gives back.

python -m tests.bench.transients results/VISITED [--steps 1200] [--size 400] [--device cpu]

results/VISITED is what the workflow makes of the sample's photos with visitors: copy
tests/data/sample/photos, then tests/data/sample/visited over it. Trains on these photos with and
without `train_splat.transients`, with
the true masks (where photos with visitors differ from those without), and on the photos without visitors, all
with the same cameras. Prints one line of JSON: PSNR in dB at test photos without visitors, and what was left
out.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from scripts import evaluate_splat, train_splat, undistort

CLEAN = Path(__file__).resolve().parents[1] / "data" / "sample" / "photos"


DIFFERENT = 10  # of 255, between photos with and without visitors
AROUND = 2  # pixels around that: what JPEG spreads


def without_visitors(results: Path, path: Path) -> None:
    """Write the `undistorted.zip` of the same photos without visitors, by the same cameras."""
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos.zip"
        with (
            zipfile.ZipFile(results / "photos.zip") as source,
            zipfile.ZipFile(photos, "w") as copy,
        ):
            for info in source.infolist():
                copy.writestr(info.filename, (CLEAN / info.filename).read_bytes())
        files = ["--photos", str(photos), "--sparse", str(results / "sparse")]
        undistort.main([*files, "--output", str(path), "--metrics", f"{name}/undistort.json"])


def with_true_masks(clean: Path, visited: Path, path: Path) -> None:
    """Write a copy of `visited` with a mask for all that differs from `clean`."""
    with (
        zipfile.ZipFile(clean) as before,
        zipfile.ZipFile(visited) as after,
        zipfile.ZipFile(path, "w") as copy,
    ):
        for member in after.namelist():
            copy.writestr(member, after.read(member))
            if member.startswith("images/"):
                found = [
                    np.asarray(Image.open(io.BytesIO(archive.read(member))).convert("RGB"), float)
                    for archive in (before, after)
                ]
                apart = np.abs(found[0] - found[1]).max(axis=2) > DIFFERENT
                apart = ndimage.binary_opening(apart, np.ones((2, 2)))
                apart = ndimage.binary_dilation(apart, iterations=AROUND)
                data = io.BytesIO()
                Image.fromarray(np.where(apart, 0, 255).astype(np.uint8)).save(data, "PNG")
                copy.writestr(f"masks/{member.removeprefix('images/')}.png", data.getvalue())


def run(scene: Path, clean: Path, options: dict[str, Any], device: str) -> dict[str, Any]:
    """Train on `scene`, and compare with the test photos of `clean`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ply = ["--ply", str(folder / "splat.ply")]
        files = ["--metrics", str(folder / "train.json"), "--checkpoints", str(folder / "saved")]
        told = ["--options", json.dumps(options), "--device", device]
        train_splat.main(["--scene", str(scene), *ply, *files, *told])
        files = ["--eval", str(folder / "eval.json"), "--renders", str(folder / "renders.zip")]
        evaluate_splat.main(["--scene", str(clean), *ply, *files, "--device", device])
        trained = json.loads((folder / "train.json").read_text())
        judged = json.loads((folder / "eval.json").read_text())
    found = trained.get("transients") or {}
    return {
        "psnr": round(judged["psnr"], 2),
        "seconds": trained["seconds"],
        "contradicted": found.get("contradicted"),
        "left_out": found.get("share"),
    }


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--size", type=int, default=400)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    common = {"preset": args.preset, "steps": args.steps, "resolution": args.size}
    none = {**common, "transients": False}
    visited = args.results / "undistorted.zip"
    with tempfile.TemporaryDirectory() as folder:
        clean, masked = Path(folder) / "clean.zip", Path(folder) / "masked.zip"
        without_visitors(args.results, clean)
        with_true_masks(clean, visited, masked)
        rows = {
            name: run(scene, clean, options, args.device)
            for name, scene, options in (
                ("clean", clean, none),
                ("clean_auto", clean, common),
                ("visited", visited, none),
                ("visited_auto", visited, common),
                ("true_masks", masked, none),
            )
        }
    print(json.dumps({"bench": "transients", **common, **rows}))


if __name__ == "__main__":
    main()
