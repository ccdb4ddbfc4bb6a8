"""Models from poses that came with the photos, on made-up captures with known poses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from scipy.spatial.transform import Rotation

from scripts.lib.contracts.photos import BroughtPose, Photo
from scripts.lib.core.console import UserError
from scripts.lib.sfm.conventions import CONVENTIONS, FURTHER
from scripts.lib.sfm.options import FeatureOptions, MapOptions, MatchOptions
from scripts.lib.sfm.placed_model import placed_attempt

PLAIN = MapOptions(retries=False)  # the made-up photos have no pixels to look at again


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Photo]]:
    """A database of 10 photos with matches half a pixel off, and the photos with their true poses."""
    path = tmp_path_factory.mktemp("placed") / "matches.db"
    pycolmap.set_random_seed(3)
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig = 1, 1, 10
    options.num_points3D = 200
    with pycolmap.Database.open(path) as link:
        model = pycolmap.synthesize_dataset(options, link)
    photos = []
    for number in model.reg_image_ids():
        image = model.image(number)
        pose = image.cam_from_world()
        x, y, z, w = pose.rotation.quat
        camera = model.camera(image.camera_id)
        told = BroughtPose(
            tuple(map(float, (w, x, y, z, *pose.translation))),  # type: ignore[arg-type]
            camera.model_name,
            tuple(map(float, camera.params)),
        )
        size = {"width": int(camera.width), "height": int(camera.height)}
        photos.append(Photo(image.name, image.name, True, "usable", brought=told, **size))
    return path, photos


def _posed(photo: Photo, turn: np.ndarray, shift: np.ndarray) -> Photo:
    assert photo.brought is not None
    x, y, z, w = Rotation.from_matrix(turn).as_quat()
    numbers = tuple(map(float, (w, x, y, z, *shift)))
    return replace(photo, brought=replace(photo.brought, world_to_camera=numbers))  # type: ignore[arg-type]


def _pose(photo: Photo) -> tuple[np.ndarray, np.ndarray]:
    assert photo.brought is not None
    w, x, y, z, *shift = photo.brought.world_to_camera
    return Rotation.from_quat([x, y, z, w]).as_matrix(), np.array(shift)


def _error(found: pycolmap.Reconstruction, photos: list[Photo]) -> float:
    """The largest distance of a camera from its place, as a share of the capture's size."""
    turned = [_pose(photo) for photo in photos]
    wanted = {p.file: -r.T @ t for p, (r, t) in zip(photos, turned, strict=True)}
    images = [found.image(number) for number in found.reg_image_ids()]
    here = np.array([image.projection_center() for image in images])
    there = np.array([wanted[image.name] for image in images])
    sim3 = pycolmap.estimate_sim3d(here, there)
    assert sim3 is not None
    missed = np.linalg.norm(np.array([sim3 * place for place in here]) - there, axis=1)
    return float(missed.max() / np.ptp(there, axis=0).max())


RARE = ["with the camera's axes in the order y, z, x", "with inverse rotations"]


