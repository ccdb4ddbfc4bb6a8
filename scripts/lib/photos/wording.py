"""Counts and lists of names in sentences."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from scripts.lib.contracts.photos import Photo

NAMES_SHOWN = 3


def counted(count: int, noun: str) -> str:
    """`1 photo`, `2 photos`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def captures(photos: Sequence[Photo]) -> str:
    """How many photos, and of panoramas how many and their views: `14 panoramas (84 views), 3 photos`."""
    views = [photo.rig.frame for photo in photos if photo.rig and photo.rig.panorama]
    flat = len(photos) - len(views)
    parts = []
    if views:
        parts.append(f"{counted(len(set(views)), 'panorama')} ({counted(len(views), 'view')})")
    if flat or not views:
        parts.append(counted(flat, "photo"))
    return ", ".join(parts)


def some_of(names: Collection[str]) -> str:
    """The first few names, in their order, and how many more there are."""
    shown = ", ".join(list(names)[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
