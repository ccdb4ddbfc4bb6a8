"""Files to and from the service: uploads go on where they stopped, what is there is not fetched again."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.lib.cloud.client.api import (
    OPENER,
    SECONDS,
    Api,
    ExpiredError,
    UnreachableError,
    send,
    tries,
)
from scripts.lib.cloud.messages import ARCHIVE, File, Files, Part, UploadStatus
from scripts.lib.core.console import Progress, UserError
from scripts.lib.core.files import inner_path, replacing

AT_ONCE = 4  # parts; one connection seldom fills a line
PRINT = 2**20  # bytes at both ends that tell one file from another


def upload(api: Api, path: Path) -> str:
    """Upload an archive or a video, or what is missing of it; its source for POST /jobs.

    Raises UserError on a file that is none, or that changes meanwhile.
    """
    name = remote_name(path)
    before = state = _state(path)
    status = api.ask(
        UploadStatus, "POST", "/uploads", {"name": name, "bytes": state[0]}, key=_mark(path, state)
    )
    total = -(-status.bytes // status.part_bytes)
    shown = Progress(f"Upload of {path.name}", total, start=total - status.missing)
    while status.state == "open" and status.missing:
        left, was = status.missing, total - status.missing
        for done in _send_parts(path, status):
            shown.update(was + done)
        status = api.ask(UploadStatus, "GET", f"/uploads/{status.id}")
        if status.missing >= left:
            raise UserError(f"{path} was not taken; check this machine's clock, then try again")
    if _state(path) != before:
        raise UserError(f"{path} was changed while it was uploaded; run the same command again")
    if status.state == "open":
        status = api.ask(UploadStatus, "POST", f"/uploads/{status.id}/complete")
    return status.source


def remote_name(path: Path) -> str:
    """What a file is called there. Raises UserError when it is no archive and no video."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; put its photos into a .zip and submit that")
    if not path.is_file():
        raise UserError(f"{path} does not exist; check the path")
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path.name).lstrip("._-")[-100:]
    if not re.fullmatch(ARCHIVE, name):
        raise UserError(f"{path} is neither a .zip of photos nor a video; give one of these")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty; give another file")
    return name


def _state(path: Path) -> tuple[int, int]:
    """(bytes, time of the last change in nanoseconds) of a file."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _mark(path: Path, state: tuple[int, int]) -> str:
    """By what an upload of this file is found again: its size, its date, and both its ends."""
    digest = hashlib.sha256(repr(state).encode())
    with path.open("rb") as file:
        digest.update(file.read(PRINT))
        file.seek(max(0, state[0] - PRINT))
        digest.update(file.read(PRINT))
    return digest.hexdigest()


def _send_parts(path: Path, status: UploadStatus) -> Iterator[int]:
    """Send the parts that are asked for, several at once; how many are through, as they come.

    Ends early when links have expired: a slow line needs new ones.
    """

    def one(part: Part) -> None:
        with path.open("rb") as file:
            file.seek((part.number - 1) * status.part_bytes)
            data = file.read(part.bytes)
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        send(part.url, data, {"Content-MD5": digest, "Content-Type": "application/octet-stream"})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [pool.submit(one, part) for part in status.parts]
        try:
            for done, future in enumerate(waiting, 1):
                future.result()
                yield done
        except ExpiredError:
            return
        finally:
            for future in waiting:
                future.cancel()


def all_files(api: Api, job: str) -> Iterator[File]:
    """All files of a run, page by page."""
    query: dict[str, str] = {}
    while True:
        page = api.ask(Files, "GET", f"/jobs/{job}/files", query=query)
        yield from page.files
        if page.next is None:
            return
        query = {"after": page.next}


def fetch(file: File, folder: Path) -> bool:
    """Bring a file into a folder; False when one of that size is there.

    Raises UserError on a name that leads out of the folder, and UnreachableError.
    """
    target = folder / inner_path(file.name, folder)
    if target.is_file() and target.stat().st_size == file.bytes:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    for again in tries():
        try:
            with (
                OPENER.open(urllib.request.Request(file.url), timeout=SECONDS) as answer,
                replacing(target) as temporary,
                temporary.open("wb") as out,
            ):
                shutil.copyfileobj(answer, out, 2**20)
            if target.stat().st_size == file.bytes:
                return True
            reason = "it ended early"
        except urllib.error.HTTPError as error:
            reason = f"it answers {error.code}"
        except (OSError, http.client.HTTPException) as error:
            reason = str(error)
        if not again:
            break
    raise UnreachableError(f"{file.name} was not fetched ({reason}); run the same command again")


def pause(seconds: float) -> None:
    """Wait between two questions."""
    time.sleep(seconds)
