"""Self-calibration: for each camera the richest lens that the capture itself determines.

The mapper leaves one radial number and the principal point in the middle. A richer lens makes poses several
times more exact where the data carry it, and bends the model where they do not. What decides is never the fit
to the points it was adjusted to, but a tenth of the tracks held out of the adjustment, and the covariance.
A lens that is found to be off the centre then gets all terms, under a prior (`lens_prior`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import pycolmap

from scripts.lib.contracts import sfm as told
from scripts.lib.contracts.sfm import Calibrated, Calibration, TriedLens
from scripts.lib.sfm.adjust import Adjust, Prior
from scripts.lib.sfm.lens_prior import RICHEST, with_usual_lenses
from scripts.lib.sfm.lens_trials import (
    Trial,
    held_out_gain,
    hold_out,
    lens_sigmas,
    run_trials,
    set_and_adjust,
    shared_lens_trials,
)
from scripts.lib.sfm.lenses import LENSES, Lens, forced, parameters, richer_lenses, set_lens
from scripts.lib.sfm.rigs import exact_cameras
from scripts.lib.sfm.shared_lens import SharedLens, as_one, with_shared_lenses

Sigmas = dict[int, dict[str, float]]  # of each camera's free parameters, by name

MIN_HELD_OUT = 60  # sightings
MIN_PHOTOS = 5
# Least gain of held-out cost, as a share, and in standard errors of the paired differences by track: four
# lenses are tried, so two errors would come by chance in one plain capture of ten.
MIN_GAIN, MIN_CERTAINTY = 0.002, 3.0
# A few hundred held-out tracks cannot be certain of a small gain. A gain that they see all the same counts
# when what the lens adds is this many of its own standard deviations away from nothing.
SIGNIFICANT = 6.0
# One of several cameras may lose this many standard errors on its own tracks where all together gain.
MAX_LOSS = 1.0
# Two cameras that share a lens may miss held-out tracks by this share more, all together and each: made-up
# captures with one lens lost up to 0.006 and 0.018, those with two 0.05 and more of all.
MOST_LOST, MOST_LOST_BY_ONE = 0.02, 0.05
# A principal point and a focal length count as known within this (of the longer side, and of itself).
MAX_SIGMA, MAX_FOCAL_SIGMA = 0.004, 0.01
MAX_OFF_CENTRE = 0.08  # of the longer side; lenses sit nearer to the middle


@dataclass(frozen=True)
class _Choice:
    """A camera's lens, a row for each one tried, and the share by which held-out costs fell, if measured."""

    lens: Lens
    rows: list[TriedLens] = field(default_factory=list)
    gain: float | None = None
    own_gain: float | None = None


def calibrate(
    model: pycolmap.Reconstruction,
    adjust: Adjust,
    seed: int,
    wanted: str | bool = "auto",
    priors: Mapping[str, Prior] | None = None,
    candidates: Sequence[SharedLens] = (),
) -> tuple[pycolmap.Reconstruction, Calibration | None]:
    """The model with the lenses that it determines, adjusted once more, and what sfm.json says of it.

    wanted: `auto`, `off`, or COLMAP's name of a lens model that every camera gets. priors: the positions that
    `adjust` uses, in the model's frame. candidates: cameras that may share a lens (`shared_lens_candidates`).
    The given model is not changed; it comes back where nothing is gained. Raises UserError for an unknown
    lens.
    """
    if switched_off(wanted) or not _used(model):
        return model, None
    if wanted not in ("auto", True):
        choice = _Choice(forced(str(wanted)))
        full = _used(model) if choice.lens.model == RICHEST else []
        return _finish(model, adjust, dict.fromkeys(_used(model), choice), full, priors)
    own = {number: richer_lenses(model.cameras[number].model_name)[0] for number in _used(model)}
    if model.num_reg_images() < MIN_PHOTOS:
        reason = f"{model.num_reg_images()} photos are too few to test a more detailed lens model"
        return model, _unchanged(model, own, reason)
    test, thin = hold_out(model, seed)
    if test.compute_num_observations() < MIN_HELD_OUT:
        return model, _unchanged(model, own, "too few points are seen by three photos")
    trials = run_trials(thin, test, own, adjust)
    if len(trials) < 2:
        return model, _unchanged(model, own, "no more detailed lens model could be estimated")

    @cache
    def sigmas(trial: int) -> Sigmas:
        return lens_sigmas(trials[trial].adjusted, trials[trial].lenses, priors) or {}

    chosen = {number: _choose(model, number, trials, sigmas) for number in own}
    shared: list[SharedLens] = []
    for pair in sorted({(one.camera, one.other) for one in candidates}):
        both = [one for one in candidates if (one.camera, one.other) == pair]
        found = _shared_lens(trials, test, chosen, both, with_shared_lenses(adjust, shared), priors)
        if found is not None:
            shared.append(found[0])
            chosen.update(found[1])
    if all(choice.lens == own[number] for number, choice in chosen.items()):
        return model, _unchanged(model, own, "", chosen)
    # Which terms matter is not known before they are free: a lens found off the centre gets all of them.
    full = [
        number
        for number, choice in chosen.items()
        if choice.lens.principal_point and choice.lens in LENSES
    ]
    return _finish(model, adjust, chosen, full, priors, shared)


