"""How many CPU threads this process uses: decided once, before numerical libraries are imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_chosen = 0  # by use_threads; 0: every core


def cores() -> int:
    """CPU cores that this process may run on: a scheduler may have given it some of the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int:
    """Threads that a pool of this process may have: what `use_threads` was told, by default every core."""
    return _chosen or cores()


def use_threads(count: int) -> int:
    """Let everything in this process use `count` threads (0 or less: every core); returns how many.

    OpenMP, BLAS and numba are bound through their variables, so call this before they are imported; pools of
    our own ask `threads()`. Waiting threads sleep instead of spinning: on a machine that does other work, or
    with two thread pools in one process, spinning costs several times the CPU for nothing.
    """
    global _chosen
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # More threads than cores only get in each other's way.
    _chosen = min(count, cores()) if count > 0 else 0
    if _chosen:
        for name in _LIBRARIES:
            # numba refuses another number once its threads run.
            if name != "NUMBA_NUM_THREADS" or "numba" not in sys.modules:
                os.environ[name] = str(_chosen)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(_chosen)
    return threads()


@contextmanager
def threads_of_children(count: int) -> Iterator[None]:
    """Let processes that are started in the block use `count` threads each; this one is not changed."""
    before = {name: os.environ.get(name) for name in _LIBRARIES}
    os.environ.update(dict.fromkeys(_LIBRARIES, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
