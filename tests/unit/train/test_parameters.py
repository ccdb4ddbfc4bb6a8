"""Harmonics and moments of 16 bits: they grow, go and come back like others, and take half the bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scripts.lib.train import densify
from scripts.lib.train.options import Precision, TrainOptions, resolve
from scripts.lib.train.parameters import NAMES, TYPES, Parameters, export

SHAPES = dict(zip(NAMES, [(3,), (4,), (3,), (), (16, 3)], strict=True))
COUNT, GROWN = 10, 12


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn(COUNT, *shape) for name, shape in SHAPES.items()}


def grown(precision: Precision) -> Parameters:
    """Parameters with moments, after two were halved and three went."""
    parameters = Parameters(tensors(), GROWN, precision)
    for name in NAMES:
        for moment in parameters.moments(name):
            moment.fill_(2.0)
    random = torch.Generator().manual_seed(0)
    weights = torch.zeros(COUNT)
    weights[COUNT - 2 :] = 1
    assert densify.grow(parameters, GROWN, weights, random) == GROWN - COUNT
    parameters.keep(torch.arange(3, GROWN))
    return parameters


@pytest.mark.parametrize("precision", ["single", "half"])
def test_growth_thinning_and_checkpoints(precision: Precision) -> None:
    parameters = grown(precision)
    state = parameters.state()
    back = Parameters.restored(state, GROWN, torch.device("cpu"), precision)
    harmonics, moments = TYPES[precision]
    for name in NAMES:
        found = (back[name], *back.moments(name))
        dtypes = [harmonics if name == "sh" else torch.float32, moments, moments]
        assert [tensor.dtype for tensor in found] == dtypes
        for tensor, saved in zip(found, state["rows"][name], strict=True):
            assert torch.equal(tensor, saved), name
        for moment in back.moments(name):  # those that were halved, and their halves, have none
            assert (moment[:5] == 2).all() and (moment[5:] == 0).all(), name
    splat = export({name: back[name] for name in NAMES}, torch.zeros(3), 1.0)
    kept = tensors()["sh"].to(harmonics)[3 : COUNT - 2].float()
    assert splat.shN.dtype == np.float32
    assert np.array_equal(splat.sh0[:5], kept[:, 0]) and np.array_equal(splat.shN[:5], kept[:, 1:])


def test_a_checkpoint_of_another_precision_is_converted() -> None:
    state = grown("single").state()
    back = Parameters.restored(state, GROWN, torch.device("cpu"), "half")
    assert torch.equal(back["sh"], state["rows"]["sh"][0].half())
    assert torch.equal(back.moments("means")[1].float(), state["rows"]["means"][2])


def test_a_gpu_keeps_a_gaussian_in_half_the_bytes() -> None:
    precisions = {device: resolve(TrainOptions(), device).precisions for device in ("cpu", "cuda")}
    assert precisions == {"cpu": ("single",), "cuda": ("single", "half")}
    single, half = (
        sum(tensor.nbytes for rows in grown(name).state()["rows"].values() for tensor in rows)
        for name in ("single", "half")
    )
    assert (single, half) == (9 * 708, 9 * 376)
