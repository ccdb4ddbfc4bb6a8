"""How certain the cameras and their position on the Earth are, as sfm.json and georef.json tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pycolmap
from scipy.special import stdtrit  # in scipy.stats too, which takes half a second to import

from scripts.lib.contracts.georef import PlaceCertainty, Three
from scripts.lib.contracts.sfm import Calibration, CameraCertainty
from scripts.lib.core.geo import Array
from scripts.lib.sfm.adjust import Prior
from scripts.lib.sfm.covariance import Certainty, certainty
from scripts.lib.sfm.lens_prior import with_all_terms
from scripts.lib.sfm.lenses import free_parameters, parameters, richer_name
from scripts.lib.sfm.rigs import exact_cameras

MOTION = 7  # a similarity's unknowns: shift, turn, scale
NORMAL_95 = 1.96
AXES = 3


@dataclass(frozen=True)
class Frame:
    """How certain a frame that was fitted to known positions is.

    covariance (7, 7): of the shift of `middle` (3,) in metres, of the turn about it in radians, of the
    logarithm of the scale; out of so many degrees of freedom.
    """

    middle: Array
    covariance: Array
    freedom: int

    @property
    def wide(self) -> float:
        """Standard deviations inside which 95 % of the errors lie (Student's t)."""
        return float(stdtrit(self.freedom, 0.975))

    @property
    def lengths_within(self) -> float:
        """The share to which lengths are right in 95 of 100 cases."""
        return self.wide * float(np.sqrt(self.covariance[6, 6]))


def fitted_frame(positions: Array, residuals: Array) -> Frame | None:
    """The certainty of a similarity fitted to `positions` (N, 3) with `residuals` (N, 3), metres.

    Residuals are NaN where a coordinate is not known. Errors across and up have sizes of their own. None
    where the fit has nothing left over to judge it by.
    """
    known = np.isfinite(residuals)
    freedom = int(known.sum()) - MOTION
    if freedom < 1 or len(positions) < AXES:
        return None
    squares = np.nan_to_num(residuals) ** 2
    put_right = known.sum() / freedom  # a fit makes residuals smaller than the errors are
    across = squares[:, :2].sum() / max(known[:, :2].sum(), 1) * put_right
    up = (
        squares[:, 2].sum() / max(known[:, 2].sum(), 1) * put_right if known[:, 2].any() else across
    )
    middle = positions.mean(axis=0)
    rows = np.concatenate([motion_at(position - middle) for position in positions])
    weight = (known / [max(across, 1e-12), max(across, 1e-12), max(up, 1e-12)]).ravel()
    information = rows.T @ (rows * weight[:, None])
    if np.linalg.matrix_rank(information) < MOTION:
        return None
    return Frame(middle, np.linalg.inv(information), freedom)


def motion_at(offset: Array) -> Array:
    """How a position (3,) off the middle moves by shift, turn and scale: (3, 7)."""
    x, y, z = offset
    turn = np.array([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])
    return np.column_stack([np.eye(3), turn, offset])


@dataclass(frozen=True)
class Certain:
    """A finished model's lenses with their certainty, its cameras among each other, and its frame."""

    calibration: Calibration | None
    cameras: CameraCertainty | None = None
    frame: PlaceCertainty | None = None


def how_certain(
    model: pycolmap.Reconstruction,
    calibration: Calibration | None,
    priors: Mapping[str, Prior] | None,
    frame: Frame | None,
) -> Certain:
    """The certainty of a finished model, for sfm.json and georef.json.

    priors: positions that held the adjustment; frame: else what the model was fitted to. With neither, the
    certainty is that of the photos among each other. What nothing can be said of is None.
    """
    lines = calibration.cameras if calibration else ()
    own = {line.camera: line.principal_point for line in lines}
    used = sorted({model.image(i).camera_id for i in model.reg_image_ids()} - exact_cameras(model))
    free = {n: free_parameters(model.cameras[n], own.get(n, False)) for n in used}
    stated, usual = with_all_terms(model)
    open_terms = {n: free_parameters(stated.cameras[n], True) for n in usual & free.keys()}
    found = certainty(stated, free | open_terms, priors, open_terms)
    if found is None:
        return Certain(calibration)
    if calibration:
        lines = tuple(
            replace(
                line, sigma=_sigma(model.cameras[line.camera], free[line.camera], stated, found)
            )
            for line in lines
        )
        calibration = replace(calibration, cameras=lines)
    whole = None
    if priors:
        whole = _frame_certainty(found.motion, NORMAL_95, None)
    elif frame is not None:
        whole = _frame_certainty(frame.covariance, frame.wide, frame.freedom)
    return Certain(calibration, _among_each_other(model, found, priors, frame), whole)


def _sigma(
    camera: pycolmap.Camera,
    free: Sequence[int],
    stated: pycolmap.Reconstruction,
    found: Certainty,
) -> dict[str, float]:
    """Standard deviations of a camera's free parameters by name; `stated` may know it with more terms."""
    number = camera.camera_id
    sigmas = dict(zip(parameters(stated.cameras[number]), found.lenses[number], strict=True))
    names = list(parameters(camera))
    own = {names[row]: sigmas[richer_name(names[row], sigmas)] for row in free}
    return {name: float(sigma) for name, sigma in own.items() if np.isfinite(sigma)}


def _among_each_other(
    model: pycolmap.Reconstruction,
    found: Certainty,
    priors: Mapping[str, Prior] | None,
    frame: Frame | None,
) -> CameraCertainty:
    centres = {
        model.image(number).name: model.image(number).projection_center()
        for number in model.reg_image_ids()
    }
    whole = {
        name: found.centres[name] + _carried(frame, centre) for name, centre in centres.items()
    }
    sigmas = np.array([np.sqrt(np.diag(covariance)) for covariance in whole.values()])
    extent = float(np.linalg.norm(np.ptp(np.array(list(centres.values())), axis=0)))
    return CameraCertainty(
        sighting_sigma_px=round(found.unit_deviation, 4),
        frame="positions" if priors else "fit" if frame else "photos",
        extent=extent,
        sigma_median=_three(np.median(sigmas, axis=0)),
        sigma_largest=_three(sigmas.max(axis=0)),
        covariance={name: _upper(covariance) for name, covariance in whole.items()},
    )


def _three(values: Array) -> Three:
    x, y, z = values.tolist()
    return x, y, z


def _upper(matrix: Array) -> tuple[float, float, float, float, float, float]:
    xx, xy, xz, yy, yz, zz = matrix[np.triu_indices(AXES)].tolist()
    return xx, xy, xz, yy, yz, zz


def _carried(frame: Frame | None, centre: Array) -> Array:
    """What the frame's own uncertainty adds to the covariance (3, 3) of a position."""
    if frame is None:
        return np.zeros((AXES, AXES))
    by = motion_at(centre - frame.middle)
    added: Array = by @ frame.covariance @ by.T
    return added


def _frame_certainty(covariance: Array, wide: float, freedom: int | None) -> PlaceCertainty:
    """Standard deviations of a position on the Earth, and the half widths inside which 95 % of them lie."""
    sigma = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return PlaceCertainty(
        sigma_m=_three(sigma[:3]),
        within_95_m=_three(wide * sigma[:3]),
        turn_within_95_deg=_three(np.degrees(wide * sigma[3:6])),
        scale_within_95_percent=float(100 * wide * sigma[6]),
        degrees_of_freedom=freedom,
        covariance=tuple(map(tuple, covariance.tolist())),
    )
