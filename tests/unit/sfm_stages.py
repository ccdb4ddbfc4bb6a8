"""The stages from photos to poses through their scripts, as the rules call them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts import extract_features, map_scene, match_photos
from tests.unit.photo_files import imported

FAST = {"first_octave": 0, "max_features": 1500}


def run(
    home: Path,
    source: Path | None = None,
    features: dict[str, Any] = FAST,
    matching: dict[str, Any] | None = None,
    **mapping: Any,
) -> dict[str, Any]:
    """Photos of `source` (else home/in) through all stages; returns sfm.json, written after a refusal too."""
    imported(source or home / "in", home)
    photos = ["--photos", str(home / "photos.zip"), "--photos-report", str(home / "photos.json")]
    own = {"features": json.dumps(features), "matching": json.dumps(matching or {})}
    extract_features.main([*photos, "--database", str(home / "f.db"), "--options", own["features"]])
    match_photos.main(
        [
            *("--database", str(home / "f.db"), *photos[2:], "--output", str(home / "m.db")),
            *("--pairs", str(home / "pairs.json"), "--options", own["matching"]),
        ]
    )
    map_scene.main(
        [
            *("--database", str(home / "m.db"), *photos, "--sparse", str(home / "sparse")),
            *("--metrics", str(home / "sfm.json"), "--georef", str(home / "georef.json")),
            *("--further", str(home / "components.zip")),
            *("--features", own["features"], "--matching", own["matching"]),
            *("--options", json.dumps(mapping)),
        ]
    )
    return read(home)


def read(home: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((home / "sfm.json").read_text())
    return report
