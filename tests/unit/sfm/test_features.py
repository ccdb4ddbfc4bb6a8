"""Features and starting cameras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pycolmap
import pytest
from PIL import Image

from scripts.lib.contracts.photos import BroughtPose, Photo
from scripts.lib.core.console import UserError
from scripts.lib.sfm.features import camera_groups, extract_features, first_octave
from scripts.lib.sfm.options import FeatureOptions
from tests.photo_lines import line
from tests.unit.photo_files import encoded, picture
from tests.unit.sfm_scene import entry


def test_one_lens_per_camera_size_and_zoom() -> None:
    photos = [
        entry("a", camera="X", focal_px=1000.0),
        entry("b", camera="X", focal_px=1001.0),  # the same within half a percent
        entry("c", camera="X", focal_px=2000.0),
        entry("d", camera="Y", focal_px=1000.0),
        entry("e", camera="X", focal_px=1000.0, width=768, height=1024),
        entry("f", camera=None, focal_px=None),
        entry("g", camera=None, focal_px=None),
    ]
    groups = sorted(camera_groups(photos).values())
    assert groups == [["a", "b"], ["c"], ["d"], ["e"], ["f", "g"]]
    assert len(camera_groups(photos, share=False)) == 7


def test_millimetres_tell_zooms_apart_where_nothing_tells_pixels() -> None:
    photos = [
        entry("a", camera="X", focal_mm=5.0),
        entry("b", camera="X", focal_mm=9.0),
        entry("c", camera="X", focal_mm=5.02),
        entry("d", camera="X", focal_mm=5.0, focal_px=1000.0),
        entry("e", camera="X"),
    ]
    assert sorted(camera_groups(photos).values()) == [["a", "c"], ["b"], ["d"], ["e"]]


def test_lenses_that_came_with_poses_tell_cameras_apart() -> None:
    def came(name: str, focal: float, model: str = "PINHOLE", **facts: float) -> Photo:
        pose = BroughtPose((1, 0, 0, 0, 0, 0, 0), model, (focal, focal, 512.0, 384.0))
        return replace(entry(name, camera="X", focal_px=900.0, **facts), brought=pose)

    several = [
        came("a", 1000.0),
        came("b", 1004.0),  # the focus of a phone
        came("c", 2000.0),
        came("d", 1000.0, "OPENCV_FISHEYE"),
        entry("e", camera="X", focal_px=900.0),
    ]
    groups = sorted(camera_groups(several).values())
    assert groups == [["a", "b"], ["c"], ["d"], ["e"]]
    one = [came("a", 1000.0), entry("b", camera="X", focal_px=900.0), came("c", 1001.0)]
    assert sorted(camera_groups(one).values()) == [["a", "b", "c"]]
    zoomed = [came("a", 1000.0, focal_mm=5.0), entry("b", camera="X", focal_px=9.0, focal_mm=9.0)]
    assert sorted(camera_groups(zoomed).values()) == [["a"], ["b"]]


def test_masks_that_hide_everything_are_named(tmp_path: Path) -> None:
    photos = write(tmp_path, a=picture(1), b=picture(2))
    (tmp_path / "masks").mkdir()
    photos = [replace(photo, masked=1.0) for photo in photos]
    for photo in photos:
        mask = Image.new("L", photo.size)
        (tmp_path / "masks" / f"{photo.file}.png").write_bytes(encoded(mask, "PNG"))
    with pytest.raises(UserError, match="the masks hide all"):
        extract_features(photos, tmp_path, tmp_path / "f.db", FeatureOptions(), 1)


def write(folder: Path, **images: Image.Image) -> list[Photo]:
    photos = []
    for name, image in images.items():
        (folder / f"{name}.jpg").write_bytes(encoded(image))
        photos.append(line(f"{name}.jpg", width=image.width, height=image.height))
    return photos


def test_features_and_focal_priors(tmp_path: Path) -> None:
    photos = write(tmp_path, a=picture(1), b=picture(2), c=picture(3, 240, 320))
    photos[:2] = [replace(photo, focal_px=300.0) for photo in photos[:2]]
    counts = extract_features(photos, tmp_path, tmp_path / "f.db", FeatureOptions(), 2)
    assert list(counts) == ["a.jpg", "b.jpg", "c.jpg"] and min(counts.values()) > 200
    database = pycolmap.Database.open(tmp_path / "f.db")
    cameras = database.read_all_cameras()
    database.close()
    assert [c.has_prior_focal_length for c in cameras] == [True, False]
    assert cameras[0].mean_focal_length() == pytest.approx(300.0)
    assert cameras[1].mean_focal_length() == pytest.approx(1.2 * 320)


def test_the_limit_on_features_holds(tmp_path: Path) -> None:
    photos = write(tmp_path, a=picture(1), b=picture(2))
    options = FeatureOptions(max_features=100, first_octave=0)
    counts = extract_features(photos, tmp_path, tmp_path / "f.db", options, 2)
    assert max(counts.values()) <= 200  # a point may have a second orientation


def test_small_photos_are_doubled() -> None:
    small, large = entry("a", width=1024, height=768), entry("b", width=3000, height=4000)
    assert [first_octave(p, FeatureOptions(max_side=1200)) for p in (small, large)] == [-1, 0]
    assert first_octave(small, FeatureOptions(first_octave=1)) == 1


def test_blank_photos_are_refused_with_a_sentence(tmp_path: Path) -> None:
    blank = Image.new("RGB", (320, 240), "grey")
    photos = write(tmp_path, a=blank, b=blank)
    with pytest.raises(UserError, match="texture"):
        extract_features(photos, tmp_path, tmp_path / "f.db", FeatureOptions(), 2)


def test_an_unknown_camera_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="FISHY"):
        extract_features([], tmp_path, tmp_path / "f.db", FeatureOptions(camera_model="FISHY"), 2)
