"""The space around each camera, in which nothing stands.

What a single photo shows can be explained by a Gaussian right before its camera as well as by one at its true
place. Such floaters cost that photo nothing; to a visitor who passes there, they cover half of the view. How
near a camera something can stand is known from the points that structure from motion found.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import cKDTree
from torch import Tensor

Float = npt.NDArray[np.float64]
NEIGHBOURS = 20  # the nearest points before them may be wrong
FREE = 0.3  # of the distance to that point: things without texture have no points
AT_ONCE = 1 << 24  # distances held at once


def free_radii(centres: Float, points: Float) -> Float:
    """How far around each camera (V, 3) nothing stands (V,), by the points (P, 3): three tenths of the
    distance to the 20th point in any direction; 0 where there are fewer."""
    if len(points) < NEIGHBOURS:
        return np.zeros(len(centres))
    away, _ = cKDTree(points).query(centres, k=[NEIGHBOURS])
    radii: Float = FREE * away[:, 0]
    return radii


class FreeSpace:
    """Balls around cameras (V, 3), by what `free_radii` has of the points (P, 3); all in training's frame."""

    def __init__(self, centres: Float, points: Float, device: torch.device) -> None:
        radii = free_radii(centres, points)
        self.centres = torch.tensor(centres[radii > 0], dtype=torch.float32, device=device)
        self.radii = torch.tensor(radii[radii > 0], dtype=torch.float32, device=device)

    @torch.no_grad()
    def intruders(self, means: Tensor) -> Tensor:
        """Which Gaussians (N,) of `means` (N, 3) stand in a ball."""
        if not len(self.radii):
            return torch.zeros(len(means), dtype=torch.bool, device=means.device)
        parts = means.split(max(1, AT_ONCE // len(self.radii)))
        inside = [(torch.cdist(part, self.centres) < self.radii).any(dim=1) for part in parts]
        return torch.cat(inside)
