"""Names in the archive, given last: a file that was left out takes no name from one that stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from scripts.lib.photos.names import unique_names
from scripts.lib.photos.prepare import Item


def name_items(items: Sequence[Item]) -> list[Item]:
    """Kept items with their names in the archive: NAME.jpg, FILM_000123.jpg for frames, and masks."""
    photos = [i for i, item in enumerate(items) if item.photo.kept and item.film is None]
    names = dict(zip(photos, unique_names([items[i].photo.original for i in photos]), strict=True))
    films = sorted({item.film for item in items if item.photo.kept and item.film is not None})
    stems: dict[str, str] = {}
    for film, name in zip(films, unique_names(films), strict=True):
        stem = PurePosixPath(name).stem
        while any(taken.startswith(f"{stem}_") for taken in names.values()):
            stem += "_video"
        stems[film] = stem
    named = []
    for i, item in enumerate(items):
        if not item.photo.kept:
            named.append(item)
            continue
        name = names[i] if item.film is None else f"{stems[item.film]}_{item.frame:06d}.jpg"
        mask = f"masks/{name}.png" if item.mask is not None else None
        named.append(replace(item, photo=replace(item.photo, file=name, mask=mask)))
    return named
