"""Work that comes again and again is recorded by kind, and done again with new inputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scripts.lib.train.recorder import WARM, Inputs, Recorder

recorded: list[Tensor] = []


def recording(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """In the place of a CUDA graph: the result at the same place each time, not done when it is recorded."""
    made = torch.full_like(work(), torch.nan)
    recorded.append(made)

    def replay() -> None:
        made.copy_(work())

    return replay, made


def test_work_is_recorded_by_kind_and_forgotten_with_the_epoch() -> None:
    recorded.clear()
    recorder = Recorder(recording)

    def by(factor: float) -> Callable[[Inputs], Tensor]:
        def work(inputs: Inputs) -> Tensor:
            assert inputs[0] is not None and inputs[1] is None
            return factor * inputs[0]

        return work

    for number in range(2 * WARM):
        for kind in (2.0, 3.0):
            values = torch.full((4,), float(number))
            made = recorder("first", kind, (values, None), by(kind))
            assert torch.equal(made, kind * values)
            assert any(made is own for own in recorded) == (number >= WARM)
    assert len(recorded) == 2
    for number in range(WARM + 1):
        assert torch.equal(
            recorder("second", 2.0, (torch.ones(4), None), by(5.0)), torch.full((4,), 5.0)
        )
        assert len(recorded) == 2 + (number == WARM)
