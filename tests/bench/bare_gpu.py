"""Training on a GPU machine without compilers: `python -m tests.bench.bare_gpu SCENE.zip`.

Starts the trainer twice as somebody would who has NVIDIA's driver and the Python packages alone: PATH is an
empty folder, so there is no nvcc, gcc or cc, and no variable tells of a CUDA toolkit. Both starts share a
cache that is empty at first, so the first one compiles the kernels. Prints one JSON line: for each start the
seconds to the first line of progress and in all, and whose kernels drew. Ends with code 1 where they were
not ours on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import site
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMPILERS = ("nvcc", "gcc", "g++", "cc", "c++", "clang", "ptxas")
# What tells programs of a toolkit or a compiler.
TELLING = ("CUDA_", "CUDAHOSTCXX", "NVCC", "CC", "CXX", "CPATH", "LIBRARY_PATH", "TRITON_")
STEPS = 200


def environment(folder: Path) -> dict[str, str]:
    """This process's environment without compilers, all caches in `folder`."""
    path, cache = folder / "path", folder / "cache"
    path.mkdir()
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(TELLING) or key == "CUDA_VISIBLE_DEVICES"
    }
    made = {"PATH": str(path), "HOME": str(folder), "XDG_CACHE_HOME": str(cache)}
    made |= {"CUDA_CACHE_PATH": str(cache / "driver"), "NUMBA_CACHE_DIR": str(cache / "numba")}
    made |= {"PYTHONUSERBASE": site.getuserbase()}  # packages may lie below the real HOME
    return kept | made


def start(scene: Path, folder: Path, settings: dict[str, str], device: str) -> dict[str, Any]:
    """Train a little in a process of its own, and what its start took."""
    folder.mkdir()
    options = {"preset": "draft", "steps": STEPS, "checkpoint_every": 0}
    command = [sys.executable, "-m", "scripts.train_splat", "--scene", str(scene)]
    command += ["--options", json.dumps(options), "--device", device]
    command += ["--ply", str(folder / "splat.ply"), "--metrics", str(folder / "train.json")]
    began, first, compiled = time.monotonic(), 0.0, 0
    with subprocess.Popen(
        command, cwd=ROOT, env=settings, text=True, stdout=subprocess.PIPE, bufsize=1
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", file=sys.stderr)
            compiled += line.startswith("Compiling")
            if line.startswith("train_splat:") and not first:
                first = time.monotonic() - began
    if process.returncode:
        raise SystemExit(process.returncode)
    told = json.loads((folder / "train.json").read_text())
    return {
        "seconds_to_first_steps": round(first, 2),
        "seconds": round(time.monotonic() - began, 2),
        "training_seconds": told["seconds"],
        "files_compiled": compiled,
        "backend": told["backend"],
        "device": told["device"],
        "gaussians": told["gaussians"],
        "psnr": round(told["curve"][-1]["psnr"], 2),
    }


def main() -> None:
    """Start twice, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path, help="undistorted.zip")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = environment(folder)
        found = [tool for tool in COMPILERS if shutil.which(tool, path=settings["PATH"])]
        starts = [
            start(args.scene.resolve(), folder / which, settings, args.device)
            for which in ("first", "second")
        ]
        hidden = [tool for tool in COMPILERS if shutil.which(tool)]
        line = {"bench": "bare_gpu", "steps": STEPS, "hidden": hidden, "still_found": found}
        print(json.dumps(line | dict(zip(("first", "second"), starts, strict=True))))
    if any(start["backend"] != "cuda" for start in starts) or found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
