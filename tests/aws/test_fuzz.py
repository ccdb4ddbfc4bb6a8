"""The job API's handlers under schemathesis: what its description allows and what it does not, never a 5xx.

Each generated call is made as it is; those about one run or upload, and those that start a run, once more
with names that exist, so that they get further than 404. The same cases each time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from jsonschema_rs import ValidationError
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from scripts.lib.cloud.openapi import document
from scripts.lib.cloud.routes import ROUTES
from tests.aws.gateway import SOURCE, application, asked

ANN = {"Authorization": "AWS4-HMAC-SHA256 Credential=ann/20270101/x"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
EXAMPLES = 6  # of each route; sixty found no more
FEW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SCHEMA = schemathesis.openapi.from_dict(dict(document()))
SCHEMA.app = application


@pytest.fixture
def known(call: Callable[..., Any], started: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Ids that exist, by the first word of a path."""
    upload = call("POST /uploads", {"name": "yard.zip", "bytes": 9})[1]["id"]
    job = call("POST /jobs", asked())[1]["id"]
    yield {"uploads": upload, "jobs": job}


def make_known(case: Any, known: dict[str, str]) -> bool:
    """Let a call be about what exists; whether there is such a thing in it."""
    if case.path_parameters:
        case.path_parameters = {"id": known[case.path.split("/")[1]]}
        return True
    scenes = case.body.get("scenes") if isinstance(case.body, dict) else None
    if isinstance(scenes, list) and all(isinstance(scene, dict) for scene in scenes):
        case.body = {**case.body, "scenes": [{**s, "source": SOURCE} for s in scenes]}
        return True
    return False


@SCHEMA.parametrize()
@FEW
def test_no_call_breaks_the_api(case: Any, known: dict[str, str]) -> None:
    case.call_and_validate(headers=ANN, checks=CHECKS)
    if make_known(case, known):
        case.call_and_validate(headers=ANN, checks=CHECKS[:-1])  # it may be right now


def test_the_description_is_openapi_3_1() -> None:
    SCHEMA.validate()
    broken: Any = copy.deepcopy(dict(document()))
    broken["paths"]["/jobs"]["get"]["parameters"][0]["in"] = "nowhere"
    with pytest.raises(ValidationError, match="nowhere"):
        schemathesis.openapi.from_dict(broken).validate()


def test_every_route_is_tried() -> None:
    operations = [found.ok() for found in SCHEMA.get_all_operations()]
    assert {f"{one.method.upper()} {one.path}" for one in operations} == {
        f"{route.method} {route.path}" for route in ROUTES
    }
