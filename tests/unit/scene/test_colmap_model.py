"""The COLMAP binary model: what is written is read back, and damage is named."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lib.core.console import UserError
from scripts.lib.scene.colmap_model import (
    Model,
    View,
    model_members,
    quat_from_rotation,
    read_model,
    read_sightings,
    read_tracks,
    rotation_from_quat,
)

numbers = st.floats(-1, 1, width=32)


def archive_of(members: dict[str, bytes]) -> zipfile.ZipFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return zipfile.ZipFile(buffer)


def model() -> Model:
    K = np.array([[500.0, 0, 320.5], [0, 510.0, 240.25], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_quat([0.5, -0.5, 0.5, 0.5])
    pose[:3, 3] = [1, 2, 3]
    views = (View("b/é.jpg", 640, 480, K, pose), View("a.jpg", 640, 480, K, np.eye(4)))
    return Model(
        views, np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[1, 2, 3], [255, 0, 9]], np.uint8)
    )


def test_written_model_reads_back_sorted_by_name() -> None:
    written = model()
    read = read_model(archive_of(model_members(written)))
    assert [view.name for view in read.views] == ["a.jpg", "b/é.jpg"]
    assert np.allclose(read.views[1].world_to_camera, written.views[0].world_to_camera)
    assert np.allclose(read.views[1].K, written.views[0].K)
    assert np.array_equal(read.points, written.points)
    assert np.array_equal(read.colours, written.colours)


def test_a_photo_without_a_rotation_is_refused() -> None:
    members = model_members(model())
    (name,) = [name for name in members if name.endswith("images.bin")]
    data = bytearray(members[name])
    data[12:44] = bytes(32)  # the quaternion of the first photo, behind their number and its own
    with pytest.raises(UserError, match=r"photo b/é\.jpg has no rotation; delete the scene zip"):
        read_model(archive_of({**members, name: bytes(data)}))


@given(st.tuples(numbers, numbers, numbers, numbers).filter(lambda q: np.linalg.norm(q) > 1e-3))
def test_rotation_and_quaternion_are_inverse(quat: tuple[float, float, float, float]) -> None:
    R = rotation_from_quat(quat)
    assert np.allclose(R @ R.T, np.eye(3), atol=1e-9)
    assert np.allclose(rotation_from_quat(quat_from_rotation(R)), R, atol=1e-7)


def test_pycolmap_reads_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    folder = tmp_path_factory.mktemp("sparse")
    for name, data in model_members(model(), str(folder)).items():
        with open(name, "wb") as handle:
            handle.write(data)
    found = pycolmap.Reconstruction(str(folder))
    poses = {image.name: image.cam_from_world().matrix() for image in found.images.values()}
    assert np.allclose(poses["b/é.jpg"], model().views[0].world_to_camera[:3])
    assert len(found.points3D) == 2


@pytest.mark.parametrize("part", ["cameras", "images", "points3D"])
def test_truncated_file_is_named(part: str) -> None:
    members = model_members(model())
    members[f"sparse/{part}.bin"] = members[f"sparse/{part}.bin"][:-1]
    with pytest.raises(UserError, match=part):
        read_model(archive_of(members))


def test_missing_file_is_named() -> None:
    members = model_members(model())
    del members["sparse/images.bin"]
    with pytest.raises(UserError, match="images.bin"):
        read_model(archive_of(members))


def test_distorted_camera_is_refused() -> None:
    members = model_members(model())
    members["sparse/cameras.bin"] = struct.pack("<QIiQQ4d", 1, 1, 2, 640, 480, 500, 320, 240, 0.1)
    with pytest.raises(UserError, match="PINHOLE"):
        read_model(archive_of(members))


def test_written_sightings_are_read_back() -> None:
    written = model()
    rows = [np.array([1, 0]), np.array([1]), *([np.zeros(0, np.int64)] * len(written.views))]
    seen = [(row, np.full((len(row), 2), 8.0)) for row in rows[: len(written.views)]]
    archive = archive_of(model_members(written, seen=seen))
    found = read_sightings(archive)
    for view, (row, pixels) in zip(written.views, seen, strict=True):
        assert found[view.name].points.tolist() == (row + 1).tolist()
        assert np.allclose(found[view.name].places * [view.width, view.height], pixels)
    assert read_tracks(archive).lengths[:2].tolist() == [1, 2]
