"""Requests of the job API, whatever a caller sends, and how an ended run is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.lib.cloud.aws import subject_line
from scripts.lib.cloud.messages import EndJob, ListFiles, ListJobs, NewJob, NewUpload, Retry
from scripts.lib.cloud.outcome import cause_of, letter, outcome_of, scene_outcome
from scripts.lib.cloud.request import MOST, RefusedError, read_body, read_query, upload_of
from scripts.lib.cloud.runs import new_id
from scripts.lib.cloud.status import describe_run
from scripts.lib.contracts.cost import Cost
from scripts.lib.contracts.outcome import Outcome, SceneOutcome
from scripts.lib.contracts.progress import Progress, SceneProgress, StageProgress
from scripts.lib.contracts.published import Published
from scripts.lib.contracts.request import RequestedScene, RunRequest

UNTIMED = settings(deadline=None)  # the first example reads the schemas
MARK = "0123456789abcdef"
UPLOADS = f"s3://bkt/uploads/{MARK}/fedcba9876543210/"
KEYS = st.sampled_from(["scenes", "scene", "source", "email", "options", "name", "bytes", "limit"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@UNTIMED
@given(VALUES)
def test_any_json_is_taken_or_refused(value: Any) -> None:
    for kind in (NewJob, NewUpload, Retry):
        try:
            assert isinstance(read_body(kind, json.dumps(value)), kind)
        except RefusedError as error:
            assert error.status in (400, 413) and str(error)


@UNTIMED
@given(st.dictionaries(KEYS | st.sampled_from(["after", "state", "data"]), st.text(max_size=9)))
def test_any_query_is_taken_or_refused(query: dict[str, str]) -> None:
    for kind in (ListJobs, ListFiles, EndJob):
        try:
            assert isinstance(read_query(kind, query), kind)
        except RefusedError as error:
            assert error.status == 400 and str(error)


def test_queries_have_types() -> None:
    assert read_query(ListJobs, {"limit": "7"}) == ListJobs(limit=7)
    assert read_query(EndJob, {"data": "true"}) == EndJob(data=True)
    # YAML would read this as a number, and a bomb of aliases as a list.
    assert read_query(ListJobs, {"after": "1" * 16}).after == "1" * 16
    for wrong in ("yes", "1", "*a", "&a [1]"):
        with pytest.raises(RefusedError, match="'data' is"):
            read_query(EndJob, {"data": wrong})


@UNTIMED
@given(st.text(max_size=40), st.text(max_size=40))
def test_what_is_taken_makes_one_line_of_a_sheet(scene: str, tail: str) -> None:
    asked = {"source": f"{UPLOADS}{tail}", "scene": scene or "yard"}
    try:
        (taken,) = read_body(NewJob, json.dumps({"scenes": [asked]})).scenes
    except RefusedError:
        return
    line = f"{taken.scene}\t{taken.source}"
    assert line.count("\t") == 1 and len(line.splitlines()) == 1


def test_a_whole_request() -> None:
    scene = {"source": f"{UPLOADS}yard.zip", "scene": "yard"}
    options = {"preset": "draft", "train_splat": {"steps": 500.0}}
    body = {"scenes": [scene], "email": "me@example.org", "options": options}
    taken = read_body(NewJob, json.dumps(body))
    assert (taken.scenes[0].scene, taken.scenes[0].source) == ("yard", f"{UPLOADS}yard.zip")
    assert taken.options == options and taken.email == "me@example.org" and taken.webhook is None


@pytest.mark.parametrize(("key", "most"), MOST.items())
def test_what_costs_has_a_limit_of_the_api(key: tuple[str, str], most: int) -> None:
    """The configuration's own are for those who pay the machine themselves."""
    section, name = key

    def asked(value: int) -> Retry:
        return read_body(Retry, json.dumps({"options": {section: {name: value}}}))

    assert asked(most).options == {section: {name: most}}
    with pytest.raises(RefusedError, match=f"'{section}.{name}' is {most + 1}; the most is {most}"):
        asked(most + 1)


