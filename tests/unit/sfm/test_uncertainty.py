"""The certainty of a place on the Earth: made-up surveys, and what the JSON files say."""

from __future__ import annotations

import numpy as np
import pycolmap
import pytest
from scipy.stats import t as student

from scripts.lib.contracts.sfm import Calibrated, Calibration, Lens
from scripts.lib.core.geo import fit_sim3
from scripts.lib.sfm.adjust import Prior, free_adjustment, position_adjustment
from scripts.lib.sfm.covariance import certainty
from scripts.lib.sfm.lenses import free_parameters
from scripts.lib.sfm.uncertainty import fitted_frame, how_certain
from tests.unit.sfm_scene import SIZE, centres, looking, room_points, true_model


def test_a_survey_of_few_points_states_what_it_can_hold() -> None:
    random = np.random.default_rng(0)
    survey = random.uniform([-40, -40, 0], [40, 40, 8], (6, 3))
    middle_held, scale_held = [], []
    for _ in range(150):
        measured = survey + random.normal(0, [0.05, 0.05, 0.1], survey.shape)
        sim3 = fit_sim3(survey, measured)
        placed = sim3.apply(survey)
        frame = fitted_frame(placed, placed - measured)
        assert frame is not None and frame.freedom == 11
        wide = student.ppf(0.975, frame.freedom) * np.sqrt(np.diag(frame.covariance))
        middle_held.append(np.abs((placed - survey).mean(axis=0)) < wide[:3])
        scale_held.append(abs(np.log(sim3.scale)) < wide[6])
    assert 0.9 <= np.mean(middle_held) <= 0.99
    assert 0.9 <= np.mean(scale_held) <= 1.0


def test_heights_that_are_not_known_count_nothing() -> None:
    random = np.random.default_rng(1)
    places = random.uniform(-40, 40, (8, 3))
    residuals = random.normal(0, 0.05, (8, 3))
    residuals[4:, 2] = np.nan
    frame = fitted_frame(places, residuals)
    assert frame is not None and frame.freedom == 20 - 7
    assert fitted_frame(places[:2], residuals[:2]) is None  # nothing is left over to judge by
    residuals[:, 2] = np.nan
    assert fitted_frame(places, residuals) is None  # tilt and height are open


def test_what_the_files_say() -> None:
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    poses = [looking([2.2 * np.cos(a), 2.2 * np.sin(a), 0.2], [0, 0, 0]) for a in angles]
    priors = {f"v{n:03d}.jpg": Prior(centre, 0.1, 0.2) for n, (centre, _) in enumerate(poses, 1)}
    model = true_model(poses, room_points(300))
    assert position_adjustment(priors, 0)(model, False, frozenset())
    plain = Lens("SIMPLE_RADIAL", {})
    line = Calibrated(
        camera=1,
        width=1,
        height=1,
        before=plain,
        after=plain,
        principal_point=False,
        off_centre_px=(0.0, 0.0),
        changed=False,
        held_out_gain=None,
        own_held_out_gain=None,
        tried=(),
    )
    found = how_certain(model, Calibration(False, "", (line,)), priors, None)
    assert found.cameras is not None and found.calibration is not None and found.frame is not None
    assert found.cameras.frame == "positions" and len(found.cameras.covariance) == 12
    assert found.cameras.sighting_sigma_px == pytest.approx(0.5, rel=0.1)
    assert set(found.calibration.cameras[0].sigma or {}) == {"f", "k"}
    # Twelve positions to 0.1 m place the whole to 0.1 / sqrt(12).
    assert found.frame.sigma_m[0] == pytest.approx(0.1 / np.sqrt(12), rel=0.1)
    found = how_certain(model, None, None, None)
    assert found.cameras is not None and found.cameras.frame == "photos" and found.frame is None


def test_terms_that_a_plain_lens_has_not_count_as_unknown() -> None:
    """Photos of a lens off the centre, adjusted as if it were in the middle; and of one that is."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    poses = [looking([2.2 * np.cos(a), 2.2 * np.sin(a), 0.2], [0, 0, 0]) for a in angles]
    truth = np.array([centre for centre, _ in poses])
    inside: dict[str, float] = {}
    wider: dict[str, float] = {}
    for name, middle in {"off": (504.0, 391.0), "centred": (512.0, 384.0)}.items():
        lens = pycolmap.Camera.create_from_model_name(1, "OPENCV", 820.0, *SIZE)
        lens.params = [820.0, 820.0, *middle, -0.05, 0.0, 0.0, 0.0]
        model = true_model(poses, room_points(500), 0.3, lens=lens)
        for _ in range(2):
            assert free_adjustment(model, False, frozenset())
        stated = how_certain(model, None, None, None).cameras
        free = certainty(model, {1: free_parameters(model.cameras[1], False)})
        assert stated is not None and free is not None
        names = sorted(stated.covariance)
        found = centres(model)
        places = np.array([found[name] for name in names])
        errors = places - fit_sim3(truth, places).apply(truth)
        sigmas = np.sqrt([np.array(stated.covariance[n])[[0, 3, 5]] for n in names])
        inside[name] = float((np.abs(errors) < 1.96 * sigmas).mean())
        only_free = np.sqrt([np.diag(free.centres[n]) for n in names])
        wider[name] = float(np.median(sigmas / only_free))
    assert min(inside.values()) >= 0.9
    assert wider["off"] > 1.5 and wider["centred"] < 1.2
