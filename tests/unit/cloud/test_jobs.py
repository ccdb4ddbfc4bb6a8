"""Requests of the job API, whatever a caller sends, and how an ended run is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.lib.cloud.aws import subject_line
from scripts.lib.cloud.outcome import cause_of, letter, outcome_of
from scripts.lib.cloud.request import MOST, RefusedError, parse_request, parse_upload, upload_key
from scripts.lib.cloud.status import describe_run
from scripts.lib.contracts.cost import Cost
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.progress import Progress, SceneProgress, StageProgress
from scripts.lib.contracts.published import Published
from scripts.lib.contracts.request import RunRequest
from tests.conftest import ROOT

UNTIMED = settings(deadline=None)  # the first example reads the schemas
MARK = "0123456789abcdef"
UPLOADS = f"s3://bkt/uploads/{MARK}/fedcba9876543210/"
KEYS = st.sampled_from(["source", "scene", "email", "options", "name", "bytes", "train_splat"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@UNTIMED
@given(VALUES)
def test_any_json_is_taken_or_refused(value: Any) -> None:
    for parse in (lambda text: parse_request(text, "bkt", ROOT, MARK), parse_upload):
        try:
            parse(json.dumps(value))
        except RefusedError as error:
            assert error.status in (400, 403, 413) and str(error)


@UNTIMED
@given(st.text(max_size=40), st.text(max_size=40))
def test_what_is_taken_makes_one_line_of_a_sheet(scene: str, tail: str) -> None:
    body = json.dumps({"source": f"{UPLOADS}{tail}", "scene": scene or "yard"})
    try:
        request = parse_request(body, "bkt", ROOT, MARK)
    except RefusedError:
        return
    line = f"{request.scene}\t{request.source}"
    assert line.count("\t") == 1 and len(line.splitlines()) == 1


def test_a_whole_request() -> None:
    body = {"source": f"{UPLOADS}yard.zip", "scene": "yard", "email": "me@example.org"}
    body |= {"options": {"preset": "draft", "train_splat": {"steps": 500}}}
    taken = parse_request(json.dumps(body), "bkt", ROOT, MARK)
    assert taken == RunRequest(**body, caller=MARK)


@pytest.mark.parametrize(("key", "most"), MOST.items())
def test_what_costs_has_a_limit_of_the_api(key: tuple[str, str], most: int) -> None:
    """The configuration's own are for those who pay the machine themselves."""
    section, name = key

    def asked(value: int) -> RunRequest:
        body = {
            "source": f"{UPLOADS}yard.zip",
            "scene": "yard",
            "options": {section: {name: value}},
        }
        return parse_request(json.dumps(body), "bkt", ROOT, MARK)

    assert asked(most).options == {section: {name: most}}
    with pytest.raises(
        RefusedError, match=f"'{section}.{name}' is {most + 1}; here at most {most}"
    ):
        asked(most + 1)


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
        key = upload_key(f"s3://bkt/{tail}", "bkt", MARK)
        if key is not None:
            parts = key.split("/")
            assert parts[:2] == ["uploads", MARK] and len(parts) == 4 and key == tail
            assert parts[3].endswith(".zip") and not {"", ".", ".."} & set(parts)
    assert upload_key(f"uploads/{MARK}/{'0' * 16}/yard.zip", "bkt", MARK) is None
    assert upload_key(f"s3://bkt/uploads//{'0' * 16}/yard.zip", "bkt", "") is None


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
NOTHING: dict[str, Any] = {"page": False, "published": None, "cost": None, "stopped": False}


@pytest.mark.parametrize(
    ("code", "changed", "state"),
    [
        (0, {}, "done"),
        (1, {}, "failed"),
        (1, {"page": True}, "done"),
        (1, {"stopped": True}, "stopped"),
        (1, {"stopped": True, "page": True}, "stopped"),
    ],
)
def test_states(code: int, changed: dict[str, Any], state: str) -> None:
    assert outcome_of(code, LINES, **NOTHING | changed).state == state


def test_a_failure_is_told_with_cause_and_lines() -> None:
    outcome = outcome_of(1, LINES, **NOTHING)
    subject, text = letter("j1", "yard", outcome, log=True)
    assert subject == "splatmake: yard is failed"
    assert "Cause: a.jpg is no photo; take it out" in text and "    Exiting" in text
    assert outcome.cause == "a.jpg is no photo; take it out"
    # The operator's alone: its lines quote names out of the caller's archive.
    assert "Exiting" not in letter("j1", "yard", outcome, log=False)[1]


def test_a_success_has_its_page_and_price() -> None:
    published = Published(scene="yard", url="https://x/yard", place="s3://b/yard", files=())
    cost = Cost(scene="yard", basis="b", seconds=1.0, usd=0.314, kwh=None, stages=())
    given_files = NOTHING | {"published": published, "cost": cost}
    outcome = replace(outcome_of(0, LINES, **given_files), coordinator_usd=0.05)
    _, text = letter("j1", "yard", outcome, log=True)
    assert "The page: https://x/yard" in text and "$0.36" in text and "Cause" not in text


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
    ended = Outcome(state="done", trouble=("no mail",))
    assert describe_run("j", "yard", {}, None, ended, False)["trouble"] == ["no mail"]


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
    assert describe_run("j", "yard", {"status": "RUNNING"}, far, None, False)["waiting"] == why
    assert "waiting" not in describe_run("j", "yard", {"status": "FAILED"}, far, None, False)
