"""How long jobs in the cloud may take."""

from __future__ import annotations

from scripts.lib.train.options import PRESETS as TRAINING
from scripts.lib.workflow.cost import PRICES, read_prices, stage_seconds
from scripts.lib.workflow.limits import LEAST_SECONDS, MOST_PHOTOS, PRESETS, seconds_allowed

LIST = read_prices(PRICES)


def test_limits_follow_the_prediction() -> None:
    slowest = LIST.machines["g4dn.xlarge"]
    for photos in (20, 200, 1600):
        limit = seconds_allowed(LIST, "train_splat", photos, "standard")
        assert limit > 3 * stage_seconds(LIST, "train_splat", photos, slowest) + LEAST_SECONDS / 2
    assert seconds_allowed(LIST, "train_splat", 600, "high") > 2 * limit / 1600 * 600
    # Not counted, or nothing known of it.
    most = seconds_allowed(LIST, "map_scene", MOST_PHOTOS, "standard")
    assert seconds_allowed(LIST, "map_scene", 0, "standard") == most
    assert seconds_allowed(LIST, "publish_web", 0, "high") == LEAST_SECONDS


def test_the_presets_are_those_of_training() -> None:
    assert set(PRESETS) == {name for name, _ in TRAINING}
    per_photo = {name: TRAINING[name, "cuda"].visits for name in PRESETS}
    assert all(share >= per_photo[name] / per_photo["standard"] for name, share in PRESETS.items())
