"""What residuals still show: found with its size when it is there, silence when it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from scipy.spatial.transform import Rotation

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.record import from_file
from scripts.lib.contracts.sfm import Residuals, Sfm
from scripts.lib.report import cameras
from scripts.lib.sfm.adjust import Prior, free_adjustment
from scripts.lib.sfm.frame import Aligned
from scripts.lib.sfm.own_lenses import correct_lenses, with_own_cameras
from scripts.lib.sfm.residuals import look_into_residuals
from tests.photo_lines import line
from tests.unit.sfm_scene import FOCAL, SIZE, centres, looking, position_errors
from tests.unit.stage_files import stage_values

MIDDLE = np.array(SIZE) / 2
BEND = -0.05  # of the lens, COLMAP's k
NOISE = 0.4  # pixels
EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
PLACED = Georef(georeferenced=False, reason="made up", scale=1.0, world_from_sfm=EYE)
Centres = dict[str, np.ndarray]
Vector = tuple[float, ...]


@dataclass(frozen=True)
class Shot:
    """How one photo differs: focal scale, shift of the picture in pixels, and the turn and move
    of the camera from the first row to the last, in its own axes."""

    focal: float = 1.0
    shift: Vector = (0.0, 0.0)
    turn: Vector = (0.0, 0.0, 0.0)
    move: Vector = (0.0, 0.0, 0.0)


def projected(local: np.ndarray, shot: Shot) -> np.ndarray:
    flat = local[:, :2] / local[:, 2:]
    bent = flat * (1 + BEND * (flat**2).sum(axis=1, keepdims=True))
    pixels: np.ndarray = FOCAL * shot.focal * bent + MIDDLE + np.array(shot.shift)
    return pixels


def ring(
    shot: Callable[[np.random.Generator], Shot], seed: int = 0, photos: int = 16, points: int = 250
) -> tuple[pycolmap.Reconstruction, list[Shot], Centres]:
    """A ring of cameras about points, adjusted with one plain lens; how each photo was, where it stood."""
    random = np.random.default_rng(seed)
    cloud = random.uniform(-1, 1, (points, 3)) * [1.3, 1.3, 0.9]
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", FOCAL, *SIZE)
    camera.params = [FOCAL, *MIDDLE, BEND]
    model.add_camera_with_trivial_rig(camera)
    tracks: dict[int, list[tuple[int, int]]] = {}
    shots, places = [], {}
    for number, angle in enumerate(np.linspace(0, 2 * np.pi, photos, endpoint=False), 1):
        stand = [3 * np.cos(angle), 3 * np.sin(angle), 0.6 + 0.5 * np.sin(3 * angle)]
        centre, turn = looking(stand + random.normal(0, 0.1, 3), random.normal(0, 0.15, 3))
        taken, local = shot(random), (cloud - centre) @ turn.T
        pixels = projected(local, taken)
        for _ in range(
            6
        ):  # a point is seen when its row is read, which depends on where it is seen
            time = (pixels[:, 1:] / SIZE[1]) - 0.5
            turned = Rotation.from_rotvec(time * np.array(taken.turn)).apply(local)
            pixels = projected(turned + time * np.array(taken.move), taken)
        pixels += random.normal(0, NOISE, pixels.shape)
        seen = np.flatnonzero(((pixels > 0) & (pixels < SIZE)).all(axis=1))
        seen = seen[random.random(len(seen)) < 0.8]
        image = pycolmap.Image(f"v{number:03d}.jpg", pixels[seen], 1, number)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(turn), -turn @ centre)
        model.add_image_with_trivial_frame(image, pose)
        for feature, point in enumerate(seen):
            tracks.setdefault(int(point), []).append((number, feature))
        shots.append(taken)
        places[image.name] = centre
    for point, elements in tracks.items():
        if len(elements) >= 2:
            track = pycolmap.Track([pycolmap.TrackElement(*element) for element in elements])
            model.add_point3D(cloud[point], track)
    assert free_adjustment(model, False, frozenset())
    model.update_point_3d_errors()
    return model, shots, places


def steady(_: np.random.Generator) -> Shot:
    return Shot()


def breathing(random: np.random.Generator) -> Shot:
    return Shot(focal=1 + random.normal(0, 0.005))


def stabilised(random: np.random.Generator) -> Shot:
    return Shot(shift=tuple(random.normal(0, 8, 2)))


def unsteady(random: np.random.Generator) -> Shot:
    return Shot(turn=tuple(random.normal(0, 0.005, 3)), move=tuple(random.normal(0, 0.005, 3)))


def panning(_: np.random.Generator) -> Shot:
    return Shot(turn=(0.0, 0.008, 0.0))


def rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize("seed", range(3))
def test_a_plain_scene_shows_nothing(seed: int) -> None:
    model, _, _ = ring(steady, seed)
    report = look_into_residuals(model, [])
    assert report.judged and report.finding is None and report.sentence == ""
    for name in ("rows", "focal", "shift", "radius"):
        assert getattr(report, name).share < 0.005, name
    same, told = correct_lenses(Aligned(model, PLACED), [])
    assert same.model is model and told.corrected == ()


@pytest.mark.parametrize("seed", range(2))
def test_breathing_is_found_measured_and_taken_in(seed: int) -> None:
    model, shots, places = ring(breathing, seed)
    placed, report = correct_lenses(Aligned(model, PLACED), [])
    corrected = placed.model
    assert report.findings == report.corrected == ("breathing",)
    assert "its own focal length" in report.sentence
    true = np.log([shot.focal for shot in shots])
    found = np.log([corrected.cameras[number].focal_length for number in corrected.reg_image_ids()])
    # All focal lengths and the size of the scene go together, so only their differences are known.
    miss = (found - found.mean()) - (true - true.mean())
    assert rms(miss) < 0.2 * true.std()
    assert report.focal.size_percent == pytest.approx(100 * true.std(), rel=0.25)
    before, after = (position_errors(centres(m), places) for m in (model, corrected))
    assert rms(after) < 0.25 * rms(before)
    assert len(corrected.cameras) == len(shots)
    assert corrected.num_points3D() == model.num_points3D()
    assert look_into_residuals(corrected, []).finding is None


def test_lenses_stay_when_calibration_is_off() -> None:
    model, _, _ = ring(breathing)
    same, report = correct_lenses(Aligned(model, PLACED), [], allowed=False)
    assert same.model is model and report.findings == ("breathing",) and report.corrected == ()
    assert "lock the focus" in report.sentence


def test_a_picture_that_moves_is_found_and_taken_in() -> None:
    model, shots, places = ring(stabilised)
    placed, report = correct_lenses(Aligned(model, PLACED), [])
    corrected = placed.model
    assert report.findings[0] == "stabilised" and "stabilised" in report.corrected
    found = np.array([corrected.cameras[n].params[1:3] for n in corrected.reg_image_ids()])
    true = np.array([shot.shift for shot in shots])
    assert rms((found - found.mean(axis=0)) - (true - true.mean(axis=0))) < 0.2 * true.std()
    before, after = (position_errors(centres(m), places) for m in (model, corrected))
    assert rms(after) < 0.5 * rms(before)


def test_a_shift_in_a_narrow_picture_looks_like_a_turn_and_is_not_told() -> None:
    model, _, _ = ring(lambda random: Shot(shift=tuple(random.normal(0, 0.5, 2))))
    assert look_into_residuals(model, []).finding is None


@pytest.mark.parametrize("shot", [unsteady, panning])
def test_rolling_shutter_is_found_and_named(shot: Callable[[np.random.Generator], Shot]) -> None:
    model, shots, _ = ring(shot)
    same, report = correct_lenses(Aligned(model, PLACED), [line("a.jpg", kind="frame")])
    assert report.finding == "rolling_shutter"
    assert same.model is model and report.corrected == ()
    assert "while filming" in report.sentence
    assert report.rows.share > 0.3
    # Poses imitate a part of it, so the size is a lower bound and never far above the truth.
    turned = FOCAL * rms([np.linalg.norm(shot.turn[:2]) for shot in shots])
    assert 0.5 * turned < report.rows.size_px < 2 * turned


def test_positions_from_gps_hold_the_frame_and_are_told_of() -> None:
    model, _, places = ring(breathing)
    names = sorted(places)
    shift = np.array([100.0, -50.0, 20.0])
    model.transform(pycolmap.Sim3d(1.0, pycolmap.Rotation3d(), shift))
    priors = {name: Prior(places[name] + shift, 0.01, 0.01) for name in names}
    misses = {n: tuple((centres(model)[n] - priors[n].position).tolist()) for n in names}
    georef = replace(PLACED, upright_only=False, inliers=tuple(names), residuals_m=misses)
    placed, report = correct_lenses(Aligned(model, georef, priors), [])
    assert report.corrected == ("breathing",)
    found = centres(placed.model)
    now = np.array([found[name] - priors[name].position for name in names])
    assert rms(now) < 0.01
    told = np.array([placed.georef.residuals_m[name] for name in names])
    np.testing.assert_allclose(told, now, atol=0.002)
    across = np.sqrt((now[:, :2] ** 2).sum(axis=1).mean())
    assert placed.georef.rmse_horizontal_m == pytest.approx(across, abs=0.002)


def test_own_cameras_change_nothing_but_their_number() -> None:
    model, _, _ = ring(steady, points=100, photos=8)
    own = with_own_cameras(model)
    assert len(own.cameras) == len(own.rigs) == len(own.frames) == 8
    assert own.compute_num_observations() == model.compute_num_observations()
    assert own.compute_mean_track_length() == model.compute_mean_track_length()
    own.update_point_3d_errors()
    error = own.compute_mean_reprojection_error()
    assert error == pytest.approx(model.compute_mean_reprojection_error(), rel=1e-9)


def test_few_photos_are_not_judged() -> None:
    model, _, _ = ring(steady, photos=4)
    report = look_into_residuals(model, [])
    assert not report.judged and report.sentence == ""


def test_what_was_found_reaches_the_report() -> None:
    report = from_file(Sfm, stage_values()["sfm"], Path("sfm.json"))
    told = Residuals(judged=True, finding=None, findings=("rolling_shutter",), sentence="Rows.")
    assert cameras.motions(replace(report, residuals=told)) == ("Rows.", False)
    told = Residuals(
        judged=True,
        finding=None,
        findings=("breathing",),
        sentence="Focus.",
        corrected=("breathing",),
    )
    assert cameras.motions(replace(report, residuals=told)) == ("Focus.", True)
    assert cameras.motions(report)[0] == ""
