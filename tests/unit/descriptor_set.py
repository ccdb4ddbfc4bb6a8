"""Made-up descriptors of two photos that show the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def described(count: int, seed: int) -> Bytes:
    """Descriptors as SIFT's are: 512 long, not negative, most numbers small."""
    found = np.random.default_rng(seed).gamma(0.5, size=(count, 128))
    found *= 512 / np.linalg.norm(found, axis=1, keepdims=True)
    return np.minimum(np.round(found), 255).astype(np.uint8)


def seen_again(descriptors: Bytes, seed: int) -> Bytes:
    """The same points from elsewhere: in another order, and more or less changed."""
    random = np.random.default_rng(seed)
    found = descriptors[random.permutation(len(descriptors))].astype(float)
    found += random.normal(size=found.shape) * random.uniform(0, 40, (len(found), 1))
    found = np.maximum(found, 0)
    found *= 512 / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1)
    return np.minimum(np.round(found), 255).astype(np.uint8)
