"""import_photos: every file is kept or refused with a reason, and nothing good is lost."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read
from scripts.lib.photos.decode import decode, encode
from scripts.lib.photos.jpeg import strip_metadata
from scripts.lib.photos.options import RejectedError
from tests.unit.photo_files import (
    HEIGHT,
    WIDTH,
    encoded,
    exif,
    imported,
    jpeg,
    picture,
    refusal,
    write_photos,
)


def stored(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as photos:
        return {name: photos.read(name) for name in photos.namelist()}


def test_a_good_jpeg_keeps_its_pixels(tmp_path: Path) -> None:
    run = imported(write_photos(tmp_path / "in"), tmp_path)
    assert run.kept == ["a0.jpg", "a1.jpg", "a2.jpg", "a3.jpg"]
    assert stored(run.archive)["a0.jpg"] == strip_metadata(jpeg(0))
    entry = run.entry("a0.jpg")
    assert (entry["width"], entry["height"], entry["changed"]) == (WIDTH, HEIGHT, None)


def test_the_archive_repeats_byte_for_byte(tmp_path: Path) -> None:
    write_photos(tmp_path / "in")
    first = imported(tmp_path / "in", tmp_path / "1").archive.read_bytes()
    assert imported(tmp_path / "in", tmp_path / "2").archive.read_bytes() == first


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, turn: int) -> None:
    write_photos(tmp_path / "in")
    upright = picture(9)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that undoes each value
    kept = upright if turn == 1 else upright.transpose(Image.Transpose(back[turn]))
    (tmp_path / "in" / "t.jpg").write_bytes(
        encoded(
            kept,
            quality=98,
            subsampling=0,
            exif=exif(orientation=turn, make="Maker", focal_35mm=28),
        )
    )
    run = imported(tmp_path / "in", tmp_path)
    with Image.open(io.BytesIO(stored(run.archive)["t.jpg"])) as image:
        assert not dict(image.getexif())
        error = np.abs(np.asarray(image, float) - np.asarray(upright, float)).mean()
    assert error < 4
    assert run.entry("t.jpg")["camera"] == "Maker"
    assert run.entry("t.jpg")["focal_35mm"] == 28


def test_nested_folders_and_equal_names(tmp_path: Path) -> None:
    write_photos(tmp_path / "in" / "left", 2)
    write_photos(tmp_path / "in" / "right", 2, start=0)
    (tmp_path / "in" / "right" / "a0.jpg").write_bytes(jpeg(20))
    (tmp_path / "in" / "right" / "a1.jpg").write_bytes(jpeg(21))
    run = imported(tmp_path / "in", tmp_path)
    assert len(run.kept) == len(stored(run.archive)) == 4
    assert all("/" not in name for name in stored(run.archive))


def test_unusual_names_survive(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", 1)
    for number, name in enumerate(["Фото 1.JPG", "写真.jpeg", "a b;c.jpg", "-x.jpg"], 30):
        (tmp_path / "in" / name).write_bytes(jpeg(number))
    run = imported(tmp_path / "in", tmp_path)
    assert len(run.kept) == 5
    assert not any(" " in name or name.startswith("-") for name in stored(run.archive))


def test_a_file_that_vanishes_or_lies_is_named(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "cut.jpg").write_bytes(jpeg(8)[:4000])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_bytes(b"I am not a picture\n" * 50)
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" * 100)
    (folder / "notes.txt").write_text("hello")
    (folder / "dot.png").write_bytes(encoded(Image.new("RGB", (1, 1)), "PNG"))
    run = imported(folder, tmp_path)
    assert run.kept == ["a0.jpg", "a1.jpg", "a2.jpg", "a3.jpg"]
    assert "truncated" in run.reason("cut.jpg")
    assert "empty file" in run.reason("empty.jpg")
    assert "not a" in run.reason("text.jpg")
    assert "not a" in run.reason("Thumbs.db")
    assert "not a" in run.reason("notes.txt")
    assert "1 x 1" in run.reason("dot.png")
    assert run.report["kept"] == 4 and run.report["dropped"] == 6


def test_a_header_that_claims_gigapixels_is_refused(tmp_path: Path) -> None:
    data = bytearray(encoded(Image.new("L", (8, 8)), "PNG"))
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    folder = write_photos(tmp_path / "in")
    (folder / "huge.png").write_bytes(bytes(data))
    run = imported(folder, tmp_path)
    assert "megapixels" in run.reason("huge.png")
    assert len(run.kept) == 4


def test_the_same_bytes_twice_count_once(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "copy.jpg").write_bytes(jpeg(2))
    run = imported(folder, tmp_path)
    assert len(run.kept) == 4
    assert "a2.jpg" in run.reason("copy.jpg")


def test_large_photos_are_reduced(tmp_path: Path) -> None:
    run = imported(write_photos(tmp_path / "in"), tmp_path, max_side=256)
    entry = run.entry("a0.jpg")
    assert (entry["width"], entry["height"]) == (256, 192)
    assert "reduced" in entry["changed"]


def test_a_zip_is_a_source_and_bad_members_are_named(tmp_path: Path) -> None:
    source = tmp_path / "in.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for number in range(4):
            archive.writestr(f"set/{number}.jpg", jpeg(number))
        archive.writestr("../escape.jpg", jpeg(7))
        archive.writestr("__MACOSX/._0.jpg", b"resource fork")
    run = imported(source, tmp_path)
    assert len(run.kept) >= 4
    assert not (tmp_path.parent / "escape.jpg").exists()
    assert all("/" not in name and ".." not in name for name in stored(run.archive))


# What ends the run: one sentence, exit code 1, no output.


def test_a_missing_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "none does not exist" in refusal(tmp_path / "none", tmp_path, capsys)


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    assert "in is empty" in refusal(tmp_path / "in", tmp_path, capsys)


def test_a_folder_of_text_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.txt", "b.txt", "c.md"):
        (tmp_path / "in" / name).write_text("words")
    message = refusal(tmp_path / "in", tmp_path, capsys)
    assert "no usable photo" in message and "a.txt: not a" in message


@pytest.mark.parametrize(("count", "words"), [(1, "only one usable photo"), (2, "only 2 usable")])
def test_too_few_photos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, words: str
) -> None:
    message = refusal(write_photos(tmp_path / "in", count), tmp_path, capsys)
    assert words in message and "3 are needed" in message


def test_twenty_copies_of_one_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02d}.jpg").write_bytes(jpeg(0))
    message = refusal(folder, tmp_path, capsys)
    assert "only one usable photo" in message and "00.jpg" in message


def test_a_damaged_zip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.zip").write_bytes(b"PK\x03\x04 and nothing more")
    assert "not a readable zip" in refusal(tmp_path / "in.zip", tmp_path, capsys)


def test_a_truncated_photo_among_good_ones_does_not_stop_the_run(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / "b.jpg").write_bytes(jpeg(5)[:-2000])
    run = imported(folder, tmp_path)
    assert run.kept == ["a0.jpg", "a1.jpg", "a2.jpg"]
    assert "truncated" in run.reason("b.jpg")


def test_the_report_is_read_again(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / "b.jpg").write_bytes(b"no picture")
    imported(folder, tmp_path)
    report = read(Photos, tmp_path / "photos.json")
    assert [photo.file for photo in report.used] == ["a0.jpg", "a1.jpg", "a2.jpg"]
    assert [photo.original for photo in report.photos if not photo.kept] == ["b.jpg"]


# Fuzz: whatever the bytes, a reader gives a picture or a reason.

GOOD = {
    "jpeg": jpeg(1, exif=exif(make="M", model="N", focal_mm=4.0, place=(50.0, 14.0, 200.0))),
    "progressive": encoded(picture(1, 64, 48), progressive=True),
    "png": encoded(picture(1, 64, 48), "PNG"),
    "heic": encoded(picture(1, 64, 64), "HEIF"),
    "webp": encoded(picture(1, 64, 48), "WEBP"),
    "tiff": encoded(picture(1, 64, 48), "TIFF", compression="tiff_lzw"),
    "avif": encoded(picture(1, 64, 48), "AVIF"),
}
fuzz = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@fuzz
@given(st.binary(max_size=400))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(RejectedError):
        decode(data, 16, 0)


@fuzz
@given(
    st.sampled_from(sorted(GOOD)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), min_size=1, max_size=8),
)
def test_flipped_bits_never_crash(kind: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(GOOD[kind])
    for place, bit in flips:
        data[int(place * (len(data) - 1))] ^= 1 << bit
    try:
        picture = decode(bytes(data), 16, 0)
        out = encode(picture, bytes(data), 95, False)
    except RejectedError as rejection:
        assert str(rejection)
    else:
        with Image.open(io.BytesIO(out)) as image:
            assert image.format == "JPEG" and image.size == picture.image.size


@fuzz
@given(st.sampled_from(sorted(GOOD)), st.floats(0, 1))
def test_cut_files_never_crash(kind: str, share: float) -> None:
    good = GOOD[kind]
    try:
        decode(good[: int(share * (len(good) - 1))], 16, 0)
    except RejectedError as rejection:
        assert str(rejection)
