"""The studio's API is the cloud's: the same routes with the same types, and what its description says.

Schemathesis tries it as it does the cloud's (tests/aws/test_fuzz.py). The same cases each time.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from scripts.lib.cloud.client import commands
from scripts.lib.cloud.client.api import Api
from scripts.lib.cloud.openapi import document, text
from scripts.lib.cloud.routes import ROUTES
from scripts.lib.studio.app import HERE
from tests.unit.studio.conftest import Served

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
FEW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SCHEMA = schemathesis.openapi.from_dict(dict(document()))


def test_every_route_is_here_with_the_same_types() -> None:
    routes = {(route.method, route.path): route for route in ROUTES if route.does}
    assert set(HERE) == set(routes)
    for key, does in HERE.items():
        hints = typing.get_type_hints(does)
        for name in ("body", "query", "return"):
            assert hints.get(name) == routes[key].types.get(name), key
        assert inspect.getdoc(does)


@pytest.fixture
def known(served: Served) -> Iterator[dict[str, str]]:
    source = served.uploaded()
    yield {"uploads": source.split("/")[-2], "jobs": served.submitted(), "source": source}


def make_known(case: Any, known: dict[str, str]) -> bool:
    """Let a call be about what exists; whether there is such a thing in it."""
    if case.path_parameters:
        case.path_parameters = {"id": known[case.path.split("/")[1]]}
        return True
    scenes = case.body.get("scenes") if isinstance(case.body, dict) else None
    if isinstance(scenes, list) and all(isinstance(scene, dict) for scene in scenes):
        case.body = {**case.body, "scenes": [{**s, "source": known["source"]} for s in scenes]}
        return True
    return False


@SCHEMA.parametrize()
@FEW
def test_no_call_breaks_the_studio(case: Any, served: Served, known: dict[str, str]) -> None:
    case.call_and_validate(base_url=served.url, checks=CHECKS)
    if make_known(case, known):
        case.call_and_validate(base_url=served.url, checks=CHECKS[:-1])  # it may be right now


def test_it_describes_itself(served: Served) -> None:
    code, told = served.call("GET", "/openapi.json")
    assert code == 200 and told == json.loads(text())


def test_the_client_of_the_cloud_works_with_it(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "The yard.zip"
    archive.write_bytes(b"PK" * 10)
    api = Api(served.url, lambda *_: {})
    job = commands.submit(api, [archive], [], {})
    commands.show(api, job)
    commands.list_runs(api, None)
    commands.delete(api, job, True)
    said = capsys.readouterr().out
    assert f"Run {job}: queued" in said and "The_yard" in said and f"Run {job}: deleted" in said
