"""What people really have: HEIC, alpha, 16 bit, CMYK, masks, positions, XMP, encrypted and hostile zips."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from scripts.lib.console import UserError
from scripts.lib.jpeg import strip_metadata
from scripts.lib.photos.mask_names import named_as_mask, pair_masks
from scripts.lib.photos.names import unique_names
from scripts.lib.photos.options import RejectedError
from scripts.lib.photos.positions import lookup, read_positions
from scripts.lib.photos.source import list_source, read_file
from scripts.lib.sensors import sensor_width_mm
from scripts.lib.xmp import read_flight_data
from tests.unit.photo_files import (
    HEIGHT,
    WIDTH,
    Imported,
    encoded,
    exif,
    imported,
    jpeg,
    picture,
    refusal,
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


# geo.txt and CSV

GEO = "EPSG:32633\na0.jpg\t458731.9\t5549700.5\t312.5\t0\t0\t0\t0.02\t0.04\textra words\n"


def test_geo_txt_wins_over_exif(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "a0.jpg").write_bytes(jpeg(0, exif=exif(place=(10.0, 10.0, 1.0))))
    (folder / "geo.txt").write_text(GEO)
    entry = imported(folder, tmp_path).entry("a0.jpg")
    assert (entry["latitude"], entry["longitude"]) == pytest.approx((50.0978, 14.4229), abs=1e-3)
    assert entry["altitude"] == 312.5 and entry["position_source"] == "geo.txt"
    assert (entry["accuracy_horizontal_m"], entry["accuracy_vertical_m"]) == (0.02, 0.04)


@pytest.mark.parametrize(
    "system", ["EPSG:32633", "WGS84 UTM 33N", "+proj=utm +zone=33 +datum=WGS84 +units=m +no_defs"]
)
def test_coordinate_systems_of_geo_txt(system: str) -> None:
    text = GEO.replace("EPSG:32633", system)
    found = lookup(read_positions("geo.txt", text.encode()), "set/A0.JPG")
    assert found is not None and found.longitude == pytest.approx(14.4229, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("moon\na.jpg 1 2\n", "no coordinate system"),
        ("EPSG:4326\na.jpg 1\n", "line 2"),
        ("EPSG:4326\na.jpg 200 95 3\n", "no place on Earth"),
    ],
)
def test_a_bad_geo_txt_is_told(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_positions("geo.txt", text.encode())


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("name,Latitude,Longitude,Alt\na0.jpg,50.1,14.4,200\n", ""),
        ("SourceFile;GPSLatitude;GPSLongitude;GPSAltitude\n./in/a0.jpg;50,1;14,4;200\n", ""),
        (
            "\ufeffwho\tn\te\th\na0\t50.1\t14.4\t200\n",
            "file=who, latitude=n, longitude=e, altitude=h",
        ),
    ],
)
def test_csv_columns(text: str, columns: str) -> None:
    positions = read_positions("log.csv", text.encode(), columns)
    found = lookup(positions, "in/a0.jpg")
    assert found is not None
    assert (found.latitude, found.longitude, found.altitude) == (50.1, 14.4, 200)


def test_a_csv_without_the_columns_is_told() -> None:
    with pytest.raises(UserError, match="latitude and longitude.*its columns: name, speed"):
        read_positions("log.csv", b"name,speed\na,1\n")
    with pytest.raises(UserError, match="position_columns"):
        read_positions("log.csv", b"name,speed\na,1\n", "latitude=nowhere")


def test_a_named_file_of_positions_must_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "in")
    assert "log.csv" in refusal(tmp_path / "in", tmp_path, capsys, positions="log.csv")


@given(st.text(max_size=300), st.sampled_from(["geo.txt", "log.csv"]))
@settings(max_examples=40, deadline=None)
def test_any_text_is_read_or_refused_with_a_sentence(text: str, name: str) -> None:
    try:
        positions = read_positions(name, text.encode("utf-8", "replace"))
    except UserError as refused:
        assert name in str(refused)
    else:
        assert all(abs(p.latitude) <= 90 for p in positions.values())


@given(st.lists(st.text("0123456789.-+e,\t ax", max_size=40), max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_geo_lines_are_read_or_refused(lines: list[str]) -> None:
    text = "EPSG:4326\n" + "\n".join(lines)
    try:
        positions = read_positions("geo.txt", text.encode())
    except UserError as refused:
        assert "geo.txt" in str(refused)
    else:
        assert all(abs(p.latitude) <= 90 and abs(p.longitude) <= 180 for p in positions.values())


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
