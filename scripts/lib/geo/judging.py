"""What a delivered file loses: its decoded Gaussians against the trained ones, on test photos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scripts.lib.splat.gaussians import Gaussians, read_ply

if TYPE_CHECKING:
    from scripts.lib.render.renderer import Picture

VIEWS = (
    16  # photos at most, spread over those held back: the files hold the same splat as the page's
)


@dataclass(frozen=True)
class Loss:
    """Means over some photos, which the decoded file and the PLY are compared with."""

    psnr: float  # dB
    ssim: float
    delta_psnr: float  # dB against the PLY, negative is worse
    views: int
    held_out: bool


class Judge:
    """Compares splats, in the frame of the scene, with photos of it and with the trained splat."""

    def __init__(self, ply: Path, scene: Path, device: str) -> None:
        from scripts.lib.measure import evaluate

        views = evaluate.choose_views(ply, scene, evaluate.Purpose.JUDGE)
        self.views, self.device = evaluate.spread_views(views, VIEWS), device
        self._photos = [evaluate.photo_of(self.views, index) for index in self.views.indices]
        self.original = self.renders(read_ply(ply))
        self._reference = self._means(self.original)

    def renders(self, gaussians: Gaussians) -> list[Picture]:
        """Pictures (H, W, 3) of the views."""
        from scripts.lib.measure import evaluate

        return list(evaluate.render_views(gaussians, self.views, self.device))

    def _means(self, renders: list[Picture]) -> tuple[float, float]:
        from scripts.lib.measure import evaluate

        seen = evaluate.image_qualities(renders, self._photos)
        return evaluate.mean(seen, "psnr"), evaluate.mean(seen, "ssim")

    def loss(self, gaussians: Gaussians) -> Loss:
        """How like the photos a decoded file looks."""
        psnr, ssim = self._means(self.renders(gaussians))
        delta = psnr - self._reference[0]
        return Loss(psnr, ssim, delta, len(self._photos), self.views.held_out)

    def unlike(self, gaussians: Gaussians) -> float:
        """Root mean square difference to pictures of the trained splat, of channels in 0..1."""
        pairs = zip(self.renders(gaussians), self.original, strict=True)
        return float(np.sqrt(np.mean([np.mean((a - b) ** 2) for a, b in pairs])))
