"""gcp_list.txt: surveyed points, and their pixels in the photos as they are archived."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from scripts.lib.console import UserError
from scripts.lib.photos.gcp import read_gcp_list, upright_pixel
from tests.unit.photo_files import HEIGHT, WIDTH, encoded, exif, imported, picture, write_photos


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
