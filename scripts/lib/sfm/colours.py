"""Colours of a model's points: the mean of what its photos show there.

COLMAP's own extraction decodes one whole photo after the other. Here they go to a pool of threads, and a JPEG
is decoded at half its size: a feature is larger than two pixels, so its colour is the same or calmer.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pycolmap
from PIL import Image

from scripts.lib.core.threads import threads
from scripts.lib.sfm.tables import tables

Bytes = npt.NDArray[np.uint8]


def colour_points(model: pycolmap.Reconstruction, folder: Path) -> None:
    """Set the colour of every point of `model` from the photos in `folder`, named as in the model.

    Raises OSError when a photo is missing or cannot be decoded.
    """
    found = tables(model)
    count = len(found.points)
    sums, seen = np.zeros((count, 3)), np.zeros(count)
    shown = [number for number in sorted(model.reg_image_ids()) if len(found.seen[number])]
    files = [folder / model.image(number).name for number in shown]
    rows = [np.searchsorted(found.points, found.seen[number]) for number in shown]
    with ThreadPoolExecutor(threads()) as pool:  # Pillow decodes without the interpreter's lock
        sampled = pool.map(_sampled, files, [found.pixels[number] for number in shown])
        for mine, colours in zip(rows, sampled, strict=True):
            seen += np.bincount(mine, minlength=count)
            for channel, values in enumerate(colours.T):
                sums[:, channel] += np.bincount(mine, values, count)
    means = np.rint(sums / np.maximum(seen, 1)[:, None]).astype(np.uint8)
    for number, colour in zip(found.points.tolist(), means, strict=True):
        model.point3D(number).color = colour


def _sampled(file: Path, pixels_at: npt.NDArray[np.float64]) -> Bytes:
    """Colours (N, 3) of a photo at `pixels_at` (N, 2), pixels of its full size, pixel centres at +0.5."""
    with Image.open(file) as image:
        full = np.array(image.size)
        image.draft("RGB", (image.width // 2, image.height // 2))
        pixels: Bytes = np.asarray(image.convert("RGB"))
    shrunk = pixels.shape[1::-1] / full
    column, line = np.clip((pixels_at * shrunk).astype(int), 0, np.array(pixels.shape[1::-1]) - 1).T
    taken: Bytes = pixels[line, column]
    return taken
