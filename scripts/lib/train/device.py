"""Which device to compute on."""

from __future__ import annotations

import torch

from scripts.lib.console import UserError, say


def choose_device(wanted: str) -> str:
    """Turn the option `device` (auto, cpu, cuda) into "cuda" or "cpu".

    auto takes a GPU that works; one that gsplat has no kernels for is named, and the CPU taken.
    Raises UserError when "cuda" is asked for and torch sees no GPU, or on an unknown name.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError(f"option device is {wanted!r}; choose auto, cuda or cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "option device is 'cuda' but torch sees no CUDA GPU; check nvidia-smi and the torch"
            " build, or set device to auto"
        )
    if wanted == "auto" and torch.cuda.is_available():
        if _gsplat_works():
            return "cuda"
        say(
            "A GPU is here but gsplat has no CUDA kernels for it, so the CPU is used, many times slower;"
            " install gsplat and the CUDA toolkit, or run with --sdm apptainer"
        )
        return "cpu"
    return "cpu" if wanted == "auto" else wanted


def _gsplat_works() -> bool:
    try:
        from gsplat.cuda import _backend  # builds the kernels when it finds a compiler
    except ImportError:
        return False
    return _backend._C is not None
