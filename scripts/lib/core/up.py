"""Which way is up, where a person says it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from scripts.lib.core.console import UserError

AUTO = "auto"
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True)
class GivenUp:
    """Up as a direction in the frame that `auto` gives, or the names of photos that were held level."""

    direction: tuple[float, float, float] | None = None
    photos: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """What told it, as georef.json has it."""
        return "photos" if self.photos else "direction"

    def among(self, names: Sequence[str]) -> tuple[str, ...]:
        """Which of `names` are meant; ending and folder may be left out, for photos may have been converted.

        Raises UserError for a photo that is not there.
        """
        return tuple(_meant(wanted, names) for wanted in self.photos)


def parse_up(text: str) -> GivenUp | None:
    """What the option `map_scene.up` says; None for `auto`. Raises UserError where it says no direction."""
    words = [word for word in re.split(r"[,\s]+", text.strip()) if word]
    if words == [AUTO]:
        return None
    if words and all(NUMBER.fullmatch(word) for word in words):
        if len(words) != 3 or not any(float(word) for word in words):
            raise UserError(
                f"map_scene.up is {text!r}; a direction has three numbers that are not all 0, such as 0 0 -1"
            )
        x, y, z = map(float, words)
        return GivenUp(direction=(x, y, z))
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise UserError("map_scene.up is empty; write auto, a direction such as 0 0 -1, or photos")
    return GivenUp(photos=names)


def _meant(wanted: str, names: Sequence[str]) -> str:
    """The one of `names` that is called so."""
    bare = str(PurePosixPath(wanted).with_suffix(""))
    stems = {name: str(PurePosixPath(name).with_suffix("")) for name in names}
    found = [name for name, stem in stems.items() if bare in (stem, PurePosixPath(stem).name)]
    if wanted in names:
        return wanted
    if len(found) == 1:
        return found[0]
    close = difflib.get_close_matches(wanted, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"the first is called {names[0]!r}"
    raise UserError(
        f"map_scene.up names {wanted!r}, which"
        f" {'fits several photos' if found else 'is no photo of this scene'}; {hint}"
    )
