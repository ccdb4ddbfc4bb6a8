"""Pictures of a splat from cameras of one's choice, and their JPEG. Needs torch."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from scripts.lib.gaussians import Gaussians
from scripts.lib.rasterise import rasterise

Colour = tuple[float, float, float]
SIZE = (1200, 630)  # what link previews ask for
BACKGROUND = (0x10 / 255, 0x12 / 255, 0x14 / 255)  # the page's own, where the splat is empty
MAX_BYTES = 150_000  # a phone shows it at once


class Studio:
    """Gaussians kept ready for many pictures, on the GPU when there is one."""

    def __init__(self, gaussians: Gaussians, background: Colour = BACKGROUND) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        sh = torch.cat([self._tensor(gaussians.sh0)[:, None], self._tensor(gaussians.shN)], dim=1)
        self.scene = (
            self._tensor(gaussians.means),
            self._tensor(gaussians.quats),
            self._tensor(gaussians.scales).exp(),
            self._tensor(gaussians.opacities).sigmoid(),
            sh,
        )
        self.background = self._tensor(background)
        self.antialiased = gaussians.antialiased

    def _tensor(self, values: npt.ArrayLike) -> torch.Tensor:
        return torch.tensor(np.asarray(values, np.float32), device=self.device)

    @torch.no_grad()
    def picture(
        self,
        world_to_camera: npt.NDArray[np.floating],
        K: npt.NDArray[np.floating],
        size: tuple[int, int] = SIZE,
    ) -> npt.NDArray[np.float32]:
        """What a camera sees, (H, W, 3) in 0..1; `size` is width and height."""
        colour, _ = rasterise(
            *self.scene,
            self._tensor(world_to_camera)[None],
            self._tensor(K)[None],
            size,
            background=self.background,
            antialiased=self.antialiased,
        )
        picture: npt.NDArray[np.float32] = colour[0].clamp(0, 1).cpu().numpy()
        return picture


def render(
    gaussians: Gaussians,
    world_to_camera: npt.NDArray[np.floating],
    K: npt.NDArray[np.floating],
    size: tuple[int, int] = SIZE,
    background: Colour = BACKGROUND,
) -> npt.NDArray[np.float32]:
    """The picture (H, W, 3) in 0..1 that a camera (world_to_camera (4, 4), K (3, 3)) sees.

    `size` is width and height. Uses the GPU when there is one.
    """
    return Studio(gaussians, background).picture(world_to_camera, K, size)


def jpeg(picture: npt.NDArray[np.float32]) -> bytes:
    """JPEG of a picture (H, W, 3) in 0..1, at the best quality that stays below MAX_BYTES."""
    image = Image.fromarray((picture * 255 + 0.5).astype(np.uint8))
    data = b""
    for quality in (88, 80, 70, 60, 45):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, progressive=True, optimize=True)
        data = buffer.getvalue()
        if len(data) <= MAX_BYTES:
            break
    return data
