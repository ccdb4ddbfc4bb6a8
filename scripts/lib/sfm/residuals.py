"""What the residuals of a finished model still show: motions that its cameras do not know.

A photo read row by row while the camera moves, a lens that breathes with its focus, a picture that a
stabiliser moved over the sensor, a lens model that is too poor: each leaves its own pattern. Each is
judged by tracks that took no part in fitting it, so noise explains nothing. What poses can imitate
cannot be seen: a roll, most of a shift (it looks like a turn), and a change of zoom before a flat scene
(it looks like a step forward).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pycolmap

from scripts.lib.contracts import sfm as told
from scripts.lib.contracts.photos import Photo
from scripts.lib.contracts.sfm import Residuals
from scripts.lib.core.geo import Array
from scripts.lib.sfm.linearised import (
    Motion,
    Sightings,
    held_out_residuals,
    sightings,
    solve_step,
)
from scripts.lib.sfm.robust import CAUCHY, in_noise
from scripts.lib.sfm.tables import tables

MIN_PHOTOS, MIN_SIGHTINGS = 5, 60  # sightings of a photo, on the mean
# Enough to judge by; more costs time.
ENOUGH, ENOUGH_OF_A_PHOTO = 10_000, 100
# Least share of the held-out error that a motion must explain. Photos of cameras whose shutter exposes all
# rows at once came to 0.07 for the six numbers of the rows, and 0.01 for the focal length: no lens is
# perfect.
LEAST_SHARE = {"rows": 0.1, "shift": 0.1, "focal": 0.05, "radius": 0.2}
MIN_CERTAINTY = 4.0  # standard errors of that share, over tracks
# So many times what a smooth bend of each photo explains that no camera makes: moving things bend, too.
OF_BEND = 2.0
FINDINGS = {
    "rows": "rolling_shutter",
    "focal": "breathing",
    "shift": "stabilised",
    "radius": "lens",
}
# How large the motions of photos usually are: of the focal length, and of the picture's longer side.
FOCAL_DEVIATION, SHIFT_DEVIATION, TURN_DEVIATION, LENS_DEVIATION = 0.01, 0.01, 0.005, 0.005


@dataclass(frozen=True)
class Gain:
    """share: of the held-out error that goes. errors: how many standard errors that is."""

    share: float
    errors: float


def look_into_residuals(
    model: pycolmap.Reconstruction, photos: Sequence[Photo], seed: int = 0
) -> Residuals:
    """sfm.json's `residuals` of a finished, adjusted model.

    For each motion the `share` of the held-out error that it explains, its `standard_errors`, and its size;
    `findings` in the order of their weight, and a `sentence` where there is one. The model is not changed.
    photos: lines of photos.json; those of a video are told other advice.
    """
    registered = int(model.num_reg_images())
    observations = int(model.compute_num_observations())
    if registered < MIN_PHOTOS or observations < MIN_SIGHTINGS * registered:
        return Residuals(judged=False, finding=None, findings=(), sentence="")
    random = np.random.default_rng(seed)
    seen = sightings(model, _enough(model, random))
    motions = picture_motions(seen)
    half = random.random(len(seen.points)) < 0.5
    own_lens = _several(seen)

    def costs(*names: str) -> Array:
        return _robust(seen, held_out_residuals(seen, [motions[n] for n in names], half))

    plain, base = costs(), costs("radius")
    alone = {name: costs("radius", name) for name in ("rows", "focal", "shift")}
    gains = {name: _gain(seen, base, cost) for name, cost in alone.items()}
    gains["radius"], gains["bend"] = _gain(seen, plain, base), Gain(0.0, 0.0)
    if any(_clear(name, gains[name]) for name in alone):
        gains["bend"] = _gain(seen, base, costs("radius", "bend"))
    taken: list[str] = []
    now, left = base, alone
    while True:
        steps = {name: _gain(seen, now, cost) for name, cost in left.items()}
        clear = [
            name
            for name, gain in steps.items()
            if _clear(name, gain)
            and gain.share > OF_BEND * gains["bend"].share
            and (own_lens or name == "rows")
        ]
        if not clear:
            break
        best = max(clear, key=lambda name: steps[name].share)
        taken.append(best)
        now = left[best]
        left = {n: costs("radius", *taken, n) for n in alone if n not in taken}
    # What weighs most comes first; a lens that is a little poor comes last.
    found = [FINDINGS[name] for name in taken]
    if own_lens and _clear("radius", gains["radius"]):
        found.append(FINDINGS["radius"])
    shown = {name: _told(gain) for name, gain in gains.items()}
    for name in alone:
        shown[name] = _with_size(name, shown[name], seen, motions, taken)
    if FINDINGS["radius"] in found:
        # What poses leave of it; lens and poses imitate each other in the rest.
        size = round(float(np.sqrt((plain - base).mean())), 2)
        shown["radius"] = replace(shown["radius"], size_px=size)
    report = Residuals(
        judged=True,
        sightings=len(seen.photo),
        noise_px=round(seen.noise, 3),
        rows=shown["rows"],
        focal=shown["focal"],
        shift=shown["shift"],
        radius=shown["radius"],
        bend=shown["bend"],
        finding=found[0] if found else None,
        findings=tuple(found),
        sentence="",
    )
    return replace(report, sentence=sentence(report, photos))


def picture_motions(seen: Sightings) -> dict[str, Motion]:
    """The motions that are looked for, by the names of the report, and `bend`, which they are compared to.

    rows: a turn and a move while the picture was read, from the first row to the last. The readout runs
    along the shorter side of the picture, as it does on the sensors of phones, cameras and drones.
    """
    half = np.sqrt((seen.span**2).sum(axis=1)) / 2
    side = float(np.median(seen.span.max(axis=1)))
    x, y = (seen.offset / half[:, None]).T
    zero, one, square = np.zeros_like(x), np.ones_like(x), x * x + y * y
    lens = _field(
        (x, y),
        (x, -y),
        (x * square, y * square),
        (x * square**2, y * square**2),
        (x * square**3, y * square**3),
        (3 * x * x + y * y, 2 * x * y),
        (2 * x * y, x * x + 3 * y * y),
        (one, zero),
        (zero, one),
    )
    bend = _field((x * x - y * y, -2 * x * y), (2 * x * y, x * x - y * y))
    return {
        "radius": Motion(lens, np.full(9, LENS_DEVIATION * side), seen.camera),
        "focal": Motion(_field((x * half, y * half)), np.array([FOCAL_DEVIATION])),
        "shift": Motion(_field((one, zero), (zero, one)), np.full(2, SHIFT_DEVIATION * side)),
        "rows": Motion(
            seen.scaled_pose() * row_time(seen)[:, None, None], np.full(6, TURN_DEVIATION * side)
        ),
        "bend": Motion(bend, np.full(2, LENS_DEVIATION * side)),
    }


def row_time(seen: Sightings) -> Array:
    """When each sighting was read (K,): -0.5 at the first row, 0.5 at the last."""
    across = seen.offset / seen.span
    along: Array = np.where(seen.span[:, 0] >= seen.span[:, 1], across[:, 1], across[:, 0])
    return along


def sentence(report: Residuals, photos: Sequence[Photo]) -> str:
    """What was found, in plain words with its size, and what was done or should be done; empty when
    nothing was found."""
    parts = []
    for finding in report.findings:
        own = finding in report.corrected
        if finding == "rolling_shutter":
            parts.append(
                "The camera moved while it recorded the photos row by row (rolling shutter): the last rows "
                f"are shifted against the first by about {_size(report.rows):.0f} pixels."
            )
            parts.append(
                "Next time, move and turn more slowly while filming."
                if _is_video(photos)
                else "Next time, keep the camera still for each photo."
            )
        elif finding == "stabilised":
            parts.append(
                "The image stabiliser shifts the picture on the sensor from photo to photo, by about "
                f"{_size(report.shift):.0f} pixels."
            )
            parts.append(
                "This was corrected: each photo has its own picture centre."
                if own
                else "Next time, switch the image stabiliser off."
            )
        elif finding == "breathing":
            parts.append(
                "The focal length changes slightly from photo to photo, by about "
                f"{_size(report.focal):.1f} %, as it does when a lens focuses."
            )
            parts.append(
                "This was corrected: each photo has its own focal length."
                if own
                else "Next time, focus once and then lock the focus."
            )
        elif finding == "lens":
            parts.append(
                "The lens distorts the picture in a way that the lens model does not describe: "
                "points are off "
                f"by about {_size(report.radius):.1f} pixels more than they should be."
            )
    return " ".join(parts)


def _is_video(photos: Sequence[Photo]) -> bool:
    return any(photo.kind == "frame" for photo in photos)


def _enough(model: pycolmap.Reconstruction, random: np.random.Generator) -> frozenset[int] | None:
    """Points whose sightings are enough to judge by, drawn by chance; None for all of them."""
    found = tables(model)
    numbers, lengths = found.points, found.lengths
    wanted = max(ENOUGH, ENOUGH_OF_A_PHOTO * int(model.num_reg_images()))
    if lengths.sum() <= wanted:
        return None
    order = random.permutation(len(numbers))
    chosen = order[np.cumsum(lengths[order]) <= wanted]
    return frozenset(int(n) for n in numbers[chosen])


def _several(seen: Sightings) -> bool:
    """Whether photos share a camera: else each has a lens of its own already."""
    return len(seen.cameras) <= len(seen.images) / 2


def _field(*columns: tuple[Array, Array]) -> Array:
    return np.stack([np.stack(column, axis=1) for column in columns], axis=2)


def _robust(seen: Sightings, left: Array) -> Array:
    """Cauchy's cost (K,) of residuals (K, 2), so that a few wrong matches decide nothing."""
    cost: Array = (CAUCHY * seen.noise) ** 2 * np.log1p(in_noise(left, seen.noise))
    return cost


