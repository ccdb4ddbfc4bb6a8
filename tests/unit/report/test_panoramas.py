"""The report of a capture with panoramas counts panoramas, and gives no advice on views of the sky."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.lib.report.summary import noun
from scripts.report_scene import main
from tests.unit.stage_files import stage_values, write_stage_files

FACES = ("front", "right", "back", "left", "up", "down")


def of_panoramas(flat: int) -> dict[str, Any]:
    """A capture of four panoramas and `flat` photos."""
    values = stage_values(24 + flat)
    names = []
    for number, photo in enumerate(values["photos"]["photos"][:24]):
        frame, face = f"p{number // 6}", FACES[number % 6]
        photo |= {"file": f"{frame}__view_{face}.jpg", "original": f"{frame}.jpg view {face}"}
        photo["sharpness"] = 2.0 if face == "up" else 180.0
        photo["rig"] = {
            "rig": "panorama 800",
            "frame": f"{frame}.jpg",
            "sensor": face,
            "panorama": True,
        }
        names.append(photo["file"])
    values["pairs"]["alone"] = [name for name in names if "_up" in name]
    return values


@pytest.mark.parametrize(
    ("flat", "headline", "used"),
    [
        (0, "24 of 24 views (4 panoramas) registered", "4 panoramas (24 views)"),
        (
            2,
            "26 of 26 photos and views (4 panoramas) registered",
            "4 panoramas (24 views), 2 photos",
        ),
    ],
)
def test_panoramas_are_counted(tmp_path: Path, flat: int, headline: str, used: str) -> None:
    values = of_panoramas(flat)
    arguments = write_stage_files(tmp_path, values)
    main([*arguments, "--output", str(tmp_path / "report.html")])
    text = (tmp_path / "report.html").read_text()
    assert headline in text and used in text
    assert "match no other photo" not in text and "less sharp" not in text


def test_what_photos_are_called() -> None:
    assert noun(0, 24) == noun(None, 24) == "photos"
    assert noun(1, 6) == "views (1 panorama)"