def _shared_lens(
    trials: Sequence[Trial],
    test: pycolmap.Reconstruction,
    chosen: Mapping[int, _Choice],
    candidates: Sequence[SharedLens],
    adjust: Adjust,
    priors: Mapping[str, Prior] | None,
) -> tuple[SharedLens, dict[int, _Choice]] | None:
    """How the two cameras of `candidates` share a lens, and their choices with it; None where they do not.

    One lens has half the parameters of two, so it is taken unless held-out tracks clearly, or by much, speak
    for two.
    """
    lenses = {number: choice.lens for number, choice in chosen.items()}
    found = shared_lens_trials(trials[0], test, lenses, candidates, adjust)
    if found is None:
        return None
    shared, richer = found
    line = [trials[0], *richer]

    @cache
    def sigmas(place: int) -> Sigmas:
        trial = line[place]
        known = {n: lens for n, lens in trial.lenses.items() if n != shared.other}
        return lens_sigmas(as_one(trial.adjusted, shared), known, priors) or {}

    choice = _choose(test, shared.camera, line, sigmas)
    best = next(trial for trial in line if trial.lenses[shared.camera] == choice.lens)
    if best is trials[0]:
        return None
    two = {
        key: cost
        for number, lens in lenses.items()
        for key, cost in _with_lens(trials, number, lens).costs.items()
        if key[0] == number
    }
    most = {None: MOST_LOST, shared.camera: MOST_LOST_BY_ONE, shared.other: MOST_LOST_BY_ONE}
    gains = {number: held_out_gain(two, best.costs, number) for number in most}
    taken = all(
        share > -most[number] and errors > -MIN_CERTAINTY
        for number, (share, errors) in gains.items()
    )
    gain, certain = gains[None]
    choices = {}
    for number in (shared.camera, shared.other):
        row = TriedLens(
            lens=f"{choice.lens.name}, {shared.words}",
            held_out_gain=round(gain, 5),
            standard_errors=round(certain, 2),
            own_gain=round(gains[number][0], 5),
            significance=None,
            taken=taken,
            reason="held-out tracks fit as well" if taken else "held-out tracks fit worse",
        )
        chosen[number].rows.append(row)
        own, _ = held_out_gain(trials[0].costs, best.costs, number)
        choices[number] = _Choice(choice.lens, chosen[number].rows, choice.gain, round(own, 5))
    return (shared, choices) if taken else None


def _with_lens(trials: Sequence[Trial], number: int, lens: Lens) -> Trial:
    """The trial in which a camera had this lens; the first one where none had."""
    return next((trial for trial in trials if trial.lenses[number] == lens), trials[0])


def switched_off(wanted: str | bool) -> bool:
    """Whether lenses stay as mapping found them; YAML reads a bare off as false."""
    return wanted in ("off", False)


def _used(model: pycolmap.Reconstruction) -> list[int]:
    """Cameras that took a registered photo, without those whose lens is known exactly."""
    used = {model.image(number).camera_id for number in model.reg_image_ids()}
    return sorted(used - exact_cameras(model))


def _choose(
    model: pycolmap.Reconstruction,
    number: int,
    trials: Sequence[Trial],
    sigmas_of: Callable[[int], Sigmas],
) -> _Choice:
    """The camera's lens, step by step from its own to the richest.

    A step is taken when the lens is determined, and predicts held-out tracks better than the lens chosen
    before: of this camera, and clearly so of all, since the cameras share the points.
    """
    camera = model.cameras[number]
    chosen, rows = trials[0], []
    tried = {trials[0].lenses[number]}
    for index, trial in enumerate(trials[1:], 1):
        lens = trial.lenses[number]
        if lens in tried:
            continue
        tried.add(lens)
        gain, certain = held_out_gain(chosen.costs, trial.costs)
        own, own_certain = held_out_gain(chosen.costs, trial.costs, number)
        significance = None
        if own <= 0 and own_certain < -MAX_LOSS:
            why = "its own held-out tracks fit worse"
        elif gain < MIN_GAIN:
            why = "held-out tracks fit no better"
        else:
            sigmas = sigmas_of(index)
            why = _undetermined(camera, lens, trial.params(number), sigmas.get(number, {}))
            # Lenses of one capture are of one kind: what one camera shows beyond doubt counts for all.
            added = max(
                (_significance(chosen, trial, n, sigma) for n, sigma in sigmas.items()), default=0.0
            )
            significance = round(added, 1)
            if not why and certain < MIN_CERTAINTY and added < SIGNIFICANT:
                why = "held-out tracks fit better, but that may be chance"
        rows.append(
            TriedLens(
                lens=lens.name,
                held_out_gain=round(gain, 5),
                standard_errors=round(certain, 2),
                own_gain=round(own, 5),
                significance=significance,
                taken=not why,
                reason=why or "held-out tracks fit better",
            )
        )
        if not why:
            chosen = trial
    gain, _ = held_out_gain(trials[0].costs, chosen.costs)
    own, _ = held_out_gain(trials[0].costs, chosen.costs, number)
    return _Choice(chosen.lenses[number], rows, round(gain, 5), round(own, 5))


