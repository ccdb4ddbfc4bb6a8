"""Where a visit starts, out of view.json."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from scripts.lib.core.console import UserError


def check_view(view: Any, path: Path) -> dict[str, Any]:
    """The start view as `render_poster` wrote it. Raises UserError when a number is missing or wild."""
    try:
        position, target = ([float(v) for v in view[key]] for key in ("position", "target"))
        fov = float(view["fov"])
        good = len(position) == len(target) == 3 and position != target and 1 <= fov <= 170
        good = good and all(map(math.isfinite, [*position, *target]))
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise UserError(f"{path} holds no usable start view; delete it and run render_poster again")
    return dict(view)
