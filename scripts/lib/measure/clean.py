"""Which Gaussians of a trained splat are rubbish: reasons as masks, and a crop asked for by the user.

Every reason is a suspicion, not a verdict: the caller measures what leaving them out does to views
that training never saw, and keeps a filter only when it does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.core.activations import sigmoid
from scripts.lib.core.crop import parse_crop
from scripts.lib.measure.visibility import Visibility
from scripts.lib.scene.start_view import core_of
from scripts.lib.splat.gaussians import Gaussians

Mask = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float64]

FILTERS = ("transparent", "unseen", "far", "needle", "sheet")
NEEDLE_RATIO = 40.0  # longest axis against the middle one
NEEDLE_LENGTH = 0.02  # of the capture's reach, from which a needle is seen as one
SHEET_WIDTH = 0.5  # middle axis, as a share of the reach, of a wall of fog


@dataclass(frozen=True)
class CleanOptions:
    """Config section `clean_splat`."""

    enabled: bool = True
    min_opacity: float = 0.01  # below it a Gaussian is near-transparent
    min_views: int = 2  # a Gaussian that fewer training views saw is a guess
    far: float = 4.0  # times the capture's reach, beyond which only haze is expected
    max_drop_db: float = (
        0.02  # PSNR that a filter may cost on the steering views; more, and it is left out
    )
    crop: dict[str, Any] = field(
        default_factory=dict
    )  # {"box": [[x,y,z],[x,y,z]]} or {"sphere": ...}


def reach_of(centres: Float, points: Float) -> tuple[Float, float]:
    """The middle (3,) of what was photographed, and how far cameras (V, 3) and core points reach."""
    core = core_of(points)
    middle = np.median(core, axis=0)
    every = np.vstack([core, centres])
    return middle, float(np.linalg.norm(every - middle, axis=1).max())


def suspects(
    gaussians: Gaussians,
    visibility: Visibility,
    centres: Float,
    points: Float,
    options: CleanOptions,
    sky_from: float | None = None,
) -> dict[str, Mask]:
    """For each of FILTERS the Gaussians (N,) it would leave out.

    `visibility` over the training views, V = centres (V, 3); points (P, 3) of the sparse model. What stands
    farther than `sky_from` from the cameras' middle, world units, is the sky, far on purpose; None: no sky.
    """
    middle, reach = reach_of(centres, points)
    sigma = np.sort(np.exp(gaussians.scales.astype(np.float64)), axis=1)
    away = np.linalg.norm(gaussians.means - middle, axis=1)
    from_cameras = np.linalg.norm(gaussians.means - centres.mean(axis=0), axis=1)
    return {
        "transparent": sigmoid(gaussians.opacities) < options.min_opacity,
        "unseen": visibility.views < min(options.min_views, len(centres)),
        "far": (away > options.far * reach)
        & (from_cameras < (np.inf if sky_from is None else sky_from)),
        "needle": (sigma[:, 2] > NEEDLE_RATIO * sigma[:, 1])
        & (sigma[:, 2] > NEEDLE_LENGTH * reach),
        "sheet": (sigma[:, 1] > SHEET_WIDTH * reach) & (away < options.far * reach),
    }


def cropped(means: Float, crop: dict[str, Any]) -> Mask:
    """Which means (N, 3) lie inside the crop; no crop keeps all. Raises UserError as `parse_crop` does."""
    kind, values = parse_crop(crop)
    if not kind:
        return np.ones(len(means), bool)
    if kind == "box":
        low, high = np.array(values[:3]), np.array(values[3:])
        inside: Mask = np.all((means >= low) & (means <= high), axis=1)
        return inside
    away: Float = np.linalg.norm(means - np.array(values[:3]), axis=1)
    return away <= values[3]
