"""JSON schemas (2020-12) of the files that stages hand on, made from their types and the comments there."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import pkgutil
import tokenize
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from scripts.lib import contracts
from scripts.lib.contracts.record import (
    FORMAT,
    WRITER,
    HandedOn,
    Measured,
    hints_of,
    is_required,
)
from scripts.lib.core.json_type import OPEN, Bounds, Json

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
Schema = dict[str, Json]


def kinds() -> list[type[HandedOn]]:
    """Every file of this room, by its name."""
    for module in pkgutil.iter_modules(contracts.__path__):
        importlib.import_module(f"{contracts.__name__}.{module.name}")
    every = [*HandedOn.__subclasses__(), *Measured.__subclasses__()]
    here = [kind for kind in every if kind.__module__.startswith(contracts.__name__)]
    return sorted((kind for kind in here if kind is not Measured), key=lambda kind: kind.file)


def schema(kind: type[HandedOn]) -> Schema:
    """The schema of one file."""
    parts: dict[str, Schema] = {}
    whole = _object(kind, parts)
    properties = whole.pop("properties")
    assert isinstance(properties, Mapping)
    head: Schema = {
        FORMAT: {"const": kind.format},
        WRITER: {"type": "string", "description": "splatmake and its version"},
    }
    return {
        "$schema": DIALECT,
        "title": kind.file,
        **whole,
        "properties": {**head, **properties},
        "$defs": dict(sorted(parts.items())),
    }


def schema_of(kind: type) -> Schema:
    """The schema of a dataclass that is no file of its own."""
    parts: dict[str, Schema] = {}
    whole = _object(kind, parts)
    return {**whole, "$defs": dict(sorted(parts.items()))}


def _object(kind: type, parts: dict[str, Schema]) -> Schema:
    told, hints = comments(kind), hints_of(kind)
    properties: dict[str, Json] = {}
    for item in dataclasses.fields(kind):
        hint = hints[item.name]
        if not item.metadata.get("null", True):
            (hint,) = (one for one in get_args(hint) if one is not type(None))
        of_type = _of(hint, parts)
        words = told.get(item.name)
        properties[item.name] = {**of_type, "description": words} if words else of_type
    return {
        "description": " ".join(inspect.cleandoc(kind.__doc__ or "").split()),
        "type": "object",
        "properties": properties,
        "required": [item.name for item in dataclasses.fields(kind) if is_required(item)],
        "additionalProperties": False,
    }


def _of(kind: Any, parts: dict[str, Schema]) -> Schema:
    """The schema of a field's type; `parts` takes those of dataclasses inside."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated and OPEN in inner:
        return {}
    if origin is Annotated:
        told = [mark.keywords for mark in inner[1:] if isinstance(mark, Bounds)]
        return {**_of(inner[0], parts), **{key: value for words in told for key, value in words}}
    if origin in (Union, types.UnionType):
        choices = [_of(one, parts) for one in inner]
        names = [choice.get("type") for choice in choices if set(choice) == {"type"}]
        return {"type": names} if len(names) == len(choices) else {"anyOf": choices}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is tuple and inner[-1] is Ellipsis:
        return {"type": "array", "items": _of(inner[0], parts)}
    if origin is tuple:
        entries = [_of(one, parts) for one in inner]
        return {"type": "array", "prefixItems": entries, "minItems": len(inner), "items": False}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _of(inner[1], parts)}
    if dataclasses.is_dataclass(kind):
        part = typing.cast(type, kind)
        if part.__name__ not in parts:
            parts[part.__name__] = {}  # it may hold itself
            parts[part.__name__] = _object(part, parts)
        return {"$ref": f"#/$defs/{part.__name__}"}
    return {"type": SCALARS[kind]}


@cache
def comments(kind: type) -> Mapping[str, str]:
    """What the comments behind and below the fields of a dataclass say, by the fields' names."""
    found: dict[str, str] = {}
    for one in reversed([k for k in kind.__mro__ if dataclasses.is_dataclass(k)]):
        name = ""
        lines = io.StringIO(inspect.cleandoc("\n" + inspect.getsource(one))).readline
        tokens = list(tokenize.generate_tokens(lines))
        for token, after in zip(tokens, tokens[1:], strict=False):
            starts = token.type == tokenize.NAME and token.start[1] == 4
            if starts and after.string == ":":
                name = token.string
            elif token.type == tokenize.NAME and token.start[1] == 4:
                name = ""
            elif token.type == tokenize.COMMENT and name:
                words = token.string.lstrip("# ").strip()
                found[name] = f"{found[name]} {words}" if name in found else words
    return found
