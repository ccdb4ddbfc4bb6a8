"""Which photos to compare: all while that is cheap, else neighbours in space, in time, or by looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.geo import enu_from_geodetic
from scripts.lib.core.rig_names import frame_of
from scripts.lib.sfm.retrieval import voted_pairs
from scripts.lib.sfm.rigs import of_one_frame

LOOKS_BESIDE = (
    5  # photos by looks beside neighbours in space or time: wrong GPS, loops, second passes
)
LOCATED_SHARE = 0.9
IN_ORDER = 1e-6  # metres that each next photo counts as farther away, to tell equal places apart

Index = tuple[int, int]


@dataclass(frozen=True)
class Pairs:
    """Chosen pairs of photo names, which strategy chose them, why in words, and how many by what."""

    strategy: str
    reason: str
    pairs: list[tuple[str, str]]
    by: dict[str, int] = field(default_factory=dict)


def choose_pairs(
    photos: Sequence[Photo],
    strategy: str,
    *,
    exhaustive_limit: int,
    neighbours: int,
    overlap: int,
    votes: Callable[[], csr_array] | None = None,
) -> Pairs:
    """Choose the pairs to match; `votes` counts how much photos look alike, and is called if needed.

    `auto`: all pairs up to `exhaustive_limit` photos, because then it costs little and misses
    nothing; above that by GPS when nearly every photo has it; else in order when the names count
    up or the times rise with them; else by looks. Neighbours in space and time are joined by the
    photos that look most alike, which closes loops and survives wrong GPS. A panorama counts as one photo
    there, and all its views are compared with those of another: any of them may show the same.
    """
    names = [photo.file for photo in photos]
    count = len(photos)
    places = _places(photos)
    stands = [_stand(photos[members[0]]) for members in places]
    strategy, reason = _strategy(stands, strategy, exhaustive_limit, _noun(photos))
    chosen: dict[str, list[Index]] = {}
    if strategy == "spatial":
        chosen["space"] = _of_views(spatial_pairs(stands, neighbours), places)
    elif strategy == "sequential":
        chosen["order"] = _of_views(sequential_pairs(len(stands), overlap), places)
    if strategy == "exhaustive":
        every = [(i, j) for i in range(len(stands)) for j in range(i + 1, len(stands))]
        chosen["all"] = _of_views(every, places)
    elif votes is not None:
        most = neighbours if strategy == "retrieval" else LOOKS_BESIDE
        chosen["looks"] = voted_pairs(votes(), most, 3 if strategy == "retrieval" else 0)
    together = of_one_frame(photos)
    chosen = {
        what: [(i, j) for i, j in found if together[i] is None or together[i] != together[j]]
        for what, found in chosen.items()
    }
    pairs = sorted({pair for found in chosen.values() for pair in found})
    total = count * (count - 1) // 2
    if len(pairs) < total:
        reason += f"; {len(pairs)} of {total} possible pairs"
    by = {what: len(found) for what, found in chosen.items()}
    return Pairs(strategy, reason, [(names[i], names[j]) for i, j in pairs], by)


def _places(photos: Sequence[Photo]) -> list[list[int]]:
    """The photos by where they were taken: all views of a panorama together, others alone."""
    places: dict[object, list[int]] = {}
    for index, frame in enumerate(of_one_frame(photos)):
        places.setdefault(index if frame is None else frame, []).append(index)
    return list(places.values())


def _stand(photo: Photo) -> Photo:
    """The photo that stands for a panorama in the choice: its name without the view's."""
    if photo.rig is None or not photo.rig.panorama:
        return photo
    return replace(photo, file=f"{frame_of(photo.file)}.jpg")


def _noun(photos: Sequence[Photo]) -> str:
    views = sum(frame is not None for frame in of_one_frame(photos))
    if not views:
        return "photos"
    return "panoramas" if views == len(photos) else "panoramas and photos"


def _of_views(pairs: Iterable[Index], places: Sequence[Sequence[int]]) -> list[Index]:
    """Pairs of places as those of all their photos."""
    found = (product(places[a], places[b]) for a, b in pairs)
    return sorted((min(i, j), max(i, j)) for both in found for i, j in both)


def _strategy(
    photos: Sequence[Photo], asked: str, exhaustive_limit: int, noun: str = "photos"
) -> tuple[str, str]:
    count = len(photos)
    located = sum(photo.latitude is not None for photo in photos)
    if asked == "spatial" and located < 2:
        return "exhaustive", f"spatial pairs need GPS, which the {noun} lack"
    if asked != "auto":
        return asked, "asked for by the option `strategy`"
    if count <= exhaustive_limit:
        return "exhaustive", f"{count} {noun} are few enough to compare all"
    if located >= LOCATED_SHARE * count:
        return "spatial", f"{located} of {count} {noun} have a GPS position"
    if is_ordered(photos):
        return "sequential", f"the {count} {noun} were taken one after the other"
    return (
        "retrieval",
        f"the {count} {noun} have neither GPS nor an order, so those that look alike are compared",
    )


def is_ordered(photos: Sequence[Photo]) -> bool:
    """Whether sorted names count up (IMG_0012, IMG_0013 ...) or capture times rise with them."""
    times = [photo.time for photo in photos]
    if all(times) and len(set(times)) > len(times) // 2:
        return all(a <= b for a, b in zip(times, times[1:], strict=False))  # type: ignore[operator]
    parts = [re.fullmatch(r"(.*?)(\d+)", photo.file.rsplit(".", 1)[0]) for photo in photos]
    if not all(parts) or len({part.group(1) for part in parts if part}) > 1:
        return False
    numbers = [int(part.group(2)) for part in parts if part]
    steps = np.diff(numbers)
    # Frames of a video stand many numbers apart, but evenly.
    even = len(steps) > 0 and np.median(steps) > 0 and steps.max() <= 20 * np.median(steps)
    return bool(len(steps) and (steps > 0).all() and (np.median(steps) <= 5 or even))


def sequential_pairs(count: int, overlap: int) -> list[Index]:
    """Each photo with the next `overlap` ones, and with those at doubling distances beyond."""
    pairs: set[Index] = set()
    for i in range(count):
        steps = {*range(1, overlap + 1), *(overlap * 2**k for k in range(1, 4))}
        pairs.update((i, i + step) for step in steps if i + step < count)
    pairs.update([(0, count - 1)] if count > 1 else [])
    return sorted(pairs)


def spatial_pairs(photos: Sequence[Photo], neighbours: int) -> list[Index]:
    """Each photo with its nearest `neighbours` on the ground, of those from one spot with the next in order;
    photos without GPS with their name's next."""
    located = {
        i: (photo.latitude, photo.longitude, 0.0)
        for i, photo in enumerate(photos)
        if photo.latitude is not None and photo.longitude is not None
    }
    index = list(located)
    positions = enu_from_geodetic(list(located.values()), located[index[0]])[:, :2]
    # Of photos from one spot those that were taken next are nearest.
    places = np.column_stack([positions, IN_ORDER * np.arange(len(index))])
    nearest = cKDTree(places).query(places, min(neighbours + 1, len(index)))[1]
    pairs: set[Index] = set()
    for i, row in zip(index, nearest.tolist(), strict=True):
        pairs.update((min(i, index[k]), max(i, index[k])) for k in row if index[k] != i)
    for i in sorted(set(range(len(photos))) - set(index)):
        around = range(max(0, i - neighbours // 2), min(len(photos), i + neighbours // 2 + 1))
        pairs.update((min(i, j), max(i, j)) for j in around if j != i)
    return sorted(pairs)
