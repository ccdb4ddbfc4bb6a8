"""How true the sample's before and after is: `python -m tests.bench.captures results/yard results/later`.

The two results are of tests/data/sample/photos and tests/data/sample/later/photos, the second with
`same_place_as: yard`. Prints one JSON line: how far registration.json is from the truth, and how much of
what the map of changes shows in the held-back views, which no photo shows, has really changed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation

from scripts.lib.contracts.record import read
from scripts.lib.contracts.registration import Registration
from scripts.lib.core.geo import Sim3
from scripts.lib.measure.changes import compare
from scripts.lib.measure.changes.compare import Camera
from scripts.lib.measure.changes.find import (
    EXPOSED_BY,
    ChangesOptions,
    SplatFiles,
    cameras_of,
    places_of,
    prepared,
    sim3_of,
    voted,
)
from scripts.lib.measure.changes.looks import looked_at
from scripts.lib.scene.scene import load_scene
from tests.conftest import ROOT
from tests.truth import align, heldback, read_truth

SAMPLE = ROOT / "tests" / "data" / "sample"
SIDE = 192  # pixels: those of changed.npz
YARD = np.array([[x, y, z] for x in (-6, 6) for y in (-5, 6) for z in (0, 4)], float)  # metres
# Where the things stood and stand, on the ground, metres: tests/data/sample_scene/props.py.
THINGS = {
    "gone": ((4.7, -1.2, 0.3), (-5.35, 3.2, 0.45), (5.15, 0.75, 0.55)),
    "appeared": ((2.3, -1.9, 0.3), (-2.4, -1.6, 0.45), (-4.2, -0.9, 0.25)),
}
NEAR = 0.8  # metres


def alignment(found: Sim3, reference: Sim3, later: Sim3, eyes: np.ndarray) -> dict[str, float]:
    """Errors of a similarity from the later frame to the first one's; the others lead from the truth."""
    error = found.after(later).after(reference.inverse())
    cosine = np.clip((np.trace(error.rotation) - 1) / 2, -1, 1)
    size = read_truth(SAMPLE)["scene_size_m"]

    def off(points: np.ndarray) -> float:
        true = reference.apply(points)
        away = np.linalg.norm(error.apply(true) - true, axis=1) / reference.scale
        return float(100 * away.max() / size)

    return {
        "turn_deg": round(float(np.degrees(np.arccos(cosine))), 4),
        "scale_percent": round(100 * (error.scale - 1), 4),
        "yard_percent": round(off(YARD), 4),
        "cameras_percent": round(off(eyes), 4),
    }


def pixels(shown: np.ndarray, valid: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Right, told and true pixels of a view. Shadows and the edge of what changed do not count."""
    true = truth == 1
    edge = binary_dilation(true) & ~true
    counts = valid & ~edge & (truth != 2)
    told = shown & counts
    return np.array([(told & true).sum(), told.sum(), (true & counts).sum()], float)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="results of tests/data/sample/photos")
    parser.add_argument("later", type=Path, help="results of tests/data/sample/later/photos")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--options", default="{}", help="JSON object, see ChangesOptions")
    args = parser.parse_args()
    options = ChangesOptions(**json.loads(args.options))
    folders = (args.reference, args.later)
    joined = read(Registration, args.later / "registration.json")
    truths = (read_truth(SAMPLE), read_truth(SAMPLE / "later"))
    scenes = [load_scene(folder / "undistorted.zip", SIDE) for folder in folders]
    frames = [align(scene, truth)[0] for scene, truth in zip(scenes, truths, strict=True)]
    eyes = np.array([photo["centre"] for photo in truths[1]["photos"].values()])
    sim3 = sim3_of(joined)
    result: dict[str, Any] = {"bench": "captures", **alignment(sim3, frames[0], frames[1], eyes)}
    result |= {"common": joined.common, "residual_px": round(joined.residual_px.median, 3)}

    ways = (Sim3(1.0, np.eye(3), np.zeros(3)), sim3)
    files = [
        SplatFiles(
            folder / "splat.ply",
            clean if clean.exists() else folder / "splat.ply",
            folder / "undistorted.zip",
        )
        for folder in folders
        for clean in [folder / "splat.clean.ply"]
    ]
    made = [prepared(one, way, options, args.device) for one, way in zip(files, ways, strict=True)]
    sides = made[0][0], made[1][0]
    cameras = [
        c
        for (_, views), way in zip(made, ways, strict=True)
        for c in cameras_of(views, way, options.views)
    ]
    light = compare.exposure(*sides, cameras[:: max(1, len(cameras) // EXPOSED_BY)], options.seed)
    scores, valid = voted(*sides, cameras, light)
    places = [
        p
        for p in places_of(sides, scores, cameras)
        if 50 * p.pixels / valid >= options.least_percent
    ]
    looks, _ = looked_at(places, sides, scores, cameras)
    found = {kind: [False] * len(spots) for kind, spots in THINGS.items()}
    wrong = 0
    for place, look in zip(places, looks, strict=True):
        spot = frames[0].inverse().apply(place.position[None])[0]
        hits = [
            (kind, n) for kind, spots in THINGS.items() for n, thing in enumerate(spots)
            if np.linalg.norm(spot - thing) < NEAR + place.size / 2 / frames[0].scale
        ]  # fmt: skip
        wrong += not hits
        for kind, n in hits:
            found[kind][n] |= look.kind in (kind, "changed")
    result |= {"places": len(places), "found": found, "wrong_places": wrong}
    total = np.zeros(3)
    with np.load(SAMPLE / "later" / "changed.npz") as truth:
        for name, pose, K, photo in heldback(SAMPLE, truths[0], frames[0], SIDE):
            camera = Camera(name, pose, K, np.array([photo.shape[1], photo.shape[0]]))
            view = compare.compare_view(*sides, camera, light)
            share = compare.changed_pixels(*sides, scores, camera).share
            total += pixels(share > 0.5, view.valid, truth[name])
    right, told, true = total
    result |= {
        "precision": round(right / max(told, 1), 3),
        "recall": round(right / max(true, 1), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
