"""The CUDA rasteriser's sources compile for every GPU that is supported; that needs no GPU."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("cuda.core", reason="cuda-core and NVRTC are not installed")

from scripts.lib.render.rasterise.cuda.compile import ARCHITECTURES, KERNELS, compile_source

# Registers of a thread at most, so that enough threads are at work: 65536 a multiprocessor.
MOST_REGISTERS = {
    "project": 80,
    "list_tiles": 80,
    "find_lists": 40,
    "project_backward": 128,
    "draw": 64,
    "draw_backward": 64,
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", KERNELS)
def test_kernels_compile_and_stay_in_registers(source: str, architecture: str) -> None:
    made = compile_source(source, {"KEY": "short"}, architecture)
    assert made.code
    blocks = made.log.split("Compiling entry function")[1:]
    assert len(blocks) == len(KERNELS[source])
    for block in blocks:
        kernel = block.split("'")[1]
        assert int(re.findall(r"(\d+) bytes spill stores", block)[0]) == 0, kernel
        assert int(re.findall(r"Used (\d+) registers", block)[0]) <= MOST_REGISTERS[kernel], kernel
