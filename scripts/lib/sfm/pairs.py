"""Which photos to compare: all of them while that is cheap, else neighbours in space or in time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.lib.geo import enu_from_geodetic

STRATEGIES = ("auto", "exhaustive", "spatial", "sequential")


@dataclass(frozen=True)
class Pairs:
    """Chosen pairs of photo names, which strategy chose them, and why in words."""

    strategy: str
    reason: str
    pairs: list[tuple[str, str]]


def choose_pairs(
    photos: Sequence[dict[str, Any]],
    strategy: str,
    *,
    exhaustive_limit: int,
    neighbours: int,
    overlap: int,
) -> Pairs:
    """Choose the pairs to match.

    `auto`: exhaustive up to `exhaustive_limit` photos, because then it costs little and misses
    nothing; above that by GPS when nearly every photo has it; else in order when the names count
    up or the times rise with them, plus every tenth photo against every tenth other, to close
    loops; else exhaustive again, since nothing tells which photos could see the same.
    """
    names = [photo["file"] for photo in photos]
    located = sum(photo.get("latitude") is not None for photo in photos)
    count = len(photos)
    if strategy != "auto":
        reason = "asked for by the option `strategy`"
    elif count <= exhaustive_limit:
        strategy, reason = "exhaustive", f"{count} photos are few enough to compare all"
    elif located >= 0.9 * count:
        strategy, reason = "spatial", f"{located} of {count} photos have a GPS position"
    elif is_ordered(photos):
        strategy, reason = "sequential", f"the {count} photos were taken one after the other"
    else:
        strategy = "exhaustive"
        reason = f"the {count} photos have neither GPS nor an order that tells which could overlap"
    if strategy == "spatial" and located < 2:
        strategy, reason = "exhaustive", "spatial pairs need GPS, which the photos lack"
    if strategy == "spatial":
        chosen = spatial_pairs(photos, neighbours)
    elif strategy == "sequential":
        chosen = sequential_pairs(count, overlap)
    else:
        chosen = [(i, j) for i in range(count) for j in range(i + 1, count)]
    return Pairs(strategy, reason, [(names[i], names[j]) for i, j in chosen])


def is_ordered(photos: Sequence[dict[str, Any]]) -> bool:
    """Whether sorted names count up (IMG_0012, IMG_0013 ...) or capture times rise with them."""
    times = [photo.get("time") for photo in photos]
    if all(times) and len(set(times)) > len(times) // 2:
        return all(a <= b for a, b in zip(times, times[1:], strict=False))  # type: ignore[operator]
    parts = [re.fullmatch(r"(.*?)(\d+)", photo["file"].rsplit(".", 1)[0]) for photo in photos]
    if not all(parts) or len({part.group(1) for part in parts if part}) > 1:
        return False
    numbers = [int(part.group(2)) for part in parts if part]
    steps = np.diff(numbers)
    return bool(len(steps) and (steps > 0).all() and np.median(steps) <= 5)


def sequential_pairs(count: int, overlap: int) -> list[tuple[int, int]]:
    """Each photo with the next `overlap` ones, doubling distances beyond, and a sparse loop closure."""
    pairs: set[tuple[int, int]] = set()
    for i in range(count):
        steps = {*range(1, overlap + 1), *(overlap * 2**k for k in range(1, 5))}
        pairs.update((i, i + step) for step in steps if i + step < count)
    anchors = range(0, count, 10)
    pairs.update((i, j) for i in anchors for j in anchors if i < j)
    return sorted(pairs)


def spatial_pairs(photos: Sequence[dict[str, Any]], neighbours: int) -> list[tuple[int, int]]:
    """Each photo with its nearest `neighbours` on the ground; photos without GPS with their name's next."""
    index = [i for i, photo in enumerate(photos) if photo.get("latitude") is not None]
    first = photos[index[0]]
    origin = (first["latitude"], first["longitude"], 0.0)
    places = enu_from_geodetic(
        [(photos[i]["latitude"], photos[i]["longitude"], 0.0) for i in index], origin
    )[:, :2]
    pairs: set[tuple[int, int]] = set()
    for row, i in enumerate(index):
        distance = np.linalg.norm(places - places[row], axis=1)
        nearest = np.argsort(distance, kind="stable")[1 : neighbours + 1]
        pairs.update((min(i, index[k]), max(i, index[k])) for k in nearest if index[k] != i)
    for i in sorted(set(range(len(photos))) - set(index)):
        around = range(max(0, i - neighbours // 2), min(len(photos), i + neighbours // 2 + 1))
        pairs.update((min(i, j), max(i, j)) for j in around if j != i)
    return sorted(pairs)
