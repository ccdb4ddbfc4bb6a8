"""Gaussians with values that are not finite: a few are made transparent, many end the run."""

from __future__ import annotations

import torch

from scripts.lib.core.console import UserError
from scripts.lib.train.densify import set_transparent
from scripts.lib.train.parameters import NAMES, Parameters

MOST_BROKEN = 0.01  # share of the Gaussians that may have values that are not finite


def repair(parameters: Parameters, position_gradients: torch.Tensor, step: int) -> bool:
    """Make Gaussians with values that are not finite transparent; the next round of growth moves them.

    `position_gradients` (N,) are set to 0 for them. Returns whether there were any. Raises UserError when
    they are too many for that: the run has diverged.
    """
    p = parameters
    fine = p.finite() & torch.isfinite(position_gradients)
    broken = torch.nonzero(~fine)[:, 0]
    if not len(broken):
        return False
    if len(broken) > max(1, MOST_BROKEN * len(p)) or len(broken) == len(p):
        raise UserError(
            f"training diverged: after step {step}, {len(broken)} of {len(p)} Gaussians have values"
            " that are not finite; try another train_splat.seed, and if that does not help, look in"
            " sfm.json for cameras or points far away from all others"
        )
    like = torch.nonzero(fine)[:1, 0].expand(len(broken))
    p.replace_rows(broken, {name: p[name][like] for name in NAMES})
    set_transparent(p, broken)
    position_gradients[broken] = 0
    return True
