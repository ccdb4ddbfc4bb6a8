"""What a caller may ask for, checked against the same schemas as a configuration by hand."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.lib.contracts.request import RunRequest
from scripts.lib.core.console import UserError
from scripts.lib.workflow.settings import check, load_schema

MOST_REQUEST_BYTES = 64_000
MOST_UPLOAD_BYTES = 5 * 10**9  # the most that S3 takes in one upload from a form
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"  # of an uploaded file
# What one caller may ask of machines that another pays: the largest that a preset takes, and a little.
MOST = {
    ("train_splat", "steps"): 120_000,
    ("train_splat", "max_gaussians"): 5_000_000,
    ("train_splat", "batch_size"): 8,
    ("import_photos", "video_max_frames"): 3000,
    ("match_photos", "exhaustive_limit"): 200,
    ("match_photos", "neighbours"): 100,
}
ARCHIVES = (".zip", ".mp4", ".mov", ".avi", ".mkv", ".webm")


class RefusedError(Exception):
    """A request that is not followed: an HTTP status, and one sentence for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def body_of(event: Mapping[str, Any]) -> str | None:
    """The body of a call as text. Raises RefusedError when it is none.

    HTTP APIs hand it over in base64 where the caller named no type of text.
    """
    body = event.get("body")
    if not event.get("isBase64Encoded"):
        return body
    try:
        return base64.b64decode(str(body or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise RefusedError(400, "the body is not text in UTF-8") from None


def parse_body(body: str | None) -> dict[str, Any]:
    """The JSON object of a request. Raises RefusedError when it is none, or too large."""
    if len((body or "").encode()) > MOST_REQUEST_BYTES:
        raise RefusedError(413, f"the request is larger than {MOST_REQUEST_BYTES} bytes")
    try:
        value = json.loads(body or "")
    except json.JSONDecodeError as error:
        raise RefusedError(400, f"the body is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise RefusedError(400, "the body must be a JSON object")
    return value


def parse_request(body: str | None, bucket: str, root: Path, caller: str) -> RunRequest:
    """A checked request of the caller with the mark `caller`.

    Raises RefusedError: 400 with the schema's sentence, 403 for what is not the caller's own upload.
    """
    value = parse_body(body)
    try:
        check(value, load_schema(root, "job"), "request")
        options = value.get("options", {})
        check(options, load_schema(root, "config"), "options")
    except UserError as error:
        raise RefusedError(400, str(error)) from None
    for key in ("source", "scene", "email"):
        # `$` of a pattern forgives a line break at the end; the sheet has one line for a scene.
        if not value.get(key, "").isprintable():
            raise RefusedError(400, f"{key!r} holds a character that cannot be printed")
    if upload_key(value["source"], bucket, caller) is None:
        raise RefusedError(
            403,
            "the source must be one of your own uploads, as POST /uploads named it; upload it there",
        )
    # Where things lie is the service's to choose.
    for key in ("scenes", "only", "results", "registry", "publish_web"):
        if key in options:
            raise RefusedError(400, f"options: {key!r} is set by the service")
    for (section, name), most in MOST.items():
        asked = (options.get(section) or {}).get(name)
        if isinstance(asked, int | float) and asked > most:
            raise RefusedError(400, f"options: '{section}.{name}' is {asked}; here at most {most}")
    return RunRequest(
        source=value["source"],
        scene=value["scene"],
        email=value.get("email", ""),
        options=options,
        caller=caller,
    )


def upload_key(source: str, bucket: str, caller: str) -> str | None:
    """The key of an upload of this caller, from its s3:// address; None for anything else.

    A prefix would be copied whole, with what others have put there.
    """
    key = source.removeprefix(f"s3://{bucket}/")
    upload = re.fullmatch(rf"uploads/{re.escape(caller)}/[0-9a-f]{{16}}/({NAME})", key)
    good = upload and key != source and caller and upload[1].lower().endswith(ARCHIVES)
    return key if good else None


def idempotency_key(event: Mapping[str, Any]) -> str:
    """The header Idempotency-Key of a call, or nothing. Raises RefusedError for a strange one."""
    headers = event.get("headers") or {}  # API Gateway writes their names small
    key = str(headers.get("idempotency-key", ""))
    if not re.fullmatch(r"[!-~]{0,200}", key):
        raise RefusedError(400, "Idempotency-Key must be at most 200 letters, digits or signs")
    return key


def parse_upload(body: str | None) -> tuple[str, int]:
    """(file's name, its bytes) of a request to upload. Raises RefusedError on another name or too much."""
    value = parse_body(body)
    name, size = value.get("name"), value.get("bytes")
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise RefusedError(400, "'name' must be a file's name: letters, digits, dot, - and _")
    if not name.lower().endswith(ARCHIVES):
        raise RefusedError(400, f"'name' must end in one of {', '.join(ARCHIVES)}")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise RefusedError(400, "'bytes' must be the file's size, a whole number")
    if size > MOST_UPLOAD_BYTES:
        raise RefusedError(413, f"{size} bytes are more than the {MOST_UPLOAD_BYTES} allowed")
    return name, size
