"""Learning rates over a run."""

from __future__ import annotations

import pytest

from scripts.lib.train.schedule import COOLED, FINAL_RATE, Schedule


def test_rates_stay_then_fall() -> None:
    schedule = Schedule(1000, 0.15)
    assert [schedule.rate(step) for step in (0, 500, 850)] == [1.0, 1.0, 1.0]
    assert schedule.rate(925) == pytest.approx(COOLED**0.5)
    assert schedule.rate(1000) == pytest.approx(COOLED)


def test_means_fall_all_the_time() -> None:
    schedule = Schedule(1000, 0.15)
    assert [schedule.means_decay(step) for step in (0, 1000)] == [1.0, FINAL_RATE]


@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_rates_may_stay_to_the_end(steps: int) -> None:
    assert {Schedule(steps, 0.0).rate(step) for step in range(steps)} == {1.0}
