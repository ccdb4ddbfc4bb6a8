"""What a caller asks for, checked by the types of `messages` and the schema of a configuration by hand."""

from __future__ import annotations

import base64
import binascii
import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from scripts.lib.cloud.messages import ARCHIVE
from scripts.lib.contracts.record import MismatchError, from_json
from scripts.lib.contracts.schema import Schema, schema_of
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError
from scripts.lib.workflow.settings import check, load_schema
from scripts.lib.workflow.typed_values import whole_numbers

MOST_REQUEST_BYTES = 64_000
OWN_UPLOADS = "must be one of your own uploads, as POST /uploads named it; upload it there"
# Where things lie is the service's to choose.
OF_THE_SERVICE = ("scenes", "only", "results", "registry", "publish_web")
# What one caller may ask of machines that another pays: the largest that a preset takes, and a little.
MOST = {
    ("train_splat", "steps"): 120_000,
    ("train_splat", "max_gaussians"): 5_000_000,
    ("train_splat", "batch_size"): 8,
    ("import_photos", "video_max_frames"): 3000,
    ("match_photos", "exhaustive_limit"): 200,
    ("match_photos", "neighbours"): 100,
}
Kind = TypeVar("Kind")


class RefusedError(Exception):
    """A request that is not followed: an HTTP status, and one sentence for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@cache
def options_schema(root: Path = ROOT) -> Schema:
    """The schema of `options`: config.yaml's own, without what is the service's, and its limits of cost."""
    schema = copy.deepcopy(load_schema(root, "config"))
    for key in ("$schema", "title"):
        schema.pop(key, None)
    for key in OF_THE_SERVICE:
        del schema["properties"][key]
    for (section, name), most in MOST.items():
        schema["properties"][section]["properties"][name]["maximum"] = most
    return schema | {"description": "Sections of config.yaml."}


_SCHEMAS: dict[type, Schema] = {}  # as made by `schema_to_check`


def schema_to_check(kind: type) -> Schema:
    """The schema of a request's type with all that it refers to."""
    if kind not in _SCHEMAS:
        schema = schema_of(kind)
        parts = schema["$defs"]
        assert isinstance(parts, Mapping)
        _SCHEMAS[kind] = {**schema, "$defs": {**parts, "Options": options_schema()}}
    return _SCHEMAS[kind]


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
    if len((body or "").encode("utf-8", "surrogatepass")) > MOST_REQUEST_BYTES:
        raise RefusedError(413, f"the request is larger than {MOST_REQUEST_BYTES} bytes")
    try:
        value = json.loads(body or "")
        json.dumps(value, ensure_ascii=False).encode()  # half a pair of UTF-16 is no text
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"the body is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise RefusedError(400, "the body must be a JSON object")
    return value


def read_body(kind: type[Kind], body: str | None) -> Kind:
    """The body of a request as the type that it must be. Raises RefusedError with the schema's sentence."""
    value = parse_body(body)
    options = value.get("options")
    try:
        if isinstance(options, dict):
            _check_options(options)
        check(value, schema_to_check(kind), "request")
    except UserError as error:
        raise RefusedError(400, str(error)) from None
    for text in _texts({key: part for key, part in value.items() if key != "options"}):
        # `$` of a pattern forgives a line break at the end; the sheet has one line for a scene.
        if not text.isprintable():
            raise RefusedError(400, f"{text!r} holds a character that cannot be printed")
    return _made(kind, value)


def read_query(kind: type[Kind], query: Mapping[str, str]) -> Kind:
    """The query of an address as the type that it must be. Raises RefusedError with the schema's sentence."""
    schema = schema_to_check(kind)
    parts: Any = schema["properties"]
    value = {name: _typed(text, parts.get(name, {}).get("type")) for name, text in query.items()}
    try:
        check(value, schema, "query")
    except UserError as error:
        raise RefusedError(400, str(error)) from None
    return _made(kind, value)


def _typed(text: str, kind: object) -> str | int | bool:
    """A value of a query in the type that JSON schema names; the text where it is none."""
    if kind == "integer" and re.fullmatch(r"-?[0-9]{1,9}", text):
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _made(kind: type[Kind], value: Mapping[str, Any]) -> Kind:
    try:
        return from_json(kind, whole_numbers(value, schema_to_check(kind)))
    except MismatchError as error:
        raise RefusedError(400, str(error)) from None


def _check_options(options: Mapping[str, Any]) -> None:
    """Raises UserError on an option that is the service's, or what the configuration would refuse."""
    for key in OF_THE_SERVICE:
        if key in options:
            raise UserError(f"options: {key!r} is set by the service")
    check(options, options_schema(), "options")


def _texts(value: Any) -> Iterator[str]:
    """Every text in some JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)


def upload_of(source: str, bucket: str, caller: str) -> tuple[str, str] | None:
    """(token, name) of an upload of this caller, from its s3:// address; None for anything else.

    A prefix would be copied whole, with what others have put there.
    """
    own = f"s3://{bucket}/uploads/{caller}/"
    upload = re.fullmatch(rf"([0-9a-f]{{16}})/({ARCHIVE})", source.removeprefix(own))
    good = upload and caller and source.startswith(own)
    return (upload[1], upload[2]) if upload and good else None


def idempotency_key(event: Mapping[str, Any]) -> str:
    """The header Idempotency-Key of a call, or nothing. Raises RefusedError for a strange one."""
    headers = event.get("headers") or {}  # API Gateway writes their names small
    key = str(headers.get("idempotency-key", ""))
    if not re.fullmatch(r"[!-~]{0,200}", key):
        raise RefusedError(400, "Idempotency-Key must be at most 200 letters, digits or signs")
    return key
