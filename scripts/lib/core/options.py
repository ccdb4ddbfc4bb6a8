"""Options of the stages: frozen dataclasses that say themselves what they allow.

They are the only source: `schema_of` makes of them what checks config.yaml and what config/README.md shows.
A rule's section travels as JSON on the command line and becomes its dataclass here.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import re
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from scripts.lib.core.console import UserError

T = TypeVar("T")
Part = dict[str, Any]  # the JSON schema of one value
JSON_TYPES: dict[type, tuple[str, type | tuple[type, ...]]] = {
    bool: ("boolean", bool),
    int: ("integer", int),
    float: ("number", (int, float)),
    str: ("string", str),
    dict: ("object", Mapping),
    list: ("array", list),
}
PYTHON_TYPES = dict(JSON_TYPES.values())


def option(
    default: T,
    meaning: str,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    unit: str = "",
    pattern: str = "",
    form: str = "",
    shared: bool = False,
    per_scene: bool = False,
) -> T:
    """A field of an option type: its default, one sentence on what it means, and what it allows.

    least, most: both ends of a number, or of a text's length; above: a number's end that it may not reach.
    unit: of that number, as the manual says it. pattern: what a text must look like, and form: the same in
    words. shared: the configuration has it once at its top and hands it to every stage that has such a
    field. per_scene: a column of the sheet may say otherwise for a scene.
    """
    about = {
        "meaning": " ".join(meaning.split()),
        "least": least,
        "most": most,
        "above": above,
        "unit": unit,
        "pattern": pattern,
        "form": form,
        "shared": shared,
        "per_scene": per_scene,
    }
    made: Any
    if isinstance(default, list | dict):  # each instance has its own
        made = dataclasses.field(
            default_factory=functools.partial(copy.copy, default), metadata=about
        )
    else:
        made = dataclasses.field(default=default, metadata=about)
    return made  # type: ignore[no-any-return]


class Options:
    """Base of every frozen dataclass of options. Its values are checked when it is made.

    Raises UserError on a value that its type or its bounds do not allow.
    """

    def __post_init__(self) -> None:
        for name, part in parts_of(type(self)).items():
            value = getattr(self, name)
            if not _accepts(part, value):
                raise UserError(f"option {name} is {value!r}; allowed: {allowed_values(part)}")


Kind = TypeVar("Kind", bound=Options)


_PARTS: dict[type, Mapping[str, Part]] = {}  # as made by `parts_of`


def parts_of(kind: type[Options]) -> Mapping[str, Part]:
    """The JSON schema of each field of an option type."""
    if kind in _PARTS:
        return _PARTS[kind]
    hints, parts = get_type_hints(kind), {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        made = field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        parts[field.name] = {
            **_part(hints[field.name], field.metadata),
            **({"x-per-scene": True} if field.metadata["per_scene"] else {}),
            "default": default,
            "description": field.metadata["meaning"],
        }
    _PARTS[kind] = parts
    return parts


def schema_of(kind: type[Options]) -> Part:
    """The JSON schema of the section of an option type; its docstring is the description.

    Fields that all stages share stand at the top of the configuration, so `x-shared` only names them.
    """
    shared = [f.name for f in dataclasses.fields(kind) if f.metadata["shared"]]  # type: ignore[arg-type]
    own = {name: part for name, part in parts_of(kind).items() if name not in shared}
    return {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split()),
        "additionalProperties": False,
        **({"x-shared": shared} if shared else {}),
        "properties": own,
    }


def _part(hint: Any, about: Mapping[str, Any]) -> Part:
    """The JSON schema of a type with the bounds that a field tells."""
    if get_origin(hint) in (Union, types.UnionType):
        choices: list[Part] = []
        for choice in get_args(hint):
            values = get_args(choice) if get_origin(choice) is Literal else ()
            # Beside a number, the bounds are the number's.
            bounds = {**about, "least": None, "most": None} if choice is str else about
            choices += [{"const": value} for value in values] or [_part(choice, bounds)]
        return {"anyOf": choices}
    if get_origin(hint) is Literal:
        values = get_args(hint)
        texts = all(isinstance(value, str) for value in values)
        return {**({"type": "string"} if texts else {}), "enum": list(values)}
    plain = get_origin(hint) or hint
    part: Part = {"type": JSON_TYPES[plain][0]}
    least, most = ("minLength", "maxLength") if plain is str else ("minimum", "maximum")
    keys = {least: "least", "exclusiveMinimum": "above", most: "most"}
    if plain in (int, float, str):
        part |= {key: about[name] for key, name in keys.items() if about[name] is not None}
    if plain in (int, float) and about["unit"]:
        part["x-unit"] = about["unit"]
    if plain is str and about["pattern"]:
        part["pattern"] = about["pattern"]
    if plain is str and about["form"]:
        part["x-form"] = about["form"]
    if plain is list:
        part["items"] = {"type": "object"}
    if plain is dict:
        part |= {"additionalProperties": True, "properties": {}}
    return part


def _accepts(part: Part, value: Any) -> bool:
    """Whether a value fits the JSON schema of a field, as far as `_part` writes such schemas."""
    if "anyOf" in part:
        return any(_accepts(choice, value) for choice in part["anyOf"])
    if "const" in part or "enum" in part:
        known = part.get("enum", [part.get("const")])
        return any(type(value) is type(one) and value == one for one in known)
    if not isinstance(value, PYTHON_TYPES[part["type"]]):
        return False
    if isinstance(value, str):
        length = part.get("minLength", 0) <= len(value) <= part.get("maxLength", len(value))
        return length and re.search(part.get("pattern", ""), value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return not isinstance(value, bool) or part["type"] == "boolean"
    least, most = part.get("minimum", value), part.get("maximum", value)
    above = part.get("exclusiveMinimum")
    return bool(least <= value <= most and (above is None or value > above))


def allowed_values(part: Mapping[str, Any]) -> str:
    """What a schema allows, in words: `auto or integer, at least 1, at most 64`."""
    if "anyOf" in part:
        return " or ".join(allowed_values(choice) for choice in part["anyOf"])
    if "const" in part:
        return str(part["const"])
    if "enum" in part:
        return ", ".join(map(str, part["enum"]))
    if part.get("x-form"):
        return str(part["x-form"])
    words = [part["type"]]
    words += [f"at least {part['minimum']}"] if "minimum" in part else []
    words += [f"above {part['exclusiveMinimum']}"] if "exclusiveMinimum" in part else []
    words += [f"at most {part['maximum']}"] if "maximum" in part else []
    return ", ".join(words) + (f" {part['x-unit']}" if "x-unit" in part else "")


def parse_options(kind: type[Kind], text: str) -> Kind:
    """Turn a JSON object into the frozen dataclass `kind`; keys not given keep its defaults.

    Raises UserError on text that is not a JSON object, on unknown keys and on values that are not allowed.
    """
    name = kind.__name__
    try:
        values: Any = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise UserError(f"--options is not JSON ({error}); pass an object like '{{}}'") from None
    if not isinstance(values, dict):
        raise UserError(f"--options must be a JSON object, not {type(values).__name__}")
    known = list(parts_of(kind))
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UserError(f"unknown option {unknown[0]!r} for {name}; known: {', '.join(known)}")
    return kind(**values)
