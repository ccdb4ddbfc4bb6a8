"""Which photos rigs of several cameras took, by folders, names and times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read
from scripts.lib.photos.lens_rigs import find_rigs
from scripts.lib.photos.xmp import RigTag, read_flight_data
from tests.unit.photo_files import imported, write_photos


def times(names: list[str], *, same: bool = False) -> dict[str, str | None]:
    return {n: f"2030-01-01T10:00:{0 if same else i:02d}" for i, n in enumerate(names)}


FOLDERS = [f"walk/{cam}/{n:04d}.jpg" for cam in ("cam0", "cam1") for n in range(4)]
NUMBERS = [f"IMG_{n:04d}_{sensor}.tif" for n in range(4) for sensor in range(1, 6)]


def test_folders_of_cameras() -> None:
    found = find_rigs(times(FOLDERS))
    assert set(found) == set(FOLDERS)
    view = found["walk/cam1/0002.jpg"]
    assert (view.rig, view.frame, view.sensor, view.panorama) == ("rig walk", "0002", "cam1", False)
    assert view.sensor_from_rig is None


@pytest.mark.parametrize(
    "names",
    [
        [f"{day}/{n}.jpg" for day in ("monday", "tuesday") for n in range(4)],  # only by the option
        [f"cam0/{n}.jpg" for n in range(4)] + [f"cam1/{n + 3}.jpg" for n in range(4)],
        [f"cam0/{n}.jpg" for n in range(4)],
        [f"yard_{n}.jpg" for n in range(12)],
    ],
)
def test_what_is_no_rig(names: list[str]) -> None:
    assert find_rigs(times(names)) == {}


def test_numbers_need_equal_times_or_the_option() -> None:
    assert find_rigs(times(NUMBERS)) == {}
    assert set(find_rigs(times(NUMBERS), "numbers")) == set(NUMBERS)
    found = find_rigs(times(NUMBERS, same=True))
    assert found["IMG_0002_4.tif"].sensor == "4" and found["IMG_0002_4.tif"].frame == "img_0002"
    assert find_rigs(dict.fromkeys(NUMBERS)) == {}
    assert find_rigs(times(NUMBERS, same=True), "none") == find_rigs(times(FOLDERS), "none") == {}
    assert find_rigs(times([n.replace("walk/", "") for n in FOLDERS]), "folders")


TAGGED = [f"IMG_{n:04d}_{band}.tif" for n in range(4) for band in range(3)]


def test_tags_tell_rigs_by_release_or_by_time() -> None:
    tags = {
        name: RigTag("RedEdge-M", str(n % 3), f"release {n // 3}") for n, name in enumerate(TAGGED)
    }
    found = find_rigs(times(TAGGED), "auto", tags)
    assert set(found) == set(TAGGED)
    view = found["IMG_0002_1.tif"]
    assert (view.rig, view.frame, view.sensor) == ("rig RedEdge-M", "release 2", "1")
    assert find_rigs(times(TAGGED), "none", tags) == {}
    without = {name: replace(tag, capture=None) for name, tag in tags.items()}
    assert find_rigs(times(TAGGED), "auto", without) == {}  # nothing says which belong together
    at = {name: f"2030-01-01T10:00:{n // 3:02d}" for n, name in enumerate(TAGGED)}
    assert set(find_rigs(at, "auto", without)) == set(TAGGED)
    one = {name: replace(tag, camera="0", capture=name) for name, tag in tags.items()}
    assert find_rigs(times(TAGGED), "auto", one) == {}  # a single camera with tags is no rig


@pytest.mark.parametrize(
    ("lenses", "alone"),
    [(("D", "MS_G", "MS_NIR"), ()), (("W", "T"), ("Z",)), (("GRE", "RGB"), ())],
)
def test_names_of_drones_lenses(lenses: tuple[str, ...], alone: tuple[str, ...]) -> None:
    rig = {
        f"f/DJI_2030010112000{n % 2 + (lens == lenses[0])}_{n:04d}_{lens}.JPG": lens
        for n in range(4)
        for lens in lenses
    }
    others = [f"f/DJI_20300101120000_{n:04d}_{lens}.JPG" for n in range(4) for lens in alone]
    found = find_rigs(times([*rig, *others]))
    assert {name: view.sensor for name, view in found.items()} == rig
    assert len({view.frame for view in found.values()}) == 4
    assert find_rigs(times(list(rig)[:: len(lenses)])) == {}


def test_xmp_names_the_cameras_of_rigs() -> None:
    pix4d = (
        "<Camera:RigName>RedEdge-M</Camera:RigName><Camera:RigCameraIndex>3</Camera:RigCameraIndex>"
        "<MicaSense:CaptureId>KlqzUBMtcxN3RWUqwF1h</MicaSense:CaptureId>"
    )
    dji = 'Camera:RigName="P4M" Camera:RigCameraIndex="2" drone-dji:CaptureUUID="ab-1"'
    assert read_flight_data(pix4d).rig == RigTag("RedEdge-M", "3", "KlqzUBMtcxN3RWUqwF1h")
    assert read_flight_data(dji).rig == RigTag("P4M", "2", "ab-1")
    assert read_flight_data('Camera:RigName="P4M"').rig is None


def test_an_import_reads_tags_of_rigs(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", 6)
    for n, path in enumerate(sorted((tmp_path / "in").iterdir())):
        with Image.open(path) as image:
            xmp = (
                f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a Camera:RigName="R" Camera:RigCameraIndex="{n % 2}" '
                f'drone-dji:CaptureUUID="c{n // 2}"/></x:xmpmeta>'
            )
            image.save(path, "JPEG", quality=95, xmp=xmp.encode())
    imported(tmp_path / "in", tmp_path / "out")
    photos = read(Photos, tmp_path / "out" / "photos.json").used
    assert sorted((p.rig.frame, p.rig.sensor) for p in photos if p.rig) == [
        (f"c{frame}", str(sensor)) for frame in range(3) for sensor in range(2)
    ]


def test_an_import_tells_rigs(tmp_path: Path) -> None:
    write_photos(tmp_path / "in" / "left", 3)
    write_photos(tmp_path / "in" / "right", 3, start=5)
    for n in range(3):
        (tmp_path / "in" / "right" / f"a{n + 5}.jpg").rename(
            tmp_path / "in" / "right" / f"a{n}.jpg"
        )
    imported(tmp_path / "in", tmp_path, rig="folders")
    used = read(Photos, tmp_path / "photos.json").used
    assert [photo.rig.sensor for photo in used if photo.rig] == ["left"] * 3 + ["right"] * 3
    imported(tmp_path / "in", tmp_path)
    assert not any(photo.rig for photo in read(Photos, tmp_path / "photos.json").used)
