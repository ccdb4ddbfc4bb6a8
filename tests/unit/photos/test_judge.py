"""Blur, exposure and duplicates against the set; and the contact sheet that shows them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from scripts import import_photos
from scripts.lib.photos.contact import CELL, Thumb, contact_sheet, thumbnail
from scripts.lib.photos.judge import (
    THUMB,
    ImageStats,
    badly_exposed,
    blurred,
    duplicates,
    measure,
)
from tests.unit.photo_files import arguments, encoded, exif, imported, picture, soft, write_photos
from tests.unit.room import Shot, arc, photo


def looks(count: int = 10) -> list[ImageStats]:
    return [measure(photo(shot)) for shot in arc(count, 60.0)]


def test_one_blurred_photo_among_sharp_ones(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", 9)
    (folder / "a4.jpg").write_bytes(encoded(soft(picture(4), 5)))
    run = imported(folder, tmp_path)
    assert "blurred" in run.reason("a4.jpg") and "% of the sharpness" in run.reason("a4.jpg")
    assert len(run.kept) == 8 and not run.entry("a4.jpg")["kept"]
    kept = imported(folder, tmp_path / "2", drop_blurred=False)
    assert len(kept.kept) == 9


def test_a_set_that_is_all_soft_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(9):
        radius = 4 if number % 2 else 5
        (folder / f"{number}.jpg").write_bytes(encoded(soft(picture(number), radius)))
    assert len(imported(folder, tmp_path).kept) == 9


def test_a_smooth_subject_is_not_blurred() -> None:
    """Half as much detail, but crisp: less sharpness, no more blur."""
    found = looks()
    found[5] = replace(found[5], sharpness=0.2 * found[5].sharpness)
    assert blurred(found) == {}
    found[5] = replace(found[5], blur=found[5].blur + 0.3)
    assert list(blurred(found)) == [5]


def test_few_photos_are_not_judged() -> None:
    found = looks(4)
    found[1] = replace(found[1], sharpness=1e-3, blur=1.0)
    assert blurred(found) == {}


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_a_copy_saved_again_smaller_is_a_duplicate(tmp_path: Path, quality: int) -> None:
    folder = write_photos(tmp_path / "in")
    copy = picture(2).resize((224, 168), Image.Resampling.LANCZOS)
    (folder / "b.jpg").write_bytes(encoded(copy, quality=quality))
    run = imported(folder, tmp_path, min_side=100)
    assert run.entry("b.jpg")["twin"] == "a2.jpg" and len(run.kept) == 4


def test_the_original_stays_rather_than_the_copy(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "z.jpg").write_bytes(encoded(picture(9), quality=80, exif=exif(make="M")))
    (folder / "b.jpg").write_bytes(encoded(picture(9), quality=70))
    run = imported(folder, tmp_path)
    assert run.entry("b.jpg")["twin"] == "z.jpg"


def test_the_larger_copy_stays(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in")
    copy = picture(2).resize((640, 480), Image.Resampling.LANCZOS)
    (folder / "z.jpg").write_bytes(encoded(copy))
    run = imported(folder, tmp_path)
    assert run.entry("a2.jpg")["twin"] == "z.jpg" and "z.jpg" in run.kept


def test_a_brighter_copy_is_a_duplicate() -> None:
    one = photo(arc(3)[0])
    two = ImageEnhance.Brightness(one).enhance(0.8)
    assert duplicates([measure(one), measure(two)], [1.0, 0.0]) == {1: 0}


def test_a_small_step_is_no_duplicate() -> None:
    """Five centimetres in a room of six metres: little, but what depth is made of."""
    a, b = (photo(Shot((2.0, y, 1.3), (-0.5, y, 1.2))) for y in (0.0, 0.05))
    assert duplicates([measure(a), measure(b)], [1.0, 0.0]) == {}
    assert duplicates(looks(), [0.0] * 10) == {}


def test_duplicates_of_many_are_those_of_whole_thumbnails() -> None:
    """Against every difference written out; some are just below the tolerance, some just above."""
    dice = np.random.default_rng(0)
    looks = dice.normal(size=(30, *THUMB[::-1])).astype(np.float32)
    # Apart by 0.5 in all pixels, in neighbours of opposite sign, whose means are equal, and by a little more.
    chess = np.where(np.indices(THUMB[::-1]).sum(axis=0) % 2, 1, -1)
    steps = (0.49, 0.51, 0.49 * chess, 0.51 * chess)
    more = [looks[n] + np.float32(1) * steps[n % 4] for n in range(20)]
    thumbs = [*looks, *more]
    stats = [ImageStats(1.0, 0.0, 0.0, 0.0, thumb.astype(np.float32), 0.5) for thumb in thumbs]
    wanted = {30 + n: n for n in range(20) if n % 4 in (0, 2)}
    assert duplicates(stats, [0.0] * 50) == wanted


def test_a_white_photo_among_others(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", 6)
    white = np.asarray(picture(30)).astype(int) + np.array([220])
    (folder / "w.jpg").write_bytes(
        encoded(Image.fromarray(np.clip(white, 0, 255).astype(np.uint8)))
    )
    black = (np.asarray(picture(31)) // 60).astype(np.uint8)
    (folder / "x.jpg").write_bytes(encoded(Image.fromarray(black)))
    run = imported(folder, tmp_path)
    assert "over-exposed" in run.reason("w.jpg") and "no detail" in run.reason("w.jpg")
    assert "black" in run.reason("x.jpg")
    assert len(run.kept) == 6


def test_a_white_set_is_kept() -> None:
    found = [replace(look, clipped=0.7 + 0.02 * n) for n, look in enumerate(looks(6))]
    assert badly_exposed(found) == {}


def test_the_contact_sheet_shows_every_picture() -> None:
    small = thumbnail(picture(1))
    thumbs = [Thumb(f"{n}.jpg", "usable", True, small) for n in range(8)]
    one_row = Image.open(io.BytesIO(contact_sheet(thumbs[:5])))
    two_rows = Image.open(io.BytesIO(contact_sheet(thumbs)))
    assert one_row.width == two_rows.width > 5 * CELL and two_rows.height > 1.5 * one_row.height
    dropped = Thumb("Ж.jpg", "blurred: 12 % of the sharpness of the photos around it", False, small)
    with_dropped = Image.open(io.BytesIO(contact_sheet([*thumbs, dropped])))
    assert with_dropped.height > two_rows.height
    assert Image.open(io.BytesIO(contact_sheet([]))).width == one_row.width


def test_the_contact_sheet_has_no_metadata(tmp_path: Path) -> None:
    write_photos(tmp_path / "in")
    path = tmp_path / "contact.jpg"
    import_photos.main([*arguments(tmp_path / "in", tmp_path), "--contact", str(path)])
    assert not dict(Image.open(path).getexif())
