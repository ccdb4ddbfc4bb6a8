"""The sky in training: Gaussians far away that show it, and none before it.

Left to itself, training paints the sky on whatever is near: a shell of blue floaters over the street that
falls apart as soon as one walks. So the sky's own Gaussians stand behind everything from the first step, and
what hangs before the sky in the sky's colour is taken out from time to time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from scripts.lib.scene.scene import Scene
from scripts.lib.scene.sky import SkyView, sky_directions
from scripts.lib.splat.gaussians import SH_C0
from scripts.lib.train.initialise import Frame, raw_tensors

FAR = 20.0  # times the cameras' or the points' reach, whichever is farther
REACH = 0.9  # quantile of the points' distances
SHARE = 0.05  # of max_gaussians, at most
WIDTH = 0.6  # of the spacing between two
OPACITY = 0.9
VOTES = 2  # photos that see a Gaussian before the sky
HALF_WAY, STRAY = 0.5, 1.5  # times the sky's distance: the scene ends, the sky ends
SKY_COLOUR = 0.2  # difference to the photo's there, from 0 to 1, below which it passes for sky


def distance(scene: Scene, frame: Frame) -> float:
    """How far from the frame's centre the sky is put, in frame units."""
    away = np.linalg.norm(frame.points(scene.points), axis=1)
    return FAR * max(1.0, float(np.quantile(away, REACH)) if len(away) else 1.0)


def sky_tensors(
    views: Sequence[SkyView], away: float, max_gaussians: int, sh_degree: int, device: torch.device
) -> dict[str, Tensor]:
    """Raw parameters of Gaussians at a distance `away` that show the sky, up to SHARE of `max_gaussians`."""
    directions, colours, spacing = sky_directions(views, int(SHARE * max_gaussians))
    width = np.full(len(directions), WIDTH * spacing * away)
    return raw_tensors(directions * away, colours, width, OPACITY, sh_degree, device)


class Clearing:
    """Finds Gaussians that are where nothing is: in the air before the sky, or behind it.

    `away` from the frame's middle, or from `centre` (3,), stands the sky; nearer than `begins` is the scene,
    all in frame units.
    """

    def __init__(
        self,
        views: Sequence[SkyView],
        frame: Frame,
        away: float,
        device: torch.device,
        centre: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        def tensor(values: np.ndarray) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)

        poses = frame.cameras(np.stack([view.world_to_camera for view in views]))
        self.away, self.begins, self.centre = away, HALF_WAY * away, tensor(np.array(centre))
        self.views = [
            (
                tensor(view.K @ pose[:3]),
                torch.tensor(view.sky, device=device),
                torch.tensor(view.colours, device=device),
            )
            for view, pose in zip(views, poses, strict=True)
        ]

    @torch.no_grad()
    def misplaced(self, means: Tensor, sh0: Tensor) -> Tensor:
        """Which Gaussians (N,), means (N, 3) in the frame, sh0 (N, 3), stand nearer than the sky, in its
        colour, where VOTES photos show sky; or were shaken out of the sky to far behind it."""
        colours = 0.5 + SH_C0 * sh0
        votes = torch.zeros(len(means), dtype=torch.int32, device=means.device)
        for projection, sky, photo in self.views:
            projected = means @ projection[:, :3].T + projection[:, 3]
            depth = projected[:, 2]
            column = torch.floor(projected[:, 0] / depth).long()
            row = torch.floor(projected[:, 1] / depth).long()
            height, width = sky.shape
            inside = (depth > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
            column, row = column.clamp(0, width - 1), row.clamp(0, height - 1)
            near = (photo[row, column] / 255 - colours).abs().amax(dim=1) < SKY_COLOUR
            votes += (inside & near & sky[row, column]).int()
        away = (means - self.centre).norm(dim=1)
        found: Tensor = ((votes >= VOTES) & (away < self.begins)) | (away > STRAY * self.away)
        return found
