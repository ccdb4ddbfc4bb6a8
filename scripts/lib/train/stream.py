"""Photos that fit neither the GPU nor main memory: decoded from the zip shortly before their turn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from scripts.lib.core.threads import threads
from scripts.lib.scene.scene import Scene

AHEAD = 4  # steps that are decoded before they are needed


class StreamedPhotos:
    """Stands where a Stack's photos (V, H, W, 3) uint8 would, and decodes those at an index when asked.

    `expect` tells which come next, so that threads have them ready. What was decoded is kept until
    `kept` others have been asked for since.
    """

    device = torch.device("cpu")

    def __init__(self, scene: Scene, members: Sequence[int], kept: int) -> None:
        width, height = (int(v) for v in scene.sizes[members[0]])
        self.shape = (len(members), height, width, 3)
        self._read: Callable[[int], Tensor] = lambda row: torch.tensor(
            scene.photos([members[row]])[0]
        )
        self._kept = kept
        self._pool = ThreadPoolExecutor(threads(), thread_name_prefix="decode")
        self._found: OrderedDict[int, Future[Tensor]] = OrderedDict()

    def __len__(self) -> int:
        return self.shape[0]

    def expect(self, rows: Iterable[int]) -> None:
        """Begin to decode `rows`, which will be asked for soon."""
        for row in rows:
            if row in self._found:
                self._found.move_to_end(row)
            else:
                self._found[row] = self._pool.submit(self._read, row)
        while len(self._found) > self._kept:
            self._found.popitem(last=False)

    def __getitem__(self, index: Tensor) -> Tensor:
        rows = [int(row) for row in index]
        self.expect(rows)
        # A step larger than what is kept has dropped some of its own: those are read again.
        waiting = [self._found.get(row) or self._pool.submit(self._read, row) for row in rows]
        return torch.stack([future.result() for future in waiting])
