"""Counts and lists of names in sentences."""

from __future__ import annotations

from collections.abc import Collection

NAMES_SHOWN = 3


def counted(count: int, noun: str) -> str:
    """`1 photo`, `2 photos`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def some_of(names: Collection[str]) -> str:
    """The first few names, in their order, and how many more there are."""
    shown = ", ".join(list(names)[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
