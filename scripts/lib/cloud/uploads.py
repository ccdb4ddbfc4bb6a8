"""What callers may do with their uploads. Each lies in a folder of its caller, where nobody else looks."""

from __future__ import annotations

import secrets
from dataclasses import replace

from scripts.lib.cloud import multipart
from scripts.lib.cloud.aws import Account
from scripts.lib.cloud.call import Call, hashed
from scripts.lib.cloud.messages import Ended, NewUpload, Part, UploadStatus
from scripts.lib.cloud.request import RefusedError
from scripts.lib.contracts.upload import Upload

URLS = 100  # in one answer


def begin(account: Account, call: Call, body: NewUpload) -> UploadStatus:
    """Begin to upload a file, or go on: with the same header Idempotency-Key it is the same upload.

    Give the parts to S3 as the answer says, ask for more until none is missing, then complete it.
    """
    token = hashed(call.key, body.name, str(body.bytes))[:16] if call.key else secrets.token_hex(8)
    call = replace(call, id=token)
    known = _read(account, call) if call.key else None
    if known and (_there(account, call, known) is not None or _complete(account, call, known)):
        return status(account, call)
    size = multipart.part_bytes(body.bytes)
    upload = multipart.begin(account, f"{_folder(call)}/{body.name}")
    made = Upload(name=body.name, bytes=body.bytes, part_bytes=size, multipart=upload)
    account.write(_folder(call), made)
    return status(account, call)


def status(account: Account, call: Call) -> UploadStatus:
    """How far an upload is, and where its next parts go."""
    upload = _known(account, call)
    key = f"{_folder(call)}/{upload.name}"
    there = _there(account, call, upload)
    if there is None and not _complete(account, call, upload):
        raise RefusedError(410, "this upload was given up after two days; begin it anew")
    wanted = multipart.parts_of(upload.bytes, upload.part_bytes)
    left = [n for n, size in wanted.items() if there is not None and _size(there, n) != size]
    return UploadStatus(
        id=call.id,
        state="done" if there is None else "open",
        source=f"s3://{account.bucket}/{key}",
        bytes=upload.bytes,
        part_bytes=upload.part_bytes,
        missing=len(left),
        parts=tuple(
            Part(
                number=number,
                bytes=wanted[number],
                url=multipart.part_url(account, key, upload.multipart, number, wanted[number]),
            )
            for number in left[:URLS]
        ),
    )


def complete(account: Account, call: Call) -> UploadStatus:
    """Make the file of its parts, after which jobs may name it. Once done, nothing more happens."""
    upload = _known(account, call)
    before = status(account, call)
    if before.missing:
        raise RefusedError(409, f"{before.missing} parts are missing; upload them first")
    there = _there(account, call, upload)
    if there is not None:
        wanted = multipart.parts_of(upload.bytes, upload.part_bytes)
        own = {number: part for number, part in there.items() if number in wanted}
        multipart.complete(account, f"{_folder(call)}/{upload.name}", upload.multipart, own)
    return status(account, call)


def remove(account: Account, call: Call) -> Ended:
    """Delete an upload, finished or not."""
    upload = _known(account, call)
    multipart.abort(account, f"{_folder(call)}/{upload.name}", upload.multipart)
    account.remove_all(f"{_folder(call)}/")
    return Ended(id=call.id, state="deleted")


def _folder(call: Call) -> str:
    return f"uploads/{call.caller.mark}/{call.id}"


def _read(account: Account, call: Call) -> Upload | None:
    return account.read(Upload, f"{_folder(call)}/{Upload.file}")


def _known(account: Account, call: Call) -> Upload:
    """The caller's own upload that an address names. Raises RefusedError; another's is none, too."""
    upload = _read(account, call)
    if upload is None:
        raise RefusedError(404, f"there is no upload {call.id!r}")
    return upload


def _there(account: Account, call: Call, upload: Upload) -> dict[int, tuple[int, str]] | None:
    key = f"{_folder(call)}/{upload.name}"
    return multipart.parts_there(account, key, upload.multipart)


def _complete(account: Account, call: Call, upload: Upload) -> bool:
    return account.exists(f"{_folder(call)}/{upload.name}")


def _size(there: dict[int, tuple[int, str]], number: int) -> int:
    return there[number][0] if number in there else -1
