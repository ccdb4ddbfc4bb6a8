"""The report's row on depth: how far the splat's surfaces are from where the photos' points are."""

from __future__ import annotations

from scripts.lib.contracts.eval import DepthErrors
from scripts.lib.report import verdicts
from scripts.lib.report.values import grouped
from scripts.lib.report.verdicts import Verdict

NAMES = {"near": "foreground", "middle": "middle", "far": "background"}


def value(errors: DepthErrors) -> str:
    """`0.5 % of the distance, nine of ten within 2.3 %`."""
    return f"{percent(errors.all.median)} of the distance, nine of ten within {percent(errors.all.within_90)}"


def verdict(errors: DepthErrors) -> Verdict:
    """Whether that is good."""
    return verdicts.surfaces(errors.all.median)


def meaning(errors: DepthErrors, metres: bool) -> str:
    """What it means, with an example in metres where these are known, and the parts of the scene."""
    found = (
        f"How far the scene's surfaces lie from {grouped(errors.all.points)} points that structure from"
        f" motion found in these photos, to within {percent(errors.known_to)} itself (“depth error”, median)."
    )
    if metres:
        middle = (errors.all.nearest * errors.all.farthest) ** 0.5
        found += f" At {middle:.2g} m these are {length(errors.all.median * middle)}."
    if errors.bands:
        parts = [f"{NAMES[band.name]} {percent(band.median)}" for band in errors.bands]
        found += f" By distance: {', '.join(parts)}."
    return found


def percent(share: float) -> str:
    """A share with two digits that mean something: `0.53 %`, `12 %`."""
    value = 100 * share
    return f"{value:.2f} %" if value < 1 else f"{value:.1f} %" if value < 10 else f"{value:.0f} %"


def length(metres: float) -> str:
    """A short distance: `4 mm`, `2.1 cm`, `1.3 m`."""
    if metres < 0.01:
        return f"{1000 * metres:.1g} mm"
    return f"{100 * metres:.2g} cm" if metres < 0.995 else f"{metres:.2g} m"
