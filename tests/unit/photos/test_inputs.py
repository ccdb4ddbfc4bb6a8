"""What people really have: HEIC, alpha, 16 bit, CMYK, masks, positions, XMP, encrypted and hostile zips."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import IFDRational

from scripts.lib.core.console import UserError
from scripts.lib.photos.exif import read_metadata
from scripts.lib.photos.jpeg import strip_metadata
from scripts.lib.photos.mask_names import named_as_mask, pair_masks
from scripts.lib.photos.names import unique_names
from scripts.lib.photos.options import RejectedError
from scripts.lib.photos.sensors import sensor_width_mm
from scripts.lib.photos.source import list_source, read_file
from scripts.lib.photos.xmp import read_flight_data
from tests.unit.photo_files import (
    HEIGHT,
    WIDTH,
    Imported,
    encoded,
    exif,
    imported,
    jpeg,
    picture,
    write_photos,
)


def archived(run: Imported, name: str) -> Image.Image:
    with zipfile.ZipFile(run.archive) as photos:
        image = Image.open(io.BytesIO(photos.read(name)))
        image.load()
    return image


def error(image: Image.Image, truth: Image.Image) -> float:
    return float(np.abs(np.asarray(image, float) - np.asarray(truth, float)).mean())


def one(folder: Path, name: str, data: bytes) -> Imported:
    """Three plain photos and this one."""
    write_photos(folder / "in", 3)
    (folder / "in" / name).write_bytes(data)
    return imported(folder / "in", folder)


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("x.heic", "HEIF", {"quality": 95}),
        ("x.avif", "AVIF", {"quality": 95}),
        ("x.webp", "WEBP", {"quality": 98}),
        ("x.tif", "TIFF", {}),
        ("x.png", "PNG", {}),
    ],
)
def test_every_format_becomes_a_jpeg(
    tmp_path: Path, name: str, kind: str, options: dict[str, int]
) -> None:
    data = encoded(picture(9), kind, **options)
    run = one(tmp_path, name, data)
    assert run.entry(name)["kept"] and kind in run.entry(name)["changed"]
    assert error(archived(run, "x.jpg"), picture(9)) < 12  # the formats' own chroma loss on noise


def test_heic_keeps_camera_and_place(tmp_path: Path) -> None:
    told = exif(make="Apple", model="iPhone 15", focal_35mm=26, place=(50.0, 14.5, 200.0))
    entry = one(tmp_path, "x.HEIC", encoded(picture(9), "HEIF", exif=told.tobytes())).entry(
        "x.HEIC"
    )
    assert entry["camera"] == "Apple iPhone 15" and entry["focal_px"] > 0
    assert entry["latitude"] == pytest.approx(50.0) and entry["position_source"] == "EXIF"


def test_alpha_becomes_a_mask(tmp_path: Path) -> None:
    image = picture(9).convert("RGBA")
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, : WIDTH // 4] = 0
    image.putalpha(Image.fromarray(alpha))
    run = one(tmp_path, "x.png", encoded(image, "PNG"))
    entry = run.entry("x.png")
    assert entry["mask"] == "masks/x.jpg.png" and entry["mask_source"] == "alpha"
    assert entry["masked"] == pytest.approx(0.25, abs=0.01)
    mask = np.asarray(archived(run, "masks/x.jpg.png").convert("L"))
    assert mask.shape == (HEIGHT, WIDTH)
    assert mask[:, : WIDTH // 4].max() == 0 and mask[:, WIDTH // 4 :].min() == 255


def test_an_opaque_alpha_is_no_mask(tmp_path: Path) -> None:
    run = one(tmp_path, "x.png", encoded(picture(9).convert("RGBA"), "PNG"))
    assert run.entry("x.png")["mask"] is None


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    grey = np.asarray(picture(9).convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    run = one(tmp_path, "x.png", encoded(deep, "PNG"))
    assert error(archived(run, "x.jpg").convert("L"), Image.fromarray(grey)) < 3


def test_cmyk_and_grey_become_rgb(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", 2)
    (tmp_path / "in" / "c.jpg").write_bytes(encoded(picture(8).convert("CMYK"), quality=98))
    (tmp_path / "in" / "g.jpg").write_bytes(encoded(picture(9).convert("L"), quality=98))
    run = imported(tmp_path / "in", tmp_path)
    assert len(run.kept) == 4
    assert {archived(run, f"{name}.jpg").mode for name in "cg"} == {"RGB"}
    assert error(archived(run, "c.jpg"), picture(8)) < 10


def test_other_colour_spaces_become_srgb(tmp_path: Path) -> None:
    """A profile whose red and green are exchanged: the pixels must follow it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert b"\0s\0R\0G\0B" in profile
    for old, new in ((b"rXYZ", b"????"), (b"gXYZ", b"rXYZ"), (b"????", b"gXYZ")):
        profile = profile.replace(old, new)
    profile = profile.replace(b"\0s\0R\0G\0B", b"\0o\0d\0d\0!")
    run = one(tmp_path, "x.jpg", encoded(picture(9), subsampling=0, icc_profile=profile))
    assert "sRGB" in run.entry("x.jpg")["changed"]
    red, green, blue = picture(9).split()
    assert error(archived(run, "x.jpg"), Image.merge("RGB", (green, red, blue))) < 6


