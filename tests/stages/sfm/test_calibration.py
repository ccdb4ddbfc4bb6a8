"""Self-calibration: richer lenses where a capture determines them, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pycolmap
import pytest

from scripts.lib.core.console import UserError
from scripts.lib.sfm import adjust
from scripts.lib.sfm.adjust import Prior, free_adjustment, position_adjustment
from scripts.lib.sfm.calibration import calibrate
from scripts.lib.sfm.lenses import LENSES, as_fisheye, parameters, set_lens
from tests.unit.sfm_scene import (
    SIZE,
    Pose,
    centres,
    facing,
    looking,
    position_errors,
    room_points,
    true_model,
)

NOISE = 0.4  # pixels


def camera(model: str, params: list[float]) -> pycolmap.Camera:
    made = pycolmap.Camera.create_from_model_name(1, model, params[0], *SIZE)
    made.params = params
    return made


PLAIN = camera("SIMPLE_RADIAL", [820.0, 512.0, 384.0, -0.05])
REAL = camera("OPENCV", [820.0, 820.0, 510.0 + 14, 365.0, -0.06, 0.015, 0.0006, -0.0004])


def rolled(pose: Pose, degrees: float) -> Pose:
    """The camera turned about the way it looks."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return pose[0], np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) @ pose[1]


def ring(count: int = 24) -> list[Pose]:
    """Cameras around the middle of a room, at three heights, every third one on its side."""
    poses = []
    for i, angle in enumerate(np.linspace(0, 2 * np.pi, count, endpoint=False)):
        place = 2.2 * np.array([np.cos(angle), np.sin(angle), 0.0]) + [0, 0, 0.5 * (i % 3 - 1)]
        poses.append(rolled(looking(place, [0, 0, 0]), [0.0, 90.0, 7.0][i % 3]))
    return poses


def ground(seed: int = 0, relief: float = 0.5) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.uniform([-60, -60, 0], [60, 60, relief], (1500, 3))


def block(heights: tuple[float, ...], turned: bool) -> list[Pose]:
    """Strips of photos straight down; every second strip flown the other way when `turned`."""
    down = facing(0.0, -90.0)
    poses = []
    for height in heights:
        for row in range(5):
            for column in range(6):
                place = np.array([-40 + 16.0 * column, -40 + 20.0 * row, height])
                poses.append(rolled((place, down), 180.0 * (row % 2) if turned else 0.0))
    return poses


def adjusted(poses: list[Pose], points: np.ndarray, lens: pycolmap.Camera, seed: int = 0) -> Any:
    """The capture as the mapper leaves it: one radial number, the principal point in the middle."""
    model = true_model(poses, points, NOISE, lens=lens, seed=seed)
    assert free_adjustment(model, False, frozenset())
    return model


def rms(errors: np.ndarray) -> float:
    return float(np.sqrt((errors**2).mean()))


def truth(poses: list[Pose]) -> dict[str, np.ndarray]:
    return {f"v{number:03d}.jpg": centre for number, (centre, _) in enumerate(poses, 1)}


def test_a_lens_that_the_photos_show_is_found() -> None:
    poses = ring()
    before = adjusted(poses, room_points(), REAL)
    model, report = calibrate(before, free_adjustment, 0)
    assert report is not None and report.changed
    [told] = report.cameras
    found = told.after.params
    for name in ("cx", "cy"):
        assert abs(found[name] - parameters(REAL)[name]) < 2.0
    assert told.off_centre_px == pytest.approx([12.0, -19.0], abs=2.0)
    assert told.before.model == "SIMPLE_RADIAL"
    old = np.median(position_errors(centres(before), truth(poses)))
    assert np.median(position_errors(centres(model), truth(poses))) < old / 2
    assert before.cameras[1].model_name == "SIMPLE_RADIAL"  # the given model is left alone


def test_wrong_sightings_do_not_hide_an_off_centre_lens() -> None:
    """A walk past a facade with level photos, one sighting in fifty wrong by pixels."""
    random = np.random.default_rng(2)
    facade = np.column_stack(
        [random.uniform(-14, 14, 700), random.choice([0, 1.5], 700), random.uniform(0, 14, 700)]
    )
    poses = [
        looking(
            np.array([13 * np.sin(a), -14 * np.cos(a), 1.6]) + random.normal(0, 0.3, 3),
            [6 * np.sin(a) + random.normal(), 0, 6 + random.normal(0, 0.5)],
        )
        for a in np.linspace(-1, 1, 25)
    ]
    lens = camera("OPENCV", [920.0, 921.5, 512.0 - 5, 384.0 - 6, 0.0, 0.0, 0.0, 0.0])
    model = true_model(poses, facade, 0.25, lens=lens)
    for image in model.images.values():
        for point in image.points2D:
            if random.random() < 0.02:
                point.xy = point.xy + random.normal(0, 4, 2)
    assert free_adjustment(model, False, frozenset())
    found, report = calibrate(model, free_adjustment, 0)
    assert report is not None and report.changed
    assert report.cameras[0].off_centre_px == pytest.approx([-5, -6], abs=1.5)
    assert report.cameras[0].after.model == "OPENCV"  # all terms, whichever one told of it
    assert not report.cameras[0].tried[-1].taken
    old = rms(position_errors(centres(model), truth(poses)))
    assert rms(position_errors(centres(found), truth(poses))) < old / 3


