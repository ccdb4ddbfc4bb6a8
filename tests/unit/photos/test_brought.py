"""Camera poses of other programs: each reader against the sample's truth, and damaged files."""

from __future__ import annotations

import contextlib
import json
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scripts.lib.contracts.photos import Beside, BroughtFrame, Photo
from scripts.lib.core.console import UserError
from scripts.lib.photos.brought import BroughtCameras, find_cameras
from scripts.lib.photos.brought_points import model_points, ply_points
from scripts.lib.photos.colmap_model import read_model
from scripts.lib.photos.metashape import read_metashape
from scripts.lib.photos.odm_lenses import SOURCE, find_lenses, with_lenses
from scripts.lib.photos.odm_shots import read_shots
from scripts.lib.photos.opensfm import read_opensfm
from scripts.lib.photos.options import ImportOptions
from scripts.lib.photos.phone_scans import best_cameras, photo_of, read_polycam, read_record3d
from scripts.lib.photos.placed import Brought, BroughtFile, CamerasError, Lens
from scripts.lib.photos.posed import with_poses
from scripts.lib.photos.prepare import Item
from scripts.lib.photos.reality_csv import read_reality_csv
from scripts.lib.photos.reality_xmp import read_reality_xmp
from scripts.lib.photos.source import list_source
from scripts.lib.photos.transforms_json import read_transforms
from tests.foreign_cameras import (
    CAMERA,
    POSES,
    colmap_binary,
    colmap_text,
    metashape,
    odm_shots,
    opensfm,
    polycam,
    reality_csv,
    reality_xmp,
    record3d,
    transforms,
)

TURNED = np.array([[0.0, 1, 0, 0.3], [0, 0, 1, -2], [1, 0, 0, 5]])
LENS = tuple(CAMERA[key] for key in ("fx", "fy", "cx", "cy"))


def _json(**how: object) -> bytes:
    return json.dumps(transforms(**how)).encode()  # type: ignore[arg-type]


def _in_degrees(data: bytes) -> bytes:
    content = json.loads(data)
    for shot in content[0]["shots"].values():
        shot["rotation"] = np.degrees(shot["rotation"]).tolist()
    return json.dumps(content).encode()


def _renamed(entries: Sequence[Brought]) -> list[Brought]:
    """Record3D's frames, which have numbers, with the names of the sample's photos."""
    assert [entry.name for entry in entries] == [f"rgb/{n}.jpg" for n in range(len(POSES))]
    focals = [entry.lens.params[0] - n for n, entry in enumerate(entries)]
    assert focals == pytest.approx([LENS[0]] * len(entries))  # each has its own
    lens = Lens("PINHOLE", CAMERA["width"], CAMERA["height"], LENS)
    return [replace(e, name=name, lens=lens) for e, name in zip(entries, POSES, strict=True)]


