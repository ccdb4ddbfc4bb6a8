"""From photos to pinhole photos on the command line, and nothing personal in what comes out."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scripts import extract_features, map_scene, match_photos, undistort
from scripts.lib.core.console import UserError
from scripts.lib.photos.jpeg import strip_metadata
from scripts.lib.scene.scene import load_scene
from scripts.lib.sfm.options import UndistortOptions
from scripts.lib.sfm.own_lenses import with_own_cameras
from scripts.lib.sfm.undistort import undistort as undistort_photos
from tests.conftest import ROOT
from tests.unit.photo_files import encoded, exif, imported, jpeg
from tests.unit.room import FOCAL, SIZE, arc, write_room
from tests.unit.sfm_scene import position_errors


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The room from photos to undistorted.zip, through the scripts themselves."""
    home = tmp_path_factory.mktemp("room")
    write_room(home / "in", arc(8, 80.0))
    mask = np.full((SIZE[1], SIZE[0]), 255, np.uint8)
    mask[:, :100] = 0
    (home / "in" / "room03_mask.png").write_bytes(encoded(Image.fromarray(mask), "PNG"))
    imported(home / "in", home)
    photos = ["--photos", str(home / "photos.zip"), "--photos-report", str(home / "photos.json")]
    fast = json.dumps({"first_octave": 0, "max_features": 2000})
    extract_features.main([*photos, "--database", str(home / "f.db"), "--options", fast])
    match_photos.main(
        [
            *("--database", str(home / "f.db"), *photos[2:], "--output", str(home / "m.db")),
            *("--pairs", str(home / "pairs.json")),
        ]
    )
    map_scene.main(
        [
            *("--database", str(home / "m.db"), *photos, "--sparse", str(home / "sparse")),
            *("--metrics", str(home / "sfm.json"), "--georef", str(home / "georef.json")),
            *("--further", str(home / "components.zip")),
        ]
    )
    undistort.main(
        [*photos[:2], "--sparse", str(home / "sparse"), "--output", str(home / "undistorted.zip")]
    )
    return home


def test_poses_of_rendered_photos_are_right(finished: Path) -> None:
    scene = load_scene(finished / "undistorted.zip")
    truth = {f"room{n:02d}.jpg": np.array(shot.centre) for n, shot in enumerate(arc(8, 80.0))}
    found = dict(zip(scene.names, scene.centres, strict=True))
    assert set(found) == set(truth)
    assert position_errors(found, truth).max() < 0.005
    assert np.allclose(scene.K[:, 0, 0], FOCAL, rtol=0.03)


def test_gravity_is_up_without_gps(finished: Path) -> None:
    georef = json.loads((finished / "georef.json").read_text())
    assert not georef["georeferenced"] and georef["frame"] == "Z up"
    scene = load_scene(finished / "undistorted.zip")
    ups = -scene.world_to_camera[:, 1, :3]  # cameras are held level and look a little down
    assert (ups[:, 2] > 0.95).all()


def test_photos_are_where_the_model_says(finished: Path) -> None:
    scene = load_scene(finished / "undistorted.zip")
    assert len(scene.points) > 300
    for index, photo in enumerate(scene.photos(range(len(scene)))):
        assert photo.shape[:2] == (scene.sizes[index][1], scene.sizes[index][0])


def test_masks_are_honoured_and_travel(finished: Path) -> None:
    database = pycolmap.Database.open(finished / "f.db")
    names = {image.name: image.image_id for image in database.read_all_images()}
    columns = {name: database.read_keypoints(number)[:, 0] for name, number in names.items()}
    database.close()
    assert columns["room03.jpg"].min() >= 99 and len(columns["room03.jpg"]) > 200
    assert columns["room02.jpg"].min() < 20
    with zipfile.ZipFile(finished / "undistorted.zip") as archive:
        masks = [name for name in archive.namelist() if name.startswith("masks/")]
        assert masks == ["masks/room03.jpg.png"]
        mask = np.asarray(Image.open(io.BytesIO(archive.read(masks[0]))).convert("L"))
        photo = np.asarray(Image.open(io.BytesIO(archive.read("images/room03.jpg"))))
    assert mask.shape == photo.shape[:2]
    share = (mask == 0).mean(axis=0)
    assert share[:90].min() == 1 and share[110:-3].max() < 0.05


