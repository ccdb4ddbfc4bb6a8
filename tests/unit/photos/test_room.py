"""A picture of any size costs one line in photos.json, never the run: what is read fits into the memory."""

from __future__ import annotations

import io
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.lib.photos.decode import decode, decoding_bytes
from scripts.lib.photos.importing import import_photos
from scripts.lib.photos.options import ImportOptions, RejectedError
from scripts.lib.photos.room import Room
from tests.unit.photo_files import encoded, imported, picture, write_photos

SIDE = 2000  # pixels of a picture that is large for these tests
MEMORY = 16_000_000  # bytes, of which one picture may have half


def flat(mode: str, kind: str, **options: object) -> bytes:
    """A picture of one colour: some kilobytes that unpack to many megabytes."""
    return encoded(Image.new(mode, (SIDE, SIDE)), kind, **options)


@pytest.mark.parametrize(
    ("name", "mode", "kind", "options"),
    [
        ("x.png", "RGB", "PNG", {}),
        ("x.png", "RGBA", "PNG", {}),
        ("x.png", "I;16", "PNG", {}),
        ("x.tif", "F", "TIFF", {"compression": "tiff_lzw"}),
        ("x.tif", "CMYK", "TIFF", {"compression": "tiff_lzw"}),
        ("x.webp", "RGB", "WEBP", {"method": 0, "lossless": True}),
        ("x.avif", "RGB", "AVIF", {"speed": 10}),
        ("x.jpg", "RGB", "JPEG", {"progressive": True}),
    ],
)
def test_a_picture_that_needs_too_much_is_left_out(
    tmp_path: Path, name: str, mode: str, kind: str, options: dict[str, object]
) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / name).write_bytes(flat(mode, kind, **options))
    made = import_photos(
        str(folder), ImportOptions(max_side=800), tmp_path / "p.zip", threads=2, memory=MEMORY
    )
    (left_out,) = [photo for photo in made.photos if not photo.kept]
    assert left_out.original == name and made.kept == 3
    assert "MB of memory, but only 8 MB may be used" in left_out.reason
    assert made.left_out == {"pictures too large to be read": 1}


def test_a_large_jpeg_is_decoded_smaller() -> None:
    """A half, a quarter or an eighth is read at once, never less than twice what is wanted."""
    photo = picture(3, 640, 480)
    data = encoded(photo)
    assert decoding_bytes(data, 80) < 0.3 * decoding_bytes(data, 0)
    found = decode(data, 16, 80)
    assert found.image.size == (80, 60) and found.stored_size == (640, 480)
    assert found.changes == ["reduced"] and not found.unchanged
    small = photo.resize((80, 60), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(found.image, float) - np.asarray(small, float)).mean() < 4


@pytest.mark.parametrize("size", [(640, 480), (641, 479), (160, 120), (159, 121)])
def test_what_is_decoded_smaller_is_reduced_all_the_same(size: tuple[int, int]) -> None:
    found = decode(encoded(picture(3, *size)), 16, 160)
    assert max(found.image.size) == min(160, max(size))
    assert ("reduced" in found.changes) == (max(size) > 160)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_greys_are_the_same_in_strips(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = np.asarray(picture(4).convert("L"))
    numbers = {"I;16": grey.astype(np.uint16) * 257, "I": grey.astype(np.int32), "F": grey / 255}
    image = Image.fromarray(numbers[mode].astype(np.float32) if mode == "F" else numbers[mode])
    monkeypatch.setattr("scripts.lib.photos.decode.STRIP", 1000)
    found = decode(encoded(image, "TIFF"), 16, 0).image
    assert found.mode == "RGB" and (np.asarray(found)[..., 0] == grey).all()


def test_not_a_number_is_black() -> None:
    values = np.asarray(picture(4).convert("L"), np.float32) / 255
    values[:50], values[50:60], values[60:70] = np.nan, np.inf, -np.inf
    pixels = np.asarray(decode(encoded(Image.fromarray(values), "TIFF"), 16, 0).image)
    assert pixels[:70].max() == 0 and pixels[70:].max() > 200


def test_a_mask_that_needs_too_much_is_told(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / "masks").mkdir()
    (folder / "masks" / "a0.png").write_bytes(flat("RGB", "PNG"))
    made = import_photos(str(folder), ImportOptions(), tmp_path / "p.zip", threads=1, memory=MEMORY)
    (photo,) = [photo for photo in made.photos if photo.original == "a0.jpg"]
    assert photo.kept and "MB of memory" in photo.mask_note


def test_a_member_of_an_archive_that_is_too_large_is_not_unpacked(tmp_path: Path) -> None:
    source = tmp_path / "in.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.jpg", encoded(picture(number)))
        archive.writestr("big.jpg", encoded(picture(4)) + bytes(2_000_000))
    made = import_photos(
        str(source), ImportOptions(max_side=64), tmp_path / "p.zip", threads=2, memory=3_900_000
    )
    (left_out,) = [photo for photo in made.photos if not photo.kept]
    assert left_out.original == "big.jpg" and "2 MB of memory" in left_out.reason


def test_the_script_keeps_to_the_memory_of_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / "x.png").write_bytes(flat("RGB", "PNG"))
    monkeypatch.setattr("scripts.import_photos.free_memory", lambda: MEMORY)
    run = imported(folder, tmp_path)
    assert len(run.kept) == 3 and "6 MB may be used" in run.reason("x.png")


def test_one_large_picture_at_a_time() -> None:
    """Small ones go on beside it; two large ones never stand together."""
    room = Room(800, workers=4)
    inside, most, entered = 0, 0, threading.Event()

    def large() -> None:
        nonlocal inside, most
        with room.hold(300), room.hold(400):
            inside += 1
            most = max(most, inside)
            entered.wait()
            inside -= 1

    threads = [threading.Thread(target=large) for _ in range(3)]
    for thread in threads:
        thread.start()
    with room.hold(100):
        entered.set()
    for thread in threads:
        thread.join()
    assert most == 1
    with (
        pytest.raises(RejectedError, match="takes 401 MB of memory, but only 400 MB"),
        Room(800_000_000, 4).hold(401_000_000),
    ):
        pass


def test_without_a_limit_all_is_read() -> None:
    with Room().hold(1 << 60):
        assert io.BytesIO(flat("L", "PNG")).getbuffer().nbytes < 100_000
