"""Where COLMAP finds features, and where their descriptors are compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pycolmap

from scripts.lib.core.card_lock import claimed_if_free
from scripts.lib.core.cards import visible_cards
from scripts.lib.sfm.descriptors import comparer

# Seconds, on the machines on which both ways were timed. A core multiplies two descriptors in so long, by
# machine code of our own or by numpy, and verifies a pair of photos in so long whoever compared it. A GPU
# takes so long to start with torch, and for a pair, whatever its features, in the one thread that drives it.
PRODUCT_S, PRODUCT_BY_NUMPY_S, VERIFIED_S = 0.75e-9, 3.5e-9, 20e-3
GPU_START_S, GPU_PAIR_S = 5.0, 3e-3


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


def can_compare_on_gpu() -> bool:
    """Whether a GPU is here and a torch that can use it."""
    if not visible_cards():  # torch takes two seconds to import
        return False
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


@dataclass(frozen=True)
class Work:
    """Pairs of photos to compare, and the products of two descriptors in all of them."""

    pairs: int
    products: float

    def worth_a_gpu(self, threads: int, product_s: float) -> bool:
        """Whether a GPU is done before `threads` cores, each of which takes `product_s` seconds a product.

        Cores verify pairs meanwhile, so a GPU that keeps up with them costs nothing but its start.
        """
        saved = self.products * product_s / threads
        slower = max(0.0, GPU_PAIR_S - VERIFIED_S / threads) * self.pairs
        return saved > GPU_START_S + slower


@contextmanager
def comparing(work: Work, threads: int) -> Iterator[str]:
    """Where to do the work, `cuda` or `cpu`, whichever is sooner done; a card is this process's own until
    the block ends.

    Both find the same matches, so the rule reserves no card: one is taken that no other job is using.
    """
    product_s = PRODUCT_S if comparer("cpu").concurrent else PRODUCT_BY_NUMPY_S
    if not work.worth_a_gpu(threads, product_s) or not can_compare_on_gpu():
        yield "cpu"
        return
    import torch

    cards = range(torch.cuda.device_count())
    names = [str(getattr(torch.cuda.get_device_properties(n), "uuid", n)) for n in cards]
    with claimed_if_free(names) as number:
        if number is not None:
            torch.cuda.set_device(number)
        yield "cpu" if number is None else "cuda"
