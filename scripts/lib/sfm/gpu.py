"""Where COLMAP finds and matches features."""

from __future__ import annotations

import pycolmap


def device() -> pycolmap.Device:
    """The GPU when this pycolmap was built with CUDA and sees one, else the CPU.

    `Device.auto` looks only at how pycolmap was built, and fails in an image with CUDA on a machine
    without a GPU. The plain build does not even have the question how many there are.
    """
    count = getattr(pycolmap, "get_num_cuda_devices", None)
    return pycolmap.Device.cuda if count is not None and count() > 0 else pycolmap.Device.cpu


def device_name() -> str:
    """The same as the stages' JSON tells it: `cuda` or `cpu`, for their features and matches differ."""
    return "cuda" if device() == pycolmap.Device.cuda else "cpu"