def _gain(seen: Sightings, before: Array, after: Array) -> Gain:
    difference = np.bincount(seen.point, before - after, len(seen.points))
    error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
    share = float(difference.sum()) / max(float(before.sum()), 1e-12)
    return Gain(share, float(difference.mean()) / max(error, 1e-12))


def _clear(name: str, gain: Gain) -> bool:
    return gain.share >= LEAST_SHARE[name] and gain.errors >= MIN_CERTAINTY


def _told(gain: Gain) -> told.Motion:
    return told.Motion(round(gain.share, 4), round(gain.errors, 1))


def _size(motion: told.Motion | None) -> float:
    """How large a motion is that was found."""
    assert motion is not None
    return (motion.size_px if motion.size_percent is None else motion.size_percent) or 0.0


def _with_size(
    name: str,
    found: told.Motion,
    seen: Sightings,
    motions: Mapping[str, Motion],
    taken: Sequence[str],
) -> told.Motion:
    """A motion and how large it is, fitted with those that were found; of the others alone."""
    names = ["radius", *taken] if name in taken else ["radius", name]
    if name not in taken and not _clear(name, Gain(found.share, MIN_CERTAINTY)):
        return found  # noise has no size
    step = solve_step(seen, [motions[n] for n in names])
    numbers = step.numbers[names.index(name)]
    if name == "rows":
        moved = np.einsum("kij,kj->ki", seen.scaled_pose(), numbers[seen.photo])
        return replace(found, size_px=round(_rms(moved), 2))
    if name == "shift":
        return replace(found, size_px=round(_rms(numbers - np.median(numbers, axis=0)), 2))
    return replace(found, size_percent=round(100 * float(np.std(numbers)), 3))


def _rms(vectors: Array) -> float:
    return float(np.sqrt((vectors**2).sum(axis=1).mean()))
