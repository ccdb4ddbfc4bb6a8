"""Positions beside the photos: geo.txt and tables as spreadsheets and tools write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.lib.core.console import UserError
from scripts.lib.core.quantities import parse_angle, parse_length, parse_number, split_unit
from scripts.lib.photos.photo_index import PhotoIndex
from scripts.lib.photos.positions import Positions, find_position_files, read_positions
from tests.unit.photo_files import exif, imported, jpeg, refusal, write_photos

PHOTOS = ("a0.jpg", "a1.jpg", "a2.jpg")
GEO = "EPSG:32633\na0.jpg\t458731.9\t5549700.5\t312.5\t0\t0\t0\t0.02\t0.04\textra words\n"
HERE = (50.1, 14.4)


def read(
    name: str,
    text: str | bytes,
    photos: Sequence[str] = PHOTOS,
    *,
    asked: bool = False,
    columns: str = "",
) -> Positions:
    data = text.encode() if isinstance(text, str) else text
    return read_positions({name: lambda: data}, PhotoIndex(photos), asked, columns)


def note(positions: Positions, photos: Sequence[str] = PHOTOS) -> str:
    return str(positions.notes(photos)[0].note)


def where(positions: Positions, photo: str) -> tuple[float, float]:
    told = positions.of[photo].position
    return told.latitude, told.longitude


# geo.txt


def test_geo_txt_wins_over_exif(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "a0.jpg").write_bytes(jpeg(0, exif=exif(place=(10.0, 10.0, 1.0))))
    (folder / "geo.txt").write_text(GEO)
    run = imported(folder, tmp_path)
    entry = run.entry("a0.jpg")
    assert (entry["latitude"], entry["longitude"]) == pytest.approx((50.0978, 14.4229), abs=1e-3)
    assert entry["altitude"] == 312.5 and entry["position_source"] == "geo.txt"
    assert (entry["accuracy_horizontal_m"], entry["accuracy_vertical_m"]) == (0.02, 0.04)
    (line,) = run.report["others"]
    assert line == {"file": "geo.txt", "kind": "positions", "note": "positions of 1 photo"}
    assert "geo.txt: positions of 1 photo\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "system",
    [
        *("EPSG:32633", "WGS84 UTM 33N", "UTM33N", "EPSG:32633,,,,", '"EPSG:32633"'),
        "+proj=utm +zone=33 +datum=WGS84 +units=m +no_defs",
    ],
)
def test_coordinate_systems_of_geo_txt(system: str) -> None:
    found = read("geo.txt", GEO.replace("EPSG:32633", system))
    assert where(found, "a0.jpg")[1] == pytest.approx(14.4229, abs=1e-3)


@pytest.mark.parametrize(
    ("line", "photo", "altitude", "accuracy"),
    [
        ("a0.jpg,14.4,50.1,,,,,0.02,0.03", "a0.jpg", None, 0.02),
        ("a0.jpg;14,4;50,1;312,5;;;;0,02;0,03", "a0.jpg", 312.5, 0.02),
        ("a0.jpg 14,4 50,1 312,5", "a0.jpg", 312.5, None),
        ("a0.jpg 14,423 470,25", None, None, None),
        ("a0.jpg 14.4 50.1 NaN 0 0 0 0.02 0.03", "a0.jpg", None, 0.02),
        ("my photo 1.JPG 14.4 50.1 400", "my photo 1.JPG", 400, None),
        ("my photo 1 14.4 50.1 400", "my photo 1.JPG", 400, None),
        ("2 nd 7.jpg\t14.4\t50.1\t400", "2 nd 7.jpg", 400, None),
        ("yard, north.jpg,14.4,50.1,400", "yard, north.jpg", 400, None),
        ('"my photo 1.JPG" 14.4 50.1 400', "my photo 1.JPG", 400, None),
        ("/home/me/flight/A0.JPG 14.4 50.1 400 some words", "a0.jpg", 400, None),
        (r"C:\flight 1\a0.dng,14.4,50.1,1312.3 ft", "a0.jpg", pytest.approx(400, abs=0.1), None),
        ('"a0.jpg","14.4","50.1","400"', "a0.jpg", 400, None),
        ("a0 14.4 50.1 -9999", "a0.jpg", None, None),
    ],
)
def test_lines_of_geo_txt(
    line: str, photo: str | None, altitude: float | None, accuracy: float | None
) -> None:
    photos = ("a0.jpg", "my photo 1.JPG", "2 nd 7.jpg", "yard, north.jpg", "my.jpg")
    for end in ("\n", "\r\n", "\r"):
        text = end.join(["EPSG:4326", "# a comment", "", line])
        if photo is None:
            with pytest.raises(UserError, match=r"geo.txt line 4 .*not a valid position"):
                read("geo.txt", text, photos)
            continue
        found = read("geo.txt", b"\xef\xbb\xbf" + text.encode(), photos)
        assert list(found.of) == [photo]
        assert where(found, photo) == HERE
        assert found.of[photo].position.altitude == altitude
        assert found.of[photo].position.horizontal == accuracy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("moon\na.jpg 1 2\n", "not a coordinate system"),
        ("a.jpg 14.4 50.1\n", "not a coordinate system; write EPSG:4326"),
        ("EPSG:5703\na.jpg 1 2\n", "not a coordinate system"),
        ("EPSG:4326\na.jpg 1\n", "line 2"),
        ("EPSG:4326\na.jpg 200 95 3\n", "not a valid position"),
        ("EPSG:4326\na.jpg 14.4 50.1 high\n", "line 2 .*'high'"),
        ("EPSG:4326\na.jpg,14.4,50.1,400,0,0,0,2 apples,0.03\n", "line 2 .*apples"),
        ("EPSG:4326\na0.jpg 14.4 50.1\na1.jpg 14.4 fifty\n", "line 3"),
        ("EPSG:4326\na0.jpg inf 50.1\n", "line 2"),
        (b"\0\1\2\3", "not a text file"),
    ],
)
def test_a_bad_geo_txt_is_told(text: str | bytes, words: str) -> None:
    with pytest.raises(UserError, match=rf"geo.txt.*{words}"):
        read("geo.txt", text)


def test_heights_of_a_survey_in_feet_are_feet() -> None:
    """Like x and y; of a compound system, what its vertical axis says."""
    for system, metres in (("EPSG:2229", 304.8), ("EPSG:2229+5703", 1000.0), ("EPSG:32633", 1000)):
        found = read("geo.txt", f"{system}\na0.jpg 500000 1900000 1000\n")
        assert found.of["a0.jpg"].position.altitude == pytest.approx(metres, abs=0.01)
        assert ("feet" in note(found)) == (metres < 400)


# Tables

EXIFTOOL = (
    "SourceFile,FileName,GPSLatitude,GPSLongitude,GPSAltitude\n"
    './a0.jpg,a0.jpg,"50 deg 6\' 0.00"" N","14 deg 24\' 0.00"" E",12.5 m Below Sea Level\n'
)
METASHAPE = (
    '#CoordinateSystem: GEOGCS["WGS 84",DATUM["World Geodetic System 1984",SPHEROID["WGS 84",'
    '6378137,298.257223563,AUTHORITY["EPSG","7030"]],TOWGS84[0,0,0,0,0,0,0],AUTHORITY["EPSG","6326"]],'
    'PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.01745329251994328,'
    'AUTHORITY["EPSG","9102"]],AUTHORITY["EPSG","4326"]]\n'
    "#Label,X/Longitude,Y/Latitude,Z/Altitude,Accuracy_X/Y_(m),Accuracy_Z_(m),Yaw,Pitch,Roll\n"
    "a0,14.4,50.1,-12.5,0.02,0.03,,,\n# Total error, 1, 2\n"
)
METASHAPE_UTM = (
    "#CoordinateSystem: WGS 84 / UTM zone 33N\n#Label,X/Easting,Y/Northing,Z/Altitude\n"
    "a0.jpg,457089.15,5549921.63,-12.5\n"
)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("name,Latitude,Longitude,Alt\na0.jpg,50.1,14.4,-12.5\n", ""),
        ("SourceFile;GPSLatitude;GPSLongitude;GPSAltitude\n./in/a0.jpg;50,1;14,4;-12,5\n", ""),
        ("sep=;\nSourceFile;GPSLatitude;GPSLongitude;GPSAltitude\na0.jpg;50,1;14,4;-12,5\n", ""),
        (
            "who\tn\te\th\na0\t50.1\t14.4\t-12.5\n",
            "file=who, latitude=n, longitude=e, altitude=h",
        ),
        (EXIFTOOL, ""),
        (
            "SourceFile,EXIF:GPSLatitudeRef,EXIF:GPSLatitude,GPSLongitudeRef,GPSLongitude,"
            "GPSAltitudeRef,GPSAltitude\n/a/a0.jpg,North,50.1,E,14.4,Below Sea Level,12.5\n",
            "",
        ),
        (METASHAPE, ""),
        ('SourceFile,GPSPosition,Alt\na0.jpg,"50 deg 6\' 0"" N, 14 deg 24\' 0"" E",-12.5 m\n', ""),
        ("SourceFile\tGPSPosition\tAlt\na0.jpg\t50.1 14.4\t-12.5\n", ""),
        (METASHAPE_UTM, ""),
        ("a0.jpg,50.10000,14.40000,-12.5\na1.jpg,50.20000,14.50000,300\n", ""),
        ("a0.jpg 50.10000 14.40000 -12.5 0 0 0 0.02 0.03\n", ""),
        ("photos/a0.JPG;N 50° 6' 0\";14:24:00E;-41.01 feet\n".join(["file;lat;lon;alt\n", ""]), ""),
        ("Image name,Latitude [deg],Longitude [deg],Altitude (ft)\na0.dng,50.1,14.4,-41.01\n", ""),
        ("image,lat,lon,alt_ft\nC:\\me\\a0.jpg,+50.1,+14.4,-41.01\n", ""),
        ("image,x,y,z\na0.jpg,14.40000,50.10000,-12.5\n", ""),
        ("EPSG:4326,,,\na0.jpg,14.4,50.1,-12.5\n", ""),
        ("# made by hand\nnotes\n\nfile,lat,lon,alt,note\n'a0.jpg',50.1,14.4,-12.5,\"a\nb\"\n", ""),
        ("file,lat,lon,alt\na0.jpg,50.1,14.4,−12.5\nTotal,x,y,z\n", ""),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "crlf"])
def test_tables_of_every_dialect(text: str, columns: str, encoding: str) -> None:
    if encoding == "crlf":
        text, encoding = text.replace("\n", "\r\n"), "utf-8"
    found = read("log.csv", text.encode(encoding), columns=columns)
    assert where(found, "a0.jpg") == pytest.approx(HERE, abs=2e-5)
    assert found.of["a0.jpg"].position.altitude == pytest.approx(-12.5, abs=0.01)


def test_a_table_of_thousands_in_windows_letters() -> None:
    text = 'image,lat,lon,alt,camera\nHöhe 1.jpg,-50.123456,-14.4,"1,234.5",Ähre\n'
    found = read("log.csv", text.encode("cp1252"), ["Höhe 1.jpg"])
    told = found.of["Höhe 1.jpg"].position
    assert (told.latitude, told.altitude) == (-50.123456, 1234.5)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (
            "air.csv",
            "time(millisecond),latitude,longitude,height(feet)\n0,50,14,3\n",
            "names of photos",
        ),
        ("notes.csv", "room,comment\nkitchen,nice\n", "names of photos and latitudes"),
        (
            "points.csv",
            "label,x,y,z\nP1,458731.9,5549700.5,3\n",
            "names no photo of this source (P1)",
        ),
        ("points.csv", "label,lat,lon\nP1,150.1,14.4\n", "names no photo of this source (P1)"),
        ("boxes.csv", "image,x,y,w,h\na0.jpg,10,20,30,40\na1.jpg,11,21,3,4\n", "not degrees"),
        ("utm.csv", "image,easting,northing\na0.jpg,458731.9,5549700.5\n", "not degrees"),
        ("local.csv", METASHAPE.replace('GEOGCS["WGS 84"', 'LOCAL_CS["m"'), "no valid position"),
        ("empty.csv", "\n\n", "empty"),
        ("head.csv", "file,lat,lon\n", "it has no positions"),
        ("noise.csv", b"\x00\x01\x02", "not a text file"),
        ("bad.csv", 'file,lat,lon\n"a0.jpg,1,2\n', "line 2 is not a row"),
        ("words.csv", "file,lat,lon\na0.jpg,north,east\n", "'north' is not a latitude"),
        ("list.csv", "a0.jpg\na1.jpg\n", "latitudes"),
        ("scores.csv", "a0.jpg 0.93 0.12 1\n", "too few digits for photo positions"),
        ("xyz.csv", "a0.jpg,458731.9,5549700.5,300\n", "does not name a coordinate system"),
        (
            "bild.csv",
            "Bild;Breite\na0.jpg;50,1\n",
            "give these in import_photos.position_columns",
        ),
        ("commas.csv", "file,lat,lon\na0.jpg,50,1,14,4\n", "more cells than there are columns"),
        ("gps.xlsx", b"PK\3\4", "a spreadsheet; save it as CSV"),
        ("gcp.csv", "EPSG:4326\n14.4,50.1,2,3,4,a0.jpg\n", "call it gcp_list.txt"),
        ("GCPs.txt", "EPSG:4326\n14.4 50.1 2 3 4 a0.jpg G1\n", "call it gcp_list.txt"),
        ("nul.csv", "file,lat,lon\na9.jpg,1,2\n\x00", "not a text file"),
    ],
)
def test_a_bystander_stops_nothing_and_is_told(name: str, text: str | bytes, why: str) -> None:
    found = read(name, text)
    assert not found.of
    assert note(found).startswith("not used: ") and why in note(found)
    with pytest.raises(UserError, match=name):
        read(name, text, asked=True)


def test_a_txt_that_is_no_list_of_photos_is_a_file_like_any_other() -> None:
    assert not read("readme.txt", "Taken in May.\n").files
    assert list(read("list.txt", "a0.jpg 50.10001 14.40001 200\n").of) == ["a0.jpg"]


def test_a_bystander_is_no_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "notes.csv").write_text("room,comment\nkitchen,nice\n")
    (folder / "gps.csv").write_text("file,lat,lon\na0.jpg,50.1,14.4\nIMG_1.JPG,1,1\n")
    run = imported(folder, tmp_path)
    assert len(run.report["photos"]) == 4 and run.entry("a0.jpg")["latitude"] == 50.1
    said = capsys.readouterr().out
    assert said.count("notes.csv: not used: ") == 1
    assert "gps.csv: positions of 1 photo; 1 name that no photo has (IMG_1.JPG)\n" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,lat,lon\na0.jpg,50.1,14.4\n\na1.jpg,50.1,14_4\n", r"line 4 \(a1.jpg\): '14_4'"),
        ("file,lat,lon\na0.jpg,50.1,14.4\na1.jpg,95,14\n", "line 3 .*'95' is not a latitude"),
        ("file,lat,lon\na0.jpg,50.1,14.4\na1.jpg,,14\n", "line 3 .*'' is not a latitude"),
        ("file,lat,lon\na0.jpg,50.1 W,14.4\na1.jpg,50,14\n", "line 2 .*'50.1 W'"),
        (
            "file,lat,lon,alt\na0.jpg,50,14,1\na1.jpg,50,14,high\n",
            "line 3 .*'high' is not a height",
        ),
        (
            'file,lat,lon\na0.jpg,50.1,14.4\n"a1.jpg,50.1,14.4\na2.jpg,1,1\n',
            "line 3 .*quotation marks",
        ),
        ('file,lat,lon\na0.jpg,50,14\na1.jpg,"50" N,14\n', "line 3 .*quotation marks"),
        (METASHAPE_UTM + "a1.jpg,1e9,1e9,3\n", "line 4 .*is not a position in"),
    ],
)
def test_a_table_that_is_meant_is_never_half_read(text: str, words: str) -> None:
    with pytest.raises(UserError, match=f"log.csv {words}"):
        read("log.csv", text)


def test_photos_without_a_fix_are_counted() -> None:
    rows = "a0.jpg,50.1,14.4,200\na1.jpg,,,\na2.jpg,0.0,0,0\n"
    found = read("log.csv", "file,lat,lon,alt\n" + rows)
    assert list(found.of) == ["a0.jpg"]
    assert note(found) == "positions of 1 photo; 2 photos without coordinates (a1.jpg, a2.jpg)"


def test_columns_that_do_not_fit_are_told() -> None:
    with pytest.raises(UserError, match="position_columns does not fit log.csv.*name, speed"):
        read("log.csv", "name,speed\na,1\n", columns="latitude=nowhere")
    with pytest.raises(UserError, match="position_columns: 'breite' is not understood"):
        read("log.csv", "name,speed\na,1\n", columns="breite")


def test_counts_are_of_photos_that_got_one(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "twin.jpg").write_bytes((folder / "a0.jpg").read_bytes())
    rows = "".join(f"{name},50.1,14.4\n" for name in ("a0.jpg", "a1.jpg", "twin.jpg"))
    (folder / "gps.csv").write_text("file,lat,lon\n" + rows)
    (line,) = imported(folder, tmp_path).report["others"]
    assert line["note"] == "positions of 2 photos; 1 photo with a position, but left out"


# Which photo a name means

CARDS = tuple(f"{card}/DJI_{n:04d}.JPG" for card in ("100MEDIA", "101MEDIA") for n in (1, 2))


def test_a_name_in_two_folders_means_neither() -> None:
    found = read("log.csv", "file,lat,lon\nDJI_0001.JPG,50.1,14.4\n", CARDS)
    assert not found.of
    assert "1 name that photos in several folders have (DJI_0001.JPG)" in note(found)


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("log.csv", [r"E:\DCIM\100MEDIA\DJI_0001.JPG", r"E:\DCIM\101MEDIA\DJI_0001.JPG"]),
        ("log.csv", ["100MEDIA/dji_0001", "101media/DJI_0001.DNG"]),
        ("log.csv", ["/x/101MEDIA/DJI_0001.JPG", "/x/100MEDIA/DJI_0001.JPG"]),
    ],
)
def test_a_folder_in_the_name_tells_them_apart(table: str, names: list[str]) -> None:
    rows = [f"{name},5{i}.1,14.4\n" for i, name in enumerate(names)]
    found = read(table, "file,lat,lon\n" + "".join(rows), CARDS)
    for i, name in enumerate(names):
        card = "100MEDIA" if "100" in name else "101MEDIA"
        assert where(found, f"{card}/DJI_0001.JPG")[0] == 50.1 + i
    assert len(found.of) == 2


def test_a_table_in_a_folder_is_of_that_folder() -> None:
    sources = {
        f"{card}/gps.csv": (lambda n=n: f"file,lat,lon\nDJI_0001.JPG,5{n}.1,14.4\n".encode())
        for n, card in enumerate(("100MEDIA", "101MEDIA"))
    }
    found = read_positions(sources, PhotoIndex(CARDS), False, "")
    assert [where(found, f"{card}/DJI_0001.JPG")[0] for card in ("100MEDIA", "101MEDIA")] == [
        50.1,
        51.1,
    ]


def test_two_positions_of_one_photo_are_none() -> None:
    found = read("log.csv", "file,lat,lon\na0.jpg,50.1,14.4\na0.jpg,50.2,14.4\na1.jpg,50,14\n")
    assert list(found.of) == ["a1.jpg"] and "1 photo with several positions (a0.jpg)" in note(found)
    same = read("log.csv", "file,lat,lon\na0.jpg,50.1,14.4\na0.jpg,50.1,14.4\n")
    assert list(same.of) == ["a0.jpg"]


def test_of_a_raw_and_its_jpeg_the_jpeg_counts() -> None:
    found = read("log.csv", "file,lat,lon\na0.DNG,50.2,14.4\na0.jpg,50.1,14.4\n")
    assert where(found, "a0.jpg") == HERE


def test_geo_txt_comes_before_tables() -> None:
    texts = {
        "b.csv": "file,lat,lon\na0.jpg,50.2,14.4\n",
        "geo.txt": "EPSG:4326\na0.jpg 14.4 50.1\n",
    }
    order = find_position_files(list(texts), "")
    assert order == ["geo.txt", "b.csv"]
    sources = {name: (lambda name=name: texts[name].encode()) for name in order}
    found = read_positions(sources, PhotoIndex(PHOTOS), False, "")
    assert where(found, "a0.jpg") == HERE
    assert found.notes(PHOTOS)[1].note == "not used: 1 photo with a better position from geo.txt"


def test_a_named_file_of_positions_must_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "in")
    assert "log.csv" in refusal(tmp_path / "in", tmp_path, capsys, positions="log.csv")


# Whatever the bytes

CELLS = st.text("0123456789.-+e,;\t ax\"'#\n°NSEW", max_size=40)


@given(
    st.text(max_size=300) | CELLS.map("a0.jpg,".__add__) | st.lists(CELLS).map("\n".join),
    st.sampled_from(["", "EPSG:4326\n", "file,lat,lon,alt\n", "file;x;y;z\n", METASHAPE]),
    st.sampled_from(["geo.txt", "log.csv", "list.txt"]),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused_with_a_sentence(
    text: str, head: str, name: str, asked: bool
) -> None:
    try:
        found = read(name, (head + text).encode("utf-8", "replace"), asked=asked)
    except UserError as refused:
        assert name in str(refused)
        return
    for given_one in found.of.values():
        told = given_one.position
        assert abs(told.latitude) <= 90 and abs(told.longitude) <= 180
        assert told.altitude is None or -1000 < told.altitude < 20000
    assert all(line.note for line in found.notes(PHOTOS))


@given(st.sampled_from([b"", b"EPSG:4326\n", b"file,lat,lon\n"]), st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_any_bytes_are_read_or_refused(head: bytes, data: bytes) -> None:
    """Below a head or without; PROJ looks long for a coordinate system in a first line of nonsense."""
    assert not read("log.csv", head + data).of


@given(st.floats(-90, 90), st.sampled_from([".", ","]))
@settings(max_examples=100, deadline=None)
def test_degrees_minutes_and_seconds_are_read_back(angle: float, decimal: str) -> None:
    degrees, rest = divmod(abs(angle) * 3600, 3600)
    minutes, seconds = divmod(rest, 60)
    letter = "S" if angle < 0 else "N"
    for pattern in (
        "{:.0f} deg {:.0f}' {:.4f}\" {}",
        "{3} {0:.0f}°{1:.0f}′{2:.4f}″",
        "{:.0f}:{:.0f}:{:.4f}{}",
    ):
        text = pattern.format(degrees, minutes, min(seconds, 59.9999), letter).replace(".", decimal)
        assert parse_angle(text, "NS") == pytest.approx(angle, abs=1e-7)
    assert parse_angle(f"{angle:.8f}".replace(".", decimal), "NS") == pytest.approx(angle, abs=1e-7)


@given(st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_cell_is_a_number_or_none(text: str) -> None:
    for value in (parse_number(text), parse_length(text), parse_angle(text, "EW")):
        assert value is None or abs(value) < float("inf")
    split_unit(text)


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("398.5 m Above Sea Level", 398.5),
        ("12 m Below Sea Level", -12.0),
        ("1,307.5 ft", 398.526),
        ("1 307 feet", 398.3736),
        ("1307'", 398.3736),
        ("398,5", 398.5),
        ("1'234.5", 1234.5),
        ("12 m (MSL)", 12.0),
        ("5 m AGL", None),
        ("4 apples", None),
        ("nan", None),
        ("1e999", None),
    ],
)
def test_heights(text: str, metres: float | None) -> None:
    found = parse_length(text)
    assert found == (None if metres is None else pytest.approx(metres))
