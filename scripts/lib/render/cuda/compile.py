"""CUDA C++ sources, compiled for the GPU at hand by NVRTC and kept on disk.

Neither nvcc nor a compiler of the system is needed, only NVIDIA's driver and its Python packages `cuda-core`
and `nvidia-cuda-nvrtc`. A kernel is compiled once for each source, set of macros, compiler and architecture.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.core.caches import temporary_cache, user_cache, writable
from scripts.lib.core.console import say
from scripts.lib.core.files import write_bytes

STANDARD = "c++17"
# sm_75 to sm_120: Turing (T4), Ampere, Ada, Hopper, Blackwell.
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")


@dataclass(frozen=True)
class Source:
    """One .cu file: where it is, its headers in the order in which they need each other, and its kernels."""

    path: Path
    headers: tuple[Path, ...]
    kernels: tuple[str, ...]

    def text(self, macros: Mapping[str, str | int]) -> str:
        """The file as one text without includes: macros, headers, the file itself."""
        parts = [path.read_text(encoding="utf-8") for path in (*self.headers, self.path)]
        lines = "".join(parts).splitlines(keepends=True)
        own = [line for line in lines if not line.startswith(('#include "', "#pragma once"))]
        return "".join([*(f"#define {key} {value}\n" for key, value in macros.items()), *own])


@dataclass(frozen=True)
class Compiled:
    """Machine code of one source file for one architecture, and what the compiler said of its kernels."""

    code: bytes
    log: str


def compile_source(source: Source, macros: Mapping[str, str | int], architecture: str) -> Compiled:
    """Compile one source file; needs no GPU. Raises cuda.core's NVRTCError where the source is wrong."""
    from cuda.core import Program, ProgramOptions

    log = io.StringIO()
    options = ProgramOptions(
        name=source.path.name,
        arch=architecture,
        std=STANDARD,
        ptxas_options=["-v"],
        no_display_error_number=True,
        no_cache=True,  # NVRTC's own cache, which returns no log; ours is below
    )
    made = Program(source.text(macros), "c++", options).compile("cubin", logs=log)
    return Compiled(bytes(made.code), log.getvalue())


def machine_code(source: Source, macros: Mapping[str, str | int], architecture: str) -> bytes:
    """The same from the cache on disk, compiled first where it is not there yet."""
    key = "\n".join([source.text(macros), STANDARD, architecture, _compiler()])
    digest = hashlib.sha256(key.encode()).hexdigest()[:24]
    home = user_cache()
    folder = writable([home / "cuda"] if home else []) or temporary_cache()
    path = folder / f"{source.path.stem}-{architecture}-{digest}.cubin"
    if path.is_file():
        return path.read_bytes()
    say(f"Compiling the GPU kernels {source.path.name} for {architecture}, once on this machine")
    code = compile_source(source, macros, architecture).code
    write_bytes(path, code)
    return code


def _compiler() -> str:
    from cuda.bindings import nvrtc

    return ".".join(map(str, nvrtc.nvrtcVersion()[1:]))
