"""The routes of the job API: what each takes and answers stands in its function's own signature.

A call is checked by these types (`handlers`), and openapi.json is made of them (`openapi`).
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scripts.lib.cloud import runs, uploads
from scripts.lib.cloud.request import RefusedError

DOCUMENT = Path("config") / "aws" / "openapi.json"
ID = "[0-9a-f]{16}"


@dataclass(frozen=True)
class Route:
    """A method and a path, the function behind them, and the HTTP statuses besides 400, 401 and `status`.

    Without a function it is the API's own description.
    """

    method: str
    path: str
    does: Callable[..., object] | None
    status: int = 200
    refusals: tuple[int, ...] = ()
    keyed: bool = False  # whether the header Idempotency-Key means something

    @cached_property
    def types(self) -> dict[str, Any]:
        """The function's types: `body`, `query` and `return`."""
        return typing.get_type_hints(self.does) if self.does else {}

    @property
    def body(self) -> type | None:
        """The type of the request's body."""
        return self.types.get("body")

    @property
    def query(self) -> type | None:
        """The type of the address's query."""
        return self.types.get("query")

    @property
    def answer(self) -> type | None:
        """The type of the answer."""
        return self.types.get("return")

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the path of a call looks like; its group is the id."""
        return re.compile(re.escape(self.path).replace(re.escape("{id}"), "([^/]*)"))


ROUTES = (
    Route("POST", "/uploads", uploads.begin, refusals=(413,), keyed=True),
    Route("GET", "/uploads/{id}", uploads.status, refusals=(404, 410)),
    Route("POST", "/uploads/{id}/complete", uploads.complete, refusals=(404, 409, 410)),
    Route("DELETE", "/uploads/{id}", uploads.remove, refusals=(404,)),
    Route("POST", "/jobs", runs.submit, 202, (403, 409, 413, 422, 429, 503), keyed=True),
    Route("GET", "/jobs", runs.listed),
    Route("GET", "/jobs/{id}", runs.status, refusals=(404, 410)),
    Route("GET", "/jobs/{id}/files", runs.files, refusals=(404, 410)),
    Route("POST", "/jobs/{id}/retry", runs.retry, 202, (403, 404, 409, 410, 413, 429, 503)),
    Route("DELETE", "/jobs/{id}", runs.end, refusals=(404, 410, 503)),
    Route("GET", "/openapi.json", None),
)


def route_of(method: str, path: str) -> tuple[Route, str]:
    """(route, id in the path) of a call. Raises RefusedError when there is none."""
    known = [(route, found) for route in ROUTES if (found := route.pattern.fullmatch(path))]
    for route, found in known:
        if route.method == method:
            job = found[1] if found.groups() else ""
            if found.groups() and not re.fullmatch(ID, job):
                raise RefusedError(404, f"there is no job or upload {job!r}")
            return route, job
    if known:
        raise RefusedError(405, f"{path} knows only {', '.join(r.method for r, _ in known)}")
    raise RefusedError(404, f"there is nothing under {path!r}")
