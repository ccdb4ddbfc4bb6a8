"""Landscape and portrait photos: one lens is found where there is one, and two where there are two."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pycolmap
import pytest

from scripts.lib.contracts.sfm import Calibration
from scripts.lib.sfm import frame
from scripts.lib.sfm.adjust import Adjust, Prior, free_adjustment
from scripts.lib.sfm.calibration import calibrate
from scripts.lib.sfm.frame import align_calibrated
from scripts.lib.sfm.lens_prior import with_usual_lenses
from scripts.lib.sfm.lenses import parameters
from scripts.lib.sfm.shared_lens import (
    SharedLens,
    is_shared,
    shared_lens_candidates,
    turned_parameters,
    with_shared_lens,
)
from tests.unit.sfm_scene import add_points, centres, entry, looking, position_errors, room_points

SENSOR = (1024, 768)
LENS = [810.0, 810.0, 522.0, 371.0, -0.06, 0.015, 0.0006, -0.0009]
OTHER = [812.0, 812.0, 505.0, 395.0, -0.03, -0.01, -0.0008, 0.0002]
# From the sensor's axes to those of the upright photo, which was turned so.
TURNS = {True: np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])}
TURNS[False] = TURNS[True].T


def camera(number: int, params: list[float], size: tuple[int, int] = SENSOR) -> pycolmap.Camera:
    made = pycolmap.Camera.create_from_model_name(number, "OPENCV", params[0], *size)
    made.params = params
    return made


def capture(
    upright_lens: list[float], clockwise: bool, seed: int = 0
) -> tuple[pycolmap.Reconstruction, dict[str, np.ndarray]]:
    """A walk round a room, every fifth photo upright, as the mapper leaves it; and where the photos stand."""
    random = np.random.default_rng(seed)
    points = room_points(1300, seed)
    level, upright = camera(1, LENS), camera(2, upright_lens)
    model = pycolmap.Reconstruction()
    for number, size in ((1, SENSOR), (2, SENSOR[::-1])):
        plain = pycolmap.Camera.create_from_model_name(number, "SIMPLE_RADIAL", 810.0, *size)
        model.add_camera_with_trivial_rig(plain)
    tracks: dict[int, list[tuple[int, int]]] = {}
    truth = {}
    for number, angle in enumerate(np.linspace(0, 2 * np.pi, 20, endpoint=False), 1):
        place = np.array([2.5 * np.sin(angle), -2.5 * np.cos(angle), 0]) + random.normal(0, 0.25, 3)
        centre, turn = looking(place, random.normal(0, 0.5, 3))
        turned = number % 5 == 3
        held = TURNS[clockwise].T @ turn if turned else turn
        local = (points - centre) @ held.T
        before = np.flatnonzero(local[:, 2] > 0.3)
        pixels = np.asarray((upright if turned else level).img_from_cam(local[before]))
        pixels += random.normal(0, 0.3, pixels.shape)
        inside = ((pixels > 0) & (pixels < SENSOR)).all(axis=1) & (random.random(len(pixels)) < 0.6)
        seen, (x, y) = before[inside], pixels[inside].T
        shown = np.column_stack([x, y])
        if turned:
            shown = np.column_stack([SENSOR[1] - y, x] if clockwise else [y, SENSOR[0] - x])
        name = f"v{number:03d}.jpg"
        image = pycolmap.Image(name, shown, 2 if turned else 1, number)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(turn), -turn @ centre)
        model.add_image_with_trivial_frame(image, pose)
        truth[name] = centre
        for feature, point in enumerate(seen):
            tracks.setdefault(int(point), []).append((number, feature))
    add_points(model, points, tracks)
    assert free_adjustment(model, False, frozenset())
    return model, truth


def off(model: pycolmap.Reconstruction, lens: pycolmap.Camera, clockwise: bool) -> float:
    """Pixels from the upright photos' principal point to the true one."""
    true = turned_parameters(lens, clockwise)
    found = parameters(model.cameras[2])
    return float(np.hypot(found["cx"] - true["cx"], found["cy"] - true["cy"]))


def of_one_lens(report: Calibration | None) -> list[tuple[str, bool]]:
    """For each camera what was tried of one lens, and whether it was taken."""
    assert report is not None
    rows = [row for told in report.cameras for row in told.tried if "shared" in row.lens]
    return [(row.lens.split(", ", 1)[1], row.taken) for row in rows]


@pytest.mark.parametrize("clockwise", [True, False])
def test_parameters_turn_with_the_picture(clockwise: bool) -> None:
    lens = camera(1, [800.0, 815.0, 520.0, 371.0, -0.06, 0.015, 0.002, -0.003])
    upright = camera(2, list(turned_parameters(lens, clockwise).values()), SENSOR[::-1])
    rays = np.random.default_rng(0).uniform([-0.5, -0.4, 1], [0.5, 0.4, 1], (40, 3))
    x, y = np.asarray(lens.img_from_cam(rays)).T
    expected = [SENSOR[1] - y, x] if clockwise else [y, SENSOR[0] - x]
    found = np.asarray(upright.img_from_cam(rays @ TURNS[clockwise].T))
    np.testing.assert_allclose(found, np.column_stack(expected), atol=1e-9)


