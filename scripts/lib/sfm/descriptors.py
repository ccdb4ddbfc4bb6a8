"""Which features of two photos are the same point, by their descriptors.

As COLMAP has it (Lowe, IJCV 2004): two features match when each is the other's nearest, and for both the
next one is farther by a ratio. How far is an angle. Descriptors are 128 numbers of 8 bits, with a length of
about 512, so the largest product is the nearest descriptor. All products are whole numbers below 2^24, which
floating point of single precision has exactly: every way below gives the same matches, on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numba import njit

from scripts.lib.sfm.dot_kernel import Bytes, Kernel, Packed, Whole, host_kernel

Floats = npt.NDArray[np.float32]
Matches = npt.NDArray[np.uint32]
# Descriptors are unit vectors times 512, rounded.
UNIT = np.float32(1 / 512**2)
BLOCK = (
    256  # descriptors whose products with all others are in memory at once: they stay in the cache
)


@dataclass(frozen=True)
class Limits:
    """When nearest neighbours match: angles in radians, and the nearest one's over the next one's."""

    ratio: float = 0.8
    angle: float = 0.7


class Comparer(Protocol):
    """One way to compare descriptors. `pack` arranges those of a photo for any number of comparisons."""

    @property
    def concurrent(self) -> bool:
        """Whether several threads may compare at once, each on a core of its own."""

    def pack(self, descriptors: Bytes) -> Any:
        """Arrange descriptors (N, 128)."""

    def match(self, one: Any, other: Any, limits: Limits) -> Matches:
        """Numbers (K, 2) of the features of two packed photos that match, in the first one's order."""


@cache
def comparer(device: str) -> Comparer:
    """The fastest way here for "cuda" or "cpu"."""
    if device == "cuda":
        return CudaComparer()
    kernel = host_kernel()
    return NumpyComparer() if kernel is None else KernelComparer(kernel)


@dataclass(frozen=True)
class KernelComparer:
    """Products of 8-bit numbers by machine code made for this processor."""

    kernel: Kernel
    concurrent: bool = True

    def pack(self, descriptors: Bytes) -> Packed:
        """Descriptors (N, 128) in the order in which the machine code reads them."""
        return self.kernel.pack(descriptors)

    def match(self, one: Packed, other: Packed, limits: Limits) -> Matches:
        """Pairs (M, 2) of rows of the one and the other that are each other's nearest within `limits`."""
        return mutual(*self.kernel.best(one, other), limits)


@dataclass(frozen=True)
class NumpyComparer:
    """Products in single precision, by whatever library numpy has for them (it has its own threads)."""

    concurrent: bool = False

    def pack(self, descriptors: Bytes) -> Floats:
        """Descriptors (N, 128) in single precision, which holds the products of bytes exactly."""
        return np.ascontiguousarray(descriptors, np.float32)

    def match(self, one: Floats, other: Floats, limits: Limits) -> Matches:
        """As KernelComparer.match, over blocks of `other`, so that no whole table of products is held."""
        rows, columns = np.zeros((2, len(one)), np.float32), np.zeros((3, len(other)), np.float32)
        if not len(one) or not len(other):
            return mutual(rows, columns, limits)
        turned = one.T
        nearest = np.zeros(len(other), np.intp)
        rest = np.zeros(len(one), np.float32)  # largest product with those whose nearest it is not
        for begin in range(0, len(other), BLOCK):
            part = slice(begin, begin + BLOCK)
            products = other[part] @ turned
            nearest[part] = found = products.argmax(axis=1)
            each = np.arange(len(found))
            columns[0, part] = products[each, found]
            products[each, found] = 0
            columns[1, part] = products.max(axis=1)
            np.maximum(rest, products.max(axis=0), out=rest)
        columns[2] = nearest
        # Of those whose nearest a row is, the nearest to it and the next one. Where the row's nearest is
        # not among them, no two are each other's nearest, and its second largest does not matter.
        order = np.lexsort((-columns[0], nearest))
        first = np.ones(len(order), bool)
        first[1:] = nearest[order][1:] != nearest[order][:-1]
        mine, begins = nearest[order[first]], np.flatnonzero(first)
        next_ones = np.append(begins[1:], len(order)) > begins + 1
        largest = columns[0, order[begins]]
        second = np.where(next_ones, columns[0, order[np.minimum(begins + 1, len(order) - 1)]], 0)
        rows[0], rows[1] = rest, rest
        rows[1, mine] = np.maximum(second, rest[mine])
        rows[0, mine] = np.maximum(largest, rest[mine])
        return mutual(rows, columns, limits)


