"""Light that lenses lose towards the corners, found from points that photos share."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.lib.scene.fall_off import at_corner, lost, shapes
from scripts.lib.scene.scene import Scene
from scripts.lib.train.lens_light import evened, fall_off
from scripts.lib.train.samples import Samples


def samples_of(corners: tuple[float, ...], seed: int = 0) -> Samples:
    """500 points in half of 20 photos for each lens, which loses a share of the stored brightness in the
    corners, with the square of the distance; exposures differ, and a tenth are highlights."""
    rng = np.random.default_rng(seed)
    photos = 20 * len(corners)
    lenses = np.repeat(np.arange(len(corners)), 20)
    rows, points = np.nonzero(rng.random((photos, 500)) < 0.5)
    away = rng.random(len(rows))
    logs = np.log(rng.uniform(0.2, 0.6, (500, 3)))[points]
    logs += rng.normal(0, 0.15, photos)[rows][:, None] + rng.normal(0, 0.04, (len(rows), 1))
    logs[rng.random(len(rows)) < 0.1] += 0.4
    logs += np.log1p(-np.array(corners)[lenses[rows]] * away)[:, None]
    blank = np.ones(len(rows))
    return Samples(photos, rows, points, np.exp(logs), blank, blank, away, lenses)


def test_each_lens_is_found() -> None:
    found = fall_off(samples_of((0.25, 0.0, 0.12)))
    assert found is not None
    assert [at_corner(row) for row in found] == pytest.approx([0.25, 0.0, 0.12], abs=0.02)
    t = np.linspace(0, 1, 11)
    assert np.exp(-shapes(t) @ found[0]) == pytest.approx(1 - 0.25 * t, abs=0.02)
    assert not found[1].any(), "less than can be seen is nothing"


def test_even_lenses_stay_as_they_are() -> None:
    assert fall_off(samples_of((0.0, 0.0))) is None
    few = samples_of((0.3,))
    assert fall_off(replace(few, lenses=np.arange(20) // 5)) is None, "five photos for each"


def test_curves_begin_at_nothing_and_never_fall() -> None:
    curves = shapes(np.linspace(0, 1, 101))
    assert (curves[0] == 0).all() and (np.diff(curves, axis=0) >= -1e-12).all()
    assert curves[-1] == pytest.approx([1 / 3] * 3)


def test_samples_are_evened_as_photos_are() -> None:
    samples = samples_of((0.25,))
    found = fall_off(samples)
    assert found is not None
    assert fall_off(evened(samples, found)) is None
    K, size = np.array([[500, 0, 200], [0, 500, 150], [0, 0, 1.0]]), np.array([400, 300])
    field = lost(found[0], K, size)
    assert field.mean() == pytest.approx(0, abs=1e-6)
    centre, corner = field[150, 200], field[0, 0]
    assert np.exp(centre - corner) == pytest.approx(0.75, abs=0.02)


@pytest.fixture
def uneven_lens(tmp_path: Path) -> Scene:
    """One grey photo whose corners have lost a quarter."""
    K, size = np.array([[500, 0, 200], [0, 500, 150], [0, 0, 1.0]]), np.array([400, 300])
    grey = 150 * np.exp(-lost([0.3, 0.3, 0.3], K, size))
    picture = io.BytesIO()
    Image.fromarray(np.stack([grey + 0.5] * 3, axis=2).astype(np.uint8)).save(picture, "PNG")
    with zipfile.ZipFile(tmp_path / "undistorted.zip", "w") as archive:
        archive.writestr("images/a.png", picture.getvalue())
    points, colours = np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    pose = np.eye(4)[None]
    return Scene(
        tmp_path / "undistorted.zip", ("a.png",), size[None], K[None], pose, points, colours
    )


def test_photos_keep_their_mean_and_lose_their_dark_corners(uneven_lens: Scene) -> None:
    plain, corrected = uneven_lens.photos([0])[0], replace(uneven_lens, fall_off=((0.3, 0.3, 0.3),))
    even = corrected.photos([0])[0]
    assert int(plain[0, 0, 0]) < 0.8 * int(plain[150, 200, 0])
    assert np.ptp(even.astype(int)) <= 3
    assert even.mean() == pytest.approx(plain.mean(), rel=0.02)
    untouched = replace(uneven_lens, fall_off=((0.0, 0.0, 0.0),)).photos([0])[0]
    assert (untouched == plain).all()