@pytest.mark.parametrize("convention", [*CONVENTIONS, *RARE])
def test_every_convention_is_recognised(
    convention: str,
    capture: tuple[Path, list[Photo]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database, photos = capture
    change = {**CONVENTIONS, **FURTHER}[convention]
    written = [_posed(photo, *change(_pose(photo))) for photo in photos]
    with placed_attempt(
        database, tmp_path, written, PLAIN, FeatureOptions(), MatchOptions(), 1
    ) as (best, _):
        assert best.registered == len(photos)
        assert _error(best.models[0], photos) < 1e-3
    assert ("fit the photos only" in capsys.readouterr().out) == (convention != "as written")


def test_poses_that_are_nearly_right_are_adjusted_and_photos_without_one_are_added(
    capture: tuple[Path, list[Photo]], tmp_path: Path
) -> None:
    database, photos = capture
    rng = np.random.default_rng(1)
    written = []
    for photo in photos[:-2]:
        turn, shift = _pose(photo)
        off = Rotation.from_rotvec(rng.normal(0, 0.003, 3)).as_matrix()
        written.append(_posed(photo, off @ turn, shift + rng.normal(0, 0.01, 3)))
    written += [replace(photo, brought=None) for photo in photos[-2:]]
    with placed_attempt(
        database, tmp_path, written, PLAIN, FeatureOptions(), MatchOptions(), 1
    ) as (best, _):
        assert best.registered == len(photos)
        assert _error(best.models[0], photos) < 2e-3


def _refusal(database: Path, folder: Path, written: list[Photo]) -> str:
    with (
        pytest.raises(UserError, match=r"do not fit the photos.*ignore") as told,
        placed_attempt(database, folder, written, PLAIN, FeatureOptions(), MatchOptions(), 1),
    ):
        pass
    return str(told.value)


def test_poses_of_other_photos_are_told(capture: tuple[Path, list[Photo]], tmp_path: Path) -> None:
    database, photos = capture
    others = [*photos[3:], *photos[:3]]
    written = [_posed(p, *_pose(other)) for p, other in zip(photos, others, strict=True)]
    assert "of the same photos in another order" in _refusal(database, tmp_path, written)


def test_positions_that_do_not_belong_to_the_rotations_are_told(
    capture: tuple[Path, list[Photo]], tmp_path: Path
) -> None:
    database, photos = capture
    written = []
    for photo in photos:
        turn, shift = _pose(photo)
        x, y, z = -turn.T @ shift
        written.append(_posed(photo, turn, -turn @ [y, x, z]))
    told = _refusal(database, tmp_path, written)
    assert "two coordinates are exchanged, one has the wrong sign" in told


def test_axes_in_no_known_convention_are_told(
    capture: tuple[Path, list[Photo]], tmp_path: Path
) -> None:
    database, photos = capture
    tilt = Rotation.from_euler("xyz", [40, -30, 50], degrees=True).as_matrix()
    # The made-up rotations are symmetric, and would fit when inverted too: the world is turned as well.
    written = [_posed(p, tilt @ _pose(p)[0] @ tilt, tilt @ _pose(p)[1]) for p in photos]
    assert "in no convention that is known" in _refusal(database, tmp_path, written)


def test_the_model_stays_in_the_frame_and_units_of_the_file(
    capture: tuple[Path, list[Photo]], tmp_path: Path
) -> None:
    """Two poses, which an adjustment may hold to keep its frame, are two pixels off: the others tell it."""
    database, photos = capture
    true = {p.file: -100 * _pose(p)[0].T @ _pose(p)[1] for p in photos}
    size = np.ptp(list(true.values()), axis=0).max()
    written = []
    for number, photo in enumerate(photos):
        turn, _ = _pose(photo)
        off = 0.0005 * size * np.array([1.0, -1.0, 0.5]) * (number < 2) * (1 - 2 * number)
        written.append(_posed(photo, turn, -turn @ (true[photo.file] + off)))
    with placed_attempt(
        database, tmp_path, written, PLAIN, FeatureOptions(), MatchOptions(), 1
    ) as (best, _):
        model = best.models[0]
        found = {model.image(n).name: model.image(n).projection_center() for n in model.images}
    assert max(np.linalg.norm(found[name] - true[name]) for name in true) < 2e-4 * size


@pytest.mark.parametrize(
    ("factor", "said"), [(1.0, "agree with the photos"), (3.0, "another scale")]
)
def test_points_that_came_with_the_poses_are_compared(
    factor: float, said: str, capture: tuple[Path, list[Photo]], tmp_path: Path
) -> None:
    database, photos = capture
    with placed_attempt(database, tmp_path, photos, PLAIN, FeatureOptions(), MatchOptions(), 1) as (
        best,
        _,
    ):
        points = [tuple(factor * p.xyz) for p in best.models[0].points3D.values()]
    with placed_attempt(
        database, tmp_path, photos, PLAIN, FeatureOptions(), MatchOptions(), 1, points[::2]
    ) as (best, _):
        assert said in best.strategy
