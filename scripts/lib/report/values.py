"""Numbers out of JSON and into text: nothing here trusts a key to be present or of the right type."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.lib.web.bundle import without_places

DASH = "–"  # what a table shows for a number that was not measured


def number(value: Any) -> float | None:
    """`value` as a finite float, or None when it is missing, a bool, text or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def text(value: Any) -> str:
    """`value` as one line of text; empty for None."""
    return "" if value is None else " ".join(str(value).split())


def decimals(value: Any, digits: int, unit: str = "") -> str:
    """A number with a fixed number of decimals and its unit, or a dash."""
    found = number(value)
    if found is None:
        return DASH
    found = round(found, digits) + 0.0  # no "-0.0"
    return f"{found:.{digits}f}" + (f" {unit}" if unit else "")


def grouped(value: Any) -> str:
    """A whole number with thin spaces between thousands, or a dash."""
    found = number(value)
    return DASH if found is None else f"{round(found):,}".replace(",", "\u202f")


def size(value: Any) -> str:
    """A number of bytes as kB or MB (powers of ten, as file managers show), or a dash."""
    found = number(value)
    if found is None:
        return DASH
    if found < 1e3:
        return f"{round(found)} B"
    if found < 1e6:
        return f"{found / 1e3:.0f} kB"
    return f"{found / 1e6:.1f} MB" if found < 1e9 else f"{found / 1e9:.2f} GB"


def settings(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested options as flat (dotted name, text) rows, without keys that tell a place on Earth.

    The report is made to be passed on, as the page is: the same keys are left out of both.
    """
    if not isinstance(value, Mapping):
        return []
    rows: list[tuple[str, str]] = []
    for key, item in without_places(value).items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            rows += settings(item, f"{name}.")
        elif isinstance(item, Sequence) and not isinstance(item, str):
            rows.append(
                (name, ", ".join(text(part) for part in item if not isinstance(part, dict)))
            )
        else:
            rows.append((name, text(item)))
    return rows


def dollars(value: Any) -> str:
    """A sum of money: dollars, or cents where it is less than one; a dash when it is not known."""
    found = number(value)
    if found is None:
        return DASH
    return f"${found:.2f}" if found >= 0.995 else f"{100 * found:.2g} ¢"
