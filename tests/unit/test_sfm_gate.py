"""The gate: a hopeless scene stops with a paragraph that tells what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.console import UserError
from scripts.lib.sfm.gate import describe, require_registered
from scripts.lib.sfm.mapping import MapOptions, map_photos
from tests.unit.sfm_scene import entry, synthetic


def report(registered: int, total: int, models: list[int] | None = None) -> dict[str, Any]:
    missing = [f"m{number:02d}.jpg" for number in range(total - registered)]
    return {
        "photos": total,
        "registered": registered,
        "models": models or [registered],
        "unregistered": missing,
    }


def test_enough_photos_pass() -> None:
    require_registered(report(6, 10), MapOptions())


def test_too_few_stop_with_names_and_advice() -> None:
    with pytest.raises(UserError) as stop:
        require_registered(report(5, 10), MapOptions())
    message = str(stop.value)
    assert "only 5 of 10 photos" in message and "m00.jpg" in message
    assert "overlap" in message and "min_registered_fraction" in message


def test_pieces_are_told() -> None:
    with pytest.raises(UserError, match="separate piece"):
        require_registered(report(8, 20, [8, 6, 2]), MapOptions())


def test_the_override_goes_on() -> None:
    require_registered(report(3, 20), MapOptions(min_registered_fraction=0.0))


def test_description_is_plain_json(tmp_path: Path) -> None:
    _, photos = synthetic(tmp_path / "m.db")
    photos.append(entry("zz.jpg"))
    best, attempts = map_photos(tmp_path / "m.db", tmp_path, MapOptions(mapper="incremental"), 2)
    found = describe(best, attempts, photos, 1.5)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["photos"] == 13 and found["registered"] == 12
    assert found["unregistered"] == ["zz.jpg"]
    assert found["models"] == [12] and found["seconds"] == 1.5
    assert found["attempts"][0]["mapper"] == "incremental"
    assert found["focal_px"] == pytest.approx(1280, rel=0.02)
