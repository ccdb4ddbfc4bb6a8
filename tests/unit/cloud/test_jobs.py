"""Requests of the job API, whatever a caller sends, and how an ended run is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lib.cloud.outcome import Outcome, cause_of, letter, outcome_of
from scripts.lib.cloud.request import RefusedError, RunRequest, parse_request, parse_upload
from scripts.lib.cloud.status import describe_run
from scripts.lib.contracts.cost import Cost
from scripts.lib.contracts.progress import Progress, SceneProgress, StageProgress
from scripts.lib.contracts.published import Published
from tests.conftest import ROOT

KEYS = st.sampled_from(["source", "scene", "email", "options", "name", "bytes", "train_splat"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(VALUES)
def test_any_json_is_taken_or_refused(value: Any) -> None:
    for parse in (lambda text: parse_request(text, "bkt", ROOT), parse_upload):
        try:
            parse(json.dumps(value))
        except RefusedError as error:
            assert error.status in (400, 403, 413) and str(error)


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_is_taken_makes_one_line_of_a_sheet(scene: str, tail: str) -> None:
    body = json.dumps({"source": f"s3://bkt/uploads/{tail}", "scene": scene or "yard"})
    try:
        request = parse_request(body, "bkt", ROOT)
    except RefusedError:
        return
    line = f"{request.scene}\t{request.source}"
    assert line.count("\t") == 1 and len(line.splitlines()) == 1


def test_a_whole_request() -> None:
    body = {"source": "s3://bkt/uploads/1/yard.zip", "scene": "yard", "email": "me@example.org"}
    body |= {"options": {"preset": "draft", "train_splat": {"steps": 500}}}
    taken = parse_request(json.dumps(body), "bkt", ROOT)
    assert taken == RunRequest(**body)


LINES = [
    "Select jobs",
    "Cause: a.jpg is no photo; take it out",
    "AWS Batch job x failed",
    "Exiting",
]
RUNNING = (("import_photos", "done"), ("train_splat", "running"))
NOTHING: dict[str, Any] = {"manifest": None, "published": None, "cost": None, "stopped": False}


@pytest.mark.parametrize(
    ("code", "changed", "state"),
    [
        (0, {}, "done"),
        (1, {}, "failed"),
        (1, {"manifest": {}}, "done"),
        (1, {"stopped": True}, "stopped"),
        (1, {"stopped": True, "manifest": {}}, "stopped"),
    ],
)
def test_states(code: int, changed: dict[str, Any], state: str) -> None:
    assert outcome_of(code, LINES, **NOTHING | changed).state == state


def test_a_failure_is_told_with_cause_and_lines() -> None:
    outcome = outcome_of(1, LINES, **NOTHING)
    subject, text = letter("j1", "yard", outcome)
    assert subject == "splatmake: yard is failed"
    assert "Cause: a.jpg is no photo; take it out" in text and "    Exiting" in text
    assert outcome.as_json()["cause"] == "a.jpg is no photo; take it out"


def test_a_success_has_its_page_and_price() -> None:
    published = Published(scene="yard", url="https://x/yard", place="s3://b/yard", files=())
    cost = Cost(scene="yard", basis="b", seconds=1.0, usd=0.314, kwh=None, stages=())
    given_files = NOTHING | {"published": published, "cost": cost}
    _, text = letter("j1", "yard", outcome_of(0, LINES, **given_files))
    assert "The page: https://x/yard" in text and "$0.31" in text and "Cause" not in text


def test_causes_without_the_executor() -> None:
    lines = ["Building DAG", "WorkflowError:", "config: unknown key 'x'", "done"]
    assert cause_of(lines) == "WorkflowError: config: unknown key 'x' done"
    assert cause_of([]).startswith("unknown")


def test_status_of_a_run_that_has_said_nothing_yet() -> None:
    answer = describe_run("j", "yard", {"status": "RUNNABLE"}, None, None, False)
    assert answer["state"] == "queued" and answer["stage"] is None
    stages = tuple(StageProgress(rule, state, None) for rule, state in RUNNING)
    far = Progress(
        state="running",
        updated="2031-05-04T10:00:00Z",
        seconds=9.0,
        eta_seconds=60.0,
        percent=40.0,
        jobs={"running": 1},
        scenes={"yard": SceneProgress(40.0, stages)},
    )
    answer = describe_run("j", "yard", {"status": "RUNNING"}, far, None, False)
    assert (answer["stage"], answer["percent"], answer["eta_seconds"]) == (
        "train_splat",
        40.0,
        60.0,
    )
    stopped = describe_run("j", "yard", {"status": "FAILED"}, None, None, True)
    assert stopped["state"] == "stopped" and "cause" not in stopped
    ended = Outcome("done", trouble=("no mail",)).as_json()
    assert describe_run("j", "yard", {}, None, ended, False)["trouble"] == ["no mail"]