def _significance(chosen: Trial, trial: Trial, number: int, sigma: Mapping[str, float]) -> float:
    """By how many of their standard deviations the numbers that a richer lens adds differ from nothing."""
    params, before = trial.params(number), chosen.params(number)
    camera = trial.adjusted.cameras[number]
    middle = {"cx": camera.width / 2, "cy": camera.height / 2}
    free = chosen.lenses[number].principal_point
    known = {"fx", "fy", "k1", *(n for n in before if free or n not in middle)}
    added = [n for n in sigma if n not in known]
    return max(
        (abs(params[n] - middle.get(n, 0.0)) / max(sigma[n], 1e-12) for n in added), default=0.0
    )


def _undetermined(
    camera: pycolmap.Camera, lens: Lens, params: Mapping[str, float], sigma: Mapping[str, float]
) -> str:
    """Why the capture does not determine the lens; empty where it does."""
    if not sigma:
        return "the capture does not determine it at all"
    side = max(camera.width, camera.height)
    for name in ("f", "fx", "fy"):
        if name in params and not sigma[name] <= MAX_FOCAL_SIGMA * params[name]:
            return f"its focal length is known to {sigma[name]:.1f} pixels only"
    if not lens.principal_point:
        return ""
    worst = max(sigma["cx"], sigma["cy"])
    if not worst <= MAX_SIGMA * side:
        return f"its principal point is known to {worst:.1f} pixels only"
    off = max(abs(params["cx"] - camera.width / 2), abs(params["cy"] - camera.height / 2))
    if off > MAX_OFF_CENTRE * side:
        return f"its principal point would lie {off:.0f} pixels off the centre"
    return ""


def _finish(
    model: pycolmap.Reconstruction,
    adjust: Adjust,
    chosen: Mapping[int, _Choice],
    full: Sequence[int],
    priors: Mapping[str, Prior] | None,
    shared: Sequence[SharedLens] = (),
) -> tuple[pycolmap.Reconstruction, Calibration]:
    """All tracks adjusted with the chosen lenses, and the report.

    full: cameras that get all terms under a prior in the end; shared: pairs that have one lens.
    """
    adjusted = pycolmap.Reconstruction(model)
    lenses = {number: choice.lens for number, choice in chosen.items()}
    if not set_and_adjust(adjusted, lenses, with_shared_lenses(adjust, shared)):
        own = {number: richer_lenses(model.cameras[number].model_name)[0] for number in chosen}
        return model, _unchanged(model, own, "the adjustment found no solution", chosen)
    settled = pycolmap.Reconstruction(adjusted)
    for number in full:
        set_lens(settled.cameras[number], RICHEST)
    usual = with_shared_lenses(with_usual_lenses(adjust, full, priors), shared)
    if full and usual(settled, False, frozenset()):
        adjusted = settled
    adjusted.update_point_3d_errors()
    cameras = [
        _camera(number, model.cameras[number], adjusted.cameras[number], choice)
        for number, choice in chosen.items()
    ]
    return adjusted, Calibration(True, "", tuple(cameras))


def _camera(
    number: int, before: pycolmap.Camera, after: pycolmap.Camera, choice: _Choice
) -> Calibrated:
    params = parameters(after)
    return Calibrated(
        camera=number,
        width=int(after.width),
        height=int(after.height),
        before=told.Lens(before.model_name, parameters(before)),
        after=told.Lens(after.model_name, params),
        principal_point=choice.lens.principal_point,
        off_centre_px=(params["cx"] - after.width / 2, params["cy"] - after.height / 2),
        changed=before.model != after.model or choice.lens.principal_point,
        held_out_gain=choice.gain,
        own_held_out_gain=choice.own_gain,
        tried=tuple(choice.rows),
    )


def _unchanged(
    model: pycolmap.Reconstruction,
    own: Mapping[int, Lens],
    reason: str,
    chosen: Mapping[int, _Choice] | None = None,
) -> Calibration:
    cameras = []
    for number, lens in own.items():
        rows = chosen[number].rows if chosen else []
        camera = model.cameras[number]
        cameras.append(_camera(number, camera, camera, _Choice(lens, rows)))
    why = (
        reason
        or "no more detailed lens model is determined by the photos and fits held-out tracks better"
    )
    return Calibration(False, why, tuple(cameras))