def test_of_two_runs_the_later_one_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 lists by name."""
    ids = []
    for now in (0, 1, 1_790_000_000, 1_790_000_001, 2**32 - 1):
        monkeypatch.setattr("scripts.lib.cloud.runs.time.time", lambda now=now: float(now))
        ids.append(new_id())
    assert ids == sorted(ids, reverse=True) and {len(one) for one in ids} == {16}


SIGNS = st.sampled_from(
    [".", "..", "/", "//", "uploads", MARK, "0" * 16, "yard.zip", "a", "\n", "?"]
)


@UNTIMED
@given(st.lists(SIGNS, max_size=8).map("".join))
def test_a_source_is_one_file_of_ones_own(path: str) -> None:
    """The S3 plugin takes a prefix for a folder, copies all in it, and reads `.` and `//` as nothing."""
    for tail in (
        path,
        f"uploads/{path}",
        f"uploads/{MARK}/{path}",
        f"uploads/{MARK}/{'0' * 16}/{path}",
    ):
        found = upload_of(f"s3://bkt/{tail}", "bkt", MARK)
        if found is not None:
            token, name = found
            assert tail == f"uploads/{MARK}/{token}/{name}" and "/" not in token + name
            assert name.endswith(".zip") and len(token) == 16
    own = f"s3://bkt/uploads/{MARK}/{'0' * 16}/yard.zip"
    assert upload_of(own, "bkt", MARK) == ("0" * 16, "yard.zip")
    assert upload_of(own.removeprefix("s3://bkt/"), "bkt", MARK) is None
    assert upload_of(own.replace("yard.zip", "upload.json"), "bkt", MARK) is None
    assert upload_of(f"s3://bkt/uploads//{'0' * 16}/yard.zip", "bkt", "") is None


@UNTIMED
@given(st.text(max_size=200))
def test_any_subject_is_one_that_sns_takes(text: str) -> None:
    """SNS, API_Publish: ASCII without line breaks or control signs, not a space first, below 100 signs."""
    subject = subject_line(text)
    assert 0 < len(subject) < 100 and subject.isascii() and subject.isprintable()
    assert subject[0] != " "


LINES = [
    "Select jobs",
    "Cause: a.jpg is no photo; take it out",
    "AWS Batch job x failed",
    "Exiting",
]
RUNNING = (("import_photos", "done"), ("train_splat", "running"))
DONE = {"yard": SceneOutcome(state="done")}
HALF = {**DONE, "hall": SceneOutcome(state="failed")}
YARD = RunRequest(scenes=(RequestedScene("yard", f"{UPLOADS}yard.zip"),))


@pytest.mark.parametrize(
    ("code", "scenes", "stopped", "state"),
    [
        (0, DONE, False, "done"),
        (1, {}, False, "failed"),
        (1, DONE, False, "done"),
        (1, HALF, False, "failed"),
        (1, {}, True, "stopped"),
        (1, DONE, True, "stopped"),
    ],
)
def test_states(code: int, scenes: dict[str, SceneOutcome], stopped: bool, state: str) -> None:
    assert outcome_of(code, LINES, scenes, stopped=stopped).state == state


def test_a_failure_is_told_with_cause_and_lines() -> None:
    outcome = outcome_of(1, LINES, {}, stopped=False)
    subject, text = letter("j1", ["yard"], outcome, log=True)
    assert subject == "splatmake: yard is failed"
    assert "Cause: a.jpg is no photo; take it out" in text and "    Exiting" in text
    assert outcome.cause == "a.jpg is no photo; take it out"
    # The operator's alone: its lines quote names out of the caller's archive.
    assert "Exiting" not in letter("j1", ["yard"], outcome, log=False)[1]


def test_a_success_has_its_page_and_price() -> None:
    published = Published(scene="yard", url="https://x/yard", place="s3://b/yard", files=())
    cost = Cost(scene="yard", basis="b", seconds=1.0, usd=0.314, kwh=None, stages=())
    scenes = {"yard": scene_outcome(True, published, cost)}
    outcome = replace(outcome_of(0, LINES, scenes, stopped=False), coordinator_usd=0.05)
    _, text = letter("j1", ["yard"], outcome, log=True)
    assert "The page: https://x/yard" in text and "$0.36" in text and "Cause" not in text
    several = replace(outcome, scenes={**scenes, "hall": scene_outcome(False, None, None)})
    subject, text = letter("j1", ["yard", "hall"], several, log=True)
    assert subject == "splatmake: 2 scenes are done"
    assert "scene yard, hall: done" in text and "    yard: https://x/yard\n" in text


def test_causes_without_the_executor() -> None:
    lines = ["Building DAG", "WorkflowError:", "config: unknown key 'x'", "done"]
    assert cause_of(lines) == "WorkflowError: config: unknown key 'x' done"
    assert cause_of([]).startswith("unknown")


def test_status_of_a_run_that_has_said_nothing_yet() -> None:
    answer = describe_run("j", YARD, {"status": "RUNNABLE"}, None, None, False)
    assert (answer.state, answer.percent, answer.scenes[0].stage) == ("queued", None, None)
    stages = tuple(StageProgress(rule, state, None) for rule, state in RUNNING)
    far = Progress(
        state="running",
        updated="2031-05-04T10:00:00Z",
        seconds=9.0,
        eta_seconds=60.0,
        percent=40.0,
        jobs={"running": 1},
        scenes={"yard": SceneProgress(45.0, stages)},
    )
    answer = describe_run("j", YARD, {"status": "RUNNING"}, far, None, False)
    (scene,) = answer.scenes
    assert (scene.stage, scene.percent) == ("train_splat", 45.0)
    assert (answer.percent, answer.eta_seconds) == (40.0, 60.0)
    stopped = describe_run("j", YARD, {"status": "FAILED"}, far, None, True)
    assert (stopped.state, stopped.cause, stopped.scenes[0].stage) == ("stopped", None, None)
    ended = Outcome(state="done", trouble=("no mail",), scenes=DONE)
    assert describe_run("j", YARD, {}, None, ended, False).trouble == ("no mail",)
    # What was stopped has not failed.
    ended = Outcome(state="stopped", scenes={"yard": SceneOutcome(state="failed")})
    assert describe_run("j", YARD, {}, None, ended, True).scenes[0].state == "stopped"


def test_a_coordinator_that_vanished_is_a_failure() -> None:
    batch = {"status": "FAILED", "statusReason": "Task failed to start"}
    answer = describe_run("1", YARD, batch, None, None, False)
    assert answer.state == "failed" and answer.cause == "Task failed to start"
    assert answer.percent is None and answer.eta_seconds is None


def test_what_a_run_waits_for_is_told() -> None:
    why = {"train_splat-yard-1": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"}
    far = Progress(
        state="running",
        updated="2031-05-04T10:00:00Z",
        seconds=9.0,
        eta_seconds=None,
        percent=0.0,
        jobs={},
        scenes={},
        waiting=why,
    )
    assert describe_run("j", YARD, {"status": "RUNNING"}, far, None, False).waiting == why
    assert describe_run("j", YARD, {"status": "FAILED"}, far, None, False).waiting is None