class CudaComparer:
    """Products on the GPU's matrix units.

    TF32 holds the numbers 0 to 255 exactly, and sums in single precision: the products are exact.
    """

    concurrent = False

    def pack(self, descriptors: Bytes) -> Any:
        """Descriptors (N, 128) as a tensor of single precision on the GPU."""
        import torch

        # A copy, because COLMAP's arrays cannot be written to, which torch warns of.
        return torch.from_numpy(np.array(descriptors)).cuda().float()

    def match(self, one: Any, other: Any, limits: Limits) -> Matches:
        """As KernelComparer.match; the table of products is held on the GPU as a whole."""
        import torch

        if not len(one) or not len(other):
            return np.zeros((0, 2), np.uint32)
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = True
        try:
            products = one @ other.T
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before
        largest = [*_two_largest(products, 1)[:2], *_two_largest(products, 0)]
        # Numbers of features are below 2^24 as well; one copy to the host instead of five.
        numbers = torch.cat([part.float() for part in largest]).cpu().numpy()
        end = 2 * len(one)
        return mutual(numbers[:end].reshape(2, -1), numbers[end:].reshape(3, -1), limits)


def _two_largest(products: Any, dim: int) -> tuple[Any, Any, Any]:
    """Largest and second largest number along a dimension, and the index of the largest one."""
    best, index = products.max(dim)
    at = index.unsqueeze(dim)
    products.scatter_(dim, at, 0.0)
    second = products.max(dim).values
    products.scatter_(dim, at, best.unsqueeze(dim))
    return best, second, index


def mutual(rows: npt.NDArray[Any], columns: npt.NDArray[Any], limits: Limits) -> Matches:
    """Matches (K, 2) from the largest and second largest product of each descriptor of one photo (2, N), and
    of the other (3, M) with the row of the largest one.

    Of equally near ones it does not matter which is named: none of them passes the ratio test.
    """
    return _mutual(
        np.ascontiguousarray(rows, np.int32),
        np.ascontiguousarray(columns, np.int32),
        _angles(),
        np.float32(limits.ratio),
        np.float32(limits.angle),
    )


@njit(nogil=True, cache=True)
def _mutual(
    rows: Whole, columns: Whole, angles: Floats, ratio: np.float32, most: np.float32
) -> Matches:
    """`mutual` without Python's lock: of photos with few descriptors, threads would queue for it."""
    found = np.empty((columns.shape[1], 2), np.uint32)
    count = 0
    for theirs in range(columns.shape[1]):
        if _distinct(columns[0, theirs], columns[1, theirs], angles, ratio, most):
            ours = columns[2, theirs]
            if rows[0, ours] == columns[0, theirs] and _distinct(
                rows[0, ours], rows[1, ours], angles, ratio, most
            ):
                found[count, 0], found[count, 1] = ours, theirs
                count += 1
    return found[:count][np.argsort(found[:count, 0])]


@njit(nogil=True, cache=True)
def _distinct(best: int, second: int, angles: Floats, ratio: np.float32, most: np.float32) -> bool:
    """Whether the nearest is near, and nearer than the next one by the ratio."""
    if best <= 0:
        return False
    nearest = angles[min(best, len(angles) - 1)]
    next_one = angles[min(second, len(angles) - 1)]
    return bool(nearest <= most and nearest < ratio * next_one)


@cache
def _angles() -> Floats:
    """Angles in radians between descriptors of each product up to 512^2, in single precision as COLMAP has
    them. A table, because compiled code and numpy do not round the arc cosine alike."""
    products = np.arange(512**2 + 1).astype(np.float32)
    return np.asarray(np.arccos(np.minimum(products * UNIT, np.float32(1))), np.float32)
