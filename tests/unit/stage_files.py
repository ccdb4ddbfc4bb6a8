"""Stage files of a made-up scene, as the stages would leave them, for the tests of report and index."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scripts.lib.contracts.sfm import Sfm

RULES = ["import_photos", "extract_features", "match_photos", "map_scene", "undistort"]
RULES += ["train_splat", "evaluate_splat", "compress_splat", "check_codecs", "render_poster"]


def jpeg(width: int = 96, height: int = 64, seed: int = 0) -> bytes:
    """A small picture of soft random blobs, with GPS in its EXIF."""
    small = np.random.default_rng(seed).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif.get_ifd(0x8825)[29] = "2031:07:19"  # GPSDateStamp: must not reach the report
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def stage_values(photos: int = 24) -> dict[str, Any]:
    """The JSON of every stage of a good capture; tests change what they are about."""
    listed = [
        {
            "file": f"IMG_{i:04d}.jpg",
            "original": f"IMG_{i:04d}.JPG",
            "kept": True,
            "reason": "usable",
            "width": 4000,
            "height": 3000,
            "camera": "Acme One",
            "focal_px": 3100.0,
            "time": f"2031-05-04T10:{i % 60:02d}:00",
            "latitude": 48.123456,
            "longitude": 11.654321,
            "altitude": 512.25,
            "sharpness": 180.0 + i,
        }
        for i in range(photos)
    ]
    views = [
        {"name": f"IMG_{i:04d}.jpg", "psnr": 27.0 + i / 8, "ssim": 0.9} for i in range(0, photos, 8)
    ]
    return {
        "photos": {"source": "in", "kept": photos, "dropped": 0, "photos": listed},
        "pairs": {
            "strategy": "exhaustive",
            "reason": "24 photos are few enough to compare all",
            "photos": photos,
            "pairs": 276,
            "verified": 5 * photos,
            "alone": [],
        },
        "sfm": {
            "format": Sfm.format,
            "photos": photos,
            "registered": photos,
            "models": [photos],
            "mapper": "incremental",
            "triangulation_angle_deg": 9.5,
            "parallax": dict.fromkeys(("model_px", "turned_px", "claimed_px", "ratio"), 9.0)
            | {"tracks": 300},
            "reprojection_error_px": 0.71,
            "unregistered": [],
            "attempts": [],
            "seconds": 31.0,
            "points": 8123,
            "track_length": 5.4,
        },
        "georef": {
            "georeferenced": True,
            "reason": "24 of 24 GPS positions agree",
            "epsg": 32632,
            "origin": {"latitude": 48.123456, "longitude": 11.654321, "altitude": 512.25},
            "scale": 1.03,
            "rmse_horizontal_m": 1.2,
            "rmse_vertical_m": 2.3,
            "world_from_sfm": np.eye(4).tolist(),
            "inliers": [f"IMG_{i:04d}.jpg" for i in range(photos)],
            "outliers": [],
        },
        "train": {
            "device": "cpu",
            "steps": 1000,
            "seconds": 38.4,
            "gaussians": 30000,
            "peak_memory_mb": 812,
            "seed": 7,
            "resumed_from": None,
            "options": {"steps": 1000, "max_gaussians": 30000, "origin": [48.123456, 11.654321]},
            "curve": [
                {"step": s, "seconds": s / 26, "psnr": 27.9 - 9 * np.exp(-s / 200)}
                for s in range(100, 1001, 100)
            ],
        },
        "eval": {"psnr": 28.0, "ssim": 0.9, "views": views, "held_out": True, "resolution": 480},
        "codecs": {
            "formats": {
                "ply": shipped("splat.ply", 7_080_000, 28.0, 0.0),
                "sog": shipped("splat.sog", 612_000, 27.8, -0.2),
                "spz": shipped("splat.spz", 910_000, 27.9, -0.1),
                "compressed_ply": shipped("splat.compressed.ply", 2_100_000, 26.6, -1.4),
            },
            "max_loss_db": 0.5,
            "max_mobile_loss_db": 1.0,
            "passed": True,
            "held_out": True,
            "views": [view["name"] for view in views],
            "resolution": 480,
        },
        "manifest": {
            "scene": "yard",
            "title": "Old yard",
            "created": "2031-05-05T08:00:00Z",
            "versions": {"splatmake": "0.1.0", "pycolmap": "4.2.1"},
            "git_commit": "0123abc",
            "images": {},
            "machine": {},
            "options": {"background": "#101214", "place": {"latitude": 48.123456}},
            "photos": {"given": photos, "kept": photos, "files": []},
            **{part: {} for part in ("sfm", "georef", "train", "eval", "pairs", "clean")},
            **{part: {} for part in ("codecs", "start_view", "stages", "files")},
            "decoded": {"gaussians": 1, "sh_degree": 0, "low": [0, 0, 0], "high": [1, 1, 1]},
            "manifest_sha256": "0" * 64,
        },
    }


def shipped(file: str, size: int, psnr: float, delta: float) -> dict[str, Any]:
    """What codecs.json says of a file."""
    return {
        "file": file,
        "bytes": size,
        "gaussians": 30000,
        "sh_degree": 2,
        "psnr": psnr,
        "ssim": 0.9,
        "flip": 0.1,
        "psnr_to_ply": 40.0,
        "delta_psnr": delta,
        "worst_view": {"name": "IMG_0000.jpg", "psnr": psnr - 1, "ssim": 0.88},
    }


def write_stage_files(folder: Path, values: dict[str, Any], scene: str = "yard") -> list[str]:
    """Write a scene's files below `folder`/`scene`; return the arguments of report_scene for them."""
    home = folder / scene
    home.mkdir(parents=True, exist_ok=True)
    arguments = ["--scene", scene]
    for stage, value in values.items():
        path = home / f"{stage}.json"
        path.write_text(json.dumps(value))
        arguments += [f"--{stage}", str(path)]
    with zipfile.ZipFile(home / "renders.zip", "w") as archive:
        for seed, view in enumerate(values["eval"].get("views", [])):
            for kind in ("photo", "render", "error"):
                archive.writestr(f"{view['name']}.{kind}.jpg", jpeg(seed=seed))
    (home / "poster.jpg").write_bytes(jpeg(seed=99))
    benchmarks = folder / "benchmarks" / scene
    benchmarks.mkdir(parents=True, exist_ok=True)
    tables = []
    for place, rule in enumerate(RULES):
        table = benchmarks / f"{rule}.tsv"
        table.write_text(f"s\th:m:s\tmax_rss\n{3.5 * (place + 1)}\t0:00:03\t{100 + place}\n")
        tables.append(str(table))
    arguments += ["--renders", str(home / "renders.zip"), "--poster", str(home / "poster.jpg")]
    return [*arguments, "--benchmarks", *tables, "--output", str(home / "report.html")]
