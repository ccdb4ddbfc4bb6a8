"""How many CPU threads numerical libraries take, set before they are imported."""

from __future__ import annotations

import os


def use_threads(count: int) -> None:
    """Give OpenMP, BLAS and numba `count` threads (0: their default, every core).

    Waiting threads sleep instead of spinning: on a machine that does other work, or with two thread
    pools in one process, spinning costs several times the CPU for nothing.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if count > 0:
        # More threads than cores only get in each other's way.
        text = str(min(count, os.cpu_count() or count))
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
            os.environ[name] = text
