"""Two callers of the job API who cannot see each other, whatever they try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scripts.lib.cloud.routes import ROUTES
from tests.aws.cloud import ACCOUNT, BUCKET, Cloud
from tests.aws.gateway import ARN, KEY, MARK, SOURCE, asked
from tests.aws.test_requests import OWN, Started, uploaded

Call = Callable[..., tuple[int, dict[str, Any]]]
OTHERS = [
    {"authorizer": {"iam": {"userArn": f"arn:aws:iam::{ACCOUNT}:user/bob"}}},
    # A token's subject that reads like the other's ARN is somebody else.
    {"authorizer": {"jwt": {"claims": {"iss": "https://pool", "sub": ARN}}}},
]
BODIES = {"POST /jobs/{id}/retry": {"options": {"preset": "draft"}}}
ABOUT_ONE = [f"{r.method} {r.path}" for r in ROUTES if "{id}" in r.path]


def test_every_verb_is_tried() -> None:
    assert len(ABOUT_ONE) == 7 and len(ROUTES) == 11


@pytest.mark.parametrize("other", OTHERS)
def test_anothers_run_is_none(
    cloud: Cloud, call: Call, started: Started, other: dict[str, Any]
) -> None:
    job = call("POST /jobs", asked())[1]["id"]
    before = [key for key in sorted(cloud.keys()) if job in key]
    routes = [route for route in ABOUT_ONE if "/jobs/" in route]
    assert len(routes) == 4
    for route in routes:
        query = {"data": "true"} if route.startswith("DELETE") else None
        got = call(route, BODIES.get(route), job=job, who=other, query=query)
        assert got == (404, {"error": f"there is no job {job!r}"}), route
    assert [key for key in sorted(cloud.keys()) if job in key] == before
    assert call("GET /jobs/{id}", job=job)[1]["state"] == "running"
    assert [entry["id"] for entry in call("GET /jobs")[1]["jobs"]].count(job) == 1
    assert call("GET /jobs", who=other)[1] == {"jobs": [], "next": None}
    # Nor by its place in the list.
    assert call("GET /jobs", who=other, query={"after": job})[1]["jobs"] == []


@pytest.mark.parametrize("other", OTHERS)
def test_anothers_upload_is_none(
    cloud: Cloud, call: Call, started: Started, other: dict[str, Any]
) -> None:
    upload = call("POST /uploads", {"name": "yard.zip", "bytes": 9})[1]
    for route in [route for route in ABOUT_ONE if "/uploads/" in route]:
        got = call(route, job=upload["id"], who=other)
        assert got == (404, {"error": f"there is no upload {upload['id']!r}"}), route
    assert call("GET /uploads/{id}", job=upload["id"])[1]["missing"] == 1
    code, answer = call("POST /jobs", asked(), who=other)
    assert code == 403 and OWN in answer["error"]
    assert KEY in cloud.keys("uploads/")


@pytest.mark.parametrize("other", OTHERS)
def test_the_same_key_of_another_is_another_run(
    cloud: Cloud, call: Call, started: Started, other: dict[str, Any]
) -> None:
    key, theirs = {"idempotency-key": "one"}, uploaded(cloud, call, other)
    assert SOURCE.split("/")[4] == MARK != theirs.split("/")[4]
    first = call("POST /jobs", asked(), headers=key)
    second = call("POST /jobs", asked(source=theirs), headers=key, who=other)
    assert (first[0], second[0]) == (202, 202) and first[1]["id"] != second[1]["id"]
    body = {"name": "hall.zip", "bytes": 9}
    uploads = [call("POST /uploads", body, headers=key, who=w) for w in OTHERS]
    assert uploads[0][1]["source"] != uploads[1][1]["source"]
    assert all(answer["source"].startswith(f"s3://{BUCKET}/uploads/") for _, answer in uploads)


@pytest.mark.parametrize("who", [{}, {"authorizer": {}}, {"authorizer": {"jwt": {"claims": {}}}}])
def test_nobody_is_nobody(call: Call, who: dict[str, Any]) -> None:
    for route in ROUTES:
        assert call(f"{route.method} {route.path}", {}, job="0" * 16, who=who)[0] == 401
