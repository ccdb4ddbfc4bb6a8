"""Entities of an RO-Crate, as its JSON-LD has them: an `@id`, an `@type`, and references to others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

Entity = dict[str, Any]
# Where the project is at home: what stands for its programs, and for whoever states no address.
PROJECT = "https://github.com/splatmake/splatmake"
PUBLISHER = "#publisher"
DONE = "http://schema.org/CompletedActionStatus"
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".gz": "application/gzip",
    ".json": "application/json",
    ".jpg": "image/jpeg",
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".smk": "text/plain",
    ".sog": "application/zip",
    ".zip": "application/zip",
    ".webp": "image/webp",
    ".db": "application/vnd.sqlite3",
}


def ref(identifier: str) -> dict[str, str]:
    """A reference to one entity."""
    return {"@id": identifier}


def refs(identifiers: Iterable[str]) -> Any:
    """References to several entities, each once; one alone is no list, as JSON-LD is compacted."""
    listed = [ref(identifier) for identifier in dict.fromkeys(identifiers)]
    return listed[0] if len(listed) == 1 else listed


def file_entity(identifier: str, name: str, entry: Mapping[str, Any] | None) -> Entity:
    """A file; `entry` is its size in bytes and SHA-256, None where nobody kept them."""
    known = {"contentSize": str(entry["bytes"]), "sha256": entry["sha256"]} if entry else {}
    kind = KINDS.get(PurePosixPath(name).suffix, "application/octet-stream")
    return {"@id": identifier, "@type": "File", "name": name, "encodingFormat": kind, **known}


def value_entity(identifier: str, name: str, value: Any) -> tuple[Entity, str]:
    """(a PropertyValue, the schema.org type of its value); lists and objects become JSON text."""
    kinds = {bool: "Boolean", int: "Integer", float: "Float", str: "Text"}
    kind = kinds.get(type(value))
    plain = value if kind else json.dumps(value, sort_keys=True, ensure_ascii=False)
    entity = {"@id": identifier, "@type": "PropertyValue", "name": name, "value": plain}
    return entity, kind or "Text"
