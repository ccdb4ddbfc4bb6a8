"""Which photos rigs of several cameras took, by folders, names and times."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read
from scripts.lib.photos.lens_rigs import find_rigs
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
