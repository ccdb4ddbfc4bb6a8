"""How far decoded Gaussians lie from the ones that were encoded, and whether a format may be that far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.core.activations import sigmoid
from scripts.lib.encode.codecs.rotations import angles
from scripts.lib.splat.gaussians import Gaussians


@dataclass(frozen=True)
class Limits:
    """Largest errors a format may make, each by what its bits allow.

    mean: world units, per coordinate (N, 3) or one number; angle: degrees; log_scale, sh0: largest
    absolute error; alpha: largest error of the opacity in 0..1; shN: root mean square.
    """

    mean: npt.NDArray[np.float64] | float
    angle: float
    log_scale: float
    alpha: float
    sh0: float
    shN: float  # noqa: N815 (the field's name)


def errors(source: Gaussians, decoded: Gaussians) -> dict[str, float]:
    """Errors of `decoded` against `source`, row by row; both have N Gaussians in the same order.

    Keys end in `_max` (largest absolute error) and `_rms`; `angle_*` in degrees, `alpha_*` on 0..1.
    """
    differences: dict[str, npt.NDArray[np.floating]] = {
        "mean": np.abs(source.means.astype(np.float64) - decoded.means),
        "angle": angles(source.quats, decoded.quats),
        "log_scale": np.abs(source.scales.astype(np.float64) - decoded.scales),
        "alpha": np.abs(sigmoid(source.opacities) - sigmoid(decoded.opacities)),
        "sh0": np.abs(source.sh0.astype(np.float64) - decoded.sh0),
    }
    if source.shN.shape[1]:
        differences["shN"] = np.abs(source.shN.astype(np.float64) - decoded.shN)
    found: dict[str, float] = {}
    for name, difference in differences.items():
        some = difference.size > 0
        found[f"{name}_max"] = float(difference.max()) if some else 0.0
        found[f"{name}_rms"] = float(np.sqrt(np.mean(difference**2))) if some else 0.0
    return found


def check(source: Gaussians, decoded: Gaussians, limits: Limits) -> dict[str, float]:
    """The errors as `errors` gives them, after holding them against `limits`.

    Raises ValueError naming the first quantity that is further off than the format allows, which
    means a fault in an encoder or decoder, not in the input.
    """
    if len(source) != len(decoded) or source.shN.shape != decoded.shN.shape:
        raise ValueError(
            f"{len(decoded)} Gaussians with {decoded.shN.shape[1]} SH coefficients came back,"
            f" not {len(source)} with {source.shN.shape[1]}"
        )
    found = errors(source, decoded)
    away = np.abs(source.means.astype(np.float64) - decoded.means)
    if (away > limits.mean).any():
        raise ValueError(f"positions are off by up to {found['mean_max']:.3g}")
    measured = {
        "angle": found["angle_max"],
        "log_scale": found["log_scale_max"],
        "alpha": found["alpha_max"],
        "sh0": found["sh0_max"],
        "shN": found.get("shN_rms", 0.0),
    }
    for name, value in measured.items():
        allowed = getattr(limits, name)
        if not value <= allowed:
            raise ValueError(f"{name} is off by {value:.3g}, more than {allowed:.3g}")
    return found
