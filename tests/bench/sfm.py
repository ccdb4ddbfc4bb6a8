"""Our path from photos to poses against pycolmap's plain default, same photos, same machine, one run.

    python -m tests.bench.sfm FOLDER [--truth truth.json] [--keep FOLDER]
    python -m tests.bench.sfm --synthetic 200 --layout street

Prints one JSON line a scene: user CPU seconds of each stage of both sides, photos registered, reprojection
error, GPS residuals, how far each side misses tracks that no adjustment of either saw (`held_out.py`), and,
where the truth is known, the error of the camera positions as a share of the scene's size. The
default is what `colmap automatic_reconstructor` does without a vocabulary tree: SIFT at 3200 pixels with
8192 features, all pairs, incremental mapper. Its work does not depend on ours: with `--keep`, it stays in a
folder and is taken from there the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for both sides: spinning threads are no work
ROOT = Path(__file__).resolve().parents[2]


def measured(command: Sequence[str]) -> tuple[dict[str, float], str]:
    """Run a command; user CPU, wall seconds and peak memory, and its last line."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = (done.stdout + done.stderr).strip().splitlines() or [""]
    if done.returncode:
        print(f"{shlex.join(command)}: {lines[-1]}", file=sys.stderr)
    return {
        "user_cpu_s": round(after.ru_utime - before.ru_utime, 1),
        "wall_s": round(wall, 1),
        "peak_mb": round(after.ru_maxrss / 1024),
    }, lines[-1]


