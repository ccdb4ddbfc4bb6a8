"""What fits into memory: the batch gives way first, then the photos' place, then the Gaussians."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scripts.lib.console import UserError
from scripts.lib.train.memory import FEWEST, SHARE, Need, Place, fit, free_bytes

GB = 2**30
NEED = Need(cap=1_000_000, harmonics=48, photos_per_step=4, photo_bytes=2 * GB, pixels=8_000_000)


def test_a_large_gpu_takes_all() -> None:
    found = fit(NEED, 80 * GB)
    assert (found.cap, found.at_once, found.place) == (NEED.cap, 2, Place.DEVICE)


@given(free=st.integers(2 * GB, 20 * GB))
def test_less_memory_never_takes_more(free: int) -> None:
    more, less = fit(NEED, free + GB // 4), fit(NEED, free)
    assert (less.place is Place.DEVICE, less.cap) <= (more.place is Place.DEVICE, more.cap)
    assert 1 <= less.at_once <= 2 and FEWEST <= less.cap <= NEED.cap
    held = NEED.photo_bytes if less.place is Place.DEVICE else 0
    assert held + less.cap * NEED.gaussian_bytes(less.at_once) <= SHARE * free


def test_photos_go_to_main_memory_or_stay_in_the_zip() -> None:
    small = 4 * GB
    assert fit(NEED, small, 16 * GB).place is Place.MEMORY
    assert fit(NEED, small, GB).place is Place.STREAM


def test_too_little_is_refused() -> None:
    with pytest.raises(UserError, match=r"train_splat\.resolution lower"):
        fit(NEED, GB)


def test_this_machine_has_memory() -> None:
    assert 2**26 < free_bytes(torch.device("cpu")) < 2**50
