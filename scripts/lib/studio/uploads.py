"""Uploads to this machine, by the cloud's calls and in its parts: an upload goes on where it stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from scripts.lib.cloud.call import hashed
from scripts.lib.cloud.messages import Ended, NewUpload, Part, UploadStatus
from scripts.lib.cloud.multipart import part_bytes, parts_of
from scripts.lib.cloud.request import RefusedError
from scripts.lib.contracts.request import RunRequest
from scripts.lib.studio.home import address_of
from scripts.lib.studio.records import found
from scripts.lib.studio.store import UploadRow
from scripts.lib.studio.studio import Call, Studio

URLS = 100  # in one answer
UNUSED_DAYS = 14
FULL = 507  # HTTP, "Insufficient Storage"


def begin(studio: Studio, call: Call, body: NewUpload) -> UploadStatus:
    """Begin to upload a file, or go on with it. Raises RefusedError when it does not fit on the disk."""
    token = hashed(call.key, body.name, str(body.bytes))[:16] if call.key else secrets.token_hex(8)
    call = replace(call, id=token)
    if not (call.key and studio.store.upload(token)):
        free = studio.home.free_bytes()
        # The run needs about as much again: it keeps converted photos beside these.
        if 2 * body.bytes > free:
            raise RefusedError(
                413,
                f"{_gigabytes(2 * body.bytes)} are needed for {body.name} and its run, but the disk has"
                f" {_gigabytes(free)} left; delete scenes, or other files",
            )
        folder = studio.home.upload(token)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        size = part_bytes(body.bytes)
        studio.store.add_upload(UploadRow(token, body.name, body.bytes, size, False))
    return status(studio, call)


def status(studio: Studio, call: Call) -> UploadStatus:
    """How far an upload is, and where its next parts go."""
    row = _known(studio, call.id)
    wanted = {} if row.done else parts_of(row.bytes, row.part_bytes)
    there = studio.store.parts(row.id)
    left = [number for number in wanted if number not in there]
    return UploadStatus(
        id=row.id,
        state="done" if row.done else "open",
        source=address_of(row.id, row.name),
        bytes=row.bytes,
        part_bytes=row.part_bytes,
        missing=len(left),
        parts=tuple(
            Part(number=n, bytes=wanted[n], url=call.base + studio.signed(part_path(row.id, n)))
            for n in left[:URLS]
        ),
    )


def part_path(token: str, number: int) -> str:
    """Where a part is PUT."""
    return f"/uploads/{token}/parts/{number}"


async def receive(studio: Studio, token: str, number: int, body: AsyncIterator[bytes]) -> None:
    """Write a part into its place in the file, as it comes; it counts once it is whole and on the disk.

    Raises RefusedError when there is no such part, it is not of its size, or the disk is full.
    """
    row = _known(studio, token)
    size = parts_of(row.bytes, row.part_bytes).get(number)
    if row.done or size is None:
        raise RefusedError(404, f"upload {token} does not wait for part {number}")
    path, came = studio.home.upload(token) / row.name, 0
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            async for chunk in body:
                if came + len(chunk) > size:
                    raise RefusedError(413, f"part {number} has {size} bytes, but more came")
                os.pwrite(handle, chunk, (number - 1) * row.part_bytes + came)
                came += len(chunk)
            await asyncio.to_thread(os.fsync, handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise RefusedError(
            FULL, f"the part could not be kept ({error.strerror}); free some disk, then try again"
        ) from None
    if came != size:
        raise RefusedError(400, f"part {number} has {size} bytes, but {came} came")
    if not studio.store.add_part(token, number):
        raise RefusedError(404, f"there is no upload {token!r}")


def complete(studio: Studio, call: Call) -> UploadStatus:
    """Say that all parts are there, after which runs may name the file."""
    before = status(studio, call)
    if before.missing:
        raise RefusedError(409, f"{before.missing} parts are missing; upload them first")
    if before.state == "open":
        studio.store.finish_upload(call.id)
    return status(studio, call)


def remove(studio: Studio, call: Call) -> Ended:
    """Delete an upload, finished or not."""
    row = _known(studio, call.id)
    studio.store.remove_upload(row.id)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(studio.home.upload(row.id))
    return Ended(id=row.id, state="deleted")


def forget_unused(studio: Studio, now: float) -> int:
    """Delete uploads that no run is made of and that nobody went on with for UNUSED_DAYS; how many.

    As the bucket of the cloud does: a page that was closed in the middle of an upload never comes back to
    some of them.
    """
    used = set()
    for request in studio.home.path.glob(f"jobs/*/{RunRequest.file}"):
        known = found(RunRequest, request.parent)
        used |= {scene.source.split("/")[-2] for scene in known.scenes} if known else set()
    count = 0
    for token in studio.store.upload_ids():
        folder = studio.home.upload(token)
        latest = max(
            (path.stat().st_mtime for path in (folder, *folder.glob("*")) if path.exists()),
            default=0.0,
        )
        if token not in used and now - latest > UNUSED_DAYS * 86_400:
            studio.store.remove_upload(token)
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def there(studio: Studio, source: str) -> Path | None:
    """The whole file that an address names; None when there is none."""
    path = studio.home.source(source)
    row = studio.store.upload(path.parent.name) if path else None
    return path if path and row and row.done and row.name == path.name and path.is_file() else None


def _known(studio: Studio, token: str) -> UploadRow:
    row = studio.store.upload(token)
    if row is None:
        raise RefusedError(404, f"there is no upload {token!r}")
    return row


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB"
