"""What a caller may ask for, checked against the same schemas as a configuration by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from scripts.lib.core.console import UserError
from scripts.lib.core.json_type import Json
from scripts.lib.workflow.settings import check, load_schema

MOST_REQUEST_BYTES = 64_000
MOST_UPLOAD_BYTES = 5 * 10**9  # the most that S3 takes in one upload from a form
ARCHIVES = (".zip", ".mp4", ".mov", ".avi", ".mkv", ".webm")


class RefusedError(Exception):
    """A request that is not followed: an HTTP status, and one sentence for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class RunRequest:
    """A run to start: one scene, from photos that were uploaded to the bucket."""

    source: str
    scene: str
    email: str
    options: Mapping[str, Json]


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


def parse_request(body: str | None, bucket: str, root: Path) -> RunRequest:
    """A checked request. Raises RefusedError: 400 with the schema's sentence, 403 for a foreign bucket."""
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
    if not value["source"].startswith(f"s3://{bucket}/uploads/"):
        raise RefusedError(403, f"the source must lie in s3://{bucket}/uploads/; upload it there")
    if ".." in PurePosixPath(value["source"]).parts:
        raise RefusedError(400, "the source must not contain '..'")
    # Where things lie is the service's to choose.
    for key in ("scenes", "only", "results", "registry", "publish_web"):
        if key in options:
            raise RefusedError(400, f"options: {key!r} is set by the service")
    return RunRequest(value["source"], value["scene"], value.get("email", ""), options)


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
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise RefusedError(400, "'name' must be a file's name: letters, digits, dot, - and _")
    if not name.lower().endswith(ARCHIVES):
        raise RefusedError(400, f"'name' must end in one of {', '.join(ARCHIVES)}")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise RefusedError(400, "'bytes' must be the file's size, a whole number")
    if size > MOST_UPLOAD_BYTES:
        raise RefusedError(413, f"{size} bytes are more than the {MOST_UPLOAD_BYTES} allowed")
    return name, size
