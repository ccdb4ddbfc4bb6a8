"""Photos that are blurred against others that show the same points, and how often they are seen."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.lib.train.samples import Samples
from scripts.lib.train.sharpness import sharpness, soft_photos, weights_of
from scripts.lib.train.views import Schedule


def samples_of(contrast: np.ndarray, scale: np.ndarray, steep: float, seed: int = 0) -> Samples:
    """Each of 400 points in half of the photos; larger ones have less contrast, by a power `steep`."""
    rng = np.random.default_rng(seed)
    rows, points = np.nonzero(rng.random((len(contrast), 400)) < 0.5)
    own = rng.uniform(0.02, 0.5, 400)[points]
    noise = np.exp(rng.normal(0, 0.2, len(rows)))
    detail = own * noise * contrast[rows] * scale[rows] ** -steep
    near = scale[rows] * rng.uniform(0.9, 1.1, len(rows))
    lenses, grey = np.zeros(len(contrast), int), np.full((len(rows), 3), 0.5)
    return Samples(len(contrast), rows, points, grey, detail, near, np.zeros(len(rows)), lenses)


def test_blur_is_found_in_a_third_of_the_photos() -> None:
    contrast = np.where(np.arange(30) % 3 == 0, 0.6, 1.0)
    found = sharpness(samples_of(contrast, np.ones(30), 0.0))
    assert found == pytest.approx(contrast, abs=0.06)
    weights = weights_of(found)
    assert weights is not None and weights.mean() == pytest.approx(1.0)
    ratio = weights[contrast < 1].mean() / weights[contrast == 1].mean()
    assert ratio == pytest.approx((0.6 / 0.85) ** 4, abs=0.08)
    names = [f"{number}.jpg" for number in range(30)]
    assert {photo.name for photo in soft_photos(found, names)} == {*names[::3]}


def test_steady_photos_all_count_alike() -> None:
    steady = np.random.default_rng(1).uniform(0.95, 1.05, 30)
    found = sharpness(samples_of(steady, np.ones(30), 0.0))
    assert weights_of(found) is None and soft_photos(found, ["a"] * 30) == ()
    assert soft_photos(None, ["a"]) == ()


def test_a_close_look_is_not_taken_for_blur() -> None:
    """Photos from half the distance, sharp, of things whose detail ends there."""
    scale = np.where(np.arange(30) % 5 == 0, 2.0, 1.0)
    assert weights_of(sharpness(samples_of(np.ones(30), scale, 0.9))) is None
    blurred = np.where(np.arange(30) % 5 == 0, 0.5, 1.0)
    blurred[0] = 1.0
    found = sharpness(samples_of(blurred, np.where(np.arange(30) < 15, 1.0, 1.5), 0.0))
    assert (found[blurred < 1] < 0.65).all(), "where large things have as much detail, blur is blur"


def test_photos_are_seen_as_their_weights_say() -> None:
    weights = [np.array([0.2, 1.3, 1.3, 1.3, 1.3]), np.array([0.5, 1.1])]
    schedule = Schedule([5, 2], 2, 3, weights)
    assert schedule.steps_per_round == 4
    seen = [np.zeros(5), np.zeros(2)]
    rounds = 400
    for step in range(rounds * schedule.steps_per_round):
        group, rows = schedule.at(step)
        np.add.at(seen[group], rows, 1)
    assert seen[0] / rounds == pytest.approx(weights[0] * 5 / weights[0].sum(), abs=0.08)
    assert seen[1] / rounds == pytest.approx(weights[1] * 2 / weights[1].sum(), abs=0.08)
    again = Schedule([5, 2], 2, 3, weights)
    assert [again.at(step) for step in (900, 3)] == [schedule.at(step) for step in (900, 3)]


def test_without_weights_every_photo_is_seen_once_a_round() -> None:
    schedule = Schedule([7], 2, 0)
    for turn in range(5):
        round_ = [schedule.at(turn * 4 + step)[1] for step in range(4)]
        assert sorted(sum(round_, [])) == list(range(7))
