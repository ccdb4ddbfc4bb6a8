"""Where COLMAP finds features, and where their descriptors are compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pycolmap

from scripts.lib.cards import visible_cards
from scripts.lib.render.card_lock import claimed


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


def compare_device() -> str:
    """`cuda` where a GPU is and a torch that can use it, else `cpu`: both find the same matches."""
    if not visible_cards():  # torch takes two seconds to import
        return "cpu"
    try:
        import torch
    except ImportError:
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def comparing() -> Iterator[str]:
    """The device to compare on, with exclusive use of one card until the block ends where that is a GPU."""
    device = compare_device()
    if device == "cpu":
        yield device
        return
    import torch

    cards = range(torch.cuda.device_count())
    names = [str(getattr(torch.cuda.get_device_properties(n), "uuid", n)) for n in cards]
    with claimed(names) as number:
        torch.cuda.set_device(number)
        yield device
