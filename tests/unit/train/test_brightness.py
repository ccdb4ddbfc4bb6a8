"""How differently bright photos are, by the points that they share."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from scripts.lib.core.files import reading_zip
from scripts.lib.scene.colmap_model import read_sightings
from scripts.lib.scene.scene import load_scene
from scripts.lib.train.brightness import Brightness, brightness
from scripts.lib.train.options import TrainOptions, resolve
from scripts.lib.train.samples import effects_of, read_samples
from scripts.lib.train.trainer import Trainer


def sightings_of(gains: np.ndarray, wrong: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Of 300 points, each in half of the photos; a share `wrong` are highlights or mistakes."""
    rng = np.random.default_rng(seed)
    rows, points = np.nonzero(rng.random((len(gains), 300)) < 0.5)
    own = np.log(rng.uniform(0.1, 0.5, (300, 3)))
    logs = own[points] + gains[rows] + rng.normal(0, 0.02, (len(rows), 3))
    bad = rng.random(len(rows)) < wrong
    logs[bad] += rng.uniform(0.3, 1.0, (int(bad.sum()), 1))
    return rows, points, logs


@pytest.mark.parametrize("wrong", [0.0, 0.15])
def test_gains_are_found(wrong: float) -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0, 0.2, (12, 1)) + rng.normal(0, 0.03, (12, 3))
    true -= true.mean(axis=0)
    rows, points, logs = sightings_of(true, wrong)
    assert np.abs(effects_of(12, rows, points, logs) - true).max() < 0.015


def test_brightness_that_drifts_is_found() -> None:
    """Along a walk in which photos share points with their neighbours alone."""
    photos, each = 40, 30
    rng = np.random.default_rng(3)
    true = 0.3 * np.cos(2 * np.pi * np.arange(photos) / photos)[:, None] * np.ones(3)
    true -= true.mean(axis=0)
    points = np.repeat(np.arange((photos - 1) * each), 2)
    rows = points // each + np.tile([0, 1], len(points) // 2)
    own = np.log(rng.uniform(0.1, 0.5, (points.max() + 1, 3)))
    logs = own[points] + true[rows] + rng.normal(0, 0.01, (len(rows), 3))
    assert np.abs(effects_of(photos, rows, points, logs) - true).max() < 0.03


def test_a_photo_with_few_points_is_held() -> None:
    true = np.array([[0.0], [0.0], [0.5]]) * np.ones(3)
    rows, points, logs = sightings_of(true - true.mean(axis=0), 0.0)
    first = np.nonzero(rows == 2)[0][:1]
    kept = np.sort(np.r_[np.nonzero(rows != 2)[0], first])
    _, points = np.unique(points[kept], return_inverse=True)
    few = effects_of(3, rows[kept], points, logs[kept] + 0.1 * (rows[kept] == 2)[:, None])
    assert np.isfinite(few).all()
    assert np.abs(effects_of(4, rows[kept], points, logs[kept])[3]).max() < 0.2, "one without any"


@pytest.mark.parametrize(
    ("spread", "tint", "varies"), [(0.03, 0.006, False), (0.3, 0.0, True), (0.0, 0.12, True)]
)
def test_cameras_that_change_are_told_from_light(spread: float, tint: float, varies: bool) -> None:
    side = np.tile([1.0, -1.0], 6)[:, None]
    gains = side * (spread + tint * np.array([1, 0, -1]))
    assert Brightness(gains).varies == varies


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """undistorted.zip of six grey photos, each of another brightness, with a model that has sightings."""
    options = pycolmap.SyntheticDatasetOptions(
        num_rigs=1, num_cameras_per_rig=1, num_frames_per_rig=6, num_points3D=300, camera_model_id=1,
        camera_params=[300, 300, 200, 150], camera_width=400, camera_height=300,
    )  # fmt: skip
    model = pycolmap.synthesize_dataset(options)
    (tmp_path / "sparse").mkdir()
    model.write(tmp_path / "sparse")
    with zipfile.ZipFile(tmp_path / "undistorted.zip", "w") as archive:
        for path in sorted((tmp_path / "sparse").iterdir()):
            archive.write(path, f"sparse/{path.name}")
        for number, name in enumerate(sorted(image.name for image in model.images.values())):
            picture = io.BytesIO()
            Image.new("RGB", (400, 300), (40 + 30 * number,) * 3).save(picture, "PNG")
            archive.writestr(f"images/{name}", picture.getvalue())
    return tmp_path / "undistorted.zip"


def test_sightings_are_colmaps(uneven: Path) -> None:
    model = pycolmap.Reconstruction(uneven.parent / "sparse")
    with reading_zip(uneven) as archive:
        found = read_sightings(archive)
    assert set(found) == {image.name for image in model.images.values()}
    for image in model.images.values():
        seen = [point for point in image.points2D if point.has_point3D()]
        assert found[image.name].points.tolist() == [point.point3D_id for point in seen]
        places = np.array([point.xy for point in seen]) / (400, 300)
        assert found[image.name].places == pytest.approx(places)


def test_training_corrects_what_differs(uneven: Path) -> None:
    """By itself, from what the points tell; not where it is switched off."""
    scene = load_scene(uneven)
    samples = read_samples(scene, range(6))
    assert samples is not None
    bright = brightness(samples)
    assert bright.varies
    expected = np.log([40 + 30 * number for number in range(6)])
    assert bright.by_photo == pytest.approx(expected - expected.mean(), abs=0.02)
    for switch, corrected in (("auto", True), (True, True), (False, False)):
        options = TrainOptions(steps=5, max_gaussians=300, exposure=switch, test_every=0, sky=False)
        trainer = Trainer(scene, resolve(options, "cpu"))
        assert (trainer.adjust.exposures is not None) == corrected
        if trainer.adjust.exposures:
            begun = trainer.adjust.exposures.values[:, :3].mean(dim=1)
            assert begun.numpy() == pytest.approx(bright.by_photo, abs=1e-5)


def test_corrected_photos_are_validated_apart_from_their_brightness(uneven: Path) -> None:
    """Plain grey photos: what a splat of another grey misses is their brightness alone."""
    found = {}
    for switch in (True, False):
        options = TrainOptions(
            steps=5, max_gaussians=300, exposure=switch, test_every=3, sky=False, sh_degree=0
        )
        trainer = Trainer(load_scene(uneven), resolve(options, "cpu"))
        trainer.parameters["opacities"][:] = -20.0
        found[switch] = trainer.measure()
    assert found[True] is not None and found[True] > 60
    assert found[False] is not None and found[False] < 15


def test_few_photos_tell_nothing(uneven: Path) -> None:
    assert read_samples(load_scene(uneven), range(3)) is None
