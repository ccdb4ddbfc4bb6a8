"""The crop that a user asks for: checked before the first job, and applied after training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.lib.core.console import UserError


def numbers(values: Any, count: int) -> list[float]:
    """`count` finite numbers from a list; text that is a number counts. Raises ValueError otherwise."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != count:
        raise ValueError(f"not {count} numbers")
    if any(isinstance(value, bool) or not isinstance(value, int | float | str) for value in values):
        raise ValueError("not numbers")
    found = [float(value) for value in values]
    if not all(map(math.isfinite, found)):
        raise ValueError("not finite")
    return found


def parse_crop(crop: Mapping[str, Any]) -> tuple[str, list[float]]:
    """("box", [x, y, z of the low corner, of the high corner]), ("sphere", [x, y, z, radius]) or ("", []).

    Raises UserError on a crop that is neither, or that has no size.
    """
    if not crop:
        return "", []
    try:
        if set(crop) == {"box"} and len(crop["box"]) == 2:
            corners = [numbers(corner, 3) for corner in crop["box"]]
            low, high = ([pick(pair) for pair in zip(*corners, strict=True)] for pick in (min, max))
            if all(a < b for a, b in zip(low, high, strict=True)):
                return "box", low + high
        if set(crop) == {"sphere"}:
            sphere = numbers(crop["sphere"], 4)
            if sphere[3] > 0:
                return "sphere", sphere
    except (TypeError, ValueError):
        pass
    raise UserError(
        f"clean_splat.crop is {dict(crop)!r}; give {{box: [[x, y, z], [x, y, z]]}} or"
        " {sphere: [x, y, z, radius]} in the scene's units"
    )
