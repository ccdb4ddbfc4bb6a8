"""One picture of a splat from one camera, and its JPEG. Needs torch."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from scripts.lib.gaussians import Gaussians
from scripts.lib.rasterise import rasterise

SIZE = (1200, 630)  # what link previews ask for
BACKGROUND = (0x10 / 255, 0x12 / 255, 0x14 / 255)  # the page's own, where the splat is empty
MAX_BYTES = 150_000  # a phone shows it at once


def render(
    gaussians: Gaussians,
    world_to_camera: npt.NDArray[np.floating],
    K: npt.NDArray[np.floating],
    size: tuple[int, int] = SIZE,
    background: tuple[float, float, float] = BACKGROUND,
) -> npt.NDArray[np.float32]:
    """The picture (H, W, 3) in 0..1 that a camera (world_to_camera (4, 4), K (3, 3)) sees.

    `size` is width and height. Uses the GPU when there is one.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def tensor(values: npt.ArrayLike) -> torch.Tensor:
        return torch.tensor(np.asarray(values, np.float32), device=device)

    with torch.no_grad():
        colour, _ = rasterise(
            tensor(gaussians.means),
            tensor(gaussians.quats),
            tensor(gaussians.scales).exp(),
            tensor(gaussians.opacities).sigmoid(),
            torch.cat([tensor(gaussians.sh0)[:, None], tensor(gaussians.shN)], dim=1),
            tensor(world_to_camera)[None],
            tensor(K)[None],
            size,
            background=tensor(background),
        )
    picture: npt.NDArray[np.float32] = colour[0].clamp(0, 1).cpu().numpy()
    return picture


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
