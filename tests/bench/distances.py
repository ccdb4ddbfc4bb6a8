"""Whether distances lie inside what is stated: `python -m tests.bench.distances SCENE SPLAT.ply ...`.

SCENE is a folder of the sample's run with undistorted.zip, sfm.json and georef.json. On the sample's views
that the workflow never saw, whose depths are exactly known, places are drawn by chance and picked as the
page does it: the median depth of the splat, looked at again four pixels beside. One JSON line for each splat:
how many places are refused, how many of the pairs lie inside, and the medians of the uncertainties and the
errors. Nobody clicks here, so the click counts nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.record import read
from scripts.lib.contracts.sfm import Sfm
from scripts.lib.contracts.view import View
from scripts.lib.measure.depth_error import depth_errors
from scripts.lib.measure.evaluate import Purpose, choose_views
from scripts.lib.render.along_rays import depths_along
from scripts.lib.scene.scene import Scene, load_scene, usual_depths
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.visit.known_places import known_places
from scripts.lib.visit.surroundings import photo_map
from scripts.lib.web.measuring import End, Measure, measuring, uncertainty
from tests.conftest import ROOT
from tests.truth import align, heldback, heldback_depth, read_truth

Float = npt.NDArray[np.float64]
BESIDE, ROUGHEST, LOOKS = 4.0, 0.1, np.cos(np.radians(50))  # as scripts/viewer/page/uncertainty.js
PLACES, PAIRS = 400, 4000  # places of each view; pairs of all
SOLID = 0.5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("splats", type=Path, nargs="+")
    args = parser.parse_args()
    scene = load_scene(args.scene / "undistorted.zip")
    georef, sfm = read(Georef, args.scene / "georef.json"), read(Sfm, args.scene / "sfm.json")
    for path in args.splats:
        errors = depth_errors(
            read_ply(path), choose_views(path, args.scene / "undistorted.zip", Purpose.JUDGE)
        )
        measure = measuring(georef, view_of(scene), sfm, errors)
        assert measure is not None, "a scene without metres"
        found, true, ends, drawn = picked(path, scene, measure)
        print(
            json.dumps(
                {"bench": "distances", "splat": str(path)}
                | judged(found, true, ends, measure, drawn)
            )
        )


def view_of(scene: Scene) -> View:
    """The part of view.json that measuring needs."""
    depths = usual_depths(scene, range(len(scene)))
    plan = photo_map(
        scene.centres, scene.world_to_camera[:, 2, :3], depths, scene.points, scene.colours
    )
    known = tuple((x, y, z) for x, y, z in known_places(scene.points).tolist())
    return View(name="", position=(0, 0, 0), target=(1, 0, 0), fov=60.0, map=plan, known=known)


def picked(path: Path, scene: Scene, measure: Measure) -> tuple[Float, Float, list[End], int]:
    """Places (M, 3) as the page finds them and as they are, what it knows of each, and how many it tried."""
    sample, gaussians = ROOT / "tests" / "data" / "sample", read_ply(path)
    truth = read_truth(sample)
    sim3, _ = align(scene, truth)
    depths = heldback_depth(sample)
    assert measure.known is not None
    known = cKDTree(measure.known.unpacked())
    rng = np.random.default_rng(0)
    found, true, ends, drawn = [], [], [], 0
    for name, pose, K, photo in heldback(sample, truth, sim3, 0):
        exact = depths[name].astype(float) * sim3.scale
        rows, columns = np.nonzero(exact)
        some = rng.choice(len(rows), PLACES, replace=False)
        pixels = np.stack([columns[some], rows[some]], axis=1) * 4.0 + 2.5
        shifts = BESIDE * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
        rays = (pixels[:, None] + shifts).reshape(-1, 2)
        seen = depths_along(gaussians, pose, K, (photo.shape[1], photo.shape[0]), rays)
        there = np.where(seen.alpha > SOLID, seen.median, np.nan).reshape(-1, 5)
        drawn += len(there)
        middle, sides = there[:, 0], 1 / there[:, 1:]
        bends = (sides[:, ::2] + sides[:, 1::2]) / 2 * middle[:, None] - 1
        rough = middle * np.abs(bends).max(axis=1)
        for place, depth, real, bent in zip(
            pixels, middle, exact[rows[some], columns[some]], rough, strict=True
        ):
            if not bent <= ROUGHEST * depth:
                continue
            point = in_world(place, depth, pose, K)
            beside = float(known.query(point)[0])
            end = End(seen_from(point, measure), beside, 0.0, float(bent))
            if uncertainty(measure, 0.0, [end]) is not None:
                found.append(point)
                true.append(in_world(place, real, pose, K))
                ends.append(end)
    return np.array(found), np.array(true), ends, drawn


def in_world(pixel: Float, depth: float, pose: Float, K: Float) -> Float:
    """The place (3,) that a pixel shows at a depth."""
    x, y = (pixel - K[:2, 2]) / K[[0, 1], [0, 1]]
    place: Float = pose[:3, :3].T @ (np.array([x, y, 1.0]) * depth - pose[:3, 3])
    return place


def seen_from(point: Float, measure: Measure) -> float:
    """As `seenFrom` of the page."""
    x, y, z, heading, pitch = np.array(measure.photos).T
    to = point - np.stack([x, y, z], axis=1)
    away = np.linalg.norm(to, axis=1)
    h, p = np.radians(heading), np.radians(pitch)
    forward = np.stack([np.sin(h) * np.cos(p), np.cos(h) * np.cos(p), np.sin(p)], axis=1)
    sees = (to * forward).sum(axis=1) >= LOOKS * away
    return float(away[sees].min() if sees.any() else away.min())


def judged(
    found: Float, true: Float, ends: list[End], measure: Measure, drawn: int
) -> dict[str, object]:
    """The figures of pairs drawn by chance; those shorter than their uncertainty are refused, too."""
    rng = np.random.default_rng(1)
    halves, errors, lengths, short = [], [], [], 0
    for i, j in rng.integers(0, len(found), (PAIRS, 2)):
        if i == j:
            continue
        length = float(np.linalg.norm(found[i] - found[j]))
        stated = uncertainty(measure, length, [ends[i], ends[j]])
        if stated is None or stated >= length:
            short += 1
            continue
        halves.append(stated)
        lengths.append(length)
        errors.append(abs(length - float(np.linalg.norm(true[i] - true[j]))))
    half, error = np.array(halves), np.array(errors)
    ratio = error / half
    return {
        "measure": dataclasses.asdict(measure) | {"photos": len(measure.photos), "known": None},
        "refused": round(1 - len(ends) / drawn, 3),
        "too_short": round(short / PAIRS, 3),
        "pairs": len(half),
        "inside": round(float((ratio <= 1).mean()), 4),
        "ratio_95": round(float(np.quantile(ratio, 0.95)), 3),
        "length": round(float(np.median(lengths)), 3),
        "uncertainty": round(float(np.median(half)), 4),
        "error": round(float(np.median(error)), 4),
    }


if __name__ == "__main__":
    main()
