"""What a lens is worth: the model adjusted with it, and how well that predicts tracks held out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pycolmap

from scripts.lib.sfm.adjust import Adjust, Prior, adjustment_options, onto
from scripts.lib.sfm.covariance import certainty
from scripts.lib.sfm.lenses import (
    Lens,
    as_fisheye,
    free_parameters,
    parameters,
    richer_lenses,
    set_lens,
)
from scripts.lib.sfm.projection import Seen, seen_by
from scripts.lib.sfm.robust import in_noise, noise_of
from scripts.lib.sfm.shared_lens import SharedLens, with_shared_lens
from scripts.lib.sfm.tables import tables, with_points

HELD_OUT = 0.1  # of the tracks
MIN_TRACK = (
    3  # photos of a held-out track: with two, an error along the line between them is not seen
)
# Lenses are compared on a model of so many sightings; more decide nothing anew, and cost time. But each photo
# needs some for its pose: 2000 photos with 10 each followed the noise of these, whatever the lens.
COMPARED, COMPARED_OF_A_PHOTO = 20_000, 40
LEAST_NOISE_PX = 0.01
FAR_PX = 100.0  # what a point costs that is not projected into the picture any more
# Gain of the richest lens from which poorer ones are tried too: what fits too much may lose a little.
WORTH_A_LOOK = -0.005

Costs = dict[tuple[int, int], float]  # mean cost of a held-out track in one camera's photos


@dataclass(frozen=True)
class Trial:
    """An adjustment without the held-out tracks: the lens of each camera, what came of it, and the cost of
    each held-out track."""

    lenses: dict[int, Lens]
    adjusted: pycolmap.Reconstruction
    costs: Costs
    noise: float  # of a coordinate of a held-out sighting, pixels

    def params(self, camera: int) -> dict[str, float]:
        """Adjusted parameters of one camera by their names; lengths in pixels."""
        return parameters(self.adjusted.cameras[camera])


def hold_out(
    model: pycolmap.Reconstruction, seed: int
) -> tuple[pycolmap.Reconstruction, pycolmap.Reconstruction]:
    """A model of the points to judge by, and one of as many of the others as are needed."""
    found = tables(model)
    numbers, lengths = found.points, found.lengths
    order = np.random.default_rng(seed).permutation(len(numbers))
    long = order[lengths[order] >= MIN_TRACK]
    held = long[: round(HELD_OUT * len(order))]
    rest = order[~np.isin(order, held)]
    # Points that several photos see tell most of the lens.
    rest = rest[np.argsort(-np.minimum(lengths[rest], 4), kind="stable")]
    enough = max(COMPARED, COMPARED_OF_A_PHOTO * len(found.seen))
    kept = numbers[rest[np.cumsum(lengths[rest]) <= enough]]
    return with_points(model, found, numbers[held]), with_points(model, found, kept)


def run_trials(
    thin: pycolmap.Reconstruction,
    test: pycolmap.Reconstruction,
    own: Mapping[int, Lens],
    adjust: Adjust,
) -> list[Trial]:
    """The cameras' own lens first, then richer ones as far as the richest shows that there is something.

    thin, test: models to adjust and to judge by.
    """
    base = _trial(thin, test, dict(own), adjust)
    if base is None:
        return []
    trials = [base]
    families = {number: _families(thin.cameras[number]) for number in own}
    for family in range(max(map(len, families.values()))):
        steps = {n: found[min(family, len(found) - 1)] for n, found in families.items()}
        last = {n: lenses[-1] for n, lenses in steps.items()}
        richest = _trial(base.adjusted, test, last, adjust, base.noise)
        if richest is None:
            continue
        if held_out_gain(base.costs, richest.costs)[0] > WORTH_A_LOOK:
            # Whatever lies between is worth a look only now.
            for level in range(1, max(map(len, steps.values())) - 1):
                lenses = {n: found[min(level, len(found) - 1)] for n, found in steps.items()}
                between = _trial(base.adjusted, test, lenses, adjust, base.noise)
                if between is not None and lenses != last:
                    trials.append(between)
        trials.append(richest)
    return trials


def shared_lens_trials(
    base: Trial,
    test: pycolmap.Reconstruction,
    others: Mapping[int, Lens],
    candidates: Sequence[SharedLens],
    adjust: Adjust,
) -> tuple[SharedLens, list[Trial]] | None:
    """The candidate that predicts `test` best, and its trials: one for each lens model with a free principal
    point.

    base: the trial with the cameras' own lenses; others: the lenses of all cameras. candidates: of the same
    two cameras. None where nothing has a solution.
    """
    camera = candidates[0].camera
    wanted = [lens for lens in richer_lenses(base.lenses[camera].model) if lens.principal_point]

    def trial(shared: SharedLens, lens: Lens) -> Trial | None:
        lenses = {**others, shared.camera: lens, shared.other: lens}
        return _trial(base.adjusted, test, lenses, with_shared_lens(adjust, shared), base.noise)

    if not wanted:
        return None
    found = [(shared, richest) for shared in candidates if (richest := trial(shared, wanted[-1]))]
    if not found:
        return None
    shared, richest = min(found, key=lambda way: -held_out_gain(base.costs, way[1].costs)[0])
    poorer = [trial(shared, lens) for lens in wanted[:-1]]
    return shared, [*(t for t in poorer if t is not None), richest]


def _families(camera: pycolmap.Camera) -> list[tuple[Lens, ...]]:
    """The camera's own family of lenses, and the fisheyes' where its picture is bent as much as theirs."""
    own = richer_lenses(camera.model_name)
    fisheye = as_fisheye(camera)
    return [own] if fisheye is None else [own, (own[0], *richer_lenses(fisheye.model_name))]


def _trial(
    start: pycolmap.Reconstruction,
    test: pycolmap.Reconstruction,
    lenses: dict[int, Lens],
    adjust: Adjust,
    noise: float | None = None,
) -> Trial | None:
    """Adjust a copy of `start` with `lenses` and judge it by `test`; None when that has no solution.

    noise: of the trial that this one is compared to.
    """
    adjusted = pycolmap.Reconstruction(start)
    if not set_and_adjust(adjusted, lenses, adjust):
        return None
    seen = _triangulated_again(test, adjusted)
    if noise is None:
        noise = noise_of(seen.residual, LEAST_NOISE_PX)
    return Trial(lenses, adjusted, _costs(seen, noise), noise)


def set_and_adjust(
    model: pycolmap.Reconstruction, lenses: Mapping[int, Lens], adjust: Adjust
) -> bool:
    """Give the cameras of `model`, {number: lens}, these lenses and adjust it; False: no solution."""
    for number, lens in lenses.items():
        set_lens(model.cameras[number], lens.model)
    fixed = frozenset(n for n, lens in lenses.items() if not lens.principal_point)
    if len(fixed) == len(lenses):
        return adjust(model, False, frozenset())
    if not adjust(model, True, fixed):
        return False
    # COLMAP frees principal points of all cameras or of none, so the others' lenses had to wait.
    return adjust(model, False, frozenset(lenses) - fixed) if fixed else True


def lens_sigmas(
    model: pycolmap.Reconstruction,
    lenses: Mapping[int, Lens],
    priors: Mapping[str, Prior] | None,
) -> dict[int, dict[str, float]] | None:
    """Standard deviations of what is free in each camera's lens, {camera: {parameter: sigma}}.

    None when the adjustment does not determine them.
    """
    free = {
        n: free_parameters(model.cameras[n], lens.principal_point) for n, lens in lenses.items()
    }
    found = certainty(model, free, priors)
    if found is None:
        return None
    return {
        number: {
            name: float(sigma)
            for name, sigma in zip(parameters(model.cameras[number]), deviations, strict=True)
            if np.isfinite(sigma)
        }
        for number, deviations in found.lenses.items()
    }


def _triangulated_again(test: pycolmap.Reconstruction, adjusted: pycolmap.Reconstruction) -> Seen:
    """The held-out sightings, their points triangulated again by the adjusted cameras."""
    model = pycolmap.Reconstruction(test)
    numbers = sorted(adjusted.reg_image_ids())
    model.transform(onto(model, adjusted))
    for number, camera in adjusted.cameras.items():
        model.cameras[number].model = camera.model
        model.cameras[number].params = camera.params
    for number in numbers:
        frame = model.image(number).frame_id
        model.frame(frame).rig_from_world = adjusted.frame(frame).rig_from_world
    options = adjustment_options()
    options.refine_focal_length = options.refine_extra_params = False
    options.refine_rig_from_world = False
    config = pycolmap.BundleAdjustmentConfig()
    for number in numbers:
        config.add_image(number)
        config.set_constant_cam_intrinsics(model.image(number).camera_id)
    pycolmap.create_default_bundle_adjuster(options, config, model).solve()
    return seen_by(model)


def _costs(seen: Seen, noise: float) -> Costs:
    """Mean cost of each held-out track by camera.

    Cauchy's loss at the scale of the noise: a wrong sighting costs much and says nothing of the lens, so what
    it costs must hardly depend on the lens.
    """
    missed = np.where(np.isfinite(seen.residual), seen.residual, FAR_PX / np.sqrt(2))
    costs = np.log1p(in_noise(missed, noise))
    keys, where, counts = np.unique(
        np.column_stack([seen.camera, seen.point]), axis=0, return_inverse=True, return_counts=True
    )
    means = np.bincount(where, costs) / counts
    return {
        (seen.cameras[camera], int(seen.points[point])): float(mean)
        for (camera, point), mean in zip(keys, means, strict=True)
    }


def held_out_gain(before: Costs, after: Costs, camera: int | None = None) -> tuple[float, float]:
    """Share of the held-out cost that goes, and how many standard errors that is; of all cameras or one."""
    keys = [key for key in before if key in after and camera in (None, key[0])]
    if len(keys) < 2:
        return 0.0, 0.0
    old, new = np.array([before[k] for k in keys]), np.array([after[k] for k in keys])
    difference = old - new
    error = difference.std(ddof=1) / np.sqrt(len(keys))
    return float(difference.sum() / max(old.sum(), 1e-12)), float(
        difference.mean() / max(error, 1e-12)
    )
