"""People, a car and laundry in two of three photos: what they cost, and what leaving them out gives back.

python -m tests.bench.transients UNDISTORTED.zip [--steps 1200] [--size 400]

UNDISTORTED.zip is what the workflow makes of the sample's photos. Trains on the CPU, on the photos as they
are and with visitors (tests/data/sample/visited), with and without `train_splat.transients`. Prints one line
of JSON: PSNR in dB at test photos without visitors, and what was left out. The cameras are those of the clean
photos.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from scripts import evaluate_splat, train_splat

VISITED = Path(__file__).resolve().parents[1] / "data" / "sample" / "visited"


def with_visitors(scene: Path, path: Path) -> None:
    """Write a copy of an `undistorted.zip` in which photos have visitors."""
    with zipfile.ZipFile(scene) as source, zipfile.ZipFile(path, "w") as copy:
        for info in source.infolist():
            visited = VISITED / PurePosixPath(info.filename).name
            here = info.filename.startswith("images/") and visited.is_file()
            copy.writestr(info.filename, visited.read_bytes() if here else source.read(info))


def run(scene: Path, clean: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Train on `scene`, and compare with the test photos of `clean`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ply = ["--ply", str(folder / "splat.ply")]
        files = ["--metrics", str(folder / "train.json"), "--checkpoints", str(folder / "saved")]
        told = ["--options", json.dumps({"preset": "draft", **options}), "--device", "cpu"]
        train_splat.main(["--scene", str(scene), *ply, *files, *told])
        files = ["--eval", str(folder / "eval.json"), "--renders", str(folder / "renders.zip")]
        evaluate_splat.main(["--scene", str(clean), *ply, *files, "--device", "cpu"])
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
    parser.add_argument("scene", type=Path)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--size", type=int, default=400)
    args = parser.parse_args()
    common = {"steps": args.steps, "resolution": args.size}
    with tempfile.TemporaryDirectory() as folder:
        visited = Path(folder) / "visited.zip"
        with_visitors(args.scene, visited)
        rows = {
            "clean": run(args.scene, args.scene, {**common, "transients": False}),
            "clean_auto": run(args.scene, args.scene, common),
            "visited": run(visited, args.scene, {**common, "transients": False}),
            "visited_auto": run(visited, args.scene, common),
        }
    print(json.dumps({"bench": "transients", **common, **rows}))


if __name__ == "__main__":
    main()
