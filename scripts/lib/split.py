"""Which photos train a splat and which only measure it. Needs no torch."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from scripts.lib.console import UserError
from scripts.lib.scene import Scene

# A camera that sees the scene from less than this far beside a held-out one (radians of parallax at the
# scene's depth, and between the viewing directions) has as good as seen its photo.
SAME_PLACE = 0.01
SAME_DIRECTION = 0.05


@dataclass(frozen=True)
class Split:
    """Indices of a scene's photos: trained on, measured on, and kept out of both because they show what
    a held-out photo shows."""

    trained: list[int]
    tested: list[int]
    left_out: list[int]


def held_out(names: Sequence[str], every: int = 8, chosen: Sequence[str] = ()) -> list[int]:
    """Indices of the photos kept from training: those `chosen` by name, else every `every`-th of the sorted
    names, from the first.

    Empty when `every` is below 2 or there is a single photo: training comes before measuring. Raises
    UserError on a chosen name that is not there.
    """
    if chosen:
        return sorted({_place(names, name) for name in chosen})
    return list(range(0, len(names), every)) if every > 1 and len(names) > 1 else []


def _place(names: Sequence[str], wanted: str) -> int:
    """Where `wanted` stands, with or without its folder and ending (photos may have been converted)."""
    if wanted in names:
        return list(names).index(wanted)
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]
    bare = str(PurePosixPath(wanted).with_suffix(""))
    found = [i for i, stem in enumerate(stems) if bare in (stem, PurePosixPath(stem).name)]
    if len(found) == 1:
        return found[0]
    close = difflib.get_close_matches(wanted, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"the first is called {names[0]!r}"
    raise UserError(
        f"held_out names {wanted!r}, which"
        f" {'fits several photos' if found else 'is no photo of this scene'}; {hint}"
    )


def split_scene(scene: Scene, every: int, chosen: Sequence[str] = ()) -> Split:
    """Split a scene by `held_out`, and leave out of training what nearly repeats a held-out photo.

    Copies and neighbouring video frames would otherwise tell training what it is measured on. Raises
    UserError when no photo is left to train on, or on an unknown name.
    """
    tested = held_out(scene.names, every, chosen)
    others = [index for index in range(len(scene)) if index not in set(tested)]
    near = set(_repeating(scene, tested, others))
    trained = [index for index in others if index not in near]
    if not trained:
        raise UserError(f"{scene.path} leaves no photo to train on; set holdout to 0")
    return Split(trained, tested, sorted(near))


def _repeating(scene: Scene, tested: list[int], others: list[int]) -> list[int]:
    """Those of `others` that look from the place of a tested photo into its direction."""
    if not tested or not others or not len(scene.points):
        return []
    centres, forward = scene.centres, scene.world_to_camera[:, 2, :3]
    # Of the points before each tested camera, the median depth.
    homogeneous = np.c_[scene.points, np.ones(len(scene.points))]
    found = set[int]()
    for index in tested:
        depths = homogeneous @ scene.world_to_camera[index, 2]
        depth = float(np.median(depths[depths > 0])) if (depths > 0).any() else np.inf
        apart = np.linalg.norm(centres[others] - centres[index], axis=1)
        turned = np.arccos(np.clip(forward[others] @ forward[index], -1, 1))
        same = (apart < SAME_PLACE * depth) & (turned < SAME_DIRECTION)
        found |= {others[number] for number in np.flatnonzero(same)}
    return sorted(found)
