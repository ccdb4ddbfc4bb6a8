"""API Gateway before the job API's handlers: its events, and a server for clients."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.serving import make_server

from scripts.lib.cloud import handlers
from scripts.lib.cloud.caller import caller_of
from tests.aws.cloud import ACCOUNT, BUCKET

ARN = f"arn:aws:iam::{ACCOUNT}:user/ann"
SIGNED = {"authorizer": {"iam": {"userArn": ARN}}}
MARK = caller_of({"requestContext": SIGNED}).mark
KEY = f"uploads/{MARK}/0123456789abcdef/yard.zip"
SOURCE = f"s3://{BUCKET}/{KEY}"


def asked(scene: str = "yard", source: str = SOURCE, **more: Any) -> dict[str, Any]:
    """A body of POST /jobs for one scene."""
    return {"scenes": [{"scene": scene, "source": source}], **more}


def event(
    method: str,
    path: str,
    body: str | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    who: dict[str, Any] = SIGNED,
) -> dict[str, Any]:
    """What API Gateway hands over ("Working with AWS Lambda proxy integrations", payload 2.0)."""
    return {
        "version": "2.0",
        "routeKey": f"{method} /{{proxy+}}",
        "rawPath": path,
        "headers": {name.lower(): value for name, value in (headers or {}).items()},
        **({"queryStringParameters": query} if query else {}),
        "requestContext": {**who, "http": {"method": method, "path": path}},
        **({} if body is None else {"body": body}),
        "isBase64Encoded": False,
    }


def call(
    route: str,
    body: Any = None,
    job: str = "",
    headers: dict[str, str] | None = None,
    who: dict[str, Any] = SIGNED,
    query: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    """`call("POST /jobs/{id}", body, id)`: what the Lambda function answers, (status, body)."""
    method, path = route.replace("{id}", job).split(" ", 1)
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    answer: dict[str, Any] = handlers.handle(event(method, path, text, query, headers, who))
    return answer["statusCode"], json.loads(answer["body"])


def caller(authorization: str) -> dict[str, Any]:
    """Whom API Gateway's authorisers would find: nobody's token or signature is checked here."""
    if token := re.fullmatch(r"Bearer (\S+)", authorization):
        return {"authorizer": {"jwt": {"claims": {"iss": "https://pool", "sub": token[1]}}}}
    if signature := re.match(r"AWS4-HMAC-SHA256 Credential=(\w+)/\d{8}/", authorization):
        arn = f"arn:aws:iam::{ACCOUNT}:user/{signature[1]}"
        return {"authorizer": {"iam": {"userArn": arn}}}
    return {}


def application(
    environ: dict[str, Any],
    start: Callable[..., Any],
    find: Callable[[str], dict[str, Any]] = caller,
) -> list[bytes]:
    """The API as a WSGI application; `find` tells who is behind the header Authorization."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length).decode("utf-8", "surrogateescape") if length else None
    headers = {
        name.removeprefix("HTTP_").replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    who = find(environ.get("HTTP_AUTHORIZATION", ""))
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    answer: Any = handlers.handle(event(environ["REQUEST_METHOD"], path, body, query, headers, who))
    data = answer["body"].encode()
    told = [*answer["headers"].items(), ("Content-Length", str(len(data)))]
    start(f"{answer['statusCode']} Said", told)
    return [data]


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The API on this machine; its address."""
    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
