"""Whether a finished model is right, by what mapping did not use: registered is not right.

Three things are looked for: places that look alike, taken for one (`folds`); a loop that does not close
(`tears`); and photos whose positions are off together (`shifts`). A model that is right shows none of them,
so silence proves nothing, but what is found is worth a look. What did not fit into a model mapped in parts is
told beside them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pycolmap

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.photos import Photo
from scripts.lib.contracts.sfm import Suspicion
from scripts.lib.sfm.divided import Unjoined
from scripts.lib.sfm.evidence.folds import Fold, find_folds
from scripts.lib.sfm.evidence.shifts import Shift, find_shift
from scripts.lib.sfm.evidence.tears import Matches, Tear, find_tears
from scripts.lib.sfm.evidence.views import views_of

NAMED = 3  # photos of a group that do not follow each other
MOST_TOLD = 3  # of each kind


def suspicions(
    model: pycolmap.Reconstruction,
    matches: Matches,
    photos: Sequence[Photo],
    georef: Georef,
    seed: int = 0,
    unjoined: Sequence[Unjoined] = (),
) -> tuple[Suspicion, ...]:
    """What speaks against a finished model, the surest first.

    matches: all verified ones of the database it was made of, as `verified_matches` reads them; photos: lines
    of photos.json, as they were taken; unjoined: parts of the capture that did not fit together.
    """
    views = views_of(model)
    order = [photo.file for photo in photos]
    names = [view.name for view in views]
    tears = find_tears(views, matches, seed)
    # Where the model has a thing twice, photos of the one and of the other have no points in common either.
    torn = {row for tear in tears for row in (*tear.first, *tear.second)}
    folds = [fold for fold in find_folds(views) if not torn & {*fold.first, *fold.second}]
    metric = georef.units == "metres"
    found = [
        _folded(_named(fold.first, names), _named(fold.second, names), fold, order)
        for fold in folds[:MOST_TOLD]
    ]
    found += [
        _torn(_named(tear.first, names), _named(tear.second, names), tear, order, metric)
        for tear in tears[:MOST_TOLD]
    ]
    found += _left_apart(unjoined, set(names), order)[:MOST_TOLD]
    claims = {photo.file: photo.accuracy_horizontal_m for photo in photos}
    shift = find_shift(georef.residuals_m, order, claims)
    if shift is not None:
        found.append(_shifted(shift, order))
    return tuple(found)


def _left_apart(
    unjoined: Sequence[Unjoined], names: set[str], order: Sequence[str]
) -> list[Suspicion]:
    """Parts that are not in the model of the photos `names`; some get into it after all, photo by photo."""
    return [
        Suspicion(
            kind="unjoined",
            photos=one.first,
            others=one.second,
            sentence=(
                f"{_group(one.second, order)} were mapped apart from {_group(one.first, order)} and left "
                f"out: the matches join {one.common} points of both, but they do not fit together. If "
                "it is one place, take more photos on the way from one to the other, each showing two thirds "
                "of what the one before shows; if they are two places that look alike, make a scene of each."
            ),
        )
        for one in unjoined
        if one.first and one.second
        if 2 * len(names & set(one.second)) < len(one.second) and names & set(one.first)
    ]


def _named(rows: Sequence[int], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(names[row] for row in rows))


def _folded(
    first: tuple[str, ...], second: tuple[str, ...], fold: Fold, order: Sequence[str]
) -> Suspicion:
    return Suspicion(
        kind="folded",
        photos=first,
        others=second,
        pairs=fold.pairs,
        share=round(fold.share, 3),
        sentence=(
            f"{_group(first, order)} and {_group(second, order)} are at the same place in the model, but "
            "show different things beside what they have in common: two places that look alike were probably "
            "taken for one. Take more photos on the way from one to the other, with things that are there "
            "only once, or make a scene of each."
        ),
    )


def _torn(
    first: tuple[str, ...],
    second: tuple[str, ...],
    tear: Tear,
    order: Sequence[str],
    metric: bool,
) -> Suspicion:
    far = (
        f"{_length(tear.distance)} apart"
        if metric
        else f"apart by {100 * tear.relative:.0f} % of the distance to it"
    )
    return Suspicion(
        kind="torn",
        photos=first,
        others=second,
        pairs=tear.pairs,
        distance=tear.distance,
        sentence=(
            f"{_group(first, order)} and {_group(second, order)} show the same thing, but the model has it "
            f"twice, {far}: it is bent or broken between them, unless these are two places that look alike. "
            "Take more photos on the way from one to the other, each showing two thirds of what the one "
            "before shows, and a few more where the round closes."
        ),
    )


def _shifted(shift: Shift, order: Sequence[str]) -> Suspicion:
    photos = tuple(shift.photos)
    return Suspicion(
        kind="shifted",
        photos=photos,
        distance=shift.metres,
        sentence=(
            f"The GPS positions of {_group(photos, order)} are off the model by {_length(shift.metres)} "
            f"together, and single ones only by {_length(shift.scatter)}: either the receiver was wrong "
            "there, or that part of the model is in the wrong place. Look at it in the page from above; "
            "surveyed points tell which."
        ),
    )


def _length(metres: float) -> str:
    """Metres with two digits, or more before the point."""
    return f"{metres:.0f} m" if metres >= 10 else f"{metres:.2g} m"


def _group(photos: Sequence[str], order: Sequence[str]) -> str:
    """Photos in words: those that follow each other by the first and the last, else a few of them."""
    place = {name: number for number, name in enumerate(order)}
    chosen = sorted(photos, key=lambda name: place.get(name, len(place)))
    if len(chosen) == 1:
        return chosen[0]
    if place.get(chosen[-1], 0) - place.get(chosen[0], 0) == len(chosen) - 1:
        return f"{chosen[0]} to {chosen[-1]}"
    if len(chosen) <= NAMED:
        return ", ".join(chosen[:-1]) + f" and {chosen[-1]}"
    return ", ".join(chosen[:NAMED]) + f" and {len(chosen) - NAMED} more"
