"""Files that stages hand on: a frozen dataclass for each, checked when it is written and when it is read.

A module of this room has one file. Its dataclass is a `HandedOn`; the parts of it are plain frozen
dataclasses. A field without a default must be there, one with a default may be missing. Fields may be str,
bool, int, float, a Literal, another such dataclass, a tuple, a Mapping with text as keys, any of these or
None, and `Json` where the content is another's. `read` and `write` are the only way to the files.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from scripts.lib.core import provenance
from scripts.lib.core.console import UserError
from scripts.lib.core.files import read_json, write_json
from scripts.lib.core.json_type import OPEN, Json

FORMAT, WRITER = "format", "written_by"  # the first two keys of every file
FIRST = 1  # format of files from before they had these keys
WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    type(None): "null",
}


@dataclass(frozen=True)
class HandedOn:
    """A whole file. `format` rises when older readers would misunderstand what is written."""

    file: ClassVar[str]  # its name in the scene's folder
    stage: ClassVar[str]  # the program that writes it
    format: ClassVar[int] = FIRST


@dataclass(frozen=True, kw_only=True)
class Measured(HandedOn):
    """A file that also tells how its stage was run, see `scripts.lib.core.provenance`."""

    options: Mapping[str, Json] = field(default_factory=dict)  # of the config section, as used
    versions: Mapping[str, str] = field(default_factory=dict)  # of this project and of packages
    machine: Mapping[str, str | int | None] = field(default_factory=dict)
    ran: Mapping[str, str] = field(default_factory=dict)  # started, ended (ISO 8601), image


File = TypeVar("File", bound=HandedOn)
Stage = TypeVar("Stage", bound=Measured)
Part = TypeVar("Part")


class MismatchError(ValueError):
    """A value is not what its type says: where in the file, and what is wrong there."""

    def __init__(self, where: str, wrong: str) -> None:
        super().__init__(f"{where} {wrong}")
        self.where, self.wrong = where, wrong


def optional() -> Any:
    """A field that is left out of the file where it is None."""
    return field(default=None, metadata={"optional": True})


def left_out() -> Any:
    """The same for what others send: null does not stand for it, by the schema."""
    return field(default=None, metadata={"optional": True, "null": False})


def stamped(record: Stage, options: object, *packages: str) -> Stage:
    """`record` with how its stage was run; `packages` by their names in pip."""
    return dataclasses.replace(record, **provenance.provenance(options, *packages))


def write(path: Path, record: HandedOn) -> None:
    """Write a file, whole or not at all. Raises TypeError when a value is not of its field's type."""
    write_json(path, as_file(record))


def as_file(record: HandedOn) -> dict[str, Json]:
    """The content of a record's file. Raises TypeError when a value is not of its field's type."""
    content = to_json(record)
    try:
        from_json(type(record), content)
    except MismatchError as error:
        raise TypeError(f"{record.file}: {error}") from None
    head: dict[str, Json] = {
        FORMAT: record.format,
        WRITER: f"splatmake {provenance.project_version()}",
    }
    return head | content


def read(kind: type[File], path: Path) -> File:
    """Read a file of this kind.

    Raises UserError, one sentence with the file, the key and the version that wrote it, when the file is
    missing, no JSON, or not what `kind` says.
    """
    return from_file(kind, read_json(path), path)


def from_file(kind: type[File], content: object, path: Path) -> File:
    """The record in the parsed JSON of a file; `path` is for messages. Raises UserError as `read` does."""
    again = f"delete it and run {kind.stage} again"
    if not isinstance(content, Mapping):
        raise UserError(f"{path} is not a JSON object; {again}")
    form = content.get(FORMAT, FIRST)
    if form != kind.format:
        raise UserError(
            f"{path} has the key {FORMAT!r} {form!r} ({_writer(content)}), and this version reads"
            f" {kind.format}; {again}"
        )
    values = {key: value for key, value in content.items() if key not in (FORMAT, WRITER)}
    try:
        return from_json(kind, values)
    except MismatchError as error:
        raise UserError(f"{path}: {error} ({_writer(content)}); {again}") from None


def _writer(content: Mapping[str, object]) -> str:
    """Which version wrote a file, in words."""
    told = content.get(WRITER)
    versions = content.get("versions")
    if not isinstance(told, str) and isinstance(versions, Mapping) and "splatmake" in versions:
        told = f"splatmake {versions['splatmake']}"
    return f"written by {told}" if isinstance(told, str) else "written by an unknown version"


