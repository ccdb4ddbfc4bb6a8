"""Two captures of one place, out of registration.json and changes.json, as the report shows them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.lib.contracts.changes import Changes
from scripts.lib.contracts.registration import Registration, Spread
from scripts.lib.core.console import UserError
from scripts.lib.core.quantities import length_text
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.pictures import data_uri

MOST = 6  # places shown as pictures
KINDS = {"appeared": "New", "gone": "Gone", "changed": "Changed"}


@dataclass(frozen=True)
class Row:
    """One place: what happened there, its length, its share, and three pictures as data URIs, if any."""

    number: int
    kind: str
    size: str
    percent: float
    view: str
    pictures: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """The report's part: sentences, the facts of the alignment, and the places."""

    reference: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    places: tuple[Row, ...]
    found: str


def shown(files: StageFiles, pictures: Mapping[str, str]) -> Shown | None:
    """What the report tells of the other capture; None where the scene is not compared.

    pictures: data URIs of changes.zip by their names.
    """
    joined, found = files.registration, files.changes
    if joined is None or found is None:
        return None
    rows = tuple(
        Row(
            number,
            KINDS[place.kind],
            length_text(place.size_m) if place.size_m else "",
            place.percent,
            place.view,
            tuple(pictures[name] for name in place.pictures if name in pictures),
        )
        for number, place in enumerate(found.places, 1)
    )
    return Shown(joined.reference, _facts(joined, found), joined.notes, rows, _found(found))


def change_uris(archive: zipfile.ZipFile, found: Changes, long_side: int) -> dict[str, str]:
    """Pictures of the largest places as data URIs. Raises UserError when changes.zip lacks one."""
    uris = {}
    for place in found.places[:MOST]:
        for name in place.pictures:
            try:
                data = archive.read(name)
            except KeyError:
                raise UserError(
                    f"{archive.filename} lacks {name}; run find_changes again"
                ) from None
            uris[name] = data_uri(data, long_side, f"{archive.filename} ({name})")
    return uris


def _found(found: Changes) -> str:
    count = len(found.places)
    places = (
        "No place differs"
        if not count
        else f"{count} place{'s differ' if count > 1 else ' differs'}"
    )
    more = f"; {found.smaller} smaller ones are not listed" if found.smaller else ""
    return (
        f"{places} more than the two scenes differ from their own photos:"
        f" {found.changed_percent:.1f} % of what both captures show{more}."
    )


def _facts(joined: Registration, found: Changes) -> tuple[tuple[str, str], ...]:
    facts = [
        ("Common points", f"{joined.common} of {joined.points} that were matched"),
        (
            "Photos that see them",
            f"{joined.seen_in} of {joined.photos}, and {joined.reference_seen_in}"
            f" of {joined.reference_photos} of {joined.reference}",
        ),
        (
            "They meet to",
            f"{_spread(joined.residual_px, 'px')}; within each capture {joined.own_px:.2f} px",
        ),
    ]
    if joined.residual_m:
        metres = joined.residual_m
        facts.append(
            (
                "In space",
                f"{length_text(metres.median)} (median), {length_text(metres.within_90)} (nine of ten)",
            )
        )
    if joined.gps_apart_m is not None:
        facts.append(("By GPS alone", f"they would lie {length_text(joined.gps_apart_m)} apart"))
    facts.append(("Compared", f"{found.compared_percent:.0f} % of {found.views} views"))
    return tuple(facts)


def _spread(spread: Spread, unit: str) -> str:
    return f"{spread.median:.2f} {unit} (median), {spread.within_90:.2f} {unit} (nine of ten)"
