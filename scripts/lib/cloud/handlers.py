"""The Lambda function behind the API: it finds the route of a call, checks the call, and answers in JSON.

Who may call is API Gateway's business (config/aws/stack.yaml: signatures or tokens, never open); what may be
asked for is checked here, and that each caller has its own runs and uploads, and sees no other's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from scripts.lib.cloud.aws import Account
from scripts.lib.cloud.call import Call
from scripts.lib.cloud.caller import caller_of
from scripts.lib.cloud.request import (
    RefusedError,
    body_of,
    idempotency_key,
    read_body,
    read_query,
)
from scripts.lib.cloud.routes import DOCUMENT, Route, route_of
from scripts.lib.contracts.record import to_json
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError
from scripts.lib.core.json_type import Json

ATTEMPTS = 3  # at each call: this function has 29 seconds, and a caller can ask again
Event = Mapping[str, Any]


@cache
def _account(stack: str, bucket: str) -> Account:
    """Kept from call to call: to make boto3's clients takes longer than most calls."""
    return Account(stack, bucket, ATTEMPTS)


def _answer(event: Event) -> tuple[int, str]:
    """(HTTP status, body) for an event. Raises RefusedError when it is not followed."""
    caller = caller_of(event)
    http = (event.get("requestContext") or {}).get("http") or {}
    route, job = route_of(str(http.get("method", "")), str(event.get("rawPath", "")))
    if route.does is None:
        return 200, (ROOT / DOCUMENT).read_text(encoding="utf-8")
    account = _account(os.environ["SPLATMAKE_STACK"], os.environ["SPLATMAKE_BUCKET"])
    call = Call(caller, job, idempotency_key(event))
    answer = route.does(account, call, **_arguments(route, event))
    return route.status, json.dumps(to_json(answer))


def _arguments(route: Route, event: Event) -> dict[str, object]:
    """What a route takes besides the call, in its types."""
    found: dict[str, object] = {}
    if route.body:
        found["body"] = read_body(route.body, body_of(event))
    if route.query:
        found["query"] = read_query(route.query, event.get("queryStringParameters") or {})
    return found


def handle(event: Event, context: object = None) -> dict[str, Json]:
    """The function that Lambda calls, with an event of API Gateway's HTTP APIs (payload 2.0)."""
    try:
        code, body = _answer(event)
    except RefusedError as error:
        code, body = error.status, json.dumps({"error": str(error)})
    except UserError as error:  # a file in the bucket is another version's
        code, body = 410, json.dumps({"error": str(error)})
    return {
        "statusCode": code,
        "headers": {"Content-Type": "application/json"},
        "body": body,
    }
