"""The CUDA sources compile for every GPU that is supported, within their registers; that needs no GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

pytest.importorskip("cuda.core", reason="cuda-core and NVRTC are not installed")

from scripts.lib.core.checkout import ROOT
from scripts.lib.render.cuda.compile import ARCHITECTURES, Source, compile_source
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
    "paint": Most(24),
    "list_tiles": Most(64),
    "find_lists": Most(40),
    "project_backward": Most(128),
    "draw": Most(80, 9_000),
    "draw_backward": Most(144, 38_000),
    "compare": Most(96, 11_000),
    "finish": Most(64, 32),
    "follow_back": Most(80, 16_000),
    "finish_exposures": Most(64, 32),
    "activate": Most(32),
    "step_geometry": Most(64),
    "adam": Most(32),
    **{f"colours{degree}": Most(64, 13_000) for degree in harmonics.DEGREES},
    **{f"step_harmonics{degree}": Most(96, 13_000) for degree in harmonics.DEGREES},
}
STANDARD = [
    (rasteriser.PROJECT, ()),
    (rasteriser.LISTS, rasteriser.SHORT),
    (rasteriser.DRAW, rasteriser.PER_LANE),
    (losses.LOSS, losses.BYTES),
    (geometry.GAUSSIANS, ()),
    (harmonics.HARMONICS, ()),
]
# The same code with another type of numbers: one architecture tells enough.
OTHERS = [(rasteriser.LISTS, rasteriser.LONG), (losses.LOSS, losses.FLOATS)]
ALL = [(*pair, architecture) for pair in STANDARD for architecture in ARCHITECTURES]
ALL += [(*pair, "sm_75") for pair in OTHERS]


@pytest.mark.parametrize(
    ("source", "macros", "architecture"),
    ALL,
    ids=[f"{source.path.stem}-{architecture}" for source, _, architecture in ALL],
)
def test_kernels_compile_within_what_they_may_take(
    source: Source, macros: Macros, architecture: str
) -> None:
    made = compile_source(source, dict(macros), architecture)
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


def test_every_source_is_compiled_here() -> None:
    """Each .cu file of the library."""
    files = {path.resolve() for path in (ROOT / "scripts" / "lib").rglob("*.cu")}
    assert {source.path.resolve() for source, _ in STANDARD} == files
    assert sorted(MOST) == sorted(name for source, _ in STANDARD for name in source.kernels)
