"""The CUDA sources compile for every GPU that is supported, within their registers; that needs no GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import pytest

pytest.importorskip("cuda.core", reason="cuda-core and NVRTC are not installed")

from scripts.lib.core.checkout import ROOT
from scripts.lib.render.cuda.compile import (
    ARCHITECTURES,
    Compiled,
    Source,
    compile_source,
)
from scripts.lib.render.cuda.launch import Macros
from scripts.lib.render.losses import cuda as losses
from scripts.lib.render.rasterise import cuda as rasteriser
from scripts.lib.train.kernels import geometry_cuda as geometry
from scripts.lib.train.kernels import harmonics_cuda as harmonics


@dataclass(frozen=True)
class Most:
    """What a kernel may take, so that enough threads are at work: a multiprocessor has 65536 registers, and
    64 KiB of shared memory or more."""

    registers: int  # of a thread
    shared: int = 0  # bytes of a block


MOST = {
    "project": Most(64),
    "list_tiles": Most(64),
    "find_lists": Most(40),
    "project_backward": Most(128),
    "draw": Most(80, 9_000),
    "draw_backward": Most(152, 38_000),
    "compare": Most(96, 11_000),
    "finish": Most(64, 32),
    "follow_back": Most(80, 16_000),
    "finish_exposures": Most(64, 32),
    "activate": Most(32),
    "step_geometry": Most(64),
    "adam": Most(32),
    **{f"colours{degree}": Most(64, 13_000) for degree in harmonics.DEGREES},
    **{f"step_harmonics{degree}": Most(96, 13_000) for degree in harmonics.DEGREES},
    "slopes_of": Most(24),
}
# KiB of shared memory of a multiprocessor: CUDA programming guide, "Technical Specifications".
SHARED = dict(zip(ARCHITECTURES, (64, 164, 100, 100, 228, 228, 100), strict=True))
STANDARD = [
    (rasteriser.PROJECT, ()),
    (rasteriser.LISTS, rasteriser.SHORT),
    (losses.LOSS, losses.BYTES),
    (geometry.GAUSSIANS, geometry.HALF),
    (harmonics.HARMONICS, geometry.HALF),
]
# The same code with another type of numbers: one architecture tells enough.
OTHERS = [
    (rasteriser.LISTS, rasteriser.LONG),
    (losses.LOSS, losses.FLOATS),
    (geometry.GAUSSIANS, geometry.SINGLE),
    (harmonics.HARMONICS, geometry.SINGLE),
]
# Least warps that a multiprocessor has of the kernel that takes most.
BUSY = dict(zip(ARCHITECTURES, (6, 16, 10, 10, 20, 24, 10), strict=True))


def drawing(architecture: str) -> tuple[Source, Macros]:
    """What draws there, in blocks of the size that it gets."""
    warps = rasteriser.warps_for(SHARED[architecture] * 1024)
    return rasteriser.DRAW, rasteriser.drawing_by(warps)


ALL = [(*pair, architecture) for pair in STANDARD for architecture in ARCHITECTURES]
ALL += [(*drawing(architecture), architecture) for architecture in ARCHITECTURES]
ALL += [(*pair, "sm_75") for pair in OTHERS]


@cache
def compiled(source: Source, macros: Macros, architecture: str) -> Compiled:
    """Once for all tests."""
    return compile_source(source, dict(macros), architecture)


@pytest.mark.parametrize(
    ("source", "macros", "architecture"),
    ALL,
    ids=[f"{source.path.stem}-{architecture}" for source, _, architecture in ALL],
)
def test_kernels_compile_within_what_they_may_take(
    source: Source, macros: Macros, architecture: str
) -> None:
    made = compiled(source, macros, architecture)
    assert made.code
    blocks = made.log.split("Compiling entry function")[1:]
    assert sorted(block.split("'")[1] for block in blocks) == sorted(source.kernels)
    for block in blocks:
        kernel = block.split("'")[1]
        spilled, registers, shared = (
            sum(map(int, re.findall(pattern, block)))
            for pattern in (r"(\d+) bytes spill", r"Used (\d+) registers", r"(\d+) bytes smem")
        )
        most = MOST[kernel]
        assert (spilled, registers <= most.registers, shared <= most.shared) == (0, True, True), (
            f"{kernel}: {spilled} bytes spilled, {registers} registers, {shared} bytes shared"
        )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_enough_warps_draw_backward(architecture: str) -> None:
    """As many as registers and shared memory leave room for."""
    shared = SHARED[architecture] * 1024
    warps = rasteriser.warps_for(shared)
    log = compiled(*drawing(architecture), architecture).log.split("'draw_backward'")[1]
    registers, taken = (
        int(re.findall(pattern, log)[0])
        for pattern in (r"Used (\d+) registers", r"(\d+) bytes smem")
    )
    own = 0 if architecture == "sm_75" else 1024  # bytes that the system takes of each block
    by_registers = 65536 // (-(-registers * 32 // 256) * 256) // warps
    assert warps * min(by_registers, shared // (taken + own)) >= BUSY[architecture], registers


def test_every_source_is_compiled_here() -> None:
    """Each .cu file of the library."""
    files = {path.resolve() for path in (ROOT / "scripts" / "lib").rglob("*.cu")}
    sources = {source for source, _, _ in ALL}
    assert {source.path.resolve() for source in sources} == files
    assert sorted(MOST) == sorted(name for source in sources for name in source.kernels)
