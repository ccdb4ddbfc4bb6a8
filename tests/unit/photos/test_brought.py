"""Camera poses of other programs: each reader against the sample's truth, and damaged files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import UserError
from scripts.lib.photos.brought import BroughtCameras, find_cameras, with_poses
from scripts.lib.photos.colmap_model import read_model
from scripts.lib.photos.metashape import read_metashape
from scripts.lib.photos.opensfm import read_opensfm
from scripts.lib.photos.placed import Brought, CamerasError
from scripts.lib.photos.prepare import Item
from scripts.lib.photos.reality_xmp import read_reality_xmp
from scripts.lib.photos.source import list_source
from scripts.lib.photos.transforms_json import read_transforms
from tests.foreign_cameras import (
    CAMERA,
    POSES,
    colmap_binary,
    colmap_text,
    metashape,
    opensfm,
    reality_xmp,
    transforms,
)

TURNED = np.array([[0.0, 1, 0, 0.3], [0, 0, 1, -2], [1, 0, 0, 5]])
LENS = tuple(CAMERA[key] for key in ("fx", "fy", "cx", "cy"))


def _json(**how: object) -> bytes:
    return json.dumps(transforms(**how)).encode()  # type: ignore[arg-type]


READERS: dict[str, Callable[[], list[Brought]]] = {
    "COLMAP text": lambda: read_model(colmap_text()),
    "COLMAP binary": lambda: read_model(colmap_binary()),
    "nerfstudio": lambda: read_transforms(_json()),
    "nerfstudio, applied transform": lambda: read_transforms(_json(applied=TURNED)),
    "Polycam": lambda: read_transforms(_json(per_frame=True)),
    "Metashape": lambda: read_metashape(metashape()),
    "OpenSfM": lambda: read_opensfm(opensfm()),
    "RealityCapture XMP": lambda: [read_reality_xmp(reality_xmp(name), name) for name in POSES],
}


@pytest.mark.parametrize("reader", READERS)
def test_poses_of_every_reader_are_the_truth(reader: str) -> None:
    entries = READERS[reader]()
    expected = len(POSES) - (reader == "Metashape")  # its last camera is switched off
    assert len(entries) == expected
    truth = {name.rsplit(".", 1)[0]: pose for name, pose in POSES.items()}
    for entry in entries:
        pose = truth[Path(entry.name).name.removesuffix(".jpg")]
        assert np.allclose(entry.rotation, pose[:3, :3], atol=1e-6)
        centre = -entry.rotation.T @ entry.translation
        assert np.allclose(centre, -pose[:3, :3].T @ pose[:3, 3], atol=1e-5)
        if reader == "Metashape":  # p1 and p2 stand the other way round, cx counts from the middle
            lens = (LENS[0], LENS[1], LENS[2] + 0.5, LENS[3], 0, 0, 0.002, 0.001)
            assert entry.lens.params == pytest.approx(lens)
        elif reader in ("OpenSfM", "RealityCapture XMP"):
            lens = (LENS[0], LENS[1], LENS[2] + 0.01 * CAMERA["width"], LENS[3])
            sized = entry.lens.sized(CAMERA["width"], CAMERA["height"])
            assert sized.params == pytest.approx(lens)
        else:
            assert entry.lens.params == pytest.approx(LENS)


def test_a_mirrored_file_is_told() -> None:
    content = transforms()
    for frame in content["frames"]:
        for row in frame["transform_matrix"]:
            row[0] *= -1
    with pytest.raises(CamerasError, match="mirrored"):
        read_transforms(json.dumps(content).encode())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 4000), st.integers(0, 60))
def test_damaged_files_give_a_sentence(junk: bytes, at: int, cut: int) -> None:
    for reader, whole in (
        (read_transforms, _json()),
        (read_metashape, metashape()),
        (read_opensfm, opensfm()),
        (lambda d: [read_reality_xmp(d, "a")], reality_xmp(next(iter(POSES)))),
        (lambda d: read_model({**colmap_binary(), "images.bin": d}), colmap_binary()["images.bin"]),
        (lambda d: read_model({**colmap_text(), "images.txt": d}), colmap_text()["images.txt"]),
        (lambda d: read_model({**colmap_text(), "cameras.txt": d}), colmap_text()["cameras.txt"]),
    ):
        for data in (junk, whole[:at] + junk + whole[at + cut :]):
            with contextlib.suppress(CamerasError):
                reader(data)


def _items(width: int = 384, height: int = 256) -> list[Item]:
    return [
        Item(
            Photo(name, f"photos/{name}", True, "usable", width=width, height=height),
            stored_size=(width, height),
        )
        for name in POSES
    ]


def test_lenses_are_scaled_to_the_archived_picture() -> None:
    cameras = BroughtCameras("transforms.json", read_transforms(_json()))
    items, (line,) = with_poses(_items(), cameras)
    assert all(item.photo.brought for item in items)
    assert items[0].photo.brought is not None
    assert items[0].photo.brought.params == pytest.approx([value / 2 for value in LENS])
    assert line.note == f"poses of {len(POSES)} photos"


def test_photos_without_a_pose_are_named() -> None:
    half = read_transforms(_json())[::2]
    _, (line,) = with_poses(_items(), BroughtCameras("transforms.json", half))
    assert "none for" in line.note and sorted(POSES)[1] in line.note


def test_poses_of_other_photos_are_told() -> None:
    others = [replace(entry, name=f"x{n}.jpg") for n, entry in enumerate(read_transforms(_json()))]
    with pytest.raises(UserError, match=r"only 0 of them are of photos of this source.*ignore"):
        with_poses(_items(), BroughtCameras("transforms.json", others))


def test_cameras_are_found_ignored_and_asked_for(tmp_path: Path) -> None:
    (tmp_path / "sparse/0").mkdir(parents=True)
    for name, data in colmap_binary().items():
        (tmp_path / "sparse/0" / name).write_bytes(data)
    (tmp_path / "transforms.json").write_bytes(_json())
    (tmp_path / "other.json").write_text('{"a": 1}')
    files = list_source(str(tmp_path))
    assert find_cameras(files, "auto").file == "sparse/0"
    assert find_cameras(files, "transforms.json").file == "transforms.json"
    ignored = find_cameras(files, "ignore")
    assert not ignored.entries and "transforms.json" in ignored.names
    assert "other.json" not in ignored.names
    with pytest.raises(UserError, match="lacks"):
        find_cameras(files, "nothing.xml")
