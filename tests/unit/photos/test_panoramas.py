"""Panoramas become six flat views whose lenses and directions are exact."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from scripts.lib.contracts.photos import Photo, Photos
from scripts.lib.contracts.record import read
from scripts.lib.core.rig_names import frame_of, frames_of, sensor_of, view_name
from scripts.lib.photos import faces
from scripts.lib.photos.wording import captures
from tests.unit.photo_files import encoded, exif, imported, picture, refusal, write_photos
from tests.unit.video_files import write_video

WIDTH = 512


def colours(rays: NDArray[np.float64], seed: float = 0.0) -> NDArray[np.uint8]:
    """A smooth colour for each direction (..., 3): what a camera sees of a painted sphere."""
    x, y, z = np.moveaxis(rays / np.linalg.norm(rays, axis=-1, keepdims=True), -1, 0)
    waves = [np.sin(7 * x + 3 * y + seed), np.sin(9 * z + 5 * x), np.sin(6 * x * y + 4 * z - seed)]
    return (128 + 60 * np.stack(waves, -1)).round().astype(np.uint8)


def sphere(seed: float = 0.0, width: int = WIDTH) -> Image.Image:
    """An equirectangular picture: its middle looks along +Z, its right quarter along +X."""
    row, column = np.mgrid[0.5 : width // 2, 0.5:width]
    longitude, latitude = column / width * 2 * np.pi - np.pi, row / (width // 2) * np.pi - np.pi / 2
    rays = np.stack(
        [
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
            np.cos(latitude) * np.cos(longitude),
        ],
        -1,
    )
    return Image.fromarray(colours(rays, seed))


def test_a_view_shows_what_its_pose_says() -> None:
    side = faces.face_side(WIDTH)
    assert side == 168  # 512 / pi, up to a block of a JPEG
    for face, view in faces.cut_faces(sphere(), side).items():
        wanted = colours(faces.face_rays(face, side)).astype(int)
        assert np.abs(np.asarray(view).astype(int) - wanted).max() <= 3, face


@pytest.mark.parametrize("face", faces.FACES)
def test_views_are_turned_cameras(face: str) -> None:
    turn = faces.face_rotation(face)
    assert np.allclose(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) == pytest.approx(1)
    w, x, y, z = faces.face_quaternion(face)
    v = np.array([x, y, z])
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    assert np.allclose((w * w - v @ v) * np.eye(3) + 2 * np.outer(v, v) + 2 * w * cross, turn)


@given(st.floats(0.5, WIDTH - 0.5), st.floats(0.5, WIDTH / 2 - 0.5))
def test_a_pixel_lies_on_the_view_that_sees_it_best(x: float, y: float) -> None:
    face, u, v = faces.on_face(x, y, WIDTH, 200)
    assert -1e-6 <= u <= 200 + 1e-6 and -1e-6 <= v <= 200 + 1e-6
    ray = faces.face_rotation(face).T @ np.array([u / 100 - 1, v / 100 - 1, 1.0])
    assert np.arctan2(ray[0], ray[2]) == pytest.approx((x / WIDTH - 0.5) * 2 * np.pi, abs=1e-9)
    latitude = np.arctan2(ray[1], np.hypot(ray[0], ray[2]))
    assert latitude == pytest.approx((2 * y / WIDTH - 0.5) * np.pi, abs=1e-9)


def test_what_lies_below_the_camera_is_hidden() -> None:
    mask = faces.nadir_mask("down", 200, 30.0)
    assert mask is not None
    hidden = np.asarray(mask) == 0
    radius = 100 * np.tan(np.radians(30))
    assert hidden.sum() == pytest.approx(np.pi * radius**2, rel=0.01) and hidden[100, 100]
    assert not hidden[0].any()
    assert faces.nadir_mask("front", 200, 30.0) is None
    assert faces.nadir_mask("front", 200, 60.0) is not None
    assert faces.nadir_mask("down", 200, 0.0) is None


def write_spheres(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"s{number}.jpg").write_bytes(encoded(sphere(1.5 * number)))


def views(report: Path) -> list[Photo]:
    return [photo for photo in read(Photos, report).used if photo.rig is not None]


def test_panoramas_and_flat_photos_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_photos(tmp_path / "in", 2)
    write_spheres(folder, 2)
    run = imported(folder, tmp_path)
    assert "Kept 2 panoramas (12 views), 2 photos." in capsys.readouterr().out
    found = views(run.archive.parent / "photos.json")
    assert len(found) == 12 and len(run.kept) == 14
    one = found[0]
    assert one.rig is not None and one.rig.panorama
    assert (one.file, one.original) == ("s0__view_front.jpg", "s0.jpg view front")
    assert (one.rig.frame, one.rig.sensor) == ("s0.jpg", "front")
    assert one.focal_px == 84 and one.size == (168, 168)
    assert one.rig.sensor_from_rig == (1, 0, 0, 0, 0, 0, 0)
    masked = {photo.rig.sensor for photo in found if photo.rig and photo.mask}
    assert masked == {"down"}
    with zipfile.ZipFile(run.archive) as archive:
        names = set(archive.namelist())
        assert {photo.file for photo in found} < names
        assert "masks/s1__view_down.jpg.png" in names
        with Image.open(io.BytesIO(archive.read("s1__view_back.jpg"))) as image:
            wanted = colours(faces.face_rays("back", 168), 1.5).astype(int)
            assert np.abs(np.asarray(image).astype(int) - wanted).mean() < 3


def test_the_limit_on_photos_holds_for_the_views(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        told = exif(make="RICOH", model="RICOH THETA Z1")
        (tmp_path / "in" / f"{number}.jpg").write_bytes(encoded(sphere(1.5 * number), exif=told))
    run = imported(tmp_path / "in", tmp_path, max_side=120)
    assert {photo.size for photo in views(run.archive.parent / "photos.json")} == {(120, 120)}


def test_two_circles_are_told_how_to_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    side = 240
    v, u = np.mgrid[0.5:side, 0.5:side] / side * 2 - 1
    disc = (np.hypot(u, v) < 0.98)[..., None]
    halves = [np.asarray(picture(n, side, side)) * disc for n in (1, 2)]
    raw = Image.fromarray(np.concatenate(halves, axis=1).astype(np.uint8))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(
        encoded(raw, exif=exif(make="Insta360", model="Insta360 X4"))
    )
    (tmp_path / "in" / "b.insv").write_bytes(b"film")
    message = refusal(tmp_path / "in", tmp_path, capsys)
    assert "two fisheye pictures that are not stitched; export it" in message
    assert "b.insv: a 360 degree recording; export it" in message


def test_frames_of_a_360_degree_film_are_cut(tmp_path: Path) -> None:
    around = np.asarray(sphere(width=480))
    turned = [Image.fromarray(np.roll(around, 24 * n, axis=1)) for n in range(8)]
    write_video(tmp_path / "walk.mp4", turned)
    run = imported(tmp_path / "walk.mp4", tmp_path)
    found = views(run.archive.parent / "photos.json")
    assert len(found) == len(run.kept) >= 18 and len(found) % 6 == 0
    assert found[0].file == "walk_000000__view_front.jpg" and found[0].kind == "frame"


def test_names_tell_frames() -> None:
    name = view_name("a_01", "left")
    assert (frame_of(name), sensor_of(name)) == ("a_01", "left")
    assert (frame_of("a_01.jpg"), sensor_of("a_01.jpg")) == ("a_01.jpg", None)
    assert frames_of(["x.jpg", name, view_name("a_01", "up")]) == {"x.jpg": [0], "a_01": [1, 2]}


def test_captures_in_words() -> None:
    assert captures([]) == "0 photos"