def to_json(record: object) -> dict[str, Json]:
    """A dataclass as a JSON object, its own fields first, then inherited ones."""
    kind: Any = type(record)
    return {
        item.name: _plain(value)
        for item in _ordered(kind)
        if (value := getattr(record, item.name)) is not None or not item.metadata.get("optional")
    }


def _plain(value: Any) -> Json:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def from_json(kind: type[Part], value: object, where: str = "") -> Part:
    """The dataclass `kind` that `to_json` made this object of. Raises MismatchError."""
    if not isinstance(value, Mapping):
        raise MismatchError(repr(where), f"is {_shown(value)}, not an object")
    inside = f"{where}." if where else ""
    of: Any = kind
    known, hints = {item.name: item for item in _ordered(of)}, hints_of(of)
    for key in value:
        if key not in known:
            raise MismatchError(repr(f"{inside}{key}"), "is a key that this version does not know")
    found = {}
    for name, item in known.items():
        if name in value:
            found[name] = parse(hints[name], value[name], f"{inside}{name}")
        elif is_required(item):
            raise MismatchError(repr(f"{inside}{name}"), "is missing")
    return kind(**found)


def is_required(item: dataclasses.Field[Any]) -> bool:
    """Whether a file must have this field's key."""
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


@cache
def hints_of(kind: Any) -> Mapping[str, Any]:
    """The types of a dataclass's fields by name."""
    # What the text of `Json` names, for modules that do not import it.
    names = {"Json": Json, "Mapping": Mapping, "Sequence": Sequence}
    return typing.get_type_hints(kind, localns=names, include_extras=True)


@cache
def _ordered(kind: Any) -> tuple[dataclasses.Field[Any], ...]:
    """A dataclass's fields: its own, then those that every measured file has."""
    shared = {item.name for item in dataclasses.fields(Measured)}
    return tuple(sorted(dataclasses.fields(kind), key=lambda item: item.name in shared))


def parse(kind: Any, value: Any, where: str) -> Any:
    """`value` as the type `kind` of a field. Raises MismatchError, with `where` it stands."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated and OPEN in inner:
        return value
    if origin is Annotated:  # with bounds, which schemas tell
        return parse(inner[0], value, where)
    if origin in (Union, types.UnionType):
        return _one_of(inner, value, where)
    if origin is Literal:
        if value not in inner or isinstance(value, bool) != isinstance(inner[0], bool):
            raise MismatchError(repr(where), f"is {_shown(value)}, not {listed(inner)}")
        return value
    if origin is tuple:
        return _parse_tuple(inner, value, where)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise MismatchError(repr(where), f"is {_shown(value)}, not an object")
        return {key: parse(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return from_json(typing.cast(type, kind), value, where)
    return _scalar(kind, value, where)


def _one_of(kinds: Sequence[Any], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    left = [kind for kind in kinds if kind is not type(None)]
    for kind in left[:-1]:
        try:
            return parse(kind, value, where)
        except MismatchError:
            continue
    return parse(left[-1], value, where)


def _parse_tuple(kinds: Sequence[Any], value: Any, where: str) -> Any:
    if not isinstance(value, list | tuple):
        raise MismatchError(repr(where), f"is {_shown(value)}, not a list")
    if kinds[-1] is Ellipsis:
        kinds = [kinds[0]] * len(value)
    elif len(kinds) != len(value):
        raise MismatchError(repr(where), f"has {len(value)} entries, not {len(kinds)}")
    pairs = zip(kinds, value, strict=True)
    return tuple(parse(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(pairs))


def _scalar(kind: Any, value: Any, where: str) -> Any:
    good = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if kind is float:
        whole = isinstance(value, int | float) and not isinstance(value, bool)
        good = whole and math.isfinite(value)
    if not good:
        raise MismatchError(repr(where), f"is {_shown(value)}, not {WORDS[kind]}")
    return float(value) if kind is float else value


def _shown(value: object) -> str:
    """A wrong value in a sentence: scalars as they stand, the rest by its kind."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def listed(choices: Sequence[object]) -> str:
    """`'a', 'b' or 'c'`."""
    words = [repr(choice) for choice in choices]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
