"""gcp_list.txt: surveyed points, and their pixels in the photos as they are archived."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.georeferencing import georeferencing
from scripts.lib.contracts.record import from_file
from scripts.lib.contracts.view import PhotoMap, View
from scripts.lib.core.console import UserError
from scripts.lib.photos.gcp import GroundPoint, Survey, gcp_note, read_gcp_list, upright_pixel
from scripts.lib.photos.photo_index import PhotoIndex
from scripts.lib.web.measuring import accuracy, measuring
from tests.unit.photo_files import HEIGHT, WIDTH, encoded, exif, imported, picture, write_photos
from tests.unit.room import FOCAL, SIZE, arc, write_room
from tests.unit.sfm_stages import run

CORNERS = tuple(
    (*place, 0.0, 0.0, 1.0) for place in ((0.0, 0.0, 0.0), (3.0, 0.0, 0.0), (0.0, 3.0, 0.0))
)
VIEW = View(name="a", position=(1, 0, 0), target=(0, 0, 0), fov=60, map=PhotoMap(CORNERS, ()))


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
    assert ("church", "a1.jpg") in points and len(points) == 3
    assert run.report["gcps"][0]["latitude"] == pytest.approx(50.1)


@pytest.mark.parametrize("turn", range(1, 9))
def test_upright_pixels_agree_with_the_picture(turn: int) -> None:
    stored = Image.new("L", (8, 6))
    stored.putpixel((1, 2), 255)
    data = encoded(stored, "PNG", exif=exif(orientation=turn))
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    x, y = upright_pixel(1.5, 2.5, (8, 6), turn)
    assert upright.getpixel((int(x), int(y))) == 255


PHOTOS = ("a0.jpg", "my photo 1.JPG", "my.jpg", "100MEDIA/DJI_1.JPG", "101MEDIA/DJI_1.JPG")


def survey(text: str, photos: Sequence[str] = PHOTOS) -> list[GroundPoint]:
    return list(read_gcp_list("gcp_list.txt", text, PhotoIndex(photos)).points)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("EPSG:4326\n1 2 3\n", "line 2"),
        ("EPSG:4326\n500 95 0 1 1 a.jpg", "line 2: 500 95 is not a valid position"),
        ("UTM 30U\n1 2 3 4 5 a.jpg", "not a coordinate system; write EPSG:4326"),
        (
            "EPSG:4326\n\n14.4 50.1 1 2 3 a0.jpg\n14.4 NaN 1 2 3 a0.jpg",
            "line 4: x, y and the pixel",
        ),
        ("EPSG:4326\n14.4 50.1 1 nan 3 a0.jpg", "line 2: x, y and the pixel"),
        ("EPSG:4326\n14.4 50.1 -99999 2 3 a0.jpg", "line 2: -99999 is not a height; write NaN"),
        ("EPSG:4326\n14.4 50.1 high 2 3 a0.jpg", "line 2 is not a sighting"),
        ("EPSG:4326\n14.4,50.1,200,2,3,,G1", "line 2 is not a sighting"),
    ],
)
def test_a_bad_list_is_told(text: str, words: str) -> None:
    with pytest.raises(UserError, match=f"gcp_list.txt.*{words}"):
        survey(text)


@pytest.mark.parametrize(
    ("line", "photo", "label", "altitude"),
    [
        ("14.4 50.1 200 10 20 a0.jpg church", "a0.jpg", "church", 200),
        ("14.4 50.1 200 10 20 A0", "a0.jpg", "gcp1", 200),
        ("14.4 50.1 NaN 10 20 a0.jpg church", "a0.jpg", "church", None),
        ("14.4\t50.1\t\t10\t20\ta0.jpg\tSt. Mary 1", "a0.jpg", "St. Mary 1", None),
        ("14.4 50.1 200 10 20 my photo 1.JPG G1 extra", "my photo 1.JPG", "G1", 200),
        ("14.4 50.1 200 10 20 my photo 1 G1", "my photo 1.JPG", "G1", 200),
        ("14.4 50.1 200 10 20 my photo 2.JPG G1", None, "G1", 200),
        ('14.4 50.1 200 10 20 "my photo 1.JPG" G1', "my photo 1.JPG", "G1", 200),
        ('"14.4","50.1","200","10","20","a0.jpg","G1"', "a0.jpg", "G1", 200),
        ("14.4,50.1,200,10,20,my photo 1.JPG,G1,,", "my photo 1.JPG", "G1", 200),
        ("14,4;50,1;200,25;10,0;20,0;a0.jpg;G1", "a0.jpg", "G1", 200.25),
        ("14,4 50,1 200,25 10,0 20,0 a0.jpg G1", "a0.jpg", "G1", 200.25),
        ("14,42312 50,12345 1200,250 1100,500 1200,125 a0.jpg G1", "a0.jpg", "G1", 1200.25),
        ("14.4 50.1 200 10 20 C:\\me\\101MEDIA\\dji_1.jpg", "101MEDIA/DJI_1.JPG", "gcp1", 200),
        ("14.4 50.1 656.168ft 10 20 a0.jpg", "a0.jpg", "gcp1", 200),
        ("14.4 50.1 200 10 20 DJI_1.JPG G1", None, "G1", 200),
    ],
)
def test_lines_of_a_list(line: str, photo: str | None, label: str, altitude: float | None) -> None:
    for end in ("\n", "\r\n"):
        (point,) = survey(end.join(["EPSG:4326,,,,,,", "# by hand", "", line, ""]))
        assert point.match.meant == ((photo,) if photo else ())
        assert (point.label, point.altitude) == (label, pytest.approx(altitude, abs=0.01))
        assert (point.latitude, point.longitude) == pytest.approx((50.1, 14.4), abs=0.03)


def test_one_label_for_all_is_told_apart_by_place() -> None:
    places = [
        "14.4 50.1 200",
        "14.4 50.2 200",
        "14.4 50.2 NaN",
        "14.4 50.10000001 200.001",
        "15 50 7",
    ]
    text = "EPSG:4326\n" + "".join(f"{place} 10 20 a0.jpg GCP\n" for place in places)
    points = survey(text + "15 50 7 10 20 a0.jpg\n16 50 7 10 20 a0.jpg\n")
    assert [point.label for point in points] == [
        *("GCP-1", "GCP-2", "GCP-2", "GCP-1", "GCP-3", "GCP-3", "gcp1"),
    ]
    assert points[2].altitude == 200
    note = gcp_note(Survey(points), set(points), set())
    assert note == (
        "7 sightings of 4 surveyed points; GCP labels several points, which are now called "
        "GCP-1, GCP-2"
    )


def test_numbers_for_labels_that_are_missing_avoid_those_given() -> None:
    text = "EPSG:4326\n14.4 50.1 200 10 20 a0.jpg\n14.4 50.2 200 10 20 a0.jpg gcp1\n"
    assert [point.label for point in survey(text)] == ["gcp2", "gcp1"]


def test_heights_of_a_survey_in_feet_are_feet() -> None:
    found = read_gcp_list("g", "EPSG:2229\n6000000 1800000 1000 1 2 a0.jpg", PhotoIndex(PHOTOS))
    assert found.points[0].altitude == pytest.approx(304.8, abs=0.01) and "feet" in str(
        found.remark
    )


def test_what_became_of_every_sighting_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "twin.jpg").write_bytes((folder / "a0.jpg").read_bytes())
    for card in ("100MEDIA", "101MEDIA"):
        (folder / card).mkdir()
        (folder / card / "DJI_1.jpg").write_bytes(encoded(picture(int(card[:3]))))
    lines = [
        *("14.4 50.1 nan 16 12 a0.jpg G1", "14.4 50.1 nan 9999 12 a1.jpg G1"),
        *("14.4 50.1 nan 16 12 twin.jpg G1", "14.4 50.1 nan 16 12 DJI_1.jpg G1"),
        *("14.4 50.1 nan 16 12 101MEDIA/DJI_1.jpg G1", "14.4 50.1 nan 16 12 IMG_7.jpg G1"),
    ]
    (folder / "gcp_list.txt").write_text("EPSG:4326\n" + "\n".join(lines))
    run = imported(folder, tmp_path)
    assert sorted(p["file"] for p in run.report["gcps"]) == ["101MEDIA_DJI_1.jpg", "a0.jpg"]
    assert run.report["gcps"][0]["altitude"] is None
    (line,) = run.report["others"]
    assert (line["file"], line["kind"]) == ("gcp_list.txt", "control points")
    assert line["note"] == (
        "2 sightings of 1 surveyed point; 1 outside the photo (a1.jpg); 1 in photos that were left "
        "out (twin.jpg); 1 whose name several photos have; write the folder before it (DJI_1.jpg); "
        "1 whose photo is not in the source (IMG_7.jpg); 1 point without a height, used for the "
        "horizontal position only"
    )
    assert f"gcp_list.txt: {line['note']}\n" in capsys.readouterr().out


def test_a_list_that_meets_no_photo_stops_nothing(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in")
    (folder / "gcp_list.txt").write_text("EPSG:4326\n14.4 50.1 200 16 12 IMG_0.jpg\n")
    run = imported(folder, tmp_path)
    assert run.report["gcps"] == []
    assert run.report["others"][0]["note"].startswith(
        "not used: no sighting is in a photo; 1 whose photo"
    )


@given(
    st.lists(st.text('0123456789.,;-e aN\t"', max_size=40), max_size=5),
    st.sampled_from(["EPSG:32633", "EPSG:4326", "EPSG:2229"]),
)
@settings(max_examples=100, deadline=None)
def test_any_list_is_read_or_refused(lines: list[str], system: str) -> None:
    try:
        points = survey("\n".join([system, *lines]))
    except UserError as refused:
        assert "gcp_list.txt" in str(refused)
    else:
        assert all(abs(p.latitude) <= 90 for p in points)
        assert all(p.altitude is None or abs(p.altitude) < 20000 for p in points)


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
    assert "5 surveyed points to 0.0" in capsys.readouterr().out
    placed = georeferencing(from_file(Georef, georef, tmp_path / "georef.json"))
    assert placed and placed.survey and {label for label, _ in placed.misses} == set(marks)
    sentence = accuracy(measuring(from_file(Georef, georef, tmp_path / "georef.json"), VIEW))
    assert "from surveyed points" in sentence


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "in").glob("*.jpg"))