READERS: dict[str, Callable[[], Sequence[Brought]]] = {
    "COLMAP text": lambda: read_model(colmap_text()).entries,
    "COLMAP binary": lambda: read_model(colmap_binary()).entries,
    "nerfstudio": lambda: read_transforms(_json()).entries,
    "nerfstudio, applied transform": lambda: read_transforms(_json(applied=TURNED)).entries,
    "lenses of their own": lambda: read_transforms(_json(per_frame=True)).entries,
    "Metashape": lambda: read_metashape(metashape()).entries,
    "OpenSfM": lambda: read_opensfm(opensfm()).entries,
    "OpenSfM in degrees": lambda: read_opensfm(_in_degrees(opensfm())).entries,
    "OpenSfM, as OpenDroneMap's shots": lambda: read_shots(*odm_shots()).entries,
    "RealityCapture CSV": lambda: read_reality_csv(reality_csv()).entries,
    "RealityCapture CSV in radians": lambda: read_reality_csv(reality_csv(radians=True)).entries,
    "Record3D": lambda: _renamed(read_record3d(record3d()).entries),
    "Polycam": lambda: [read_polycam(data, name) for name, data in polycam().items()],
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
        elif reader.startswith(("OpenSfM", "RealityCapture")):
            lens = (LENS[0], LENS[1], LENS[2] + 0.01 * CAMERA["width"], LENS[3])
            sized = entry.lens.sized(CAMERA["width"], CAMERA["height"])
            assert sized.params[:4] == pytest.approx(lens)
            if "CSV" in reader:  # t1 and t2 stand the other way round
                assert sized.params[4:] == (0, 0, 0.002, 0.001)
        else:
            assert entry.lens.params == pytest.approx(LENS)


def test_a_mirrored_file_is_told_and_its_distances_stay() -> None:
    content = transforms()
    for frame in content["frames"]:
        for row in frame["transform_matrix"]:
            row[0] *= -1
    told = read_transforms(json.dumps(content).encode())
    true = read_transforms(_json())
    assert all(entry.mirrored for entry in told.entries)
    assert not any(entry.mirrored for entry in true.entries)
    assert all(np.linalg.det(entry.rotation) > 0 for entry in told.entries)
    places, expected = (
        np.array([-e.rotation.T @ e.translation for e in one.entries]) for one in (told, true)
    )
    between, wanted = (np.linalg.norm(p[:, None] - p[None], axis=2) for p in (places, expected))
    assert np.allclose(between, wanted, atol=1e-6)
    _, lines, _ = _with_poses(_items(), told)
    assert "left-handed" in lines[1].note


def test_units_and_odd_numbers_are_told() -> None:
    content = transforms()
    angle = 2 * np.arctan(CAMERA["width"] / 2 / content.pop("fl_x"))
    del content["fl_y"]
    for value, said in ((angle, 0), (np.degrees(angle), 1)):
        told = read_transforms(json.dumps({**content, "camera_angle_x": value}).encode())
        assert told.entries[0].lens.params[0] == pytest.approx(LENS[0])
        assert len(told.remarks) == said
    assert "in degrees instead of radians" in told.remarks[0]
    assert "in degrees instead of radians" in read_opensfm(_in_degrees(opensfm())).remarks[0]
    assert read_opensfm(opensfm()).remarks == ()
    del content["frames"][3]["transform_matrix"]
    told = read_transforms(json.dumps({**content, "fl_x": 9}).encode())
    assert told.remarks == ("has no pose for 1 of its frames",)


@pytest.mark.parametrize(("width", "height"), [(800, 600), (600, 800)])
def test_an_angle_without_a_size_is_that_of_the_photos_width(width: int, height: int) -> None:
    frame = {"file_path": "a", "transform_matrix": np.eye(4).tolist()}
    angle = 2 * np.arctan(0.4)
    (entry,) = read_transforms(
        json.dumps({"camera_angle_x": angle, "frames": [frame]}).encode()
    ).entries
    sized = entry.lens.sized(width, height)
    focal = width / 2 / 0.4
    assert sized.params == pytest.approx((focal, focal, width / 2, height / 2))
    nothing = json.dumps({"frames": [{**frame, "fl_x": 900}]}).encode()
    with pytest.raises(CamerasError, match="size"):
        read_transforms(nothing)
    middle = json.dumps({"frames": [{**frame, "fl_x": 900, "cx": 400, "cy": 300}]}).encode()
    assert read_transforms(middle).entries[0].lens.width == 800


def test_lenses_of_old_photoscan_files_count_from_the_corner() -> None:
    old = f"<fx>{CAMERA['fx']}</fx><fy>{CAMERA['fy']}</fy><cx>380</cx><cy>250</cy>".encode()
    new = f"<f>{CAMERA['fx']}</f><cx>0.5</cx>".encode()
    assert new in metashape()
    entry = read_metashape(metashape().replace(new, old)).entries[0]
    assert entry.lens.params[:4] == (CAMERA["fx"], CAMERA["fy"], 380, 250)


def test_metres_are_known_where_a_file_has_them() -> None:
    placed = json.loads(opensfm())
    placed[0]["reference_lla"] = {"latitude": 55.7, "longitude": 13.2, "altitude": 0}
    feet = b"<chunk><reference>LOCAL_CS[&quot;a&quot;,UNIT[&quot;foot&quot;,0.3048]]</reference>"
    for told, metres in (
        (read_transforms(_json()), None),
        (read_transforms(json.dumps({**transforms(), "integer_depth_scale": 0.01}).encode()), 1.0),
        (read_opensfm(opensfm()), None),
        (read_opensfm(json.dumps(placed).encode()), 1.0),
        (read_metashape(metashape()), 1.0),
        (read_metashape(metashape().replace(b'<chunk label="Chunk 1">', feet)), 0.3048),
        (read_metashape(metashape().replace(b"<scale>3.5</scale>", b"")), None),
    ):
        assert told.metres == metres and bool(told.metres_from) == (metres is not None)
    _, _, world = _with_poses(_items(), read_transforms(_json()), camera_units="cm")
    assert world is not None and world.metres == 0.01
    assert world.metres_from == "import_photos.camera_units"
    assert _with_poses(_items(), read_metashape(metashape()), camera_units="unknown")[2] == (
        BroughtFrame("a file", None, None)
    )


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 4000), st.integers(0, 60))
def test_damaged_files_give_a_sentence(junk: bytes, at: int, cut: int) -> None:
    for reader, whole in (
        (read_transforms, _json()),
        (read_metashape, metashape()),
        (read_opensfm, opensfm()),
        (read_reality_csv, reality_csv()),
        (read_shots, odm_shots()[0]),
        (lambda d: read_shots(odm_shots()[0], d), odm_shots()[1]),
        (ply_points, _ply("ascii")),
        (ply_points, _ply("binary_little_endian")),
        (lambda d: model_points({"points3D.bin": d}), _points_binary()),
        (read_record3d, record3d()),
        (lambda d: read_polycam(d, "a.json"), next(iter(polycam().values()))),
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


def _with_poses(
    items: list[Item], told: BroughtFile, **options: str
) -> tuple[list[Item], list[Beside], BroughtFrame | None]:
    return with_poses(items, BroughtCameras("a file", told), ImportOptions(**options))  # type: ignore[arg-type]


def test_lenses_are_scaled_to_the_archived_picture() -> None:
    items, (line,), _ = _with_poses(_items(), read_transforms(_json()))
    assert all(item.photo.brought for item in items)
    assert items[0].photo.brought is not None
    assert items[0].photo.brought.params == pytest.approx([value / 2 for value in LENS])
    assert line.note == f"poses of {len(POSES)} photos"


def test_photos_without_a_pose_and_poses_without_a_photo_are_counted_and_named() -> None:
    entries = read_transforms(_json()).entries
    names = list(POSES)
    half = BroughtFile([*entries[::2], replace(entries[1], name="other/x.jpg")])
    items = _items()
    items[2] = replace(items[2], photo=replace(items[2].photo, kept=False))
    _, (line,), _ = _with_poses(items, half)
    assert line.note == (
        f"poses of {len(names) // 2 - 1} photos; no pose for {len(names) // 2} photos, to be placed by "
        f"matching: {', '.join(items[n].photo.original for n in (1, 3, 5, 7, 9))} ...; "
        "not in the source, but in the file, 1 photo: other/x.jpg; "
        f"with a pose, but left out, 1 photo: {items[2].photo.original}"
    )


def test_poses_of_other_photos_are_told() -> None:
    entries = read_transforms(_json()).entries
    others = BroughtFile([replace(entry, name=f"x{n}.jpg") for n, entry in enumerate(entries)])
    with pytest.raises(UserError, match=r"such as of x0.jpg.* only 0 of them.*such as .*ignore"):
        _with_poses(_items(), others)
    with pytest.raises(UserError, match=r"of another shape than .*neither cropped nor turned"):
        _with_poses(_items(256, 256), BroughtFile(entries))


POINTS = np.random.default_rng(4).normal(size=(1000, 3))


def _points_binary() -> bytes:
    rows = b"".join(
        struct.pack("<Q3d3BdQ", n, *point, 1, 2, 3, 0.5, n % 3) + b"\0" * (8 * (n % 3))
        for n, point in enumerate(POINTS)
    )
    return struct.pack("<Q", len(POINTS)) + rows


def _ply(kind: str) -> bytes:
    head = (
        f"ply\nformat {kind} 1.0\ncomment c\nelement vertex {len(POINTS)}\nproperty float x\n"
        "property float y\nproperty float z\nproperty uchar red\nelement face 0\nend_header\n"
    )
    if kind == "ascii":
        return head.encode() + "".join(f"{x} {y} {z} 7\n" for x, y, z in POINTS).encode()
    return head.encode() + b"".join(struct.pack("<3fB", *point, 7) for point in POINTS)


def test_points_that_came_with_poses_are_read() -> None:
    text = "# c\n" + "".join(
        f"{n} {x} {y} {z} 1 2 3 0.5 1 2\n" for n, (x, y, z) in enumerate(POINTS)
    )
    for found in (
        read_model({**colmap_binary(), "points3D.bin": _points_binary()}).points,
        read_model({**colmap_text(), "points3D.txt": text.encode()}).points,
        ply_points(_ply("ascii")),
        ply_points(_ply("binary_little_endian")),
    ):
        assert found is not None and np.allclose(found, POINTS[::3], atol=1e-6)
    assert read_model(colmap_binary()).points is None
    with pytest.raises(CamerasError, match="big-endian"):
        ply_points(_ply("binary_big_endian"))


def test_points_of_a_transforms_json_lie_in_the_world_of_its_poses(tmp_path: Path) -> None:
    content = {**transforms(applied=TURNED), "ply_file_path": "sparse_pc.ply"}
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    (tmp_path / "sparse_pc.ply").write_bytes(_ply("ascii"))
    found = find_cameras(list_source(str(tmp_path)), "auto")
    assert found.names == {"transforms.json", "sparse_pc.ply"}
    assert found.told.points is not None
    back = found.told.points @ TURNED[:, :3].T + TURNED[:, 3]
    assert np.allclose(back, POINTS[::3], atol=1e-6)
    _, _, world = _with_poses(_items(), found.told)
    assert world is not None and len(world.points) == len(POINTS[::3])


def test_positions_in_degrees_become_metres() -> None:
    told = read_reality_csv(reality_csv(geographic=(55.7, 13.2)))
    assert told.metres == 1.0 and "longitude and latitude" in told.remarks[0]
    places = np.array([-e.rotation.T @ e.translation for e in told.entries])
    true = np.array([-pose[:3, :3].T @ pose[:3, 3] for pose in POSES.values()])
    between, wanted = (np.linalg.norm(p[:, None] - p[None], axis=2) for p in (places, true))
    assert np.allclose(between, wanted, rtol=0.005, atol=0.01)
    assert read_reality_csv(reality_csv()).metres is None


def test_results_of_opendronemap_are_found_and_moved_near_zero(tmp_path: Path) -> None:
    shift = (442726.0, 5444260.0, 164.0)
    shots, cameras = odm_shots(shift)
    (tmp_path / "odm_report").mkdir()
    (tmp_path / "odm_report/shots.geojson").write_bytes(shots)
    (tmp_path / "cameras.json").write_bytes(cameras)
    found = find_cameras(list_source(str(tmp_path)), "auto")
    assert found.file == "odm_report/shots.geojson" and found.told.metres == 1.0
    items, _, _ = _with_poses(_items(), found.told)
    centres = []
    for item in items:
        assert item.photo.brought is not None
        w, x, y, z, *move = item.photo.brought.world_to_camera
        centres.append(-Rotation.from_quat([x, y, z, w]).as_matrix().T @ move)
    true = np.array([-pose[:3, :3].T @ pose[:3, 3] for pose in POSES.values()])
    away = np.array(centres) - true
    assert np.abs(centres).max() < 1000 and np.ptp(away, axis=0).max() < 1e-6
    alone = read_shots(shots).entries[0].lens.params
    assert alone[0] == 0.5 * CAMERA["width"]  # without cameras.json


def test_the_parts_of_a_divided_transforms_json_are_read_together(tmp_path: Path) -> None:
    frame = {"transform_matrix": np.eye(4).tolist()}
    for part, count in (("train", 3), ("test", 2), ("val", 1)):
        frames = [{**frame, "file_path": f"./{part}/r_{n}"} for n in range(count)]
        content = {"camera_angle_x": 0.7, "frames": frames}
        (tmp_path / f"transforms_{part}.json").write_text(json.dumps(content))
    found = find_cameras(list_source(str(tmp_path)), "auto")
    assert [e.name for e in found.told.entries if "train" in e.name] == [
        f"./train/r_{n}" for n in range(3)
    ]
    assert len(found.told.entries) == 6 and len(found.names) == 3
    assert found.file == "transforms_test.json, transforms_train.json, transforms_val.json"
    one = find_cameras(list_source(str(tmp_path)), "transforms_val.json")
    assert len(one.told.entries) == 6  # the option may name any part


def test_scans_of_phones_are_found(tmp_path: Path) -> None:
    names = [tmp_path / name for name in polycam()]
    names[0].parent.mkdir(parents=True)
    for name, data in polycam().items():
        (tmp_path / name).write_bytes(data)
    found = find_cameras(list_source(str(tmp_path)), "auto")
    assert found.file == "Polycam's cameras" and found.told.metres == 1.0
    assert found.names == frozenset(polycam())
    items = [
        replace(i, photo=replace(i.photo, original=f"keyframes/images/{i.photo.file}"))
        for i in _items()
    ]
    done, _, world = _with_poses(items, found.told)
    assert all(item.photo.brought for item in done) and world is not None
    corrected = {name.replace("cameras/", "corrected_cameras/"): b"" for name in polycam()}
    assert set(best_cameras({**polycam(), **corrected})) == set(corrected)
    assert photo_of("a/corrected_cameras/7.json") == "a/corrected_images/7.jpg"
    (tmp_path / "metadata.json").write_bytes(record3d())
    assert find_cameras(list_source(str(tmp_path)), "auto").file == "metadata.json"
    (tmp_path / "metadata.json").unlink()
    (tmp_path / "export.csv").write_bytes(reality_csv())
    (tmp_path / "positions.csv").write_text("name,latitude,longitude\na.jpg,55,13\n")
    found = find_cameras(list_source(str(tmp_path)), "auto")
    assert found.file == "export.csv" and "positions.csv" not in found.names


@pytest.mark.parametrize("photos", [False, True])
def test_a_model_in_a_zip_beside_the_photos_is_found(photos: bool, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as out:
        for name, data in colmap_binary().items():
            out.writestr(f"project/sparse/0/{name}", data)
        if photos:
            out.writestr("project/images/a.jpg", b"x")
    (tmp_path / "broken.zip").write_bytes(b"PK")
    found = find_cameras(list_source(str(tmp_path)), "auto")
    assert found.file == "export.zip/project/sparse/0"
    assert len(found.told.entries) == len(POSES)
    assert found.names == (set() if photos else {"export.zip"})


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
    assert not ignored.told.entries and "transforms.json" in ignored.names
    assert "other.json" not in ignored.names
    with pytest.raises(UserError, match="lacks"):
        find_cameras(files, "nothing.xml")


def test_lenses_without_poses_are_where_calibration_starts(tmp_path: Path) -> None:
    """OpenDroneMap's cameras.json alone: focal lengths in pixels of photos, smaller ones too; one line."""
    side, name = 4000, "v2 acme one 4000 3000 brown 0.7"
    lens = {
        "projection_type": "brown",
        "width": side,
        "height": 3000,
        "focal_x": 0.71,
        "focal_y": 0.71,
    }
    other = {**lens, "focal_x": 0.9, "focal_y": 0.9}
    (tmp_path / "cameras.json").write_text(json.dumps({"v2 b": other, name: lens}))
    files = list_source(str(tmp_path))
    assert find_cameras(files, "auto").file == ""
    told = find_lenses(files)
    assert told is not None and list(told.lenses) == ["v2 b", name]

    def item(camera: str | None, size: tuple[int, int], reduced: int = 1) -> Item:
        stored = size[0] * reduced, size[1] * reduced
        photo = Photo(
            "a.jpg", "a.jpg", True, "usable", width=size[0], height=size[1], camera=camera
        )
        return replace(_items()[0], photo=replace(photo, focal_px=1.0), stored_size=stored)

    items = [
        item("Acme One", (2000, 1500), 2),
        item("Acme One", (900, 1200)),
        item("Elsewhere", (2000, 1500), 2),  # two lenses of this size
        item("Acme One", (1600, 900)),
        item(None, (1200, 900)),
    ]
    found, line = with_lenses(items, told)
    focals = [one.photo.focal_px for one in found]
    assert focals == pytest.approx([1420, 852, 1, 1, 1])
    assert [one.photo.focal_source for one in found] == [SOURCE] * 2 + [None] * 3
    assert line.kind == "cameras" and "2 photos" in line.note and "no camera poses" in line.note
    for content in ('{"a": {"projection_type": "brown"}}', '{"projection_type'):
        (tmp_path / "cameras.json").write_text(
            content if "}" in content else '["projection_type", '
        )
        broken = find_lenses(files)
        assert broken is not None and broken.error
        assert "not used" in with_lenses(items, broken)[1].note
