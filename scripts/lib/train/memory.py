"""What a run needs of the machine's memory, and what fits into what is free."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from itertools import product

import torch

from scripts.lib.core.console import UserError
from scripts.lib.core.free_memory import free_memory
from scripts.lib.train.options import Precision

GEOMETRY = 11  # numbers of a Gaussian besides the harmonics
# Bytes of a number and its two moments: of the geometry, of the harmonics.
BYTES: dict[Precision, tuple[int, int]] = {"single": (12, 12), "half": (8, 6)}
# Bytes that a step takes for a Gaussian: once (scales and opacities as they are drawn, gradients of the
# geometry, those of some views and the sum, norms), for each of its photos (slopes of the colours), and for
# each photo that is rendered together with others (ellipse, order, colours, gradients of both, the sorting).
PER_STEP, PER_PHOTO, PER_VIEW = 112, 12, 200
PER_PIXEL = 140  # bytes a pixel of one photo costs while it is rendered, judged and followed back
# Bytes a pixel costs in lists of Gaussians by tile, measured at some ten pairs a Gaussian.
PER_PAIR = 60
SHARE = 0.8  # of the free memory: allocators leave gaps
LARGE = 1_000_000  # pixels
FEWEST = 10_000  # Gaussians with which training is of any use


@dataclass(frozen=True)
class Need:
    """Sizes of a run: Gaussians, numbers of harmonics each (K x 3), precisions that will do, the best first,
    photos a step, bytes of all photos, and pixels of the largest."""

    max_gaussians: int
    harmonics: int
    precisions: tuple[Precision, ...]
    batch_size: int
    photo_bytes: int
    pixels: int

    def gaussian_bytes(self, at_once: int, precision: Precision) -> int:
        """Bytes for one Gaussian when `at_once` photos are rendered together."""
        geometry, harmonics = BYTES[precision]
        state = geometry * GEOMETRY + harmonics * self.harmonics
        return state + PER_STEP + PER_PHOTO * self.batch_size + PER_VIEW * at_once


class PhotoStore(enum.Enum):
    """Where the photos lie: with the Gaussians, in main memory beside a GPU, or in the zip."""

    DEVICE = "device"
    MEMORY = "memory"
    STREAM = "stream"


@dataclass(frozen=True)
class Fit:
    """What fits: Gaussians, photos rendered together, where the photos lie, and the precision."""

    max_gaussians: int
    at_once: int
    store_in: PhotoStore
    precision: Precision


def fit(need: Need, free: int, free_beside: int = 0) -> Fit:
    """The most of `need` that fits into `free` bytes of the device, and `free_beside` of main memory.

    Photos together go first (they are as fast in turn), then precision (16 bits cost up to 0.1 dB and gain
    no speed), then photos on the device, then Gaussians. Raises UserError when not even a small splat fits.
    """
    room = int(free * SHARE)
    # Small photos are rendered together, or the GPU waits for launches; large ones keep it busy.
    most = need.batch_size if need.pixels <= LARGE else min(need.batch_size, 2)
    elsewhere = PhotoStore.MEMORY if need.photo_bytes <= SHARE * free_beside else PhotoStore.STREAM
    for store_in in (PhotoStore.DEVICE, elsewhere):
        for precision, at_once in product(need.precisions, range(most, 0, -1)):
            fixed = need.pixels * (PER_PIXEL + PER_PAIR * at_once)
            fixed += need.photo_bytes if store_in is PhotoStore.DEVICE else 0
            if fixed + need.max_gaussians * need.gaussian_bytes(at_once, precision) <= room:
                return Fit(need.max_gaussians, at_once, store_in, precision)
    fixed, least = need.pixels * (PER_PIXEL + PER_PAIR), need.precisions[-1]
    max_gaussians = (room - fixed) // need.gaussian_bytes(1, least)
    if max_gaussians < FEWEST:
        raise UserError(
            f"{free / 2**30:.1f} GB of memory are free on the device, too little for photos of"
            f" {need.pixels / 1e6:.1f} megapixels; close other programs, or set train_splat.resolution lower"
        )
    return Fit(max_gaussians, 1, elsewhere, least)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on the device: the GPU's, or this machine's within its container."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory()
