"""What every encoder hands back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.encode.codecs.compare import Limits


@dataclass(frozen=True)
class Encoded:
    """A file's bytes, the source row (N,) behind each stored Gaussian, and the errors it may have.

    `clipped` counts values that the format cannot hold and that were moved to its nearest end, by
    name; those are left out of the limits by comparing with the source clipped the same way.
    """

    data: bytes
    order: npt.NDArray[np.int64]
    limits: Limits
    clipped: dict[str, int]