def test_a_damaged_profile_is_ignored(tmp_path: Path) -> None:
    run = one(tmp_path, "x.jpg", encoded(picture(9), icc_profile=b"rubbish" * 20))
    assert error(archived(run, "x.jpg"), picture(9)) < 12


def test_masks_beside_the_photos(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in")
    half = np.zeros((HEIGHT, WIDTH), np.uint8)
    half[: HEIGHT // 2] = 255
    mask = Image.fromarray(half)
    (folder / "masks").mkdir()
    (folder / "masks" / "a0.png").write_bytes(encoded(mask, "PNG"))
    (folder / "masks" / "a1.jpg.png").write_bytes(encoded(mask, "PNG"))
    (folder / "a2_mask.jpg").write_bytes(encoded(mask.resize((WIDTH // 2, HEIGHT // 2))))
    (folder / "masks" / "zz.png").write_bytes(encoded(mask, "PNG"))
    (folder / "a3_mask.png").write_bytes(encoded(mask.resize((64, 64)), "PNG"))
    run = imported(folder, tmp_path)
    assert len(run.kept) == 4
    for name in ("a0", "a1", "a2"):
        found = np.asarray(archived(run, f"masks/{name}.jpg.png").convert("L"))
        assert found[: HEIGHT // 2 - 8].min() == 255 and found[HEIGHT // 2 + 8 :].max() == 0
    assert "no photo" in run.reason("masks/zz.png")
    assert run.entry("a3.jpg")["mask"] is None and "64 x 64" in run.entry("a3.jpg")["mask_note"]
    assert len(run.report["others"]) == 4


@pytest.mark.parametrize("drawn_upright", [False, True])
def test_a_mask_turns_with_its_photo(tmp_path: Path, drawn_upright: bool) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "t.jpg").write_bytes(encoded(picture(9), exif=exif(orientation=6)))
    stored = np.full((HEIGHT, WIDTH), 255, np.uint8)
    stored[:, :100] = 0  # left of the stored picture is the top once it is turned
    mask = Image.fromarray(stored)
    if drawn_upright:
        mask = mask.transpose(Image.Transpose.ROTATE_270)
    (folder / "t_mask.png").write_bytes(encoded(mask, "PNG"))
    run = imported(folder, tmp_path)
    found = np.asarray(archived(run, "masks/t.jpg.png").convert("L"))
    assert found.shape == (WIDTH, HEIGHT)
    assert found[:99].max() == 0 and found[101:].min() == 255


def test_masks_find_the_photo_in_their_own_folder() -> None:
    names = ["l/a.jpg", "r/a.jpg", "l/masks/a.png", "r/masks/a.png", "r/b_mask.png", "r/b.heic"]
    masks = [name for name in names if named_as_mask(name)]
    assert pair_masks([name for name in names if name not in masks], masks).photo == {
        "l/masks/a.png": "l/a.jpg",
        "r/masks/a.png": "r/a.jpg",
        "r/b_mask.png": "r/b.heic",
    }


def test_positions_travel_in_the_report_only(tmp_path: Path) -> None:
    run = one(tmp_path, "x.jpg", jpeg(9, exif=exif(place=(50.0, 14.0, 1.0), make="SecretMaker")))
    assert run.entry("x.jpg")["latitude"] == pytest.approx(50.0)
    assert b"SecretMaker" not in run.archive.read_bytes()
    kept = imported(tmp_path / "in", tmp_path / "2", keep_metadata=True)
    assert b"SecretMaker" in kept.archive.read_bytes()


def test_serial_numbers_are_not_told(tmp_path: Path) -> None:
    told = exif(make="M")
    told.get_ifd(0x8769)[0xA431] = "SN123456"
    run = one(tmp_path, "x.jpg", jpeg(9, exif=told))
    assert run.entry("x.jpg")["body"]
    assert "SN123456" not in json.dumps(run.report)


# XMP and the sensor table

DJI = (
    '<rdf:Description drone-dji:AbsoluteAltitude="+198.31" drone-dji:RelativeAltitude="+39.80" '
    'drone-dji:GimbalRollDegree="+0.00" drone-dji:GimbalYawDegree="+45.00" '
    'drone-dji:GimbalPitchDegree="-89.90" drone-dji:RtkFlag="50" drone-dji:RtkStdLon="0.012" '
    'drone-dji:RtkStdLat="0.016" drone-dji:RtkStdHgt="0.03" drone-dji:GpsLongtitude="14.4" '
    'drone-dji:GpsLatitude="50.1">'
)
PIX4D = (
    "<Camera:Pitch>85.5</Camera:Pitch><Camera:Yaw>12</Camera:Yaw><Camera:Roll>-1</Camera:Roll>"
    "<Camera:GPSXYAccuracy>0.02</Camera:GPSXYAccuracy><Camera:GPSZAccuracy>0.05</Camera:GPSZAccuracy>"
)


def test_dji_xmp() -> None:
    found = read_flight_data(DJI)
    assert (found.relative_altitude, found.altitude) == (39.8, 198.31)
    assert (found.yaw, found.pitch, found.roll) == (45.0, -89.9, 0.0)
    assert (found.latitude, found.longitude) == (50.1, 14.4)
    assert found.accuracy_horizontal_m == pytest.approx(0.02)
    assert found.accuracy_vertical_m == 0.03 and found.rtk_fixed


def test_pix4d_xmp() -> None:
    found = read_flight_data(PIX4D)
    assert (found.yaw, found.pitch, found.roll) == (12.0, -4.5, -1.0)
    assert (found.accuracy_horizontal_m, found.accuracy_vertical_m) == (0.02, 0.05)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            'drone-dji:GpsLatitude="+50,1" drone-dji:GpsLongitude="-14,4" '
            'drone-dji:AbsoluteAltitude="+198,31"',
            (50.1, -14.4, 198.31),
        ),
        (
            'exif:GPSLatitude="50,6.0S" exif:GPSLongitude="14,24,0E" exif:GPSAltitude="19831/100" '
            'exif:GPSAltitudeRef="1"',
            (-50.1, 14.4, -198.31),
        ),
        (
            'exif:GPSLatitude="50,7N" exif:GPSLongitude="14,25.0E" drone-dji:GpsLatitude="50.1000001" '
            'drone-dji:GpsLongitude="" drone-dji:GpsLongtitude="14.4000001"',
            (50.1000001, 14.4000001, None),
        ),
        (
            "<exif:GPSLatitude>50,6.0N</exif:GPSLatitude><exif:GPSLongitude>14,24.0W</exif:GPSLongitude>",
            (50.1, -14.4, None),
        ),
        ('drone-dji:GpsLatitude="95,0" drone-dji:GpsLongitude="14,4"', (None, None, None)),
        ('drone-dji:GpsLatitude="nan" drone-dji:GpsLongitude="inf"', (None, None, None)),
        ('drone-dji:GpsLatitude="5_0" drone-dji:GpsLongitude="14"', (None, None, None)),
        (
            'exif:GPSLatitude="50,6N" exif:GPSLongitude="14,24E" exif:GPSAltitude="1/0"',
            (50.6, 14.24, None),
        ),
    ],
)
def test_positions_of_xmp(text: str, place: tuple[float | None, ...]) -> None:
    found = read_flight_data(f"<rdf:Description {text}/>")
    for value, expected in zip(
        (found.latitude, found.longitude, found.altitude), place, strict=True
    ):
        assert value == (None if expected is None else pytest.approx(expected))


def drone_photo(seed: int, place: tuple[float, float, float], stored: Sequence[Any]) -> bytes:
    """A photo with `place` in XMP and `stored` (latitude, longitude, altitude as EXIF has them) in EXIF."""
    told = exif()
    told.get_ifd(IFD.GPSInfo).update({1: "N", 2: stored[0], 3: "E", 4: stored[1], 6: stored[2]})
    names = ("GpsLatitude", "GpsLongitude", "AbsoluteAltitude")
    fields = " ".join(f'drone-dji:{n}="{v:+.9f}"' for n, v in zip(names, place, strict=True))
    return jpeg(seed, exif=told, xmp=f"<rdf:Description {fields}/>".encode())


def dms(minutes: int, seconds: float, digits: int) -> tuple[int, int, IFDRational]:
    """The minutes and seconds of 50 or 14 degrees as EXIF stores them, with so many digits."""
    degrees = {6: 50, 24: 14}[minutes]
    return degrees, minutes, IFDRational(round(seconds * 10**digits), 10**digits)


@pytest.mark.parametrize(
    ("stored", "source", "altitude"),
    [
        # Whole minutes, the same for all photos.
        (lambda i: (dms(6, 0, 0), dms(24, 0, 0), 0), "XMP", 200.5),
        # Hundredths of seconds: the place of XMP with fewer digits.
        (lambda i: (dms(6, 0.37 + 0.36 * i, 2), dms(24, 0.0, 2), 200.5 + i), "XMP", 200.5),
        # Corrected afterwards: another place than the one XMP still has.
        (lambda i: (dms(6, 9.01 + i, 2), dms(24, 5.01, 2), 210 + i), "EXIF", 210),
        # Enough digits in both.
        (lambda i: (dms(6, 0.360001 + 0.36 * i, 6), dms(24, 1e-6, 6), 200.5 + i), "EXIF", 200.5),
        # The place is told in full, but one height for all.
        (lambda i: (dms(6, 0.360001 + 0.36 * i, 6), dms(24, 1e-6, 6), 0), "EXIF", 200.5),
    ],
)
def test_xmp_counts_where_exif_is_cut_off(
    tmp_path: Path, stored: Callable[[int], Sequence[Any]], source: str, altitude: float
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(4):
        exact = (50.1001015 + 0.0001 * i, 14.4000012, 200.5 + i)
        (folder / f"a{i}.jpg").write_bytes(drone_photo(i, exact, stored(i)))
    run = imported(folder, tmp_path)
    entry = run.entry("a0.jpg")
    assert (entry["position_source"], entry["altitude"]) == (source, pytest.approx(altitude))
    assert len({photo["latitude"] for photo in run.report["photos"]}) == 4


def test_a_sign_and_a_letter_for_south_are_south() -> None:
    told = exif()
    told.get_ifd(IFD.GPSInfo).update({1: "S", 2: (-50.5, 0, 0), 3: "W", 4: (14.5, 0, 0)})
    found = read_metadata(told, WIDTH, HEIGHT)
    assert (found.latitude, found.longitude) == (-50.5, -14.5)


@given(st.text(max_size=200) | st.integers(0, len(DJI)).map(lambda cut: DJI[cut:] + DJI[:cut]))
@settings(max_examples=100, deadline=None)
def test_any_xmp_is_read(text: str) -> None:
    found = read_flight_data(text)
    assert found.latitude is None or abs(found.latitude) <= 90


@pytest.mark.parametrize(
    ("camera", "width"),
    [
        ("DJI FC6310", 13.2),
        ("DJI FC300S", 6.17),
        ("NIKON CORPORATION NIKON D3200", 23.5),
        ("NIKON D850", 35.9),
        ("Canon EOS 5D Mark IV", 36.0),
        ("Canon EOS 700D", 22.3),
        ("Canon PowerShot A3300 IS", 6.17),
        ("SONY ILCE-7RM3", 35.8),
        ("SONY ILCE-6000", 23.5),
        ("Unknown Thing", None),
        (None, None),
    ],
)
def test_sensor_table(camera: str | None, width: float | None) -> None:
    assert sensor_width_mm(camera) == width


def test_focal_from_the_sensor_table(tmp_path: Path) -> None:
    told = exif(make="Canon", model="Canon PowerShot A3300 IS", focal_mm=5.0)
    entry = one(tmp_path, "x.jpg", jpeg(9, exif=told)).entry("x.jpg")
    assert entry["focal_px"] == pytest.approx(5.0 / 6.17 * WIDTH)
    assert entry["focal_source"] == "sensor table"


# zips and names


def test_hostile_members_are_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.lib.photos.source.MAX_FLAT_BYTES", 20_000_000)
    source = tmp_path / "in.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.jpg", jpeg(number))
        archive.writestr("../../out.jpg", jpeg(7))
        archive.writestr("/abs.jpg", jpeg(8))
        archive.writestr("..\\win.jpg", jpeg(9))
        archive.writestr("bomb.jpg", b"\0" * 30_000_000)
    run = imported(source, tmp_path / "deep" / "er")
    assert run.kept == ["0.jpg", "1.jpg", "2.jpg", "abs.jpg", "out.jpg", "win.jpg"]
    assert "hundred times" in run.reason("bomb.jpg")
    assert not list(tmp_path.rglob("out.jpg")) and not Path("/abs.jpg").exists()


def test_flipped_bits_in_a_zip(tmp_path: Path) -> None:
    source = tmp_path / "in.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for number in range(4):
            archive.writestr(f"{number}.jpg", jpeg(number))
    data = bytearray(source.read_bytes())
    data[3000] ^= 0xFF  # in the first photo's data: its checksum fails
    source.write_bytes(bytes(data))
    run = imported(source, tmp_path)
    assert run.kept == ["1.jpg", "2.jpg", "3.jpg"] and "unreadable" in run.reason("0.jpg")


def zip_of_photos() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(3):
            archive.writestr(f"set/{number}.jpg", encoded(picture(number, 64, 48)))
    return buffer.getvalue()


ZIP = zip_of_photos()


@given(
    # Half of the edits hit the directory at the end, which names members, sizes and places.
    st.lists(
        st.tuples(st.floats(0, 1) | st.floats(0.95, 1), st.integers(0, 255)), min_size=1, max_size=8
    ),
    st.floats(0, 1) | st.just(1.0),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_zips_never_crash(
    tmp_path: Path, edits: list[tuple[float, int]], share: float
) -> None:
    """Whatever the bytes: the archive is refused with a sentence, or each member read or refused."""
    data = bytearray(ZIP)
    for place, value in edits:
        data[int(place * (len(data) - 1))] = value
    (tmp_path / "in.zip").write_bytes(bytes(data[: int(share * len(data))]))
    try:
        files = list_source(str(tmp_path / "in.zip"))
    except UserError as refused:
        assert "in.zip" in str(refused)
        return
    for file in files:
        assert ".." not in Path(file.name).parts and not Path(file.name).is_absolute()
        try:
            assert len(read_file(file)) <= file.size
        except RejectedError as rejection:
            assert str(rejection)


@given(st.lists(st.text(min_size=1, max_size=12), max_size=12))
@settings(max_examples=100, deadline=None)
def test_names_are_unique_flat_and_safe(originals: list[str]) -> None:
    names = unique_names(originals)
    assert len({name.lower() for name in names}) == len(originals)
    assert all(name.endswith(".jpg") and not set(name) & set("/\\ \t\n:") for name in names)


def test_long_names_fit_a_file_system(tmp_path: Path) -> None:
    name = "п" * 120 + ".jpg"
    assert one(tmp_path, name, jpeg(9)).entry(name)["kept"]


def test_strip_drops_what_follows_the_picture() -> None:
    data = jpeg(3, exif=exif(make="M", place=(50.0, 14.0, 1.0)))
    assert strip_metadata(data + b"MotionPhoto" + b"ftypmp42") == strip_metadata(data)
    progressive = encoded(picture(3), progressive=True)
    before, after = (
        np.asarray(Image.open(io.BytesIO(d))) for d in (progressive, strip_metadata(progressive))
    )
    assert (before == after).all()
