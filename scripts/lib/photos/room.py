"""How much memory the photos that are read at a time may take, so that no picture ends the job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.lib.photos.options import RejectedError


class Room:
    """Memory in bytes for `workers` threads that each read one photo.

    Half of it is shared out evenly: what fits into a share is read at once. The other half is for one
    larger photo at a time. Nobody waits while holding that half, so nobody waits for ever.
    """

    def __init__(self, total: int, workers: int) -> None:
        self.most = total if workers == 1 else total // 2
        self.share = total if workers == 1 else total // 2 // workers
        self._one = threading.RLock()

    @contextmanager
    def hold(self, need: int) -> Iterator[None]:
        """Keep `need` bytes for the block; inside another block `need` counts what that one holds, too.

        Raises RejectedError when there will never be as much.
        """
        if need > self.most:
            raise RejectedError(
                f"needs {need / 1e9:.1f} GB of memory to be read, and {self.most / 1e9:.1f} GB are there for"
                " it; reduce it, or give the job more"
            )
        if need <= self.share:
            yield
            return
        with self._one:
            yield
