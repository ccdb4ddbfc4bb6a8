"""How exactly a scene is placed on the Earth, out of georef.json: by a survey, or else by GPS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Placing:
    """What put the scene in metres, and its residuals (RMSE, metres) across and up; None: not known.

    With a survey of four points or more the residuals are of each point left out in turn.
    """

    survey: bool
    horizontal: float | None
    vertical: float | None
    points: int = 0  # surveyed ones
    misses: tuple[tuple[str, float], ...] = ()  # metres by which each point left out is missed

    @property
    def words(self) -> str:
        """`GPS within 0.38 m across, 0.17 m up`, for the log."""
        who = f"{self.points} surveyed points" if self.survey else "GPS"
        if self.horizontal is None:
            return f"placed by {who}"
        up = "" if self.vertical is None else f", {self.vertical:.2f} m up"
        return f"{who} within {self.horizontal:.2f} m across{up}"


def placing(georef: Mapping[str, Any]) -> Placing | None:
    """How the scene of a georef.json is placed; None when it is not in metres."""
    if georef.get("georeferenced") is not True:
        return None
    control = georef.get("gcp")
    if not isinstance(control, Mapping):
        return Placing(False, georef.get("rmse_horizontal_m"), georef.get("rmse_vertical_m"))
    left_out = "check_" if control.get("check_rmse_horizontal_m") is not None else ""
    misses = {
        # A point without a surveyed height can be missed across only.
        str(label): sum(value * value for value in residual if value is not None) ** 0.5
        for label, residual in (control.get("check_residuals_m") or {}).items()
    }
    return Placing(
        True,
        control.get(f"{left_out}rmse_horizontal_m"),
        control.get(f"{left_out}rmse_vertical_m"),
        len(control.get("points") or []),
        tuple(sorted(misses.items(), key=lambda miss: -miss[1])),
    )
