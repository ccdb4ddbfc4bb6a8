"""The sample scene, whose cameras are known exactly, measures the whole path from photos to poses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest

from tests.unit.sfm_scene import centres, residuals
from tests.unit.sfm_stages import run


@pytest.fixture(scope="module")
def truth(sample: Path) -> dict[str, Any]:
    path = sample / "truth.json"
    if not path.exists():
        pytest.skip("the sample scene is not in this checkout: tests/data/sample/README.md")
    known: dict[str, Any] = json.loads(path.read_text())
    return known


@pytest.fixture(scope="module")
def mapped(
    sample: Path, truth: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """All photos, with draft's few features."""
    home = tmp_path_factory.mktemp("sample")
    options = {"first_octave": 0, "max_features": 2048}
    return home, run(home, sample / "photos", features=options)


def test_every_photo_has_its_place(mapped: tuple[Path, dict[str, Any]]) -> None:
    _, report = mapped
    assert report["registered"] == report["photos"] == 36
    assert report["verdict"] == "passed" and report["reprojection_error_px"] < 1.0
    assert report["suspicious"] == []  # looked for, and nothing contradicts it


def test_the_report_tells_the_fit_of_the_model_that_is_written(
    mapped: tuple[Path, dict[str, Any]],
) -> None:
    home, report = mapped
    model = pycolmap.Reconstruction(home / "sparse")
    model.update_point_3d_errors()
    error = model.compute_mean_reprojection_error()
    assert report["reprojection_error_px"] == pytest.approx(error, abs=1e-6)
    told = {line["file"]: line["residual_px"] for line in report["per_photo"]}
    image = model.image(1)
    seen = image.get_observation_points2D()
    places = np.array([image.cam_from_world() * model.point3D(p.point3D_id).xyz for p in seen])
    projected = model.cameras[image.camera_id].img_from_cam(places)
    missed = np.linalg.norm(projected - np.array([p.xy for p in seen]), axis=1)
    assert told[image.name] == pytest.approx(missed.mean(), abs=0.001)
    assert report["cameras"][0]["params"] == pytest.approx(list(model.cameras[1].params))


def test_positions_within_a_fifth_of_a_percent(
    mapped: tuple[Path, dict[str, Any]], truth: dict[str, Any]
) -> None:
    known = {name: np.array(shot["centre"]) for name, shot in truth["photos"].items()}
    found = centres(pycolmap.Reconstruction(mapped[0] / "sparse"))
    assert residuals(found, known).max() < 0.002 * truth["scene_size_m"]


def test_metres_and_north(mapped: tuple[Path, dict[str, Any]], truth: dict[str, Any]) -> None:
    """The frame itself, not after an alignment: only the origin is the report's own choice."""
    known = {name: np.array(shot["centre"]) for name, shot in truth["photos"].items()}
    found = centres(pycolmap.Reconstruction(mapped[0] / "sparse"))
    offsets = np.array([found[name] - known[name] for name in sorted(found)])
    assert np.abs(offsets - np.median(offsets, axis=0)).max() < 0.05
    georef = json.loads((mapped[0] / "georef.json").read_text())
    assert georef["georeferenced"] and georef["rmse_horizontal_m"] < 0.05


def test_the_focal_length_is_found(
    mapped: tuple[Path, dict[str, Any]], truth: dict[str, Any]
) -> None:
    assert mapped[1]["focal_px"] == pytest.approx(truth["camera"]["fx"], rel=0.005)


def test_errors_lie_inside_the_stated_certainty(
    mapped: tuple[Path, dict[str, Any]], truth: dict[str, Any]
) -> None:
    known = {name: np.array(shot["centre"]) for name, shot in truth["photos"].items()}
    found = centres(pycolmap.Reconstruction(mapped[0] / "sparse"))
    names = sorted(found)
    errors = np.array([found[name] - known[name] for name in names])
    errors -= np.median(errors, axis=0)  # the origin is the report's own choice
    stated = mapped[1]["certainty"]["covariance"]
    sigmas = np.array([np.sqrt(np.array(stated[name])[[0, 3, 5]]) for name in names])
    assert (np.abs(errors) < 1.96 * sigmas).mean() >= 0.9
    assert sigmas.max() < 0.05  # and it says something
