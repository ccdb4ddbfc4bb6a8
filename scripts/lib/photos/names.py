"""File names for the archive: flat, unique, and safe for COLMAP's text formats."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath


def unique_names(originals: Sequence[str]) -> list[str]:
    """A flat .jpg name for each file, unique even where case does not count.

    The plain file name where it is unique, else with its folders in front, else numbered. COLMAP's
    text formats separate by spaces, so those and other unusual characters become underscores.
    """
    flat = [_flat(PurePosixPath(name).name) for name in originals]
    counts: dict[str, int] = {}
    for name in flat:
        counts[name.lower()] = counts.get(name.lower(), 0) + 1
    taken: set[str] = set()
    names = []
    for original, short in zip(originals, flat, strict=True):
        stem = short if counts[short.lower()] == 1 else _flat(original.replace("/", "_"))
        name, number = f"{stem}.jpg", 2
        while name.lower() in taken:
            name, number = f"{stem}_{number}.jpg", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _flat(name: str) -> str:
    stem = PurePosixPath(unicodedata.normalize("NFC", name)).stem
    # File systems allow 255 bytes; a letter takes up to four, and a number may follow.
    return re.sub(r"[^\w.-]+", "_", stem).strip("._-")[:60] or "photo"
