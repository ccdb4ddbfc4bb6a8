"""Retries when too few photos are registered: wider pairs, then the other mapper, then more features.

Each attempt is made only when those before it left too many photos unregistered. All are recorded,
and the best model is taken: most photos, then longest tracks, then least reprojection error. The other
mapper comes before more features because it costs seconds and they cost more than all before: on a
street of 29 photos the incremental mapper stopped at two, and the global one registered all.

No retry can give depth to photos that were taken from one spot. Once a mapper's model turns out to be
explained by a camera that only turned, no more attempts are made: the next mapper would only try harder to
invent depth.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import UserError, say
from scripts.lib.core.files import scratch_folder
from scripts.lib.core.geo import Sim3, rotation_to_z
from scripts.lib.sfm.features import extract_features
from scripts.lib.sfm.gps import find_located, fit_to_gps
from scripts.lib.sfm.gravity import up_direction
from scripts.lib.sfm.mapping import Attempt, mapper_order, run_mapper
from scripts.lib.sfm.matching import match_pairs, not_compared, verified_matches, verified_pairs
from scripts.lib.sfm.options import (
    MOST_FEATURES,
    MOST_PIXELS,
    FeatureOptions,
    FinerFeatureOptions,
    MapOptions,
    MatchOptions,
)
from scripts.lib.sfm.parallax import measure_parallax
from scripts.lib.sfm.retrieval import count_votes, voted_pairs
from scripts.lib.sfm.rigs import placed_once

# Wider: every pair of a set this small, else this many photos by looks for each one.
EXHAUSTIVE_UP_TO = 60
WIDER_NEIGHBOURS = 30
MORE_FEATURES = 2
LARGER = 1.5  # of the side that features were found on
# Half of the contrast finds features on plaster, sand and carpet; on lively photos the limit on
# their number takes the strong ones anyway.
FAINTER = 0.5

NamePair = tuple[str, str]


@dataclass(frozen=True)
class Inputs:
    """Everything an attempt needs; `work` is a temporary folder for its databases."""

    photos: Sequence[Photo]
    folder: Path  # unpacked photos
    work: Path
    options: MapOptions
    features: FeatureOptions
    matching: MatchOptions
    threads: int

    @property
    def names(self) -> list[str]:
        """Names of the photos, in their order."""
        return [photo.file for photo in self.photos]


@contextmanager
def best_attempt(
    database: Path,
    folder: Path,
    photos: Sequence[Photo],
    options: MapOptions,
    features: FeatureOptions,
    matching: MatchOptions,
    threads: int,
) -> Iterator[tuple[Attempt, list[Attempt]]]:
    """Yield the best attempt and all in order; the databases they name live as long as the block.

    Raises UserError for an unknown mapper.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder, "retries") as work:
        inputs = Inputs(photos, folder, work, options, features, matching, threads)
        attempts = _attempts(database, inputs)
        yield _chosen(attempts, inputs.options), attempts


def _attempts(database: Path, inputs: Inputs) -> list[Attempt]:
    mappers = mapper_order(inputs.options, len(inputs.photos))
    attempts = [_attempt("as matched", mappers[0], database, inputs)]
    if inputs.options.retries and not _enough(attempts, inputs):
        wider = _wider_pairs(database, attempts[-1], inputs)
        if wider is not None:
            attempts.append(_attempt("wider pairs", mappers[0], wider, inputs))
    for mapper in mappers[1:]:
        if not _enough(attempts, inputs):
            attempts.append(_attempt("other mapper", mapper, attempts[-1].database, inputs))
    if inputs.options.retries and not _enough(attempts, inputs):
        richer = more_features(_best(attempts), inputs)
        for mapper in mappers:
            if richer is not None and not _enough(attempts, inputs):
                attempts.append(_attempt("more features", mapper, richer, inputs))
    return attempts


def _attempt(strategy: str, mapper: str, database: Path, inputs: Inputs) -> Attempt:
    attempt = run_mapper(mapper, database, inputs.folder, inputs.options, inputs.threads)
    found = verified_pairs(database)
    attempt = _with_gps(replace(attempt, strategy=strategy, verified=len(found)), inputs)
    rest = [int(model.num_reg_images()) for model in attempt.models[1:]]
    apart = f"; {' and '.join(map(str, rest))} in other models" if rest else ""
    if attempt.turned_photos:
        apart += f"; {attempt.turned_photos} from a camera that only turned, which gives no depth"
    say(
        f"{mapper} mapper, {strategy}: {attempt.registered} of {len(inputs.photos)} photos in one "
        f"model{apart}"
    )
    return attempt


