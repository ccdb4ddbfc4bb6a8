"""Between what is optimised and what it means: logits and opacities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ALPHA_EDGE = 1e-6  # alphas of exactly 0 and 1 have no finite logit


def sigmoid(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Opacity in 0..1 from logits, without overflow."""
    half = np.tanh(0.5 * logits.astype(np.float64))
    return 0.5 + 0.5 * half


def logit(alphas: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Logits from opacity in 0..1, held off the infinite ends."""
    inside = np.clip(alphas.astype(np.float64), ALPHA_EDGE, 1 - ALPHA_EDGE)
    return np.log(inside / (1 - inside)).astype(np.float32)
