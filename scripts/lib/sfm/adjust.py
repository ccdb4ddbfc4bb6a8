"""Bundle adjustment with GPS: positions pull the cameras as hard as they deserve, and no harder.

It takes the bend out of long straight flights, which photos alone cannot see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pycolmap
from scipy.spatial.transform import Rotation

from scripts.lib.contracts.georef import PositionAdjustment
from scripts.lib.core.geo import Array, Sim3, fit_sim3, fit_sim3_upright
from scripts.lib.core.threads import threads
from scripts.lib.sfm.rigs import exact_cameras

# A change of the fit to the photos beyond this means that the positions are wrong, not the cameras.
WORST_GROWTH, SLACK_PX = 1.05, 0.05
ROUNDS = 50
# Relative change of the cost at which an adjustment has arrived. On 97 photos the principal point, which
# arrives last, is then within a seventh of its standard deviation of where 50 rounds take it, in a quarter of
# the time.
ARRIVED = 1e-6
# An adjustment of so many sightings solves for its cameras with a dense matrix, up to so many photos. COLMAP
# does beyond 50 photos as if few of them saw the same points, and sorts the problem for that, by one thread:
# of 750 000 sightings of 300 photos six seconds out of twelve, for the same solution.
DENSE_FROM, DENSE_UP_TO = 200_000, 500
# Of more photos few see the same points. COLMAP solves for up to a thousand cameras by factors of a sparse
# matrix, and for more by conjugate gradients, which do not arrive at slow bends: of 2000 photos of a flight
# factors take 1.3 CPU s a step.
SPARSE_UP_TO = 10_000
# Ceres damps its first steps, and with them the slow bends of a large capture, which it then finds in many
# small steps or not at all. Poses that mapping found need no damping: 2000 photos arrived in 9 steps instead
# of 26, and 3.5 times as near to the truth. A step that makes things worse is damped as before.
UNDAMPED = 1e8
LAPACK: Any = "LAPACK"  # pycolmap takes the name, and does not show the type that has it
# RTK receivers claim millimetres; antenna and shutter are not synchronous to that.
LEAST_DEVIATION_M = 0.01


@dataclass(frozen=True)
class Prior:
    """A camera's position (3,) in the model's metric frame, and its standard deviations in metres."""

    position: Array
    horizontal: float
    vertical: float


def adjust_with_positions(
    model: pycolmap.Reconstruction,
    priors: Mapping[str, Prior],
    adjust: Adjust,
    *,
    upright: bool = False,
) -> tuple[pycolmap.Reconstruction, PositionAdjustment]:
    """The adjusted model (already in the priors' frame), and what the report says of it.

    adjust: the `position_adjustment` of these priors. upright: the positions cannot tell which way is up
    (they lie along a line), so the model's own up, its +Z, is kept. The given model comes back when the
    photos would fit clearly worse.
    """
    adjusted = pycolmap.Reconstruction(model)
    adjusted.update_point_3d_errors()
    before = float(adjusted.compute_mean_reprojection_error())
    solved = adjust(adjusted, False, frozenset())
    adjusted.update_point_3d_errors()
    after = float(adjusted.compute_mean_reprojection_error())
    usable = solved and after <= WORST_GROWTH * before + SLACK_PX
    told = PositionAdjustment(
        used=usable,
        positions=len(_with_prior(adjusted, priors)),
        reprojection_before_px=round(before, 4),
        reprojection_after_px=round(after, 4),
    )
    if usable and upright:
        raise_again(adjusted, model, priors)
    return (adjusted if usable else model), told


class Adjust(Protocol):
    """A bundle adjustment of a whole model, in place."""

    def __call__(
        self, model: pycolmap.Reconstruction, principal_point: bool, keep_lenses: frozenset[int]
    ) -> bool:
        """Whether the result can be used. The principal points are free when asked for; the lenses of the
        cameras `keep_lenses` stay as they are."""
        ...


def free_adjustment(
    model: pycolmap.Reconstruction, principal_point: bool, keep_lenses: frozenset[int]
) -> bool:
    """The photos decide alone; the frame stands on two cameras. See Adjust."""
    options, config = _problem(model, principal_point, keep_lenses)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    summary = pycolmap.create_default_bundle_adjuster(options, config, model).solve()
    return bool(summary.is_solution_usable())


def position_adjustment(priors: Mapping[str, Prior], seed: int) -> Adjust:
    """An adjustment in which `priors` pull the cameras. It aligns the model with them again. See Adjust."""

    def adjust(
        model: pycolmap.Reconstruction, principal_point: bool, keep_lenses: frozenset[int]
    ) -> bool:
        options, config = _problem(model, principal_point, keep_lenses)
        settings = pycolmap.PosePriorBundleAdjustmentOptions()
        settings.alignment_ransac.random_seed = seed
        settings.ceres.prior_position_loss_function_type = pycolmap.LossFunctionType.CAUCHY
        solver = pycolmap.create_pose_prior_bundle_adjuster(
            options, settings, config, _with_prior(model, priors), model
        )
        return bool(solver.solve().is_solution_usable())

    return adjust


def adjustment_options() -> pycolmap.BundleAdjustmentOptions:
    """What every adjustment after the mapper has in common."""
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.refine_sensor_from_rig = False
    options.ceres.solver_options.max_num_iterations = ROUNDS
    options.ceres.solver_options.function_tolerance = ARRIVED
    options.ceres.solver_options.num_threads = threads()
    options.ceres.loss_function_type = pycolmap.LossFunctionType.SOFT_L1
    return options


def solve_by_size(
    options: pycolmap.BundleAdjustmentOptions, model: pycolmap.Reconstruction
) -> None:
    """Have an adjustment of a large `model` solved in the way that suits its size: sets `options`."""
    if model.num_reg_images() > DENSE_UP_TO:
        options.ceres.max_num_images_direct_sparse_cpu_solver = SPARSE_UP_TO
        options.ceres.solver_options.initial_trust_region_radius = UNDAMPED
        return
    if model.compute_num_observations() < DENSE_FROM:
        return
    options.ceres.max_num_images_direct_dense_cpu_solver = DENSE_UP_TO
    # LAPACK's factorisation has threads, Eigen's has none.
    options.ceres.solver_options.dense_linear_algebra_library_type = LAPACK


def _problem(
    model: pycolmap.Reconstruction, principal_point: bool, keep_lenses: frozenset[int]
) -> tuple[pycolmap.BundleAdjustmentOptions, pycolmap.BundleAdjustmentConfig]:
    options = adjustment_options()
    solve_by_size(options, model)
    options.refine_principal_point = principal_point
    config = pycolmap.BundleAdjustmentConfig()
    for number in model.reg_image_ids():
        config.add_image(number)
    exact = exact_cameras(model)
    for number in keep_lenses | exact:
        config.set_constant_cam_intrinsics(number)
    # Where a real camera stands in its rig was measured from the photos, a panorama's view is exact.
    options.refine_sensor_from_rig = True
    for rig in model.rigs.values():
        for sensor in rig.non_ref_sensors:
            if sensor.id in exact:
                config.set_constant_sensor_from_rig_pose(sensor)
    return options, config


def _with_prior(
    model: pycolmap.Reconstruction, priors: Mapping[str, Prior]
) -> list[pycolmap.PosePrior]:
    """The priors of registered photos as COLMAP takes them."""
    given: list[pycolmap.PosePrior] = []
    for number in model.reg_image_ids():
        image = model.image(number)
        prior = priors.get(image.name)
        if prior is not None:
            given.append(
                pycolmap.PosePrior(
                    pose_prior_id=len(given) + 1,
                    corr_data_id=image.data_id,
                    position=prior.position,
                    position_covariance=np.diag(deviations_of(prior) ** 2),
                    coordinate_system=pycolmap.PosePriorCoordinateSystem.CARTESIAN,
                )
            )
    return given


def deviations_of(prior: Prior) -> Array:
    """Standard deviations (3,) of a position as the adjustment has them, metres."""
    deviations = [prior.horizontal, prior.horizontal, prior.vertical]
    return np.maximum(deviations, LEAST_DEVIATION_M)


def onto(model: pycolmap.Reconstruction, other: pycolmap.Reconstruction) -> pycolmap.Sim3d:
    """The similarity that moves the cameras of `model` nearest to those that `other` has too."""
    shared = sorted(set(model.reg_image_ids()) & set(other.reg_image_ids()))
    source, target = (
        np.array([m.image(number).projection_center() for number in shared]) for m in (model, other)
    )
    return pycolmap.Sim3d(fit_sim3(source, target).matrix()[:3])


def raise_again(
    adjusted: pycolmap.Reconstruction,
    model: pycolmap.Reconstruction,
    priors: Mapping[str, Prior],
) -> None:
    """Give `adjusted` the up that `model` has, and align it with the positions again.

    The adjuster first aligns the model to the positions by a free similarity, which along a street leaves
    the turn about the street to the noise of the positions.
    """
    turns, found, wanted = [], [], []
    for number in adjusted.reg_image_ids():
        image = adjusted.image(number)
        before = model.image(number).cam_from_world().rotation.matrix()
        turns.append(before.T @ image.cam_from_world().rotation.matrix())
        if image.name in priors:
            found.append(image.projection_center())
            wanted.append(priors[image.name].position)
    # Cameras that moved against each other have no common turn, but a mean one.
    back = Sim3(1.0, Rotation.from_matrix(turns).mean().as_matrix(), np.zeros(3))
    aligned = fit_sim3_upright(back.apply(found), wanted).after(back)
    adjusted.transform(pycolmap.Sim3d(aligned.matrix()[:3]))
