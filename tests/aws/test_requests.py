"""What callers of the job API ask for and are answered, against moto; no run is really started."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from scripts.lib.cloud import handlers, runs
from scripts.lib.cloud.aws import Account
from scripts.lib.cloud.messages import MOST_UPLOAD_BYTES
from scripts.lib.contracts.outcome import Outcome, SceneOutcome
from scripts.tools.deploy_aws import api_files
from tests.aws.cloud import BUCKET, STACK, Cloud
from tests.aws.gateway import MARK, SOURCE, asked, event
from tests.conftest import ROOT

Call = Callable[..., tuple[int, dict[str, Any]]]
OWN = "must be one of your own uploads"
Started = dict[str, dict[str, Any]]


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ("{", 400, "the body is not JSON"),
        ("[" * 30_000, 400, "the body is not JSON"),
        ('{"scenes": "\\ud800"}', 400, "the body is not JSON"),
        ([], 400, "must be a JSON object"),
        ({}, 400, "'scenes' is missing"),
        ({"scenes": []}, 400, "'scenes'"),
        ({"scenes": [{"scene": "yard"}]}, 400, "'source' is missing"),
        ({"scenes": [*asked()["scenes"], *asked()["scenes"]]}, 400, "have the same name"),
        ({"scenes": [*asked()["scenes"]] * 21}, 400, "'scenes'"),
        (asked("../yard"), 400, "letters, digits, - and _"),
        (asked(sceen="x"), 400, "did you mean 'scenes'?"),
        (asked(email="me"), 400, "who is told"),
        (asked(email=None), 400, "must be of type string"),
        (asked(webhook="http://example.org"), 400, "https://"),
        (
            asked(options={"preset": "best"}),
            400,
            "'preset' is 'best'; allowed: draft, standard, high",
        ),
        (asked(options={"results": "/etc"}), 400, "'results' is set by the service"),
        (asked(source="s3://other/uploads/a.zip"), 403, OWN),
        (asked(source=f"s3://{BUCKET}/runs/a.zip"), 403, OWN),
        (asked(source=f"s3://{BUCKET}/uploads/../runs/a"), 403, OWN),
        # Row 2.1 of the review: a prefix would be copied whole, everybody's uploads.
        (asked(source=f"s3://{BUCKET}/uploads/"), 403, OWN),
        (asked(source=f"s3://{BUCKET}/uploads/./"), 403, OWN),
        (asked(source=f"s3://{BUCKET}/uploads/{MARK}/"), 403, OWN),
        (asked(source=SOURCE.removesuffix("yard.zip")), 403, OWN),
        (asked(source=SOURCE.replace(MARK, "0" * 16)), 403, OWN),
        (asked(source=SOURCE.replace(".zip", ".exe")), 403, OWN),
        # What an upload is known by lies beside it, and is no photo.
        (asked(source=SOURCE.replace("yard.zip", "upload.json")), 403, OWN),
        (asked(source=SOURCE.replace("yard", "garden")), 400, "not been uploaded"),
        (asked(options={"a": "x" * 70_000}), 413, "larger than"),
        (asked("yard\n"), 400, "cannot be printed"),
    ],
)
def test_bad_requests_are_refused(call: Call, body: Any, code: int, sentence: str) -> None:
    got, answer = call("POST /jobs", body)
    assert got == code and sentence in answer["error"]


def test_nothing_is_started_for_a_refused_request(cloud: Cloud, call: Call) -> None:
    before = cloud.keys("runs/")
    call("POST /jobs", asked(source="s3://other/uploads/a.zip"))
    assert cloud.keys("runs/") == before and cloud.active_jobs() == []


def refused(*_: object, **__: object) -> Any:
    """As boto3 tells that AWS does not take a job now."""
    said = {"Error": {"Code": "TooManyRequestsException", "Message": "Too Many Requests"}}
    raise ClientError(said, "SubmitJob")  # type: ignore[arg-type]


def test_a_run_that_was_not_started_does_not_wait_for_ever(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Account, "_submit_coordinator", refused)
    before = {run["id"] for run in call("GET /jobs")[1]["jobs"]}
    code, answer = call("POST /jobs", asked())
    assert code == 503
    assert "was not started" in answer["error"] and "post it again" in answer["error"]
    (job,) = {run["id"] for run in call("GET /jobs")[1]["jobs"]} - before
    told = call("GET /jobs/{id}", job=job)[1]
    assert told["state"] == "failed"
    assert told["cause"] == "the run was never started; post it again"


def test_a_request_with_a_key_is_one_run_however_often_it_is_posted(
    call: Call, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, key = asked(), {"Idempotency-Key": "order-1"}
    first = call("POST /jobs", request, headers=key)
    assert first[0] == 202 and call("POST /jobs", request, headers=key) == first
    code, answer = call("POST /jobs", asked("hall"), headers=key)
    assert code == 422 and "another request" in answer["error"]
    assert call("POST /jobs", request)[1] != first[1]
    assert len(started) == 2
    assert call("POST /jobs", request, headers={"Idempotency-Key": "a\nb"})[0] == 400
    # One that could not be started is tried again under its own id.
    key = {"Idempotency-Key": "order-2"}
    with monkeypatch.context() as patch:
        patch.setattr(Account, "_submit_coordinator", refused)
        assert call("POST /jobs", request, headers=key)[0] == 503
    assert call("POST /jobs", request, headers=key)[0] == 202 and len(started) == 3


def test_each_caller_has_so_many_runs_at_once(
    call: Call, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLATMAKE_MOST_RUNS", "2")
    jobs = [call("POST /jobs", asked()) for _ in range(3)]
    assert [code for code, _ in jobs] == [202, 202, 429]
    assert call("DELETE /jobs/{id}", job=jobs[0][1]["id"])[0] == 200
    assert call("POST /jobs", asked())[0] == 202
    # A retry is a run, too.
    assert call("POST /jobs/{id}/retry", {}, job=jobs[0][1]["id"])[0] == 429


def test_a_run_that_batch_does_not_list_yet_has_not_failed(
    call: Call, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch's lists follow a while after it took a job; whoever waits must not hear of a failure."""
    monkeypatch.setattr(runs, "UNLISTED", 60.0)
    monkeypatch.setattr(Account, "_coordinators", lambda *_: [])
    key = {"Idempotency-Key": "order-3"}
    first = call("POST /jobs", asked(), headers=key)
    job = first[1]["id"]
    assert call("GET /jobs/{id}", job=job)[1]["state"] == "queued"
    # Of the same caller and second there may be runs of other tests.
    states = {run["id"]: run["state"] for run in call("GET /jobs")[1]["jobs"]}
    assert states[job] == "queued"
    # Nor is it started once more.
    assert call("POST /jobs", asked(), headers=key) == first and len(started) == 1
    assert call("POST /jobs/{id}/retry", {}, job=job)[0] == 409
    answer = call("DELETE /jobs/{id}", job=job, query={"data": "true"})[1]
    assert answer["state"] == "stopping"
    assert call("GET /jobs/{id}", job=job)[1]["state"] == "stopped"
    monkeypatch.setattr(runs, "UNLISTED", 0.0)
    answer = call("DELETE /jobs/{id}", job=job, query={"data": "true"})[1]
    assert answer["state"] == "deleted"


