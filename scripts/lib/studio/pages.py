"""What a browser loads: the studio's page, scenes with their files, and how the studio stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from scripts.lib.cloud.links import content_type
from scripts.lib.cloud.page import FOLDER
from scripts.lib.cloud.request import RefusedError
from scripts.lib.core.provenance import project_version
from scripts.lib.studio import detecting
from scripts.lib.studio.guard import COOKIE, Guard
from scripts.lib.studio.home import used_bytes
from scripts.lib.studio.studio import Studio

PAGE = FOLDER
ID = re.compile(r"[0-9a-f]{16}")
# What a run made may run scripts, but not as a page of the studio: it cannot call the API.
SANDBOX = "sandbox allow-scripts allow-popups allow-downloads"
# The finished page loads its parts by itself, and has a policy of its own besides.
SCENE = "frame-ancestors 'self'; form-action 'none'"
SESSION_SECONDS = 30 * 24 * 3600
MOST_TOKEN_BYTES = 1000


def inside(folder: Path, name: str) -> Path:
    """The file `name` below a folder. Raises RefusedError when there is none, or it leads elsewhere."""
    parts = name.split("/")
    good = all(part not in ("", ".", "..") and "\0" not in part for part in parts)
    try:
        path = (folder / name).resolve() if good else None
        if path and path.is_relative_to(folder.resolve()) and path.is_file():
            return path
    except (OSError, ValueError):
        pass
    raise RefusedError(404, "there is no such file")


def file_answer(path: Path, policy: str | None = None, cached: str = "no-cache") -> Response:
    """A file with the type by which a browser shows it."""
    kind = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}.get(path.suffix)
    headers = {"Cache-Control": cached} | ({"Content-Security-Policy": policy} if policy else {})
    return FileResponse(path, headers=headers, media_type=kind or content_type(path.name))


def routes(studio: Studio, guard: Guard) -> list[Route]:
    """All of these."""

    async def start(_: Request) -> Response:
        return file_answer(PAGE / "index.html")

    async def own(request: Request) -> Response:
        return file_answer(inside(PAGE, request.path_params["name"]))

    async def result(request: Request) -> Response:
        job, name = request.path_params["job"], request.path_params["name"]
        if not ID.fullmatch(job) or "checkpoints" in name.split("/"):
            raise RefusedError(404, "there is no such file")
        return file_answer(inside(studio.home.results(job), name), SANDBOX)

    async def scene(request: Request) -> Response:
        job, name = request.path_params["job"], request.path_params["name"] or "index.html"
        if not ID.fullmatch(job):
            raise RefusedError(404, "there is no such page")
        web = studio.home.results(job) / request.path_params["scene"] / "web"
        if web.parent.parent != studio.home.results(job):
            raise RefusedError(404, "there is no such page")
        return file_answer(inside(web, name), SCENE)

    return [
        Route("/", start, methods=["GET"]),
        Route("/studio/{name:path}", own, methods=["GET"]),
        Route("/studio.json", _standing(studio), methods=["GET"]),
        Route("/detect", detecting.endpoint(studio), methods=["POST"]),
        Route("/session", _session(studio, guard), methods=["POST"]),
        Route("/files/{job}/{name:path}", result, methods=["GET"]),
        Route("/scenes/{job}/{scene}/web/{name:path}", scene, methods=["GET"]),
    ]


def _standing(studio: Studio) -> Callable[[Request], Any]:
    """What the page must know of this server: that it sends events, and how full the disk is."""

    def told() -> dict[str, object]:
        uploads, jobs = (used_bytes(studio.home.path / name) for name in ("uploads", "jobs"))
        disk = {"free": studio.home.free_bytes(), "uploads": uploads, "scenes": jobs}
        waiting = len(studio.store.in_state("queued")) + len(studio.store.in_state("active"))
        return {
            "version": project_version(),
            "events": True,
            "disk": disk,
            "runs": waiting,
            "detector": studio.detector is not None,
        }

    async def standing(_: Request) -> Response:
        return Response(json.dumps(await run_in_threadpool(told)), media_type="application/json")

    return standing


def _session(studio: Studio, guard: Guard) -> Callable[[Request], Any]:
    """Takes the token, and lets this browser call from now on."""

    async def begin(request: Request) -> Response:
        said = b""
        async for chunk in request.stream():
            said += chunk
            if len(said) > MOST_TOKEN_BYTES:
                raise RefusedError(413, "this is no token")
        if studio.token and not guard.is_token(said.decode("utf-8", "replace")):
            raise RefusedError(
                401, "this is not the studio's token; use the address that it printed"
            )
        made = Response(status_code=204)
        if studio.token:
            made.set_cookie(
                COOKIE,
                studio.token,
                max_age=SESSION_SECONDS,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
        return made

    return begin
