"""Mapping of a made flight with known poses, by the whole program; 500 features of a photo have a match."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scripts import map_scene
from scripts.lib.contracts.photos import Photo
from scripts.lib.contracts.record import read, write
from scripts.lib.contracts.sfm import Sfm
from scripts.lib.core.files import add_to_zip, writing_zip
from tests.bench.scaling import Facts, Stage
from tests.bench.sfm_world import FOCAL, FOCAL_PRIOR, HEIGHT, WIDTH, world
from tests.photo_lines import line, report

DEGREE = 111_195.0  # metres of a degree along a meridian
GPS_M = 2.0  # standard deviation of a made position, up twice as much
THREADS = "4"


def make(size: int, made: Path) -> None:
    """matches.db, photos.json with GPS, photos.zip of small grey pictures, and the truth."""
    places, extent = world("flight", size, made / "matches.db")
    random = np.random.default_rng(1)
    lines = [_photo(name, centre + random.normal(0, GPS_M, 3)) for name, centre in places.items()]
    write(made / "photos.json", report(*lines))
    grey = io.BytesIO()
    Image.new("RGB", (WIDTH // 10, HEIGHT // 10), (128, 128, 128)).save(grey, "JPEG")
    with writing_zip(made / "photos.zip") as archive:
        for name in places:
            add_to_zip(archive, name, grey.getvalue())
    (made / "truth.pickle").write_bytes(pickle.dumps((places, extent)))


def _photo(name: str, place: np.ndarray) -> Photo:
    # At the equator degrees of longitude are as long as those of latitude.
    x, y, z = place.tolist()
    return line(
        name,
        width=WIDTH,
        height=HEIGHT,
        focal_px=FOCAL_PRIOR * FOCAL,
        camera="made up",
        longitude=x / DEGREE,
        latitude=y / DEGREE,
        altitude=z,
    )


def _mapped(made: Path, out: Path, options: dict[str, Any]) -> Facts:
    """`map_scene` with these options: photos registered, and position errors as a share of the extent."""
    import pycolmap

    from tests.unit.sfm_scene import centres, residuals

    words = ["--database", made / "matches.db", "--photos", made / "photos.zip"]
    words += ["--photos-report", made / "photos.json", "--sparse", out / "sparse"]
    words += ["--metrics", out / "sfm.json", "--georef", out / "georef.json"]
    words += ["--further", out / "components.zip", "--threads", THREADS]
    map_scene.main([*map(str, words), "--options", json.dumps(options)])
    places, extent = pickle.loads((made / "truth.pickle").read_bytes())
    missed = residuals(centres(pycolmap.Reconstruction(out / "sparse")), places) / extent
    found = read(Sfm, out / "sfm.json")
    return {
        "mapper": found.mapper,
        "registered": found.registered,
        "points": found.points,
        "error_median_percent": round(100 * float(np.median(missed)), 4),
        "error_largest_percent": round(100 * float(missed.max()), 4),
    }


def as_by_itself(size: int, made: Path, out: Path) -> Facts:
    """As `auto` does, without GPS: in parts from 500 photos on."""
    return _mapped(made, out, {"use_gps": False})


def with_gps(size: int, made: Path, out: Path) -> Facts:
    """As `auto` does, with GPS in the adjustment."""
    return _mapped(made, out, {})


def in_parts(size: int, made: Path, out: Path) -> Facts:
    """In parts at any size, without GPS."""
    return _mapped(made, out, {"use_gps": False, "mapper": "divided"})


def whole(size: int, made: Path, out: Path) -> Facts:
    """By the incremental mapper at any size, without GPS."""
    return _mapped(made, out, {"use_gps": False, "mapper": "incremental"})


STAGES = tuple(
    Stage(name, make, run, input="mapping", sizes=(75, 150))
    for name, run in (
        ("map_scene", as_by_itself),
        ("map_scene_gps", with_gps),
        ("map_scene_parts", in_parts),
        ("map_scene_whole", whole),
    )
)
