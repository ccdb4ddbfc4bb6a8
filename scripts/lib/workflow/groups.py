"""Scenes that are a further group of another scene's photos: what they share, and their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.core.console import UserError
from scripts.lib.workflow.parts import IN_PARTS
from scripts.lib.workflow.sheet import Row, where_of

# Rules that a further group has in common with the scene of all photos, and the one that it has instead.
SHARED = ("import_photos", "extract_features", "match_photos", *IN_PARTS, "map_scene")
TAKES = "take_component"


@dataclass(frozen=True)
class Group:
    """Which group of which scene's photos a scene is; the largest has number 1."""

    scene: str
    number: int


def further_groups(counts: Mapping[str, int], scenes: Mapping[str, Any]) -> dict[str, Group]:
    """The scenes NAME_2 and so on that `counts` of groups ask for, by name.

    Raises UserError when the sheet has a scene of such a name.
    """
    found: dict[str, Group] = {}
    for scene, count in counts.items():
        for number in range(2, count + 1):
            name = f"{scene}_{number}"
            if name in scenes or name in found:
                raise UserError(
                    f"{where_of(scenes[scene])}: components is {count}, so that group {number} would be "
                    f"called {name!r}, but there is a scene of that name; rename one of them"
                )
            found[name] = Group(scene, number)
    return found


def with_groups(
    scenes: Mapping[str, dict[str, str]], further: Mapping[str, Group]
) -> dict[str, dict[str, str]]:
    """The sheet's rows, each followed by those of its further groups."""
    rows: dict[str, dict[str, str]] = {}
    for scene, row in scenes.items():
        rows[scene] = row
        for name, group in further.items():
            if group.scene == scene:
                own = dict(row) | {"scene": name}
                rows[name] = Row(own, row.where) if isinstance(row, Row) else own
    return rows


def group_options(options: Mapping[str, Any], group: Group) -> dict[str, Any]:
    """The options of a further group: those of its scene, with a title and an address of its own.

    It has only a part of the photos by which "auto" would divide it into blocks, and is trained whole.
    """
    own = dict(options)
    if own["train_splat"]["blocks"] == "auto":
        own["train_splat"] = own["train_splat"] | {"blocks": 1}
    for rule, key, mark in (("bundle_web", "title", " "), ("publish_web", "name", "_")):
        if own[rule][key]:
            own[rule] = own[rule] | {key: f"{own[rule][key]}{mark}{group.number}"}
    return own


def rules_of(rules: Iterable[str], further: bool) -> list[str]:
    """Those of `rules` that a scene has; a further group has one rule in place of the shared ones."""
    named = list(rules)
    if not further:
        return [name for name in named if name != TAKES]
    own = [name for name in named if name not in SHARED and name != TAKES]
    return [TAKES, *own] if len(own) < len(named) else own
