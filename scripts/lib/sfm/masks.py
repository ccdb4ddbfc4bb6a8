"""A photo's mask through the same change of lens as the photo."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pycolmap
from PIL import Image


def undistort_mask(path: Path, camera: pycolmap.Camera, pinhole: pycolmap.Camera) -> bytes:
    """The mask at `path` as the pinhole camera sees it: a one-bit PNG, black where ignored.

    What the lens never saw (beyond the photo's edge) is ignored too.
    """
    with Image.open(path) as image:
        mask = np.asarray(image.convert("L")) > 127
    width, height = int(pinhole.width), int(pinhole.height)
    rows = []
    for begin in range(0, height, 256):  # bands bound the memory for large photos
        v, u = np.mgrid[begin : min(begin + 256, height), 0:width] + 0.5
        rays = pinhole.cam_from_img(np.stack([u.ravel(), v.ravel()], axis=1))
        rays = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
        seen = camera.img_from_cam(rays)
        x = np.floor(seen[:, 0] * mask.shape[1] / camera.width)
        y = np.floor(seen[:, 1] * mask.shape[0] / camera.height)
        inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
        band = np.zeros(len(rays), bool)
        band[inside] = mask[y[inside].astype(int), x[inside].astype(int)]
        rows.append(band.reshape(-1, width))
    return encode_mask(np.concatenate(rows))


def encode_mask(mask: npt.NDArray[np.bool_]) -> bytes:
    """A mask (height, width), False where ignored, as a one-bit PNG."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
