"""How much memory the pictures that are read at a time may take, so that no picture ends the job."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.lib.photos.options import Cause, RejectedError

SHARE = 0.8  # of the free memory: allocators leave gaps


class Room:
    """Memory in bytes for `workers` threads that each read one picture (None: no limit).

    Half of it is shared out evenly: what fits into a share is read at once. The other half is for one
    larger picture at a time. Nobody waits while holding that half, so nobody waits for ever.
    """

    def __init__(self, total: int | None = None, workers: int = 1) -> None:
        self.total = sys.maxsize if total is None else total
        self._most = self.total if workers == 1 else self.total // 2
        self._share = self.total if workers == 1 else self._most // workers
        self._one = threading.RLock()

    @contextmanager
    def hold(self, need: int) -> Iterator[None]:
        """Keep `need` bytes for the block. Blocks may stand in one another.

        Raises RejectedError when there will never be as much.
        """
        require(need, self._most)
        if need <= self._share:
            yield
            return
        with self._one:
            yield


def require(need: int, there: int) -> None:
    """Raises RejectedError when a picture needs more bytes than are there."""
    if need > there:
        raise RejectedError(
            f"reading it takes {_size(need)} of memory, but only {_size(there)} may be used; scale it down,"
            " or run the import with more memory",
            Cause.LARGE,
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
