"""How close a run of the sample comes to the truth: `python -m tests.bench.sample results/courtyard`.

`--capture lens` for a run of tests/data/lens: the same place through a real lens, and the same unseen views.

Prints one JSON line: photos registered, the cameras' distances from their true places (after the best
similarity), and PSNR on the six views that the workflow never saw, rendered from their true poses.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from scripts.lib.core.files import read_json
from scripts.lib.measure.metrics import psnr, ssim
from scripts.lib.scene.scene import load_scene
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.train.note import read_note
from scripts.lib.visit.poster import render
from tests.conftest import ROOT
from tests.truth import align, heldback, read_truth


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="a scene's folder, made from the sample")
    parser.add_argument("--capture", choices=("sample", "lens"), default="sample")
    args = parser.parse_args()
    data = ROOT / "tests" / "data"
    sample, plain = data / "sample", read_truth(data / "sample")
    truth = read_truth(data / args.capture)
    note = read_note(args.results / "splat.ply")
    resolution = note.resolution if note else 480
    scene = load_scene(args.results / "undistorted.zip", resolution)
    sim3, distances = align(scene, truth)
    gaussians = read_ply(args.results / "splat.ply")
    values, views = [], []
    for name, pose, K, photo in heldback(sample, plain, sim3, resolution):
        size = (photo.shape[1], photo.shape[0])
        picture = render(gaussians, pose, K, size, (0.0, 0.0, 0.0))
        found = {"psnr": psnr(picture, photo), "ssim": ssim(picture, photo)}
        values.append(found)
        views.append({"name": name} | {key: round(value, 3) for key, value in found.items()})
    diagonal = truth["cameras_diagonal_m"]
    codecs = read_json(args.results / "codecs.json")
    print(
        json.dumps(
            {
                "bench": args.capture,
                "photos": len(truth["photos"]),
                "registered": len(scene),
                "camera_error_max_m": round(float(distances.max()), 5),
                "camera_error_max_of_scene": round(float(distances.max()) / diagonal, 6),
                "resolution": resolution,
                "gaussians": len(gaussians),
                "heldback_psnr": round(float(np.mean([v["psnr"] for v in values])), 3),
                "heldback_ssim": round(float(np.mean([v["ssim"] for v in values])), 4),
                "views": views,
                "sog_delta_psnr": codecs.get("formats", codecs).get("sog", {}).get("delta_psnr"),
                "training_seconds": read_json(args.results / "train.json")["seconds"],
            }
        )
    )


if __name__ == "__main__":
    main()
