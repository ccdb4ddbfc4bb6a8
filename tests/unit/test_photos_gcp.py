"""gcp_list.txt: surveyed points, and their pixels in the photos as they are archived."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from scripts.lib.console import UserError
from scripts.lib.photos.gcp import read_gcp_list, upright_pixel
from scripts.lib.placing import placing
from scripts.lib.web_page import accuracy, measuring
from tests.unit.photo_files import HEIGHT, WIDTH, encoded, exif, imported, picture, write_photos
from tests.unit.room import FOCAL, SIZE, arc, write_room
from tests.unit.sfm_stages import run


def test_pixels_follow_turning_and_reducing(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "t.jpg").write_bytes(encoded(picture(9), exif=exif(orientation=6)))
    (folder / "gcp_list.txt").write_text(
        "EPSG:4326\n14.4 50.1 200 160 120 a0.jpg\n14.4 50.1 200 10 20 T.JPG\n"
        "14.5 50.2 210 5 5 gone.jpg\n14.5 50.2 210 30 40 a1.jpg church\n"
    )
    run = imported(folder, tmp_path, max_side=WIDTH // 2)
    points = {(p["label"], p["file"]): (p["x"], p["y"]) for p in run.report["gcps"]}
    assert points[("gcp1", "a0.jpg")] == (80, 60)
    assert points[("gcp1", "t.jpg")] == ((HEIGHT - 20) / 2, 5)
    assert ("gcp2", "a1.jpg") in points and len(points) == 3
    assert run.report["gcps"][0]["latitude"] == pytest.approx(50.1)


@pytest.mark.parametrize("turn", range(1, 9))
def test_upright_pixels_agree_with_the_picture(turn: int) -> None:
    stored = Image.new("L", (8, 6))
    stored.putpixel((1, 2), 255)
    data = encoded(stored, "PNG", exif=exif(orientation=turn))
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    x, y = upright_pixel(1.5, 2.5, (8, 6), turn)
    assert upright.getpixel((int(x), int(y))) == 255


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), ("EPSG:4326\n1 2 3\n", "line 2"), ("EPSG:4326\n500 95 0 1 1 a.jpg", "Earth")],
)
def test_a_bad_list_is_told(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_gcp_list("gcp_list.txt", text.encode())


@given(st.lists(st.text("0123456789.-e a\t", max_size=40), max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_list_is_read_or_refused(lines: list[str]) -> None:
    text = "EPSG:32633\n" + "\n".join(lines)
    try:
        points = read_gcp_list("gcp_list.txt", text.encode())
    except UserError as refused:
        assert "gcp_list.txt" in str(refused)
    else:
        assert all(abs(p.latitude) <= 90 for p in points)


def test_a_survey_without_gps_through_all_stages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """gcp_list.txt beside photos of a room: metres and north from it, each point met when left out."""
    shots = arc(9, 90.0)
    write_room(tmp_path / "in", shots)
    corner = np.array([450_000.0, 5_550_000.0, 200.0])
    marks = {
        "a": (-3, -1, 1),
        "b": (-3, 1, 2),
        "c": (-1, -3, 0.7),
        "d": (-1, -1, 0),
        "e": (-2, -2, 0),
    }
    lines = ["EPSG:32633"]
    for label, place in marks.items():
        for number, shot in enumerate(shots):
            x, y, z = shot.world_to_camera @ np.subtract(place, shot.centre)
            u, v = FOCAL * x / z + SIZE[0] / 2, FOCAL * y / z + SIZE[1] / 2
            if z > 0 and 0 < u < SIZE[0] and 0 < v < SIZE[1]:
                east, north, up = corner + place
                lines.append(f"{east} {north} {up} {u} {v} {names(tmp_path)[number]} {label}")
    (tmp_path / "in" / "gcp_list.txt").write_text("\n".join(lines))
    assert run(tmp_path)["registered"] == 9
    georef = json.loads((tmp_path / "georef.json").read_text())
    assert georef["gcp"]["points"] == sorted(marks) and georef["rmse_horizontal_m"] is None
    assert georef["gcp"]["check_rmse_horizontal_m"] < 0.05
    assert georef["gcp"]["check_rmse_vertical_m"] < 0.05
    assert georef["projected"]["easting"] == pytest.approx(corner[0], abs=4)
    assert "5 surveyed points within 0.0" in capsys.readouterr().out
    placed = placing(georef)
    assert placed and placed.survey and {label for label, _ in placed.misses} == set(marks)
    sentence = accuracy(measuring(georef, {"map": {"photos": [[0, 0, 0], [3, 0, 0], [0, 3, 0]]}}))
    assert "from surveyed points" in sentence


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "in").glob("*.jpg"))
