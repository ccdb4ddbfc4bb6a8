"""The CUDA sources compile for every GPU that is supported, within their registers; that needs no GPU."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("cuda.core", reason="cuda-core and NVRTC are not installed")

from scripts.lib.render.cuda.compile import ARCHITECTURES, Source, compile_source
from scripts.lib.render.rasterise import cuda as rasteriser

# Registers of a thread at most, so that enough threads are at work: 65536 a multiprocessor.
MOST_REGISTERS = {
    "project": 80,
    "paint": 24,
    "list_tiles": 80,
    "find_lists": 40,
    "project_backward": 128,
    "draw": 64,
    "draw_backward": 64,
}
SOURCES = [
    (rasteriser.PROJECT, ()),
    (rasteriser.LISTS, rasteriser.SHORT),
    (rasteriser.LISTS, rasteriser.LONG),
    (rasteriser.DRAW, rasteriser.PER_LANE),
]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("source", "macros"),
    SOURCES,
    ids=lambda value: getattr(value, "path", None) and value.path.stem,
)
def test_kernels_compile_and_stay_in_registers(
    source: Source, macros: tuple[tuple[str, str | int], ...], architecture: str
) -> None:
    made = compile_source(source, dict(macros), architecture)
    assert made.code
    blocks = made.log.split("Compiling entry function")[1:]
    assert sorted(block.split("'")[1] for block in blocks) == sorted(source.kernels)
    for block in blocks:
        kernel = block.split("'")[1]
        assert int(re.findall(r"(\d+) bytes spill stores", block)[0]) == 0, kernel
        assert int(re.findall(r"Used (\d+) registers", block)[0]) <= MOST_REGISTERS[kernel], kernel
