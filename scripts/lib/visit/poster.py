"""Pictures of a splat from cameras of one's choice, and their JPEG. Needs torch."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from scripts.lib.render.pieces import renderer_of
from scripts.lib.render.renderer import Colour, Picture
from scripts.lib.splat.pieces import Splat

SIZE = (1200, 630)  # what link previews ask for
BACKGROUND = (0x10 / 255, 0x12 / 255, 0x14 / 255)  # the page's own, where the splat is empty
MAX_BYTES = 150_000  # a phone shows it at once


def render(
    splat: Splat,
    world_to_camera: npt.NDArray[np.floating],
    K: npt.NDArray[np.floating],
    size: tuple[int, int] = SIZE,
    background: Colour = BACKGROUND,
    device: str = "cpu",
) -> Picture:
    """The picture (H, W, 3) in 0..1 that a camera (world_to_camera (4, 4), K (3, 3)) sees.

    `size` is width and height.
    """
    return renderer_of(splat, device, background).picture(world_to_camera, K, size)


def jpeg(picture: Picture) -> bytes:
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
