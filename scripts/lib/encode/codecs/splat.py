"""The `.splat` file of early web viewers: 32 bytes a Gaussian, no spherical harmonics. Read only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scripts.lib.core.activations import logit
from scripts.lib.core.console import UserError
from scripts.lib.encode.codecs.rotations import normalised
from scripts.lib.splat.gaussians import SH_C0, Gaussians

RECORD = np.dtype(
    [("mean", "<f4", 3), ("scale", "<f4", 3), ("colour", "u1", 4), ("rotation", "u1", 4)]
)
SMALLEST_SCALE = 1e-20


def decode(path: Path) -> Gaussians:
    """Read a `.splat`. Raises UserError when its size is not a whole number of records."""
    data = Path(path).read_bytes()
    if not data or len(data) % RECORD.itemsize:
        raise UserError(
            f"{path} is not a whole .splat file ({len(data)} bytes, which is no multiple of"
            f" {RECORD.itemsize}); download or export it again"
        )
    rows = np.frombuffer(data, RECORD)
    scales = np.maximum(rows["scale"].astype(np.float64), SMALLEST_SCALE)
    if not (np.isfinite(rows["mean"]).all() and np.isfinite(scales).all()):
        raise UserError(f"{path} holds values that are not numbers; export it again")
    return Gaussians(
        means=rows["mean"].copy(),
        quats=normalised(rows["rotation"] / 127.5 - 1).astype(np.float32),
        scales=np.log(scales).astype(np.float32),
        opacities=logit(rows["colour"][:, 3] / 255.0),
        sh0=((rows["colour"][:, :3] / 255.0 - 0.5) / SH_C0).astype(np.float32),
        shN=np.zeros((len(rows), 0, 3), np.float32),
    )
