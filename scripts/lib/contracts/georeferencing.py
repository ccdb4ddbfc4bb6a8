"""How accurately a scene is georeferenced, from georef.json: by a survey, or else by GPS."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.contracts.georef import Georef


@dataclass(frozen=True)
class Georeferencing:
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
        """`georeferenced by GPS to 0.38 m horizontally, 0.17 m vertically`, for the log."""
        who = f"{self.points} surveyed points" if self.survey else "GPS"
        if self.horizontal is None:
            return f"georeferenced by {who}"
        up = "" if self.vertical is None else f", {self.vertical:.2f} m vertically"
        return f"georeferenced by {who} to {self.horizontal:.2f} m horizontally{up}"


def georeferencing(georef: Georef | None) -> Georeferencing | None:
    """How a scene is georeferenced; None when it is not in metres."""
    if georef is None or not georef.georeferenced:
        return None
    control = georef.gcp
    if control is None:
        return Georeferencing(False, georef.rmse_horizontal_m, georef.rmse_vertical_m)
    across, up = control.rmse_horizontal_m, control.rmse_vertical_m
    if control.check_rmse_horizontal_m is not None:
        across, up = control.check_rmse_horizontal_m, control.check_rmse_vertical_m
    misses = {
        # A point without a surveyed height can be missed across only.
        label: sum(value * value for value in residual if value is not None) ** 0.5
        for label, residual in (control.check_residuals_m or {}).items()
    }
    ordered = tuple(sorted(misses.items(), key=lambda miss: -miss[1]))
    return Georeferencing(True, across, up, len(control.points), ordered)
