"""Work for the GPU that is given to it as one piece, a CUDA graph, once it has come a few times.

Experimental, and off: `FusedStep.recorder` switches it on, which only tests/bench/step_cuda.py does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")
Inputs = tuple[Tensor | None, ...]
WARM = 3  # times that work is done as always: kernels are compiled, and sizes of lists become known


@dataclass
class _Kind(Generic[Made]):
    """Work of one kind: how often it came, and once it is recorded where its inputs and results lie."""

    times: int = 0
    inputs: Inputs = ()
    replay: Callable[[], None] | None = None
    made: Made | None = None


def record(work: Callable[[], Made]) -> tuple[Callable[[], None], Made]:
    """What does `work` again, and its results, which lie at the same place each time. Does nothing yet.

    `work` must not wait for the GPU.
    """
    graph, beside = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        # Threads that decode photos may take memory meanwhile.
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            made = work()
        finally:
            graph.capture_end()
    torch.cuda.current_stream().wait_stream(beside)
    return graph.replay, made


class Recorder(Generic[Made]):
    """Does work, and records it by kind. What it returns is overwritten when it is called again."""

    def __init__(
        self,
        recording: Callable[[Callable[[], Made]], tuple[Callable[[], None], Made]] = record,
    ) -> None:
        self._record = recording
        self._epoch: Hashable = None
        self._kinds: dict[Hashable, _Kind[Made]] = {}

    def __call__(
        self, epoch: Hashable, kind: Hashable, inputs: Inputs, work: Callable[[Inputs], Made]
    ) -> Made:
        """The results of `work(inputs)`. All that it does must follow from `epoch`, `kind` and the numbers in
        `inputs` and in tensors that stay where they are. With a new epoch what was recorded is forgotten."""
        if epoch != self._epoch:
            if self._kinds and torch.cuda.is_available():
                torch.cuda.synchronize()  # before the memory of what may still run is given back
            self._epoch, self._kinds = epoch, {}
        known = self._kinds.setdefault(kind, _Kind())
        known.times += 1
        if known.times <= WARM:
            return work(inputs)
        if known.replay is None:
            own = tuple(None if value is None else value.clone() for value in inputs)
            known.inputs = own
            known.replay, known.made = self._record(lambda: work(own))
        for own_value, value in zip(known.inputs, inputs, strict=True):
            if own_value is not None and value is not None:
                own_value.copy_(value)
        known.replay()
        assert known.made is not None
        return known.made