def test_a_plain_lens_stays_plain() -> None:
    for seed in range(3):
        before = adjusted(ring(), room_points(), PLAIN, seed)
        model, report = calibrate(before, free_adjustment, seed)
        assert report is not None and not report.changed
        assert model is before


def test_a_flat_block_seen_straight_down_tells_nothing_of_the_lens() -> None:
    before = adjusted(block((60.0,), turned=False), ground(), REAL)
    model, report = calibrate(before, free_adjustment, 0)
    assert report is not None and not report.changed
    assert model is before
    assert any("is known to" in row.reason for row in report.cameras[0].tried) or report.reason


def test_a_block_flown_both_ways_at_two_heights_with_positions_tells_the_lens() -> None:
    poses = block((50.0, 75.0), turned=True)
    priors = {name: Prior(place, 0.02, 0.03) for name, place in truth(poses).items()}
    model = true_model(poses, ground(relief=6.0), NOISE, lens=REAL)
    solve = position_adjustment(priors, 0)
    assert solve(model, False, frozenset())
    _, report = calibrate(model, solve, 0, priors=priors)
    assert report is not None and report.changed
    params = report.cameras[0].after.params
    assert abs(params["cx"] - 524) < 2.0 and abs(params["cy"] - 365) < 2.0


def test_few_photos_keep_their_lens() -> None:
    before = adjusted(ring()[:4], room_points(), REAL)
    model, report = calibrate(before, free_adjustment, 0)
    assert model is before
    assert report is not None and "4 photos are too few" in report.reason


def test_off_and_a_lens_by_name() -> None:
    before = adjusted(ring(12), room_points(600), PLAIN)
    assert calibrate(before, free_adjustment, 0, "off") == (before, None)
    model, report = calibrate(before, free_adjustment, 0, "OPENCV")
    assert model.cameras[1].model_name == "OPENCV"
    assert report is not None and report.cameras[0].changed
    plain, _ = calibrate(before, free_adjustment, 0, "SIMPLE_RADIAL")
    assert plain.cameras[1].model_name == "SIMPLE_RADIAL"
    with pytest.raises(UserError, match="calibration 'OPENCW' is unknown"):
        calibrate(before, free_adjustment, 0, "OPENCW")


def test_a_richer_lens_starts_as_the_poorer_one() -> None:
    local = np.random.default_rng(0).uniform([-0.6, -0.4, 1], [0.6, 0.4, 1], (50, 3))
    for poor, rich in zip(LENSES, LENSES[1:], strict=False):
        lens = pycolmap.Camera.create_from_model_name(1, poor.model, 800.0, *SIZE)
        before = np.asarray(lens.img_from_cam(local))
        set_lens(lens, rich.model)
        assert lens.model_name == rich.model
        np.testing.assert_allclose(lens.img_from_cam(local), before, atol=1e-9)


def test_a_fisheye_is_told_from_a_bent_lens() -> None:
    fisheye = camera("SIMPLE_RADIAL_FISHEYE", [400.0, 512.0, 384.0, 0.02])
    before = adjusted(ring(12), room_points(500), fisheye)
    assert as_fisheye(before.cameras[1]) is not None
    assert as_fisheye(PLAIN) is None
    model, report = calibrate(before, free_adjustment, 0)
    assert report is not None and report.cameras[0].after.model.endswith("FISHEYE")
    assert model.cameras[1].mean_focal_length() == pytest.approx(400.0, rel=0.01)


def test_a_dense_matrix_gives_the_same_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    """More photos than COLMAP itself solves so; adjustments that large would take a minute here."""
    found = []
    for begins in (0, 10**9):
        monkeypatch.setattr(adjust, "DENSE_FROM", begins)
        found.append(centres(adjusted(ring(60), room_points(300), REAL)))
    dense, by_default = found
    assert max(abs(dense[name] - by_default[name]).max() for name in dense) < 1e-8
    monkeypatch.setattr(adjust, "DENSE_FROM", 0)
    options = adjust.adjustment_options()
    adjust.solve_by_size(options, true_model(ring(60), room_points(50)))
    assert options.ceres.max_num_images_direct_dense_cpu_solver >= 60
