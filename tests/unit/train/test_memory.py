"""What fits into memory: the batch gives way first, then the photos' place, then the Gaussians."""

from __future__ import annotations

import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scripts.lib.core.console import UserError
from scripts.lib.core.free_memory import free_memory
from scripts.lib.train import loop
from scripts.lib.train.memory import FEWEST, SHARE, Need, PhotoStore, fit, free_bytes

GB = 2**30
NEED = Need(
    max_gaussians=1_000_000,
    harmonics=48,
    precisions=("single",),
    batch_size=4,
    photo_bytes=2 * GB,
    pixels=8_000_000,
)


def test_a_large_gpu_takes_all() -> None:
    found = fit(NEED, 80 * GB)
    assert (found.max_gaussians, found.at_once, found.store_in) == (
        NEED.max_gaussians,
        2,
        PhotoStore.DEVICE,
    )


@given(free=st.integers(2 * GB, 20 * GB))
def test_less_memory_never_takes_more(free: int) -> None:
    more, less = fit(NEED, free + GB // 4), fit(NEED, free)
    assert (less.store_in is PhotoStore.DEVICE, less.max_gaussians) <= (
        more.store_in is PhotoStore.DEVICE,
        more.max_gaussians,
    )
    assert 1 <= less.at_once <= 2 and FEWEST <= less.max_gaussians <= NEED.max_gaussians
    held = NEED.photo_bytes if less.store_in is PhotoStore.DEVICE else 0
    assert held + less.max_gaussians * NEED.gaussian_bytes(less.at_once, "single") <= SHARE * free


def test_harmonics_and_moments_of_16_bits_make_room_for_five_million_gaussians() -> None:
    """Of degree 3, with photos of two megapixels in main memory, on a card of 8 GB of which 5.5 are free."""
    either = replace(NEED, max_gaussians=5_000_000, precisions=("single", "half"), pixels=2_000_000)
    free, beside = 11 * GB // 2, 64 * GB
    found = fit(either, free, beside)
    assert (found.max_gaussians, found.precision) == (5_000_000, "half")
    single = fit(replace(either, precisions=("single",)), free, beside)
    assert single.max_gaussians < 5_000_000 and single.precision == "single"
    assert fit(either, 24 * GB).precision == "single"  # no less exact than it must be


def test_photos_go_to_main_memory_or_stay_in_the_zip() -> None:
    small = 4 * GB
    assert fit(NEED, small, 16 * GB).store_in is PhotoStore.MEMORY
    assert fit(NEED, small, GB).store_in is PhotoStore.STREAM


def test_too_little_is_refused() -> None:
    with pytest.raises(UserError, match=r"train_splat\.resolution lower"):
        fit(NEED, GB)


def test_this_machine_has_memory() -> None:
    assert 2**26 < free_bytes(torch.device("cpu")) < 2**50


MB = 2**20
ALL = 64_000 * MB  # what the machine has available


class Machine:
    """A file system with the kernel's files about memory, and nothing else."""

    def __init__(self, root: Path, cgroup: str) -> None:
        self.root = root
        self.write("proc/meminfo", f"MemTotal: 99999999 kB\nMemAvailable: {ALL // 1024} kB\n")
        self.write("proc/self/cgroup", cgroup)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def group(self, path: str, limit: str | int, used: int, **stat: int) -> None:
        """A group of cgroup v2; numbers in MB."""
        folder = f"sys/fs/cgroup/{path}"
        self.write(f"{folder}/memory.max", f"{limit if limit == 'max' else int(limit) * MB}\n")
        self.write(f"{folder}/memory.current", f"{used * MB}\n")
        lines = [f"{name} {value * MB}\n" for name, value in stat.items()]
        self.write(f"{folder}/memory.stat", "".join(lines))

    def free(self) -> int:
        return free_memory(self.root) // MB


def test_without_a_limit_the_machine_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/user.slice\n")
    assert machine.free() == 64_000
    machine.group("user.slice", "max", 50_000)
    assert machine.free() == 64_000


def test_page_cache_is_not_use(tmp_path: Path) -> None:
    """A container on a machine whose inputs were just downloaded: nearly all of its use is cache."""
    machine = Machine(tmp_path, "0::/\n")
    machine.group("", 14_000, 13_950, anon=900, inactive_file=12_500, active_file=200, file=12_900)
    assert machine.free() == 12_750
    machine.group("", 14_000, 13_950, anon=900, inactive_file=12_500, file_mapped=300)
    assert machine.free() == 12_250  # what programs run from must stay
    machine.group("", 14_000, 13_950, anon=13_900, file=12_500, shmem=12_500)
    assert machine.free() == 50  # files of /dev/shm cannot be given up


def test_the_own_group_and_all_above_it_count(tmp_path: Path) -> None:
    """As Slurm does it with cgroup v2: the job is limited, the step within it is not, or more tightly."""
    job = "system.slice/slurmstepd.scope/job_7"
    machine = Machine(tmp_path, f"0::/{job}/step_0/user\n")
    machine.group(f"{job}/step_0/user", "max", 1000)
    machine.group(f"{job}/step_0", "max", 1000)
    machine.group(job, 8000, 3000, inactive_file=1000)
    machine.group("system.slice", 32_000, 30_000)
    assert machine.free() == 2000  # 6000 in the job, 2000 in what is around it
    machine.group(f"{job}/step_0", 1500, 1000)
    assert machine.free() == 500
    machine.write(
        f"sys/fs/cgroup/{job}/memory.high", f"{3500 * MB}\n"
    )  # from where it is throttled
    machine.group(f"{job}/step_0", "max", 1000)
    assert machine.free() == 1500


def test_a_container_that_sees_the_path_of_the_host(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/docker/0123abcd\n")
    machine.group("", 4000, 1000)
    assert machine.free() == 3000


def test_cgroup_v1(tmp_path: Path) -> None:
    """Slurm on an older system: named controllers, other names of files, numbers of the whole subtree."""
    job = "slurm/uid_1000/job_7"
    lines = f"12:cpuset:/{job}\n7:memory,hugetlb:/{job}/step_0\n1:name=systemd:/x\n0::/x\n"
    machine = Machine(tmp_path, lines)
    for path, limit in ((f"{job}/step_0", 2**63 - 4096), (job, 6000 * MB), ("", 2**63 - 4096)):
        folder = f"sys/fs/cgroup/memory/{path}"
        machine.write(f"{folder}/memory.limit_in_bytes", f"{limit}\n")
        machine.write(f"{folder}/memory.usage_in_bytes", f"{5000 * MB}\n")
        stat = f"cache {4000 * MB}\ninactive_file 0\ntotal_inactive_file {4000 * MB}\n"
        machine.write(f"{folder}/memory.stat", stat)
    assert machine.free() == 5000


def test_more_used_than_allowed_is_nothing_left(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/\n")
    machine.group("", 1000, 1200)
    assert machine.free() == 0


@pytest.mark.parametrize(("platform", "unit"), [("linux", 2**10), ("darwin", 1)])
def test_peak_memory_in_the_units_of_the_system(
    platform: str, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = types.SimpleNamespace(ru_maxrss=700 * MB // unit)
    monkeypatch.setattr(loop.sys, "platform", platform)
    monkeypatch.setattr(loop.resource, "getrusage", lambda _: usage)
    assert loop._peak_memory(torch.device("cpu")) == 700
