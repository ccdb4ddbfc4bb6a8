"""A stand-in for a GPU: our CUDA kernels, compiled by the system's C++ compiler, on tensors of the CPU.

Slow, and on one thread; made to compare numbers with plain torch where there is no GPU.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from scripts.lib.render.cuda.compile import Source
from scripts.lib.render.cuda.launch import Macros

HERE = Path(__file__).parent
COMPILER = shutil.which("g++") or shutil.which("clang++")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed")
# Where tests of kernels run.
DEVICES = [
    pytest.param("cpu", id="stand-in", marks=needs_compiler),
    pytest.param(
        "cuda",
        id="gpu",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    ),
]
# PTX in our sources, and what it says in C++.
PTX = (
    (r'asm\("ex2\.approx\.ftz\.f32 %0, %1;" : "=f"\((\w+)\) : "f"\((\w+)\)\);', r"\1 = exp2f(\2);"),
)
TAIL = """
extern "C" const char* {name}_takes() {{ return stand_in::letters({name}); }}
extern "C" void {name}_runs(const int* grid, int threads, void** values) {{
    stand_in::run({name}, grid, threads, values);
}}
"""


def launch(
    source: Source,
    kernel: str,
    grid: tuple[int, ...],
    block: int,
    *arguments: Tensor | float | None,
    macros: Macros = (),
) -> None:
    """As `render.cuda.launch.launch`, for tensors of the CPU, of just the types that a kernel takes."""
    if not all(grid):
        return
    library = _library(source, macros)
    takes = getattr(library, f"{kernel}_takes")
    takes.restype = ctypes.c_char_p
    assert "".join(map(_letter, arguments)) == takes().decode(), kernel
    values = [_value(argument) for argument in arguments]
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    sizes = (ctypes.c_int * 3)(*grid, *[1] * (3 - len(grid)))
    getattr(library, f"{kernel}_runs")(sizes, block, pointers)


@contextmanager
def kernels_on(device: str, *modules: object) -> Iterator[None]:
    """Let `modules` launch their kernels on "cuda", or on the "cpu" by the stand-in."""
    with pytest.MonkeyPatch.context() as patch:
        if device == "cpu":
            for module in modules:
                patch.setattr(module, "launch", launch)
        yield


@cache
def _library(source: Source, macros: Macros) -> ctypes.CDLL:
    assert COMPILER is not None
    text = '#include "device.hpp"\n' + source.text(dict(macros))
    for assembly, plain in PTX:
        text = re.sub(assembly, plain, text)
    text += "".join(TAIL.format(name=name) for name in source.kernels)
    name = f"{source.path.stem}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    with tempfile.TemporaryDirectory() as folder:
        code, made = Path(folder, f"{name}.cpp"), Path(folder, f"{name}.so")
        code.write_text(text, encoding="utf-8")
        command = [COMPILER, "-std=c++17", "-O1", "-w", "-fPIC", "-shared", f"-I{HERE}"]
        subprocess.run([*command, str(code), "-o", str(made)], check=True)
        return ctypes.CDLL(str(made))


def _letter(argument: Tensor | float | None) -> str:
    if argument is None or isinstance(argument, Tensor):
        return "p"
    return "f" if isinstance(argument, float) else "i"


def _value(argument: Tensor | float | None) -> ctypes.c_void_p | ctypes.c_float | ctypes.c_int:
    if isinstance(argument, Tensor):
        assert argument.is_contiguous() and argument.device.type == "cpu"
        return ctypes.c_void_p(argument.data_ptr())
    if argument is None:
        return ctypes.c_void_p(None)
    return ctypes.c_float(argument) if isinstance(argument, float) else ctypes.c_int(argument)
