"""Scenes that show the place of another scene at another time, as the sheet's column `same_place_as` says."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.lib.core.console import UserError
from scripts.lib.workflow.settings import suggestion
from scripts.lib.workflow.sheet import where_of

COLUMN = "same_place_as"


def same_places(
    scenes: Mapping[str, Mapping[str, str]], rows: Mapping[str, Mapping[str, str]], sheet: str
) -> dict[str, str]:
    """The scene that each of `scenes` is compared with, of those that are compared.

    rows: all of the sheet, of which `scenes` may be some. Raises UserError when a row names itself, a scene
    that is not there, or one that is compared with another itself.
    """
    found: dict[str, str] = {}
    for name, row in scenes.items():
        other = row.get(COLUMN, "")
        if not other:
            continue
        where = f"{where_of(row)}: {COLUMN} is {other!r}"
        if other == name:
            raise UserError(f"{where}, the scene itself; name the other capture of the place")
        if other not in rows:
            hint = suggestion(other, rows).replace("known keys", "it has")
            raise UserError(f"{where}, which is not in {sheet}; {hint}")
        if further := rows[other].get(COLUMN, ""):
            first = (
                "leave it empty in one of the two rows"
                if further == name
                else f"write {further!r} in both rows, or leave one empty"
            )
            raise UserError(
                f"{where}, which is compared with {further!r} itself, so that no capture is the first;"
                f" {first}"
            )
        if other not in scenes:
            raise UserError(f"{where}, which `only` leaves out; add {other!r} to only")
        found[name] = other
    return found
