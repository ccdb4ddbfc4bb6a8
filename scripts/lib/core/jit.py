"""How the CPU kernels are compiled and shared out to threads.

Imported before any kernel: OpenMP reads its settings once, when its library is loaded.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts.lib.core.caches import temporary_cache, user_cache, writable

# Waiting threads sleep instead of spinning: a third of the CPU time on a machine with other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numba  # noqa: E402
from llvmlite import ir  # noqa: E402
from numba import types  # noqa: E402
from numba.core.caching import IndexDataCacheFile, UserProvidedCacheLocator  # noqa: E402
from numba.extending import intrinsic  # noqa: E402

# OpenMP wakes its threads five times faster than numba's own pool, which every wheel has and
# which takes over where the system has no libgomp.
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]

# Seconds since the last start with a version, after which its machine code goes.
UNUSED = 30 * 86400
LIB = Path(__file__).parents[1]
KERNEL_SOURCES = (
    *("core/jit.py", "core/lanes.py", "encode/codecs/palette_kernels.py"),
    *("render/losses/*.py", "render/rasterise/*.py"),
    *("sfm/schur.py", "sfm/sift/*.py", "train/kernels/*.py"),
)
# numba's own thread pool aborts the process when two threads enter it at once.
LOCK = threading.Lock()


def threads() -> int:
    """How many threads the kernels use: torch's number, at most numba's (NUMBA_NUM_THREADS)."""
    import torch  # here: stages without torch have kernels, too

    return max(1, min(torch.get_num_threads(), numba.get_num_threads()))


def _cache_folder() -> Path:
    """A writable folder for machine code, named after the kernels' sources.

    Numba looks only at the file that holds a kernel, so a change in a module that the kernel uses
    would leave stale code in use.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for pattern in KERNEL_SOURCES:
        for source in sorted(LIB.glob(pattern)):
            digest.update(source.read_bytes())
    name = f"kernels-{digest.hexdigest()[:12]}"
    given = numba.config.CACHE_DIR  # NUMBA_CACHE_DIR
    bases = [Path(given)] if given else [here / "__pycache__", user_cache()]
    found = writable(base / name for base in bases if base) or writable([temporary_cache() / name])
    if found is None:
        return Path(tempfile.mkdtemp(prefix="splatmake-kernels-"))
    _remove_unused(found.parent, found)
    return found


def _remove_unused(base: Path, own: Path) -> None:
    """Remove the folders of other versions that nobody has started with for long.

    Not at once: jobs of another version may be running, or be about to start.
    """
    try:
        os.utime(own)
        for old in base.glob("kernels-*"):
            if old != own and own.stat().st_mtime - old.stat().st_mtime > UNUSED:
                shutil.rmtree(old, ignore_errors=True)
    except OSError:  # somebody else's, or removed by another job just now
        return


class OwnPlace(UserProvidedCacheLocator):  # type: ignore[misc]
    """Where the machine code of a kernel lies in the cache: by the kernel's place in the project.

    Numba goes by the place of the project, too, and would compile everything anew in a copy of it.
    """

    @classmethod
    def from_function(cls, function: Any, file: str) -> Any:
        """A locator, or None for other people's functions."""
        ours = Path(file).is_relative_to(LIB)
        return super().from_function(function, file) if ours else None  # type: ignore[no-untyped-call]

    @classmethod
    def get_suitable_cache_subpath(cls, file: str) -> str:
        """The folder of a source file, below the cache."""
        return str(Path(file).parent.relative_to(LIB))


numba.config.CACHE_DIR = str(_cache_folder())
if not numba.config.CACHE_LOCATOR_CLASSES:
    numba.config.CACHE_LOCATOR_CLASSES = f"{__name__}.OwnPlace,UserProvidedCacheLocator"


def _one_at_a_time(save: Callable[..., None]) -> Callable[..., None]:
    """`save` of a kernel's machine code, while no other process saves the same kernel.

    Numba numbers the files of a kernel's versions by those that its index names. Two processes that add
    different versions at once would take the same number, and later runs get each the other's machine code.
    """

    @functools.wraps(save)
    def alone(self: Any, key: Any, data: Any) -> None:
        with open(f"{self._index_path}.lock", "w") as lock:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            save(self, key, data)

    return alone


IndexDataCacheFile.save = _one_at_a_time(IndexDataCacheFile.save)  # type: ignore[method-assign]


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a kernel for one thread.

    Without fast math: fusing a product into a sum, or not, depends on what LLVM can inline, which differs
    between code just compiled and code from the cache, and a resumed run must repeat every bit.
    """
    return numba.njit(cache=True, error_model="numpy", nogil=True)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a part of a kernel into each of its callers."""
    jit = numba.njit(error_model="numpy", nogil=True, forceinline=True)
    return jit(function)


def parallel(function: Callable[..., Any]) -> Any:
    """Compile a kernel that spreads work over threads with `numba.prange`."""
    jit = numba.njit(cache=True, parallel=True, error_model="numpy", nogil=True)
    return jit(function)


@intrinsic
def take_next(_typing: Any, counter: Any, step: Any) -> Any:
    """Add `step` to counter[0] (an int64 array) and return what it was, in one atomic step.

    Threads fetch their next piece of work with it, so a slow thread never holds up the rest.
    """

    def build(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        amount = context.cast(builder, args[1], signature.args[1], types.int64)
        return builder.atomic_rmw("add", array.data, amount, "monotonic")

    return types.int64(counter, step), build
