"""The studio as an ASGI application: the API's routes, parts of uploads, events, results, and the page."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from scripts.lib.cloud.request import (
    MOST_REQUEST_BYTES,
    RefusedError,
    idempotency_key,
    read_body,
    read_query,
)
from scripts.lib.cloud.routes import DOCUMENT, ROUTES, route_of
from scripts.lib.contracts.record import to_json
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError
from scripts.lib.studio import events, pages, runs, uploads
from scripts.lib.studio.guard import COOKIE, HEADERS, Guard
from scripts.lib.studio.studio import Call, Studio
from scripts.lib.studio.uploads import FULL

# What stands here behind the cloud's routes; a test holds the types of each against those of its twin.
HERE: dict[tuple[str, str], Callable[..., object]] = {
    ("POST", "/uploads"): uploads.begin,
    ("GET", "/uploads/{id}"): uploads.status,
    ("POST", "/uploads/{id}/complete"): uploads.complete,
    ("DELETE", "/uploads/{id}"): uploads.remove,
    ("POST", "/jobs"): runs.submit,
    ("GET", "/jobs"): runs.listed,
    ("GET", "/jobs/{id}"): runs.status,
    ("GET", "/jobs/{id}/files"): runs.files,
    ("POST", "/jobs/{id}/retry"): runs.retry,
    ("DELETE", "/jobs/{id}"): runs.end,
}
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]


def base_of(request: Request) -> str:
    """This server's address as the caller knows it; the guard has checked the name."""
    return f"{request.url.scheme}://{request.headers['host']}"


def answer(content: object, status: int = 200) -> Response:
    """JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    return Response(text, status, media_type="application/json")


def refusal(error: RefusedError) -> Response:
    """One sentence, as the API says it."""
    return answer({"error": str(error)}, error.status)


async def text_of(request: Request) -> str:
    """The body of a call of the API. Raises RefusedError when it is too large, or no text."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_REQUEST_BYTES:
            raise RefusedError(413, f"the request is larger than {MOST_REQUEST_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RefusedError(400, "the body is not text in UTF-8") from None


def api(studio: Studio) -> Callable[[Request], Any]:
    """The endpoint of all routes of openapi.json."""

    async def call(request: Request) -> Response:
        route, job = route_of(request.method, request.url.path)
        if route.does is None:
            return answer((ROOT / DOCUMENT).read_text(encoding="utf-8"))
        more: dict[str, object] = {}
        if route.body:
            more["body"] = read_body(route.body, await text_of(request))
        if route.query:
            more["query"] = read_query(route.query, dict(request.query_params))
        key = idempotency_key({"headers": dict(request.headers)})
        does = HERE[route.method, route.path]
        made = await run_in_threadpool(does, studio, Call(base_of(request), job, key), **more)
        return answer(to_json(made), route.status)

    return call


def part(studio: Studio) -> Callable[[Request], Any]:
    """The endpoint that takes parts of uploads."""

    async def put(request: Request) -> Response:
        token, number = request.path_params["id"], request.path_params["number"]
        await uploads.receive(studio, token, number, request.stream())
        return Response(status_code=200)

    return put


class Guarded:
    """The application behind its guard: each call is checked, each answer has the headers of `guard`."""

    def __init__(self, app: Starlette, guard: Guard) -> None:
        self.app, self.guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of ASGI."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                more = [(n.lower().encode(), v.encode()) for n, v in HEADERS.items()]
                message["headers"] = [*message["headers"], *(m for m in more if m[0] not in given)]
            await send(message)

        request = Request(scope, receive)
        try:
            cookie = request.cookies.get(COOKIE, "")
            asked = (request.method, scope["path"], request.url.query, request.headers, cookie)
            self.guard.check(*asked)
        except RefusedError as error:
            return await refusal(error)(scope, receive, with_headers)
        return await self.app(scope, receive, with_headers)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return refusal(error)


async def _no_disk(_: Request, error: Exception) -> Response:
    """The disk is full, or is gone: the page says so, and goes on when it is back."""
    said = getattr(error, "strerror", None) or str(error)
    return answer({"error": f"the studio's disk cannot be used ({said})"}, FULL)


async def _of_another_version(_: Request, error: Exception) -> Response:
    return answer({"error": str(error)}, 410)


def make_app(studio: Studio, guard: Guard) -> Guarded:
    """The whole application."""
    routes = [
        *pages.routes(studio, guard),
        Route("/uploads/{id:str}/parts/{number:int}", part(studio), methods=["PUT"]),
        Route("/jobs/{id:str}/events", events.endpoint(studio, base_of), methods=["GET"]),
        *(Route(route.path, api(studio), methods=METHODS) for route in ROUTES),
        Route("/{rest:path}", api(studio), methods=METHODS),
    ]
    handlers: Any = {
        RefusedError: _refused,
        UserError: _of_another_version,
        OSError: _no_disk,
        sqlite3.OperationalError: _no_disk,
    }
    return Guarded(Starlette(routes=routes, exception_handlers=handlers), guard)