@pytest.fixture
def dated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run begins a second after the one before."""
    times = iter(range(1_900_000_000, 1_900_001_000))
    monkeypatch.setattr(runs.time, "time", lambda: next(times))


ANN, BEA = ({"authorizer": {"jwt": {"claims": {"iss": "i", "sub": name}}}} for name in ("a", "b"))


def uploaded(cloud: Cloud, call: Call, who: dict[str, Any]) -> str:
    """The source of a file that a caller has uploaded."""
    upload = call("POST /uploads", {"name": "yard.zip", "bytes": 2}, who=who)[1]
    assert requests.put(upload["parts"][0]["url"], data=b"PK", timeout=30).ok
    assert call("POST /uploads/{id}/complete", job=upload["id"], who=who)[0] == 200
    return str(upload["source"])


@pytest.mark.usefixtures("dated")
def test_runs_are_listed_by_pages_the_newest_first(
    cloud: Cloud, call: Call, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = uploaded(cloud, call, ANN)
    jobs = [
        call("POST /jobs", asked(f"s{n}", source), who=ANN, headers={"idempotency-key": str(n)})
        for n in range(5)
    ]
    newest = [answer["id"] for _, answer in reversed(jobs)]

    def pages(**query: str) -> list[list[str]]:
        found, after = [], {}
        while True:
            code, page = call("GET /jobs", who=ANN, query={**query, **after})
            assert code == 200
            found.append([entry["id"] for entry in page["jobs"]])
            if page["next"] is None:
                return found
            after = {"after": page["next"]}

    assert pages() == [newest]
    assert pages(limit="2") == [newest[:2], newest[2:4], newest[4:]]
    assert pages(limit="5") == [newest]
    call("DELETE /jobs/{id}", job=newest[1], who=ANN)
    assert pages(state="stopped") == [[newest[1]]]
    # Not more are looked at for a page than time allows, whatever is looked for.
    monkeypatch.setattr(runs, "LOOKED_AT", 2)
    assert sum(pages(state="stopped"), []) == [newest[1]]
    (first, *_) = call("GET /jobs", who=ANN)[1]["jobs"]
    assert first["scenes"] == ["s4"] and first["state"] == "running"
    assert first["asked"].endswith("+00:00") and "usd" not in first
    for wrong in ({"limit": "0"}, {"limit": "x"}, {"state": "x"}, {"after": "x"}, {"a": "b"}):
        assert call("GET /jobs", who=ANN, query=wrong)[0] == 400


def finish(job: str, outcome: Outcome, started: Started, mark: str = MARK) -> None:
    """As the coordinator would."""
    Account(STACK, BUCKET).write(f"runs/{mark}/{job}", outcome)
    started[f"run-{mark}-{job}"]["status"] = "SUCCEEDED"


def test_a_run_of_several_scenes_tells_of_each(call: Call, started: Started) -> None:
    scenes = [{"scene": name, "source": SOURCE} for name in ("yard", "hall")]
    job = call("POST /jobs", {"scenes": scenes})[1]["id"]
    told = {
        "yard": SceneOutcome(state="done", url="https://x/yard", usd=0.25),
        "hall": SceneOutcome(state="failed"),
    }
    finish(job, Outcome(state="failed", cause="dark", scenes=told, coordinator_usd=0.05), started)
    answer = call("GET /jobs/{id}", job=job)[1]
    assert answer["state"] == "failed" and answer["cause"] == "dark"
    assert answer["usd"] == pytest.approx(0.30)
    assert [(s["scene"], s["state"], s["page"]) for s in answer["scenes"]] == [
        ("yard", "done", "https://x/yard"),
        ("hall", "failed", None),
    ]


def test_a_retry_goes_on_where_the_run_ended(call: Call, started: Started) -> None:
    """Same prefix, other options; nothing of the former end is left."""
    job = call("POST /jobs", asked(options={"preset": "draft"}))[1]["id"]
    assert call("POST /jobs/{id}/retry", {}, job=job)[0] == 409
    finish(job, Outcome(state="failed", cause="dark"), started)
    assert call("POST /jobs/{id}/retry", {"options": {"preset": "x"}}, job=job)[0] == 400
    assert call("GET /jobs/{id}", job=job)[1]["state"] == "failed"
    code, answer = call("POST /jobs/{id}/retry", {"options": {"preset": "high"}}, job=job)
    assert (code, answer["id"]) == (202, job)
    assert call("GET /jobs/{id}", job=job)[1]["state"] == "running"
    request = Account(STACK, BUCKET).read(runs.RunRequest, f"runs/{MARK}/{job}/request.json")
    assert request and request.options == {"preset": "high"}
    # Without options those from before stay.
    finish(job, Outcome(state="failed", cause="dark"), started)
    assert call("POST /jobs/{id}/retry", {"webhook": "https://example.org/x"}, job=job)[0] == 202
    request = Account(STACK, BUCKET).read(runs.RunRequest, f"runs/{MARK}/{job}/request.json")
    assert request and request.options == {"preset": "high"} and request.webhook


def test_a_run_is_deleted_with_all_that_it_made(
    cloud: Cloud,
    call: Call,
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = call("POST /jobs", asked())[1]["id"]
    request = Account(STACK, BUCKET).read(runs.RunRequest, f"runs/{MARK}/{job}/request.json")
    assert request
    own = [
        f"runs/{MARK}/{job}/results/yard/splat.ply",
        f"runs/{MARK}/{job}/results/logs/yard/train_splat.log",
        f"checkpoints/runs/{MARK}/{job}/yard/1.pt",
        f"web/yard-{request.page}/index.html",
    ]
    others = [f"web/yard-{request.page}x/index.html", f"runs/{MARK}/{job}x/a"]
    for key in own + others:
        cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x")
    # While something may still write, nothing is deleted.
    answer = call("DELETE /jobs/{id}", job=job, query={"data": "true"})[1]
    assert answer["state"] == "stopping" and set(own) <= cloud.keys()
    # What CloudFront refuses keeps no data from going (there is no such distribution), but the run can be
    # asked for again until its copies are gone, too.
    page = SceneOutcome(state="done", url="https://x/yard")
    finish(job, Outcome(state="done", scenes={"yard": page}), started)
    monkeypatch.setenv("SPLATMAKE_DISTRIBUTION", "E1")
    for _ in range(2):
        code, answer = call("DELETE /jobs/{id}", job=job, query={"data": "true"})
        assert code == 503 and not set(own) & cloud.keys()
        assert f"--distribution-id E1 --paths '/yard-{request.page}/*'" in answer["error"]
    forgotten: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(runs, "forget_copies", lambda *told: forgotten.append(told[:2]))
    answer = call("DELETE /jobs/{id}", job=job, query={"data": "true"})[1]
    assert answer["state"] == "deleted"
    assert forgotten == [("E1", [f"/yard-{request.page}/*"])]
    left = cloud.keys()
    assert set(others) <= left and not set(own) & left
    assert not [key for key in left if key.startswith(f"runs/{MARK}/{job}/")]
    assert call("GET /jobs/{id}", job=job)[0] == 404
    cloud.client("s3").delete_object(Bucket=BUCKET, Key=others[1])


def test_mail_goes_to_the_address_of_the_token(cloud: Cloud, call: Call, started: Started) -> None:
    """Whoever has a token could have the operator's sender write to anybody."""
    claims = {"sub": "1", "email": "ann@example.org", "email_verified": "true"}
    who = {"authorizer": {"jwt": {"claims": claims}}}
    source = uploaded(cloud, call, who)
    for email, code in (("ann@example.org", 202), ("you@example.com", 403)):
        got, answer = call("POST /jobs", asked(source=source, email=email), who=who)
        assert got == code
        if code == 202:
            mark = next(iter(started)).split("-")[1]
            finish(answer["id"], Outcome(state="failed", cause="x"), started, mark)
            for other, again in (("you@example.com", 403), ("ann@example.org", 202)):
                body, job = {"email": other}, answer["id"]
                assert call("POST /jobs/{id}/retry", body, job=job, who=who)[0] == again
    claims["email_verified"] = "false"
    request = asked(source=source, email="ann@example.org")
    assert call("POST /jobs", request, who=who)[0] == 403


