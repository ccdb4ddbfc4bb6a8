"""How far a run is between two words of its own: what runs goes on, and a training knows its pace."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.contracts.live import Live
from scripts.lib.contracts.progress import Progress, SceneProgress, StageProgress
from scripts.lib.workflow.pace import at_moment, moment, seconds_left

WRITTEN = "2026-01-01T00:00:00Z"
THEN = moment(WRITTEN)
assert THEN is not None

STAGES = (
    StageProgress("map_scene", "done", 40.0, expected=40.0, known=True),
    StageProgress("train_splat", "running", None, expected=40.0, known=False, elapsed=0.0),
    StageProgress("compress_splat", "waiting", None, expected=20.0, known=True),
)
RUN = Progress(
    state="running",
    updated=WRITTEN,
    seconds=40.0,
    eta_seconds=60.0,
    percent=40.0,
    jobs={},
    scenes={"yard": SceneProgress(40.0, STAGES)},
)
LIVE = Live(
    updated="2026-01-01T00:00:30Z",
    step=100,
    steps=1000,
    eta_seconds=310.0,
    gaussians=5000,
    psnr=None,
    picture=None,
)


def test_a_running_stage_goes_on_between_two_words_of_the_run() -> None:
    told = at_moment(RUN, {}, THEN + 20)
    assert told.percent == 60.0 and told.seconds == 60.0
    assert told.eta_seconds == 40.0  # 60 s for six tenths
    assert told.scenes["yard"].percent == 60.0
    assert at_moment(RUN, {}, THEN).percent == RUN.percent


def test_a_stage_that_takes_longer_than_expected_is_not_done() -> None:
    told = at_moment(RUN, {}, THEN + 1000)
    assert told.percent == 78.0  # 95 % of the training
    assert seconds_left(told.scenes["yard"].stages[1]) is None


def test_a_training_tells_its_own_time() -> None:
    told = at_moment(RUN, {"yard": LIVE}, THEN + 40)
    _, train, compress = told.scenes["yard"].stages
    assert seconds_left(train) == pytest.approx(300.0)  # ten seconds of its word are over
    assert train.expected == 340.0 and told.percent == pytest.approx(20.0)  # 80 s of 400 s
    assert told.eta_seconds == pytest.approx(80 * 4)
    assert seconds_left(compress) == 20.0


def test_numbers_that_a_killed_training_has_left_count_for_nothing() -> None:
    old = replace(LIVE, updated="2025-12-31T23:58:00Z")
    assert at_moment(RUN, {"yard": old}, THEN + 20) == at_moment(RUN, {}, THEN + 20)


def test_what_is_not_known_is_not_told() -> None:
    stages = at_moment(RUN, {}, THEN + 5).scenes["yard"].stages
    assert [seconds_left(stage) for stage in stages] == [None, None, 20.0]


def test_files_from_before_and_runs_that_ended_stay_as_they_are() -> None:
    stages = tuple(StageProgress(s.rule, s.state, s.seconds) for s in STAGES)
    older = replace(RUN, scenes={"yard": SceneProgress(40.0, stages)})
    assert at_moment(older, {}, THEN + 20) == older
    for other in (replace(RUN, state="done"), replace(RUN, updated="yesterday")):
        assert at_moment(other, {}, THEN + 20) == other
