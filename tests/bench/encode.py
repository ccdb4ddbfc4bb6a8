"""Time of the SOG encoder: python -m tests.bench.encode --gaussians 1000000; prints one JSON line.

The splat is made up, but its harmonics are not noise: they vary smoothly over the place with some grain,
as trained ones do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time

import numpy as np

from scripts.lib.encode.codecs import sog
from scripts.lib.splat.gaussians import SH_COEFFICIENTS, Gaussians


def place(count: int, degree: int, seed: int = 0) -> Gaussians:
    """A rolling ground of `count` Gaussians with harmonics of `degree`."""
    random = np.random.default_rng(seed)
    flat = random.uniform(-20, 20, (count, 2))
    height = np.sin(flat[:, 0] / 3) + np.cos(flat[:, 1] / 4) + random.normal(0, 0.05, count)
    means = np.column_stack([flat, height]).astype(np.float32)
    coefficients = SH_COEFFICIENTS[degree]
    waves = random.normal(0, 0.4, (2, coefficients * 3))
    smooth = 0.1 * np.sin(flat @ waves + random.uniform(0, 6, coefficients * 3))
    grain = random.laplace(0, 0.03, (count, coefficients * 3))
    return Gaussians(
        means=means,
        quats=random.normal(size=(count, 4)).astype(np.float32),
        scales=random.normal(-4, 0.8, (count, 3)).astype(np.float32),
        opacities=random.normal(1, 2, count).astype(np.float32),
        sh0=random.normal(0, 0.8, (count, 3)).astype(np.float32),
        shN=(smooth + grain).astype(np.float32).reshape(count, coefficients, 3),
    )


def main() -> None:
    """Encode once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gaussians", type=int, default=1_000_000)
    parser.add_argument("--sh-degree", type=int, default=3)
    given = parser.parse_args()
    gaussians = place(given.gaussians, given.sh_degree)
    before, began = os.times(), time.monotonic()
    encoded = sog.encode(gaussians)
    after = os.times()
    print(
        json.dumps(
            {
                "bench": "sog",
                "gaussians": given.gaussians,
                "sh_degree": given.sh_degree,
                "seconds": round(time.monotonic() - began, 1),
                "cpu_seconds": round(after.user - before.user + after.system - before.system, 1),
                "bytes": len(encoded.data),
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
                "load": round(os.getloadavg()[0], 1),
            }
        )
    )


if __name__ == "__main__":
    main()
