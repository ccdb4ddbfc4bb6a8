"""Where a stage computes: one decision for every stage that trains or renders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from scripts.lib.core.card_lock import claimed
from scripts.lib.core.cards import CHOICES
from scripts.lib.core.console import UserError, say

INSTALL = "install the CUDA toolkit (nvcc), or run with --sdm apptainer"


@dataclass(frozen=True)
class _Obstacle:
    """Why a GPU cannot be used, and what to do about it."""

    what: str
    remedy: str


NO_GPU = _Obstacle(
    "PyTorch finds no CUDA GPU", "check nvidia-smi, and that this PyTorch was built for CUDA"
)


@dataclass(frozen=True)
class Device:
    """Where a stage computes, "cuda" or "cpu" as torch names it, and why, in a few words."""

    type: str
    reason: str

    @property
    def name(self) -> str:
        """Name of the GPU, or "cpu"."""
        return torch.cuda.get_device_name() if self.type == "cuda" else "cpu"


def choose_device(
    wanted: str,
    gpus: int = 0,
    environment: Mapping[str, str] = os.environ,
    *,
    advise: bool = False,
) -> Device:
    """The device for the configuration's `device` (auto, cuda, cpu) on this machine.

    auto takes a GPU that gsplat has kernels for, else the CPU; a GPU that cannot be used is told in one
    sentence, and with `advise` what to do about it (training does: one stage of a run is enough).
    Where a scheduler gave the job a GPU (`gpus` is what the rule reserved), auto never falls back to the CPU,
    which would train a coarser splat, many times slower, at the price of the GPU.

    Raises UserError on an unknown name, and where a GPU must be used and none can be.
    """
    if wanted not in CHOICES:
        raise UserError(f"device is {wanted!r}; choose auto, cuda or cpu")
    if wanted == "cpu":
        return Device("cpu", "the configuration asks for it")
    obstacle = _obstacle()
    if obstacle is None:
        return Device("cuda", "a usable GPU is here" if wanted == "auto" else "asked for")
    return _without_gpu(obstacle, wanted, scheduler_of_gpu(gpus, environment), advise)


@contextmanager
def on_device(wanted: str, gpus: int = 0, *, advise: bool = False) -> Iterator[Device]:
    """`choose_device`, and on a GPU the exclusive use of one card until the block ends.

    Where several cards are visible, the first free one becomes torch's current device.
    """
    device = choose_device(wanted, gpus, advise=advise)
    if device.type == "cpu":
        yield device
        return
    with claimed([_card_name(number) for number in range(torch.cuda.device_count())]) as number:
        torch.cuda.set_device(number)
        if (fault := _fault()) is None:
            yield device
            return
    yield _without_gpu(fault, wanted, scheduler_of_gpu(gpus, os.environ), advise)


def scheduler_of_gpu(gpus: int, environment: Mapping[str, str]) -> str | None:
    """The scheduler that gave this job a GPU; None when the job runs where somebody started it.

    `gpus` is what the rule reserved: on AWS Batch that is what the job got. Slurm itself tells.
    """
    if gpus and environment.get("AWS_BATCH_JOB_ID"):
        return "AWS Batch"
    if environment.get("SLURM_JOB_GPUS") or environment.get("SLURM_STEP_GPUS"):
        return "Slurm"
    return None


def _without_gpu(obstacle: _Obstacle, wanted: str, scheduler: str | None, advise: bool) -> Device:
    """The CPU, or UserError where a GPU must be used. A GPU that is here but idle is told."""
    if wanted == "cuda":
        raise UserError(
            f"device is 'cuda', but {obstacle.what}; {obstacle.remedy}, or set device: cpu"
        )
    if scheduler:
        raise UserError(
            f"{scheduler} gave this job a GPU, but {obstacle.what}; {obstacle.remedy}, or set device: cpu"
            " and reserve no GPU (--set-resources RULE:gpu=0)"
        )
    if obstacle is not NO_GPU:
        remedy = f" This is many times slower: {obstacle.remedy}." if advise else ""
        say(f"Computing on the CPU: {obstacle.what}.{remedy}")
    return Device("cpu", obstacle.what)


def _obstacle() -> _Obstacle | None:
    """Why no GPU can be used; None where one can, as far as can be told without using it."""
    if not torch.cuda.is_available():
        return NO_GPU
    try:
        from gsplat.cuda import _backend  # builds the kernels when it finds a compiler
    except ImportError as error:
        return _Obstacle(f"gsplat cannot be imported ({error})", INSTALL)
    except Exception as error:  # whatever a compiler that does not fit makes of it
        what = f"gsplat's CUDA kernels cannot be built ({_first_line(error)})"
        return _Obstacle(
            what, "install a CUDA toolkit that fits this torch, or run with --sdm apptainer"
        )
    if _backend._C is None:
        return _Obstacle("there is a GPU, but gsplat has no CUDA kernels for it", INSTALL)
    return None


def _fault() -> _Obstacle | None:
    """What is wrong with a GPU that cannot even count: torch's build may be too new for an old one."""
    try:
        torch.ones(2, device="cuda").sum().item()
    except torch.cuda.OutOfMemoryError:
        return None  # it works; what fits is decided later
    except RuntimeError as error:
        what = f"the GPU does not work with this PyTorch ({_first_line(error)})"
        return _Obstacle(what, "install a torch build that supports this GPU and its driver")
    return None


def _first_line(error: Exception) -> str:
    """The first line of an error's text, or its kind where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _card_name(number: int) -> str:
    """What tells a card from all others of this machine, in any process and whatever it can see."""
    return str(getattr(torch.cuda.get_device_properties(number), "uuid", number))