def ours(source: Path, home: Path, options: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The four stages as the rules call them, but that matches near tracks held out go before mapping."""
    from tests.bench.held_out import load, take_out

    files = {
        name: str(home / name)
        for name in ("photos.zip", "photos.json", "features.db", "matches.db", "pairs.json")
    }
    photos = ["--photos", files["photos.zip"], "--photos-report", files["photos.json"]]
    stages = {
        "import_photos": ["--source", str(source), *photos[:2], "--report", files["photos.json"]],
        "extract_features": [*photos, "--database", files["features.db"]],
        "match_photos": [
            *("--database", files["features.db"], *photos[2:], "--output", files["matches.db"]),
            *("--pairs", files["pairs.json"]),
        ],
        "map_scene": [
            *("--database", files["matches.db"], *photos, "--sparse", str(home / "sparse")),
            *("--metrics", str(home / "sfm.json"), "--georef", str(home / "georef.json")),
            *("--further", str(home / "components.zip")),
        ],
    }
    costs = {}
    taken = 0.0
    for stage, arguments in stages.items():
        if stage == "map_scene" and (home / "held.npz").exists():
            taken = take_out(home / "matches.db", load(home / "held.npz"))
        given = ["--options", json.dumps(options.get(stage, {}))]
        costs[stage], _ = measured([sys.executable, "-m", f"scripts.{stage}", *arguments, *given])
    result: dict[str, Any] = total(costs)
    result["matches_taken_out"] = round(taken, 4)
    if (home / "sfm.json").exists():
        sfm = json.loads((home / "sfm.json").read_text())
        keys = ("registered", "models", "mapper", "reprojection_error_px", "track_length", "points")
        result.update({key: sfm[key] for key in keys})
        result["attempts"] = len(sfm["attempts"])
        result["pairs"] = json.loads((home / "pairs.json").read_text())["pairs"]
    if (home / "georef.json").exists():
        georef = json.loads((home / "georef.json").read_text())
        if georef["rmse_horizontal_m"] is not None:  # a survey georeferences without GPS
            result["gps_rmse_horizontal_m"] = round(georef["rmse_horizontal_m"], 3)
            result["gps_rmse_vertical_m"] = round(georef["rmse_vertical_m"], 3)
    return result


def total(costs: dict[str, dict[str, float]]) -> dict[str, Any]:
    return {
        "user_cpu_s": round(sum(cost["user_cpu_s"] for cost in costs.values()), 1),
        "wall_s": round(sum(cost["wall_s"] for cost in costs.values()), 1),
        "stages": costs,
    }


def plain_default(source: Path, home: Path) -> None:
    """pycolmap's defaults; leaves default.json, the largest model in default/, and held.npz."""
    import pycolmap

    from tests.bench.held_out import hold_out, take_out

    stages, last = {}, time.process_time()

    def lap(stage: str) -> None:
        nonlocal last
        stages[stage], last = round(time.process_time() - last, 1), time.process_time()

    pycolmap.logging.minloglevel = int(pycolmap.logging.ERROR)
    pycolmap.set_random_seed(0)
    database, models = home / "default.db", home / "default"
    models.mkdir()
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.max_image_size = 3200
    pycolmap.extract_features(database, source, extraction_options=extraction)
    lap("features")
    pycolmap.match_exhaustive(database)
    lap("matching")
    held = hold_out(database)
    taken = take_out(database, held)
    held.save(home / "held.npz")
    lap("holding out")
    found = pycolmap.incremental_mapping(database, source, models)
    lap("mapping")
    held_s = stages.pop("holding out")
    sizes = sorted((int(model.num_reg_images()) for model in found.values()), reverse=True)
    best = max(found.values(), key=lambda model: model.num_reg_images(), default=None)
    result: dict[str, Any] = {"models": sizes, "registered": sizes[0] if sizes else 0}
    result |= {"stages": stages, "matches_taken_out": round(taken, 4), "held_out_s": held_s}
    if best is not None:
        result["reprojection_error_px"] = float(best.compute_mean_reprojection_error())
        result["track_length"] = float(best.compute_mean_track_length())
        result["points"] = int(best.num_points3D())
        best.write_binary(models)
    (home / "default.json").write_text(json.dumps(result))


def position_error(sparse: Path, truth: dict[str, np.ndarray], size: float) -> dict[str, float]:
    """Errors of the camera positions after the best similarity, as percent of the scene's size."""
    import pycolmap

    from tests.unit.sfm_scene import centres, residuals

    found = centres(pycolmap.Reconstruction(sparse))
    distances = 100 * residuals(found, truth) / size
    return {
        "median": round(float(np.median(distances)), 4),
        "max": round(float(distances.max()), 4),
    }


def default_side(source: Path, home: Path, keep: Path | None) -> dict[str, Any]:
    """The default's files in `home`, and its numbers; from `keep` where they lie there, else to it."""
    if keep is not None and (keep / "costs.json").exists():
        shutil.copytree(keep, home, dirs_exist_ok=True)
    else:
        command = [
            sys.executable,
            "-m",
            "tests.bench.sfm",
            "--plain-default",
            str(home),
            str(source),
        ]
        cost, _ = measured(command)
        cost["user_cpu_s"] -= json.loads((home / "default.json").read_text())["held_out_s"]
        (home / "costs.json").write_text(json.dumps(cost))
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            for name in ("default.json", "costs.json", "held.npz"):
                shutil.copy(home / name, keep)
            shutil.copytree(home / "default", keep / "default", dirs_exist_ok=True)
    result = {
        name: json.loads((home / f"{name}.json").read_text()) for name in ("costs", "default")
    }
    return {**result["costs"], **result["default"]}


def judge(home: Path, result: dict[str, Any]) -> None:
    """Add to both sides of `result` how far they miss the tracks held out."""
    import pycolmap

    from tests.bench.held_out import judged, load

    sides = {"ours": home / "sparse", "default": home / "default"}
    if not all((folder / "images.bin").exists() for folder in sides.values()):
        return
    models = [pycolmap.Reconstruction(folder) for folder in sides.values()]
    for side, found in zip(sides, judged(load(home / "held.npz"), models), strict=True):
        result[side]["held_out"] = found


def bench_photos(source: Path, truth: Path | None, keep: Path | None) -> dict[str, Any]:
    """One scene on both sides."""
    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        home = Path(folder)
        result: dict[str, Any] = {
            "scene": source.parent.name if source.name == "images" else source.name
        }
        result["photos"] = sum(
            1 for path in source.iterdir() if path.suffix.lower() in (".jpg", ".png")
        )
        result["default"] = default_side(source, home, keep)
        result["ours"] = ours(source, home, {})
        judge(home, result)
        result["cpu_ratio"] = round(
            result["ours"]["user_cpu_s"] / result["default"]["user_cpu_s"], 3
        )
        if truth is not None:
            known = json.loads(truth.read_text())
            places = {name: np.array(shot["centre"]) for name, shot in known["photos"].items()}
            size = float(known["scene_size_m"])
            for side, sparse in (("ours", home / "sparse"), ("default", home / "default")):
                if (sparse / "images.bin").exists():
                    result[side]["position_error_percent"] = position_error(sparse, places, size)
        return result


def bench_synthetic(cameras: int, layout: str, seed: int) -> dict[str, Any]:
    """Mapping alone, both mappers, on a made-up capture in which every camera sees what is near it."""
    from scripts.lib.sfm.mapping import run_mapper
    from scripts.lib.sfm.options import MapOptions
    from tests.bench.sfm_world import world
    from tests.unit.sfm_scene import centres, residuals

    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        database = Path(folder) / "m.db"
        places, size = world(layout, cameras, database, seed)
        result: dict[str, Any] = {"scene": f"synthetic {layout}", "photos": cameras, "seed": seed}
        for mapper in ("incremental", "global"):
            before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
            attempt = run_mapper(mapper, database, Path(folder), MapOptions(), -1)
            after = resource.getrusage(resource.RUSAGE_SELF)
            result[mapper] = {
                "user_cpu_s": round(after.ru_utime - before.ru_utime, 1),
                "wall_s": round(time.monotonic() - began, 1),
                "registered": attempt.registered,
                "models": attempt.summary().models,
                "reprojection_error_px": attempt.summary().reprojection_error_px,
            }
            if attempt.models:
                distances = 100 * residuals(centres(attempt.models[0]), places) / size
                result[mapper]["position_error_percent"] = {
                    "median": round(float(np.median(distances)), 4),
                    "max": round(float(distances.max()), 4),
                }
        return result


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?", help="folder of photos")
    parser.add_argument("--truth", type=Path, help="truth.json of the sample scene")
    parser.add_argument("--keep", type=Path, help="folder where the default's work stays")
    parser.add_argument("--synthetic", type=int, help="number of cameras of a made-up scene")
    parser.add_argument("--layout", choices=("flight", "street"), default="flight")
    parser.add_argument("--seed", type=int, default=0, help="of the made-up scene")
    parser.add_argument("--plain-default", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.synthetic:
        print(json.dumps(bench_synthetic(args.synthetic, args.layout, args.seed)))
    elif args.source is None:
        parser.error("give a folder of photos, or --synthetic N")
    elif args.plain_default:
        plain_default(args.source, args.plain_default)
    else:
        print(json.dumps(bench_photos(args.source, args.truth, args.keep)))


if __name__ == "__main__":
    main()
