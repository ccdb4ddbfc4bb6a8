"""Features, matches, poses and their gates, by COLMAP: the only package that imports pycolmap.

Importing it loads pycolmap in the one order that is safe, before any module of the package can do so:

- `_core` of pycolmap exports a zlib of its own. When it is also the first to load the system's
  libz.so.1 (through libgfortran), calls inside that library go to pycolmap's copy, another version, for
  the life of the process: whatever compresses with it later (Pillow's PNG, Python's zlib) writes past
  its buffers. Loaded by Pillow or Python first, the library keeps to itself.
- Its handler for fatal signals prints a stack trace with functions that wait for the lock of a damaged
  heap, so the process hangs instead of ending; it takes SIGTERM too, which is how schedulers end a job.
"""

from __future__ import annotations

import ctypes
import signal
import zlib  # noqa: F401  (loads libz.so.1 before pycolmap)
from collections.abc import Iterator
from contextlib import contextmanager

import PIL.Image  # noqa: F401  (the same, where Python has its own zlib built in)

ENDINGS = (
    *(signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGSEGV, signal.SIGTERM),
)


@contextmanager
def _keeping_signal_handlers() -> Iterator[None]:
    """Put the C handlers of fatal signals back as they were before the block.

    Python's own `signal` module does not see handlers that C code installed.
    """
    read, write = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
    read.restype = write.restype = ctypes.c_void_p
    read.argtypes, write.argtypes = [ctypes.c_int], [ctypes.c_int, ctypes.c_void_p]
    before = {number: read(number) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            write(number, handler)


with _keeping_signal_handlers():
    import pycolmap  # noqa: F401