MANY_MASKS = """
import scripts.undistort
import numpy as np
from scripts.lib.sfm.masks import encode_mask
blocks = np.random.default_rng(0).random((50, 60)) > 0.5
mask = np.kron(blocks, np.ones((20, 20))) > 0
print(len([encode_mask(np.roll(mask, shift)) for shift in range(60)]))
"""


def in_process_of_its_own(code: str) -> subprocess.CompletedProcess[str]:
    """Run code as a stage runs, killed where the process would hang for ever."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_many_large_masks_are_written() -> None:
    """pycolmap has a zlib of its own, which must not get between Pillow and the system's."""
    done = in_process_of_its_own(MANY_MASKS)
    assert (done.returncode, done.stdout) == (0, "60\n"), done.stderr


@pytest.mark.parametrize("name", ["SIGABRT", "SIGTERM"])
def test_a_signal_ends_the_process_at_once(name: str) -> None:
    """pycolmap's handler prints a stack trace first, and may wait for ever on a damaged heap."""
    number = getattr(signal, name)
    done = in_process_of_its_own(f"import scripts.undistort, os; os.kill(os.getpid(), {number})")
    assert (done.returncode, done.stderr) == (-number, "")


def test_nothing_personal_travels(finished: Path) -> None:
    with zipfile.ZipFile(finished / "undistorted.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".jpg"):
                image = Image.open(io.BytesIO(archive.read(name)))
                assert not dict(image.getexif()) and "xmp" not in image.info


def test_no_model_is_told(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "sparse").mkdir()
    with pytest.raises(UserError, match="run map_scene again"):
        undistort_photos(
            finished / "photos.zip",
            tmp_path / "sparse",
            tmp_path / "u.zip",
            UndistortOptions(),
            2,
        )


def test_strip_keeps_the_pixels() -> None:
    data = jpeg(3, exif=exif(make="M", place=(50.0, 14.0, 1.0)), comment=b"secret")
    stripped = strip_metadata(data)
    assert b"secret" not in stripped and b"Exif" not in stripped
    before, after = (np.asarray(Image.open(io.BytesIO(d))) for d in (data, stripped))
    assert (before == after).all()


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_strip_of_rubbish_ends(data: bytes) -> None:
    assert strip_metadata(b"\xff\xd8" + data).startswith(b"\xff\xd8")
    if not data.startswith(b"\xff\xd8"):
        with pytest.raises(ValueError, match="JPEG"):
            strip_metadata(data)


def test_photos_with_lenses_of_their_own_come_out_in_one_size(
    finished: Path, tmp_path: Path
) -> None:
    own = with_own_cameras(pycolmap.Reconstruction(finished / "sparse"))
    wanted = {}
    for step, number in enumerate(sorted(own.reg_image_ids())):
        camera = own.cameras[number]
        camera.focal_length *= 1 + 0.002 * step
        camera.principal_point_x += 2.0 * step
        wanted[own.image(number).name] = camera.focal_length
    (tmp_path / "sparse").mkdir()
    own.write_binary(tmp_path / "sparse")
    archive = tmp_path / "undistorted.zip"
    undistort_photos(
        finished / "photos.zip", tmp_path / "sparse", archive, UndistortOptions(), threads=2
    )
    scene = load_scene(archive)
    assert len({tuple(size) for size in scene.sizes}) == 1
    focals = dict(zip(scene.names, scene.K[:, 0, 0], strict=True))
    assert focals == pytest.approx(wanted, rel=1e-6)
    assert (np.diff(scene.K[:, 0, 2]) > 1.5).all()
