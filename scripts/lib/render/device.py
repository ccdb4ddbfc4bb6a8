"""Where a stage computes: one decision for every stage that trains or renders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from scripts.lib.core.card_lock import claimed
from scripts.lib.core.cards import CHOICES
from scripts.lib.core.console import UserError, say

INSTALL = "pip install -r envs/local.txt brings them, or run with --sdm apptainer"
DRIVER = Path("/proc/driver/nvidia/version")
OLDEST = (7, 5)  # compute capability that our kernels are compiled for: Turing (T4, RTX 20)


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

    auto takes a GPU that our kernels can be compiled for, else the CPU; a GPU that cannot be used is told in
    one sentence, and with `advise` what to do about it (training does: one stage of a run is enough).
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

    `gpus` is what the rule reserved: on AWS Batch and Kubernetes the job got that. Slurm itself tells.
    """
    if gpus and environment.get("AWS_BATCH_JOB_ID"):
        return "AWS Batch"
    if gpus and environment.get("SPLATMAKE_KUBERNETES_JOB"):  # the executor sets it
        return "Kubernetes"
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
            f"{scheduler} gave this job a GPU, but {obstacle.what}; {obstacle.remedy}, or set device: cpu,"
            " which reserves none"
        )
    if obstacle is not NO_GPU:
        remedy = f" This is many times slower: {obstacle.remedy}." if advise else ""
        say(f"Computing on the CPU: {obstacle.what}.{remedy}")
    return Device("cpu", obstacle.what)


def _obstacle() -> _Obstacle | None:
    """Why no GPU can be used; None where one can, as far as can be told without using it."""
    if not torch.cuda.is_available():
        return _driver_too_old() or NO_GPU
    try:
        import cuda.core  # noqa: F401
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError) as error:
        what = f"there is a GPU, but the packages that compile its kernels are missing ({_first_line(error)})"
        return _Obstacle(what, INSTALL)
    return None


def _driver_too_old() -> _Obstacle | None:
    """A driver that this torch cannot work with; None where there is no driver, or torch has no CUDA."""
    if torch.version.cuda is None or not DRIVER.is_file():
        return None
    found = re.search(r"Kernel Module\D*([\d.]+)", DRIVER.read_text(encoding="utf-8"))
    version = f" {found.group(1)}" if found else ""
    return _Obstacle(
        f"the NVIDIA driver{version} does not work with this PyTorch, which is built for CUDA"
        f" {torch.version.cuda}",
        "update the driver (580 or newer for CUDA 13)",
    )


def _fault() -> _Obstacle | None:
    """What is wrong with a GPU that our kernels do not run on, or that cannot even count."""
    capability = torch.cuda.get_device_capability()
    if capability < OLDEST:
        return _Obstacle(
            f"the GPU {torch.cuda.get_device_name()} has compute capability {capability[0]}.{capability[1]},"
            f" and {OLDEST[0]}.{OLDEST[1]} is the least that is supported",
            "use a GPU of 2018 or later (T4, RTX 20)",
        )
    try:
        torch.ones(2, device="cuda").sum().item()
    except torch.cuda.OutOfMemoryError:
        return None  # it works; what fits is decided later
    except RuntimeError as error:
        what = f"the GPU does not work with this PyTorch ({_first_line(error)})"
        return _Obstacle(what, "install a PyTorch build that supports this GPU and its driver")
    return None


def _first_line(error: Exception) -> str:
    """The first line of an error's text, or its kind where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _card_name(number: int) -> str:
    """What tells a card from all others of this machine, in any process and whatever it can see."""
    return str(getattr(torch.cuda.get_device_properties(number), "uuid", number))
