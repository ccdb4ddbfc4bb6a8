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

Bytes = npt.NDArray[np.uint8]


def colour_points(model: pycolmap.Reconstruction, folder: Path) -> None:
    """Set the colour of every point of `model` from the photos in `folder`, named as in the model.

    Raises OSError when a photo is missing or cannot be decoded.
    """
    numbers = sorted(model.points3D)
    row = {number: i for i, number in enumerate(numbers)}
    sums, seen = np.zeros((len(numbers), 3)), np.zeros(len(numbers))
    files, observed = [], []
    for number in sorted(model.reg_image_ids()):
        image = model.image(number)
        points = image.get_observation_points2D()
        if points:
            files.append(folder / image.name)
            observed.append(
                (
                    np.array([row[point.point3D_id] for point in points]),
                    np.array([point.xy for point in points]),
                )
            )
    with ThreadPoolExecutor(threads()) as pool:  # Pillow decodes without the interpreter's lock
        sampled = pool.map(_sampled, files, [places for _, places in observed])
        for (rows, _), colours in zip(observed, sampled, strict=True):
            np.add.at(sums, rows, colours)
            np.add.at(seen, rows, 1)
    means = np.rint(sums / np.maximum(seen, 1)[:, None]).astype(np.uint8)
    for number, colour in zip(numbers, means, strict=True):
        model.points3D[number].color = colour


def _sampled(file: Path, places: npt.NDArray[np.float64]) -> Bytes:
    """Colours (N, 3) of a photo at `places` (N, 2), pixels of its full size, pixel centres at +0.5."""
    with Image.open(file) as image:
        full = np.array(image.size)
        image.draft("RGB", (image.width // 2, image.height // 2))
        pixels: Bytes = np.asarray(image.convert("RGB"))
    shrunk = pixels.shape[1::-1] / full
    column, line = np.clip((places * shrunk).astype(int), 0, np.array(pixels.shape[1::-1]) - 1).T
    taken: Bytes = pixels[line, column]
    return taken
