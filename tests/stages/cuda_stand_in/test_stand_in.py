"""The stand-in for a GPU: barriers, votes and shuffles do as CUDA says, and misuse ends with a sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from scripts.lib.render.cuda.compile import Source
from tests.stages.cuda_stand_in import HERE, launch, needs_compiler

pytestmark = needs_compiler
KERNELS = """
extern "C" __global__ void turn_round(const int* from, int* to, const int count, const float factor) {
    __shared__ int held[64];
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    held[threadIdx.x] = i < count ? from[i] : 0;
    __syncthreads();
    if (i < count) to[i] = int(factor * held[blockDim.x - 1 - threadIdx.x]);
}
extern "C" __global__ void count_odd(const int* from, int* to) {
    const int value = from[threadIdx.x], lane = threadIdx.x % 32;
    const unsigned odd = __ballot_sync(0xffffffffu, value % 2);
    int sum = value;
    for (int step = 16; step; step >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    const int before = __shfl_up_sync(0xffffffffu, value, 1);
    to[threadIdx.x] = lane == 0 ? __popc(odd) : (lane == 1 ? sum : before);
    if (lane == 2) atomicAdd(to + 64, 1);
}
extern "C" __global__ void stray(int* to) {
    if (threadIdx.x % 2) __syncthreads();
    else __syncwarp();
    to[threadIdx.x] = 1;
}
"""
PROGRAM = """
import sys, torch
from pathlib import Path
from scripts.lib.render.cuda.compile import Source
from tests.stages.cuda_stand_in import launch
source = Source(Path(sys.argv[1]), (), ("turn_round", "count_odd", "stray"))
launch(source, "stray", (1,), 64, torch.zeros(64, dtype=torch.int32))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("kernels") / "some.cu"
    path.write_text(KERNELS, encoding="utf-8")
    return Source(path, (), ("turn_round", "count_odd", "stray"))


def test_barriers_and_blocks(source: Source) -> None:
    values, made = torch.arange(128, dtype=torch.int32), torch.zeros(128, dtype=torch.int32)
    launch(source, "turn_round", (2,), 64, values, made, 128, 3.0)
    assert torch.equal(made, 3 * values.reshape(2, 64).flip(1).reshape(-1))


def test_warps(source: Source) -> None:
    values, made = torch.arange(64, dtype=torch.int32), torch.zeros(65, dtype=torch.int32)
    launch(source, "count_odd", (1,), 64, values, made)
    sums = values.reshape(2, 32).sum(dim=1).tolist()
    assert made.reshape(-1)[[0, 1, 32, 33, 64]].tolist() == [16, sums[0], 16, sums[1], 2]
    assert made[2:32].tolist() == list(range(1, 31))


def test_arguments_must_fit(source: Source) -> None:
    values = torch.zeros(64, dtype=torch.int32)
    with pytest.raises(AssertionError, match="turn_round"):
        launch(source, "turn_round", (1,), 64, values, values, 64, 3)  # an int for a float
    with pytest.raises(AssertionError, match="turn_round"):
        launch(source, "turn_round", (1,), 64, values, values, 64)


def test_threads_that_wait_at_different_places_end_the_program(source: Source) -> None:
    command = [sys.executable, "-c", PROGRAM, str(source.path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[2])
    assert ended.returncode < 0
    assert "its threads wait for each other at different places" in ended.stderr
