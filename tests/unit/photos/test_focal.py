"""A focal length that a person gives counts instead of EXIF, in the pixels of the archived photos."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pycolmap
import pytest

from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read
from scripts.lib.core.console import UserError
from scripts.lib.photos.focal import parse_focal
from scripts.lib.photos.options import ImportOptions
from scripts.lib.sfm.features import write_images
from scripts.lib.sfm.options import FeatureOptions
from tests.unit.photo_files import encoded, exif, imported, picture, refusal
from tests.unit.video_files import write_video

DIAGONAL = math.hypot(36.0, 24.0)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """One photo with a focal length in EXIF, and two without, of 640 by 480 pixels."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        told = exif(make="Maker", model="M1", focal_35mm=26) if number == 0 else None
        image = picture(number, 640, 480)
        data = encoded(image, quality=90, **({"exif": told} if told else {}))
        (folder / f"{number}.jpg").write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("50mm", 50 * 800 / DIAGONAL), ("50.5 mm", 50.5 * 800 / DIAGONAL), ("700px", 700)],
)
def test_it_counts_instead_of_exif(photos: Path, tmp_path: Path, given: str, wanted: float) -> None:
    run = imported(photos, tmp_path, focal_length=given)
    for photo in run.report["photos"]:
        assert photo["focal_px"] == pytest.approx(wanted) and photo["focal_source"] == "given"
        assert photo["focal_mm"] is None
    assert imported(photos, tmp_path).entry("0.jpg")["focal_source"] == "35 mm equivalent"


def test_pixels_are_those_of_the_photo_before_it_is_reduced(photos: Path, tmp_path: Path) -> None:
    run = imported(photos, tmp_path, focal_length="700px", max_side=320)
    for photo in run.report["photos"]:
        assert photo["width"] == 320 and photo["focal_px"] == pytest.approx(350)


def test_of_a_film_too(tmp_path: Path) -> None:
    frames = [
        picture(3, 800, 480).crop((start, 0, start + 640, 480)) for start in range(0, 160, 20)
    ]
    film = write_video(tmp_path / "v.mp4", frames)
    run = imported(film, tmp_path, focal_length="700px", max_side=320, video_per_second=10)
    assert len(run.kept) >= 3
    assert {photo["focal_px"] for photo in run.report["photos"]} == {350.0}


def test_the_mapper_begins_with_it(photos: Path, tmp_path: Path) -> None:
    imported(photos, tmp_path, focal_length="700px")
    write_images(read(Photos, tmp_path / "photos.json").used, tmp_path / "f.db", FeatureOptions())
    link = pycolmap.Database.open(tmp_path / "f.db")
    cameras = link.read_all_cameras()
    link.close()
    assert {camera.focal_length for camera in cameras} == {700.0}
    assert all(camera.has_prior_focal_length for camera in cameras)


def test_what_no_lens_has_is_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refusal(photos, tmp_path, capsys, focal_length="28px")
    assert (
        "focal_length is 28px, 0.044 times the 640 pixels" in error
        and "check number and unit" in error
    )
    for text in ("28", "28 cm", "mm", "-5mm", "1e3px"):
        with pytest.raises(UserError, match="allowed: empty, or a number with mm or px"):
            ImportOptions(focal_length=text)
    with pytest.raises(UserError, match="focal_length is '0mm'; it must be above 0"):
        parse_focal("0mm")
    assert parse_focal("") is None


def test_lenses_of_an_earlier_survey_replace_exif(photos: Path, tmp_path: Path) -> None:
    """OpenDroneMap's cameras.json is no photo that was left out; what a person gives counts more."""
    lens = {"projection_type": "perspective", "width": 640, "height": 480, "focal": 1.25}
    (photos / "cameras.json").write_text(json.dumps({"v2 unknown": lens}))
    for given, focal, said in (("", 800, "no camera poses"), ("500px", 500, "is given")):
        run = imported(photos, tmp_path, focal_length=given)
        assert [photo["focal_px"] for photo in run.report["photos"]] == [focal] * 3
        lines = [one for one in run.report["others"] if one["file"] == "cameras.json"]
        assert len(lines) == 1 and lines[0]["kind"] == "cameras" and said in lines[0]["note"]
