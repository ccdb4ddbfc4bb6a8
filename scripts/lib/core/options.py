"""A rule's config section travels as JSON on the command line and becomes a frozen dataclass here."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeVar

from scripts.lib.core.console import UserError

Options = TypeVar("Options")


def parse_options(kind: type[Options], text: str) -> Options:
    """Turn a JSON object into the frozen dataclass `kind`; keys not given keep its defaults.

    The workflow validates values against the JSON schema beforehand; this guards runs by hand.
    Raises UserError on text that is not a JSON object and on unknown keys.
    """
    name = kind.__name__
    try:
        values: Any = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise UserError(f"--options is not JSON ({error}); pass an object like '{{}}'") from None
    if not isinstance(values, dict):
        raise UserError(f"--options must be a JSON object, not {type(values).__name__}")
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UserError(f"unknown option {unknown[0]!r} for {name}; known: {', '.join(known)}")
    return kind(**values)
