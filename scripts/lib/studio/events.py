"""How far a run is, as events that the server sends (HTML, "Server-sent events"): a page need not ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from scripts.lib.cloud.request import RefusedError
from scripts.lib.contracts.record import to_json
from scripts.lib.core.console import UserError
from scripts.lib.studio import runs
from scripts.lib.studio.studio import Call, Studio

LOOK_SECONDS = 0.5
SILENCE_SECONDS = 15.0  # then a comment is sent, so that a connection that broke is noticed
OPEN = ("queued", "running")


def endpoint(studio: Studio, base_of: Callable[[Request], str]) -> Callable[[Request], Any]:
    """`GET /jobs/{id}/events`: each event is the answer of `GET /jobs/{id}`, sent when it has changed."""

    async def listen(request: Request) -> Response:
        call = Call(base_of(request), request.path_params["id"])
        await run_in_threadpool(runs.status, studio, call)  # 404 where there is none
        return StreamingResponse(_events(studio, call), media_type="text/event-stream")

    return listen


async def _events(studio: Studio, call: Call) -> AsyncIterator[str]:
    said, silent = "", 0.0
    yield "retry: 1000\n\n"
    # What is still open when the server has ended would be broken off with an error.
    while not studio.ending.is_set():
        try:
            told = await run_in_threadpool(runs.status, studio, call)
        except OSError:  # its disk is gone: the page asks again, and is told why
            return
        except (RefusedError, UserError):  # deleted
            yield "event: gone\ndata: {}\n\n"
            return
        text = json.dumps(to_json(told))
        if text != said:
            said, silent = text, 0.0
            yield f"data: {text}\n\n"
        elif silent >= SILENCE_SECONDS:
            silent = 0.0
            yield ": still here\n\n"
        if told.state not in OPEN:
            yield "event: end\ndata: {}\n\n"
            return
        await asyncio.sleep(LOOK_SECONDS)
        silent += LOOK_SECONDS