@pytest.mark.parametrize("clockwise", [True, False])
def test_one_lens_is_found_to_be_one(clockwise: bool) -> None:
    model, truth = capture(LENS, clockwise)
    two, apart = calibrate(model, free_adjustment, 0)
    one, report = calibrate(
        model, free_adjustment, 0, candidates=[SharedLens(1, 2, True), SharedLens(1, 2, False)]
    )
    way = "clockwise" if clockwise else "anticlockwise"
    assert of_one_lens(report) == [(f"lens shared with camera 1, turned {way}", True)] * 2
    assert not of_one_lens(apart)
    assert one.cameras[2].params.tolist() == list(
        turned_parameters(one.cameras[1], clockwise).values()
    )
    assert off(one, camera(1, LENS), clockwise) < 1.0
    errors = [position_errors(centres(m), truth) for m in (one, two)]
    assert np.sqrt((errors[0] ** 2).mean()) < 1.1 * np.sqrt((errors[1] ** 2).mean())
    assert sorted(one.point3D_ids()) == sorted(model.point3D_ids())
    assert model.cameras[2].model_name == "SIMPLE_RADIAL"  # the given model is left alone


def test_a_shared_lens_stays_shared_with_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos of a phone have GPS: positions pull the cameras while and after the lens is found."""
    model, truth = capture(LENS, True)
    random = np.random.default_rng(1)
    east, north = 111_320 * np.cos(np.radians(55.7)), 111_320
    photos = []
    for name, place in truth.items():
        x, y, z = 10 * place + random.normal(0, 0.1, 3)  # a place ten times as large
        found = {"latitude": 55.7 + y / north, "longitude": 13.2 + x / east, "altitude": 40 + z}
        found |= {"accuracy_horizontal_m": 0.1, "accuracy_vertical_m": 0.1}
        photos.append(entry(name, camera="A phone", focal_mm=4.2, **found))
    under_prior = []

    def spied(adjust: Adjust, cameras: Collection[int], priors: Mapping[str, Prior]) -> Adjust:
        under_prior.append(set(cameras))
        return with_usual_lenses(adjust, cameras, priors)

    monkeypatch.setattr(frame, "with_usual_lenses", spied)
    aligned, report = align_calibrated(model, photos, adjust=True)
    assert under_prior == [{1, 2}]  # the last adjustment frees all terms of the lens again
    assert [taken for _, taken in of_one_lens(report)] == [True, True]
    assert aligned.georef.adjustment is not None and aligned.georef.adjustment.used
    assert is_shared(aligned.model, SharedLens(1, 2, True))
    assert off(aligned.model, camera(1, LENS), True) < 1.0


def test_two_lenses_stay_two() -> None:
    model, _ = capture(OTHER, True)
    candidates = [SharedLens(1, 2, True), SharedLens(1, 2, False)]
    two, report = calibrate(model, free_adjustment, 0, candidates=candidates)
    assert [taken for _, taken in of_one_lens(report)] == [False, False]
    assert off(two, camera(1, OTHER), True) < 2.5


def test_an_adjustment_without_a_solution_changes_nothing() -> None:
    model, _ = capture(LENS, True)
    before = centres(model)
    assert not with_shared_lens(lambda *_: False, SharedLens(1, 2, True))(model, True, frozenset())
    assert all(np.array_equal(before[name], place) for name, place in centres(model).items())


def test_cameras_that_may_be_one() -> None:
    model, truth = capture(LENS, True)
    upright = {name for name in truth if int(name[1:4]) % 5 == 3}

    def lines(**of_upright: object) -> list[object]:
        plain = {"camera": "A phone", "focal_mm": 4.2}
        return [
            entry(name, **{**plain, **(of_upright if name in upright else {})}) for name in truth
        ]

    both = [SharedLens(1, 2, True), SharedLens(1, 2, False)]
    assert shared_lens_candidates(model, lines()) == both  # type: ignore[arg-type]
    assert shared_lens_candidates(model, lines(focal_mm=None)) == both  # type: ignore[arg-type]
    assert not shared_lens_candidates(model, lines(focal_mm=6.2))  # type: ignore[arg-type]
    assert not shared_lens_candidates(model, lines(camera="Another"))  # type: ignore[arg-type]
    zoomed = pycolmap.Reconstruction(model)
    zoomed.cameras[2].params = [900.0, *list(zoomed.cameras[2].params)[1:]]
    assert not shared_lens_candidates(zoomed, lines())  # type: ignore[arg-type]