def _with_gps(attempt: Attempt, inputs: Inputs) -> Attempt:
    """The attempt with its model without parallax accepted where GPS has the photos at the same places.

    A flight over a plain with an unknown lens looks like the turn of a camera far away; GPS knows better.
    """
    if attempt.models or not attempt.turned or not inputs.options.use_gps:
        return attempt
    model = attempt.turned[0]
    located = find_located(model, placed_once(inputs.photos))
    if located is None:
        return attempt
    up, _ = up_direction(model, inputs.photos)
    if fit_to_gps(model, located, Sim3(1.0, rotation_to_z(up), np.zeros(3))).sim3 is None:
        return attempt
    parallax = measure_parallax(model, verified_matches(attempt.database))
    return replace(attempt, models=[model], turned=attempt.turned[1:], parallax=parallax)


def _enough(attempts: Sequence[Attempt], inputs: Inputs) -> bool:
    """Whether another attempt is of no use: nearly all photos are registered, or all are from one spot."""
    most = max(max(attempt.registered, attempt.turned_photos) for attempt in attempts)
    return most >= inputs.options.retry_below * len(inputs.photos)


def _chosen(attempts: Sequence[Attempt], options: MapOptions) -> Attempt:
    """The best attempt; where none has a model, `force` takes one without parallax."""
    best = _best(attempts)
    if best.registered or not options.force:
        return best
    flat = max(attempts, key=lambda attempt: attempt.turned_photos)
    return replace(flat, models=list(flat.turned)) if flat.turned else best


def _best(attempts: Sequence[Attempt]) -> Attempt:
    """Most photos, then longest tracks, then least error; of equals the earlier one."""

    def merit(attempt: Attempt) -> tuple[float, float, float]:
        facts = attempt.summary()
        error = facts.reprojection_error_px
        return (
            attempt.registered,
            round(facts.track_length, 2),
            -(error if error is not None else np.inf),
        )

    return max(attempts, key=merit)


def _wider_pairs(database: Path, last: Attempt, inputs: Inputs) -> Path | None:
    """A copy of the database with more pairs compared; None when that found nothing new."""
    new = not_compared(database, _candidates(database, last, inputs))
    if not new:
        return None
    say(f"Comparing {len(new)} more pairs of photos")
    copy = inputs.work / "wider.db"
    shutil.copyfile(database, copy)
    before = len(verified_pairs(copy))
    match_pairs(copy, new, inputs.matching, inputs.threads)
    return copy if len(verified_pairs(copy)) > before else None


def _candidates(database: Path, last: Attempt, inputs: Inputs) -> list[NamePair]:
    """All pairs of a small set; of a larger one those by looks, and all across its models."""
    names = inputs.names
    if len(names) <= EXHAUSTIVE_UP_TO:
        return list(combinations(names, 2))
    votes = count_votes(database, names)
    pairs = {(names[i], names[j]) for i, j in voted_pairs(votes, WIDER_NEIGHBOURS, 8)}
    number_of = {name: number for number, name in enumerate(names)}
    inside = last.names(0)
    for name in names:
        if name in inside:
            continue
        # A photo outside the largest model: compare it with the photos in it that look most alike.
        row = votes[[number_of[name]]].toarray()[0]
        ranked = sorted(inside, key=lambda other: -row[number_of[other]])
        pairs.update((min(name, other), max(name, other)) for other in ranked[:WIDER_NEIGHBOURS])
    return sorted(pairs)


def finer(options: FeatureOptions) -> FeatureOptions:
    """Options that find finer and fainter features, and more of them."""
    changed = {
        "max_side": min(int(LARGER * options.max_side), MOST_PIXELS),
        "max_features": min(MORE_FEATURES * options.max_features, MOST_FEATURES),
        "first_octave": -1,
        "peak_threshold": FAINTER * options.peak_threshold,
    }
    return FinerFeatureOptions(**{**asdict(options), **changed})


def more_features(last: Attempt, inputs: Inputs) -> Path | None:
    """A new database with finer and fainter features, for all pairs that had a chance; None if not finer."""
    richer = inputs.work / "richer.db"
    try:
        extract_features(
            inputs.photos, inputs.folder, richer, finer(inputs.features), inputs.threads
        )
    except UserError:
        return None
    pairs = {tuple(sorted(pair)) for pair in verified_pairs(last.database)}
    pairs |= {tuple(sorted(pair)) for pair in _candidates(richer, last, inputs)}
    match_pairs(richer, sorted((a, b) for a, b in pairs), inputs.matching, inputs.threads)
    return richer
