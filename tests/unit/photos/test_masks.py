"""Masks: whose each is, what its values mean, and a sentence on each that is not used."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from scripts.lib.photos.mask_names import named_as_mask, pair_masks
from scripts.lib.photos.masks import read_mask
from scripts.lib.photos.options import RejectedError
from scripts.lib.photos.sorting import sort_files
from scripts.lib.photos.source import list_source
from tests.unit.photo_files import HEIGHT, WIDTH, encoded, exif, imported, jpeg, picture

HALF = np.zeros((HEIGHT, WIDTH), np.uint8)
HALF[: HEIGHT // 2] = 255  # what lies above is kept


def drawn(values: NDArray[np.uint8] = HALF) -> Image.Image:
    return Image.fromarray(values)


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


FORMATS = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF", "bmp": "BMP", "webp": "WEBP"}


def put_mask(path: Path, mask: Image.Image | None = None) -> None:
    put(path, encoded(mask or drawn(), FORMATS[path.suffix.lower()[1:]]))


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("a.jpg", "masks/a.png"),
        ("a.jpg", "masks/a.jpg.png"),
        ("images/a.jpg", "masks/a.jpg"),
        ("images/left/a.jpg", "masks/left/a.png"),
        ("set/images/a.jpg", "set/masks/0001/a.png"),
        ("images/a.jpg", "masks_2/a.png"),
        ("images/a.jpg", "Segmentation/a.png"),
        ("images/a.jpg", "sky_masks/a.tif"),
        ("images/a.jpg", "object silhouettes/a.png"),
        ("images/a.jpg", "photoMasks/a.png"),
        ("A.JPG", "A_MASK.PNG"),
        ("DJI_0001.JPG", "DJI_0001_mask.JPG"),
        ("a.jpg", "a.mask.png"),
        ("a.jpg", "a.jpg.mask.png"),
        ("a.jpg", "a_mask.jpg.png"),
        ("a.jpg", "a-mask.tif"),
        ("a.jpg", "a mask.bmp"),
        ("a.jpg", "a_seg.png"),
        ("a.jpg", "mask_a.png"),
        ("a.jpg", "Mask-a.webp"),
        ("a.jpg", "a_mask_0.png"),
        ("a.jpg", "masks/mask_a.png"),
        ("a.jpg", "a.png"),
        ("images/a.jpg", "things/a.png"),
        ("images/a.jpg", "Masken/a.png"),
        ("IMAGES/A.JPG", "MASKS/A.PNG"),
        ("my photo.heic", "my photo_mask.png"),
        ("a_mask.jpg", "a_mask_mask.png"),  # of a photographed mask
    ],
)
def test_a_mask_by_any_name_finds_its_photo(tmp_path: Path, photo: str, mask: str) -> None:
    put(tmp_path / photo, encoded(picture(1), "HEIF") if photo.endswith("heic") else jpeg(1))
    put(tmp_path / Path(photo).with_name("b.jpg"), jpeg(2))
    put_mask(tmp_path / mask)
    parts = sort_files(list_source(str(tmp_path)), tmp_path)
    assert {name: file.name for name, file in parts.mask_of.items()} == {photo: mask}
    assert len(parts.photos) == 2 and not parts.unused and not parts.left_out


@pytest.mark.parametrize(
    ("photos", "mask"),
    [
        (["left/a.jpg", "right/a.jpg"], "masks/a.png"),  # either
        (
            ["left/a.jpg", "right/b.jpg"],
            "masks/right/a.png",
        ),  # the folder says that neither is meant
        (["a.jpg"], "masks/b.png"),
        (["a.jpg"], "mask.png"),
    ],
)
def test_a_mask_that_fits_no_photo_or_several_is_not_used(photos: list[str], mask: str) -> None:
    assert named_as_mask(mask) and not any(named_as_mask(photo) for photo in photos)
    pairs = pair_masks(photos, [mask])
    assert not pairs.photo and list(pairs.why) == [mask]


@pytest.mark.parametrize(
    "names", [("masks/1/0.png", "masks/1/2.png"), ("1_mask_0.png", "1_mask_2.png")]
)
def test_masks_of_single_objects_are_told(names: tuple[str, str]) -> None:
    """Neither is the mask of photo 1 alone, nor of the photos whose names their numbers are."""
    pairs = pair_masks(["0.jpg", "1.jpg", "2.jpg"], list(names))
    assert not pairs.photo
    assert set(pairs.why.values()) == {"one of 2 masks of 1.jpg; merge them into one"}


def test_a_mask_in_its_photos_own_frame_folder_wins_over_smaller_copies() -> None:
    pairs = pair_masks(["images/a.jpg", "images_2/a.jpg"], ["masks/a.png"])
    assert pairs.photo == {"masks/a.png": "images/a.jpg"}


@pytest.mark.parametrize("name", ["masks/{}.jpg", "dogon_{}_mask.jpg", "mask_{}.jpg", "seg/{}.jpg"])
@pytest.mark.parametrize("grey", [False, True])
def test_photographed_masks_are_photos(tmp_path: Path, name: str, grey: bool) -> None:
    for number in range(3):
        image = picture(number).convert("L") if grey else picture(number)
        put(tmp_path / "in" / name.format(number), encoded(image))
    assert len(imported(tmp_path / "in", tmp_path).kept) == 3


def test_masks_of_a_scene_in_a_folder_called_masks(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path / "in" / "masks" / f"{number}.jpg", jpeg(number))
        put_mask(tmp_path / "in" / "masks" / f"{number}_mask.png")
    run = imported(tmp_path / "in", tmp_path)
    assert run.kept == [f"masks/{number}.jpg" for number in range(3)]
    assert all(run.entry(name)["masked"] == 0.5 for name in run.kept)


@pytest.mark.parametrize(
    "name", ["1.png", "1-removebg-preview.png", "1_nobg.png", "cutouts/1.png", "masks/1.png"]
)
def test_a_cut_out_of_a_photo_is_its_mask(tmp_path: Path, name: str) -> None:
    for number in range(3):
        put(tmp_path / "in" / f"{number}.jpg", jpeg(number))
    cut = picture(1)
    cut.putalpha(drawn())
    put(tmp_path / "in" / name, encoded(cut, "PNG"))
    run = imported(tmp_path / "in", tmp_path)
    assert run.kept == ["0.jpg", "1.jpg", "2.jpg"]
    assert run.entry("1.jpg")["mask_source"] == name and run.entry("1.jpg")["masked"] == 0.5


def test_the_same_photo_as_jpeg_and_png_is_no_mask(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path / "in" / f"{number}.jpg", jpeg(number))
    put(tmp_path / "in" / "1.png", encoded(picture(1), "PNG"))
    run = imported(tmp_path / "in", tmp_path)
    assert len(run.kept) == 3 and run.report["left_out"] == {"copies": 1}


# Values


def palette(colours: list[int]) -> Image.Image:
    image = Image.fromarray(np.where(HALF > 0, 1, 0).astype(np.uint8)).convert("P")
    image = Image.frombytes("P", image.size, np.where(HALF > 0, 1, 0).astype(np.uint8).tobytes())
    image.putpalette(colours)
    return image


DEEP = HALF.astype(np.uint16)
TRANSPARENT = Image.new("RGBA", (WIDTH, HEIGHT))
TRANSPARENT.putalpha(drawn())


@pytest.mark.parametrize(
    ("kind", "mask"),
    [
        ("PNG", drawn()),
        ("PNG", drawn(HALF // 255)),  # 0 and 1
        ("PNG", drawn(HALF // 255 * 64)),
        ("PNG", drawn(np.where(HALF > 0, 192, 64).astype(np.uint8))),
        ("PNG", drawn(np.where(HALF > 0, 255, 200).astype(np.uint8))),  # the darker of two
        ("PNG", drawn().convert("1")),
        ("PNG", palette([0, 0, 0, 1, 1, 1])),
        ("PNG", palette([0, 0, 0, 128, 0, 0])),  # the colours of Pascal VOC
        ("PNG", palette([0, 0, 0, 0, 0, 0])),
        ("PNG", palette([0, 0, 0, 255, 255, 255])),
        ("PNG", Image.merge("RGB", (drawn(HALF * 0), drawn(HALF * 0), drawn()))),  # blue
        ("PNG", TRANSPARENT),
        ("PNG", Image.fromarray(DEEP // 255)),
        ("PNG", Image.fromarray(DEEP)),
        ("PNG", Image.fromarray(DEEP * 257)),
        ("TIFF", Image.fromarray(HALF.astype(np.float32) / 255)),
        ("TIFF", Image.fromarray(HALF.astype(np.int32) // 255)),
        ("JPEG", drawn()),
        ("JPEG", drawn(HALF // 4)),
        ("WEBP", drawn()),
        ("BMP", drawn(HALF // 255)),
    ],
)
def test_the_brighter_part_is_kept(kind: str, mask: Image.Image) -> None:
    read = read_mask(encoded(mask, kind))
    wrong = np.asarray(read.image) != HALF
    wrong[HEIGHT // 2 - 8 : HEIGHT // 2 + 8] = False  # lossy formats soften the edge
    assert not wrong.any() and read.note is None


def test_of_labels_only_zero_is_ignored_and_it_is_told() -> None:
    labels = np.repeat(np.arange(6, dtype=np.uint8) * 40, HEIGHT // 6)[:, None].repeat(WIDTH, 1)
    for values in (labels, labels // 40):
        read = read_mask(encoded(drawn(values), "PNG"))
        assert ((np.asarray(read.image) > 0) == (values > 0)).all() and "6 values" in str(read.note)


def test_a_soft_edge_is_cut_in_its_middle() -> None:
    ramp = np.clip(np.arange(HEIGHT) * 16 - 1900, 0, 255).astype(np.uint8)[:, None].repeat(WIDTH, 1)
    read = read_mask(encoded(drawn(ramp), "PNG"))
    assert ((np.asarray(read.image) > 0) == (ramp >= 128)).all() and read.note is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("value", [0, 255])
def test_flat_masks(kind: str, value: int) -> None:
    read = read_mask(encoded(drawn(np.full_like(HALF, value)), kind))
    assert read.image.getextrema() == (value, value)


@given(
    st.sampled_from(["PNG", "TIFF", "JPEG", "BMP"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    st.floats(0.2, 1) | st.just(1.0),
)
@settings(max_examples=100, deadline=None)
def test_damaged_masks_never_crash(kind: str, edits: list[tuple[float, int]], share: float) -> None:
    data = bytearray(encoded(drawn(HALF[::5, ::5]), kind))
    for place, value in edits:
        data[int(place * (len(data) - 1))] = value
    try:
        read = read_mask(bytes(data[: int(share * len(data))]))
    except RejectedError as rejection:
        assert str(rejection)
    else:
        assert set(np.unique(np.asarray(read.image))) <= {0, 255}


# What is told


def set_of(folder: Path, mask: Image.Image, count: int = 3, photos: int = 3) -> Path:
    for number in range(photos):
        put(folder / "images" / f"{number}.jpg", jpeg(number))
    for number in range(count):
        put_mask(folder / "masks" / f"{number}.png", mask)
    return folder


def test_masks_of_another_shape_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = imported(set_of(tmp_path / "in", drawn().resize((64, 64))), tmp_path)
    said = capsys.readouterr().out
    assert "3 masks were not used (masks/0.png: 64 x 64 pixels do not fit" in said
    assert "and 2 more" in said
    assert all("not used" in line["note"] for line in run.report["others"])
    assert all(entry["mask"] is None for entry in run.report["photos"])


def test_masks_of_another_size_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = imported(set_of(tmp_path / "in", drawn().resize((WIDTH // 4, HEIGHT // 4))), tmp_path)
    assert "3 photos have a mask" in capsys.readouterr().out
    assert all(entry["masked"] == pytest.approx(0.5, abs=0.01) for entry in run.report["photos"])


def test_masks_that_hide_everything_are_not_believed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = imported(set_of(tmp_path / "in", drawn(HALF * 0)), tmp_path)
    assert len(run.kept) == 3 and all(entry["masked"] is None for entry in run.report["photos"])
    assert (
        "3 masks were not used, because nearly all of them hide the whole"
        in capsys.readouterr().out
    )
    with zipfile.ZipFile(run.archive) as archive:
        assert not [name for name in archive.namelist() if name.startswith("masks/")]


def test_one_empty_mask_leaves_out_its_photo(tmp_path: Path) -> None:
    folder = set_of(tmp_path / "in", drawn(), 4, 4)
    put_mask(folder / "masks" / "2.png", drawn(HALF * 0))
    run = imported(folder, tmp_path)
    assert "hides all" in run.reason("images/2.jpg") and len(run.kept) == 3
    assert run.report["left_out"] == {"photos hidden by their masks": 1}


def test_pictures_that_are_transparent_everywhere_are_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        image = picture(number)
        image.putalpha(0)
        put(tmp_path / "in" / f"{number}.png", encoded(image, "PNG"))
    run = imported(tmp_path / "in", tmp_path)
    assert len(run.kept) == 3 and run.entry("0.png")["mask"] is None
    assert "0.png: its transparency, and 2 more" in capsys.readouterr().out


def test_a_mask_beside_a_transparent_picture_counts(tmp_path: Path) -> None:
    for number in range(3):
        image = picture(number)
        image.putalpha(0)
        put(tmp_path / "in" / f"{number}.png", encoded(image, "PNG"))
        put_mask(tmp_path / "in" / "masks" / f"{number}.png")
    run = imported(tmp_path / "in", tmp_path)
    assert [entry["masked"] for entry in run.report["photos"]] == [0.5] * 3


def test_masks_without_black_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = imported(set_of(tmp_path / "in", drawn(HALF | 255)), tmp_path)
    assert all(entry["mask"] is None for entry in run.report["photos"])
    assert "3 masks were without black, so that nothing is hidden" in capsys.readouterr().out


def test_masks_without_a_photo_and_second_masks_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = set_of(tmp_path / "in", drawn(), 4)
    put_mask(folder / "images" / "1_mask.png")
    run = imported(folder, tmp_path)
    assert run.report["left_out"] == {"masks not used": 2}
    assert "there is no photo" in run.reason("masks/3.png")
    reasons = {run.entry(name)["reason"] for name in ("images/1_mask.png",)}
    assert reasons == {"a second mask of images/1.jpg; masks/1.png is used"}
    assert "2 masks were not used" in capsys.readouterr().out


def test_an_unreadable_mask_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = set_of(tmp_path / "in", drawn())
    put(folder / "masks" / "1.png", b"rubbish")
    run = imported(folder, tmp_path)
    assert run.entry("images/1.jpg")["kept"] and run.entry("images/1.jpg")["mask"] is None
    assert "1 mask was not used (masks/1.png: not a picture" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["TIFF", "BMP"])
def test_flat_masks_in_a_zip_are_no_bombs(tmp_path: Path, kind: str) -> None:
    """A mask without compression of its own packs far better than a hundredfold."""
    buffer = io.BytesIO()
    drawn().resize((4 * WIDTH, 4 * HEIGHT), Image.Resampling.NEAREST).save(buffer, kind)
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.jpg", jpeg(number))
            archive.writestr(f"masks/{number}.{kind.lower()}", buffer.getvalue())
        info = archive.getinfo(f"masks/0.{kind.lower()}")
        assert info.file_size > 100 * info.compress_size
    run = imported(tmp_path / "in.zip", tmp_path)
    assert [entry["masked"] for entry in run.report["photos"]] == [0.5] * 3


def test_a_mask_drawn_over_the_camera_jpeg_keeps_its_exif(tmp_path: Path) -> None:
    """Painting programs leave the camera's EXIF in the mask; it is a mask all the same."""
    folder = set_of(tmp_path / "in", drawn(), 0)
    data = encoded(drawn(), exif=exif(make="DJI", model="FC6310"))
    put(folder / "images" / "0_mask.jpg", data)
    run = imported(folder, tmp_path)
    assert run.entry("images/0.jpg")["masked"] == pytest.approx(0.5, abs=0.01)
    assert len(run.report["photos"]) == 3
