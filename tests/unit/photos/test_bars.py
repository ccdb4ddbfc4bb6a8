"""Black bars around photos are masked where all photos have them, and nothing else is taken for bars."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.lib.photos.bars import picture_box
from tests.unit.photo_files import encoded, imported, picture


def framed(seed: int, left: int, top: int) -> Image.Image:
    """A picture of 320 x 240 between black bars."""
    image = Image.new("RGB", (320, 240))
    image.paste(picture(seed, 320 - 2 * left, 240 - 2 * top), (left, top))
    return image


@pytest.mark.parametrize(("left", "top"), [(80, 0), (0, 30), (40, 24)])
def test_bars_of_photos_are_masked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], left: int, top: int
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpg").write_bytes(encoded(framed(number, left, top)))
    hand = Image.new("L", (320, 240), 255)
    hand.paste(0, (100, 100, 140, 140))
    (folder / "0_mask.png").write_bytes(encoded(hand, "PNG"))
    run = imported(folder, tmp_path)
    assert len(run.kept) == 4
    assert "4 photos lie between black bars" in capsys.readouterr().out
    assert run.entry("0.jpg")["mask_source"] == "0_mask.png and black bars"
    assert run.entry("1.jpg")["mask_source"] == "black bars"
    with zipfile.ZipFile(run.archive) as photos:
        mask = np.asarray(Image.open(io.BytesIO(photos.read("masks/0.jpg.png"))).convert("L"))
        assert Image.open(io.BytesIO(photos.read("1.jpg"))).size == (320, 240)
    assert (mask[110:130, 110:130] == 0).all()
    inside = np.zeros((240, 320), bool)
    inside[top : 240 - top, left : 320 - left] = True
    inside[100:140, 100:140] = False
    assert (mask[~inside] == 0).all() and (mask[inside] == 255).mean() > 0.97


def test_photos_that_are_dark_at_their_sides_are_left(tmp_path: Path) -> None:
    """Nights, and things before black cloth: the dark is not the same in each, or not at both sides."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        (folder / f"a{number}.jpg").write_bytes(encoded(framed(number, 40 + 12 * number, 0)))
        night = picture(number + 10)
        night.paste(0, (0, 0, 320, 70))
        (folder / f"b{number}.jpg").write_bytes(encoded(night))
    run = imported(folder, tmp_path)
    assert len(run.kept) == 8 and not any(photo["masked"] for photo in run.report["photos"])


def test_a_black_picture_has_no_bars() -> None:
    assert picture_box(np.zeros((90, 120), np.uint8)) == (0, 0, 120, 90)
    assert picture_box(np.full((90, 120), 200, np.uint8)) == (0, 0, 120, 90)