@pytest.mark.usefixtures("call")
def test_a_body_that_comes_in_base64() -> None:
    """As HTTP APIs hand over what no header calls JSON."""
    body = base64.b64encode(json.dumps({"name": "yard.zip", "bytes": 1}).encode()).decode()
    sent = event("POST", "/uploads", body) | {"isBase64Encoded": True}
    assert handlers.handle(sent)["statusCode"] == 200
    for broken in ("%%%", base64.b64encode(b"\xff\xfe").decode(), None):
        assert handlers.handle(sent | {"body": broken})["statusCode"] == 400


def test_every_file_of_a_run_is_offered_as_what_it_is(
    cloud: Cloud, call: Call, started: Started
) -> None:
    """Snakemake's plugin stores them as octet-stream, which a browser saves instead of showing."""
    job = call("POST /jobs", asked())[1]["id"]
    wanted = {
        "logs/yard/train_splat.log": "text/plain; charset=utf-8",
        "yard/report.html": "text/html; charset=utf-8",
        "yard/splat.sog": "application/octet-stream",
        "yard/tour.mp4": "video/mp4",
    }
    for name in (*wanted, "yard/web/index.html"):
        key = f"runs/{MARK}/{job}/results/{name}"
        cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x")
    answer = call("GET /jobs/{id}/files", job=job)[1]
    assert {file["name"]: file["type"] for file in answer["files"]} == wanted
    assert answer["next"] is None and {file["bytes"] for file in answer["files"]} == {1}
    for file in answer["files"]:
        got = requests.get(file["url"], timeout=30)
        assert got.content == b"x" and got.headers["Content-Type"] == file["type"]
    # What no name holds, and the XML of S3's answer could not.
    assert call("GET /jobs/{id}/files", job=job, query={"after": "\x1c"})[0] == 400
    seen, after = [], ""
    while after is not None:
        query = {"limit": "2", "after": after}
        page = call("GET /jobs/{id}/files", job=job, query=query)[1]
        seen += [file["name"] for file in page["files"]]
        after = page["next"]
    assert seen == sorted(wanted)


