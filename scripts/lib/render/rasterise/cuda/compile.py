"""The rasteriser's kernels, compiled for the GPU at hand by NVRTC and kept on disk.

Neither nvcc nor a compiler of the system is needed, only NVIDIA's driver and its Python packages `cuda-core`
and `nvidia-cuda-nvrtc`. A kernel is compiled once for each source, set of options, compiler and architecture.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.core.caches import temporary_cache, user_cache, writable
from scripts.lib.core.console import say
from scripts.lib.core.files import write_bytes

FOLDER = Path(__file__).parent
HEADER = "splat.cuh"
# The kernels of each source file.
KERNELS = {
    "project.cu": ("project", "list_tiles", "find_lists", "project_backward"),
    "draw.cu": ("draw", "draw_backward"),
}
STANDARD = "c++17"
# sm_75 to sm_120: Turing (T4), Ampere, Ada, Hopper, Blackwell.
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")


@dataclass(frozen=True)
class Compiled:
    """Machine code of one source file for one architecture, and what the compiler said of its kernels."""

    code: bytes
    log: str


def source_of(name: str, macros: Mapping[str, str]) -> str:
    """One source file as a whole: macros, the header, the file."""
    header = (FOLDER / HEADER).read_text(encoding="utf-8").replace("#pragma once\n", "")
    body = (FOLDER / name).read_text(encoding="utf-8").replace(f'#include "{HEADER}"\n', "")
    return "".join(f"#define {key} {value}\n" for key, value in macros.items()) + header + body


def compile_source(name: str, macros: Mapping[str, str], architecture: str) -> Compiled:
    """Compile one source file; needs no GPU. Raises cuda.core's NVRTCError where the source is wrong."""
    from cuda.core import Program, ProgramOptions

    log = io.StringIO()
    options = ProgramOptions(
        name=name,
        arch=architecture,
        std=STANDARD,
        ptxas_options=["-v"],
        no_display_error_number=True,
    )
    made = Program(source_of(name, macros), "c++", options).compile("cubin", logs=log)
    return Compiled(bytes(made.code), log.getvalue())


def machine_code(name: str, macros: Mapping[str, str], architecture: str) -> bytes:
    """The same from the cache on disk, compiled first where it is not there yet."""
    key = "\n".join([source_of(name, macros), STANDARD, architecture, _compiler()])
    digest = hashlib.sha256(key.encode()).hexdigest()[:24]
    home = user_cache()
    folder = writable([home / "cuda"] if home else []) or temporary_cache()
    path = folder / f"{Path(name).stem}-{architecture}-{digest}.cubin"
    if path.is_file():
        return path.read_bytes()
    say(f"Compiling the GPU kernels {name} for {architecture}, once on this machine")
    code = compile_source(name, macros, architecture).code
    write_bytes(path, code)
    return code


def _compiler() -> str:
    from cuda.bindings import nvrtc

    return ".".join(map(str, nvrtc.nvrtcVersion()[1:]))


def load(macros: Mapping[str, str], architecture: str) -> dict[str, Any]:
    """Every kernel by its name, ready to be launched on the current device."""
    from cuda.core import ObjectCode

    kernels: dict[str, Any] = {}
    for name, functions in KERNELS.items():
        module = ObjectCode.from_cubin(machine_code(name, macros, architecture))
        kernels |= {function: module.get_kernel(function) for function in functions}
    return kernels
