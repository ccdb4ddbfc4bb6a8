"""Values of options as people write them, in the types that are meant."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from scripts.lib.core.console import UserError

WHOLE = re.compile(r"[-+]?\d+")
# As everybody writes numbers; YAML 1.1 takes 5e-3 for text, 010 for eight and 1:30 for ninety.
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def parse_scalars(
    values: Mapping[str, Any], schema: Mapping[str, Any], where: str, path: str = ""
) -> dict[str, Any]:
    """`values` in the types that the schema asks for, as far as their meaning is certain.

    Numbers and booleans arrive as text from the sheet and from `--config 'train_splat={steps: -5}'`;
    texts that look like a number or a date arrive as those from YAML. A section without a value counts
    as not given. Raises UserError on an option without one, on text that cannot be read, and on a
    number where a text is wanted that may have been written otherwise.
    """
    parsed: dict[str, Any] = {}
    for key, value in values.items():
        part = schema.get("properties", {}).get(key, {})
        name = f"{path}.{key}" if path else str(key)
        if value is None and path:
            raise UserError(
                f"{where}: {name} has no value; remove it, or write its value in quotation marks: "
                "YAML reads everything after a # as a comment"
            )
        if value is None:
            continue
        if isinstance(value, Mapping) and part.get("properties"):
            parsed[key] = parse_scalars(value, part, where, name)
        elif part.get("type") == "string":
            parsed[key] = _as_text(value, f"{where}: {name}")
        elif isinstance(value, str) and part:
            parsed[key] = _from_text(value, f"{where}: {name}")
        else:
            parsed[key] = _plain(value)
    return parsed


def _as_text(value: Any, where: str) -> Any:
    """A value for an option that is text. A whole number and a date are taken as they were written."""
    if isinstance(value, bool | float):
        raise UserError(
            f"{where} is read as {value!r}; write it in quotation marks, because it is text"
        )
    if isinstance(value, int):
        return str(value)
    return _plain(value)


def _from_text(text: str, where: str) -> Any:
    """The number, boolean or structure that a cell holds. Raises UserError when it cannot be read."""
    text = text.strip()
    if WHOLE.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text):
        return float(text)
    try:
        return _plain(yaml.safe_load(text))
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise UserError(
            f"{where}: {text!r} is neither JSON nor YAML ({problem}); check its brackets and quotation marks"
        ) from None


def _plain(value: Any) -> Any:
    """`value` with YAML's dates as text: jobs get their options as JSON, which has none."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, datetime.date) else value


def whole_numbers(values: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with 100.0 as 100 where the schema wants a whole number: it takes both, scripts do not."""
    made: dict[str, Any] = {}
    for key, value in values.items():
        part = schema.get("properties", {}).get(key, {})
        kinds = [choice.get("type") for choice in part.get("anyOf", [part])]
        if isinstance(value, Mapping):
            made[key] = whole_numbers(value, part)
        else:
            made[key] = int(value) if "integer" in kinds and isinstance(value, float) else value
    return made


def not_finite(values: Any, path: str = "") -> str | None:
    """Where among nested values the first number stands that is infinite or none at all; None: nowhere."""
    if isinstance(values, float):
        return None if math.isfinite(values) else path
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(values, Mapping):
        inside = values.items()
    elif isinstance(values, list):
        inside = enumerate(values, 1)
    places = (not_finite(value, f"{path}.{key}" if path else str(key)) for key, value in inside)
    return next((place for place in places if place is not None), None)