def test_unknown_jobs_and_routes(call: Call) -> None:
    assert call("GET /jobs/{id}", job="0" * 16)[0] == 404
    assert call("DELETE /jobs/{id}", job="../../x")[0] == 404
    assert call("DELETE /jobs/{id}", job="keys")[0] == 404
    assert call("PUT /jobs")[0] == 405
    assert call("GET /nothing")[0] == 404


def test_a_run_of_another_version_is_told_as_such(cloud: Cloud, call: Call) -> None:
    key = f"runs/{MARK}/{'0' * 16}/request.json"
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b'{"format": 99}')
    code, answer = call("GET /jobs/{id}", job="0" * 16)
    assert code == 410 and "this version reads 2" in answer["error"]
    cloud.client("s3").delete_object(Bucket=BUCKET, Key=key)


def test_the_description_is_served(call: Call) -> None:
    code, answer = call("GET /openapi.json")
    assert code == 200 and answer["openapi"] == "3.1.0" and "/jobs/{id}/retry" in answer["paths"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "../yard.zip", "bytes": 1},
        {"name": "yard.exe", "bytes": 1},
        {"name": "upload.json", "bytes": 1},
        {"name": "yard.zip"},
        {"name": "yard.zip", "bytes": True},
        {"name": "yard.zip", "bytes": 0},
        {"name": "yard.zip", "bytes": MOST_UPLOAD_BYTES + 1},
    ],
)
def test_bad_uploads_are_refused(call: Call, body: Any) -> None:
    assert call("POST /uploads", body)[0] == 400


def test_the_functions_zip_holds_what_it_imports(tmp_path: Path) -> None:
    """Of this project only these files are on Lambda; its packages: tests/stages/tools/test_deploy.py."""
    for path in api_files():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    who = {"authorizer": {"jwt": {"claims": {"sub": "1"}}}}
    said = [event("GET", path, who=who) for path in ("/x", "/openapi.json")]
    code = (
        "import sys; from scripts.lib.cloud.handlers import handle\n"
        f"print([handle(said)['statusCode'] for said in {said}])\n"
        "print(sorted({'numpy', 'torch', 'snakemake', 'boto3'} & set(sys.modules)))"
    )
    environment = {"SPLATMAKE_STACK": "s", "SPLATMAKE_BUCKET": "b", "PATH": "/usr/bin"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.stdout == "[404, 200]\n[]\n", result.stderr
