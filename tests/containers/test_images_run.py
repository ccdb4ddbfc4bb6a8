"""The images really build and really run: each by itself, and the whole workflow under `--sdm apptainer`.

Opt-in, because it takes half an hour and some GB of disk: `.ci/containers`, or `pytest -m containers`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.lib.workflow.container_images import Image, rule_images
from scripts.tools.locks import versions
from tests.containers.machine import ROOT, Machine, UnavailableError

pytestmark = [pytest.mark.containers, pytest.mark.timeout(5400)]

IMAGES = ("sfm", "web", "train-cpu", "runner")
SOURCES = ("Snakefile", "rules", "scripts", "config", "envs", "containers")
PHOTOS = 8  # enough to be registered and to hold one back
# PyTorch's own index, unless pip takes torch without CUDA from a folder.
TORCH = (
    ["--build-arg", "TORCH_INDEX=https://pypi.org/simple"]
    if os.environ.get("PIP_FIND_LINKS")
    else []
)


@dataclass(frozen=True)
class Built:
    """An image and the folder it was unpacked to."""

    image: Image
    sandbox: Path


@pytest.fixture(scope="session")
def machine() -> Machine:
    """The tools, kept in build/containers or where SPLATMAKE_CONTAINERS says."""
    folder = Path(os.environ.get("SPLATMAKE_CONTAINERS", ROOT / "build" / "containers"))
    machine = Machine(folder.resolve())
    try:
        machine.prepare()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    return machine


@pytest.fixture(scope="session")
def built(machine: Machine) -> dict[str, Built]:
    """Every image but the CUDA variant of `train`, built from its recipe and unpacked."""
    found: dict[str, Built] = {}
    for name in IMAGES:
        image = machine.build(name, TORCH if name == "train-cpu" else ())
        found[name] = Built(image, machine.sandbox(image))
    return found


@pytest.mark.parametrize("name", IMAGES)
def test_description(machine: Machine, built: dict[str, Built], name: str) -> None:
    config = machine.described(built[name].image)
    assert config["User"] == "1000:1000" and config["WorkingDir"] == "/work"
    assert "HISTFILE=/dev/null" in config["Env"]
    labels = {
        key.removeprefix("org.opencontainers.image."): value
        for key, value in config["Labels"].items()
    }
    assert labels["title"] == f"splatmake {name}" and "MIT" in labels["licenses"]
    assert labels["source"].startswith("https://")
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["revision"])


@pytest.mark.parametrize("name", IMAGES)
def test_folders_and_history(machine: Machine, built: dict[str, Built], name: str) -> None:
    sandbox = built[name].sandbox
    for folder in ("input", "output", "work"):
        assert (sandbox / folder).stat().st_mode & 0o7777 == 0o1777, folder
    assert not [*sandbox.glob("root/.*_history"), *sandbox.glob("home/*/.*_history")]
    assert not [*sandbox.glob("root/.cache/*"), *sandbox.glob("var/lib/apt/lists/*Packages*")]
    assert machine.execute(sandbox, "id -u splatmake; command -v bash").split() == [
        "1000",
        "/usr/bin/bash",
    ]


@pytest.mark.parametrize("name", IMAGES)
def test_runs_without_root(machine: Machine, built: dict[str, Built], name: str) -> None:
    """The user may write where runs write, and nowhere else."""
    printed = machine.execute_as_its_user(
        built[name].image,
        "id -u && pwd && touch here /input/x /output/x ~/x && snakemake --version"
        " && ! touch /opt/x 2>/dev/null",
    )
    version = versions(ROOT / "envs" / "cloud.txt")["snakemake"]
    assert printed.split() == ["1000", "/work", version]


@pytest.mark.parametrize("name", IMAGES)
def test_locked_versions_are_inside(machine: Machine, built: dict[str, Built], name: str) -> None:
    """Every package of the lock in its version, and none beside them but pip itself."""
    listed = machine.execute(built[name].sandbox, "/opt/venv/bin/pip list --format json")
    inside = {
        re.sub(r"[-_.]+", "-", entry["name"]).lower(): entry["version"].split("+")[0]
        for entry in json.loads(listed.splitlines()[-1])
    }
    wanted = versions(ROOT / "envs" / "images" / f"{name}.txt")
    wanted |= versions(ROOT / "envs" / "images" / "build.txt")
    assert {key: value for key, value in inside.items() if key != "pip"} == wanted


@pytest.mark.parametrize("name", IMAGES)
def test_a_worker_can_read_the_workflow(
    machine: Machine, built: dict[str, Built], name: str
) -> None:
    """A job on AWS Batch starts Snakemake in a folder to which the sources were brought: it reads
    the whole workflow first."""
    sources = " ".join(f"{ROOT}/{name}" for name in SOURCES)
    printed = machine.execute(
        built[name].sandbox,
        f"cd /work && cp -r {sources} . && snakemake --list-rules",
        "--bind", f"{ROOT}", "--writable-tmpfs", "--env", "HOME=/tmp",
    )  # fmt: skip
    assert "train_splat" in printed.split()


def scripts_of(image: str) -> list[str]:
    """Scripts that the rules of one image run."""
    found: list[str] = []
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for body in path.read_text().split("\nrule ")[1:]:
            if f'IMAGES["{image}"]' in body:
                found += re.findall(r"python -m scripts\.(\w+)", body)
    return found


@pytest.mark.parametrize("name", ["sfm", "web", "train-cpu"])
def test_every_script_starts(machine: Machine, built: dict[str, Built], name: str) -> None:
    """Each script of the image's rules, and all that it imports, is there."""
    scripts = scripts_of(name.removesuffix("-cpu"))
    assert scripts
    lines = " && ".join(f"python -m scripts.{script} --help >/dev/null" for script in scripts)
    machine.execute(built[name].sandbox, f"cd {ROOT} && {lines}", "--bind", f"{ROOT}")


def run_workflow(machine: Machine, folder: Path, photos: list[Path], *options: str) -> Path:
    """Run the whole workflow on a few photos at `draft`; returns the results."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "photos").mkdir(parents=True)
    for photo in photos:
        shutil.copy(photo, folder / "photos")
    (folder / "scenes.tsv").write_text("scene\tsource\ncut\tphotos\n")
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "all",
        "--configfile", ROOT / "config" / "config.yaml", *options,
        "--config", "scenes=scenes.tsv", "preset=draft", "device=cpu",
    ]  # fmt: skip
    log = folder / "run.log"
    with log.open("w") as handle:
        result = subprocess.run(
            command, cwd=folder, env=machine.environment(), stdout=handle, stderr=subprocess.STDOUT
        )
    assert result.returncode == 0, log.read_text()[-8000:]
    return folder / "results"


def files(results: Path) -> set[str]:
    """Names of everything that was made."""
    return {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}


def stage_json(results: Path, name: str) -> dict:
    content: dict = json.loads((results / "cut" / f"{name}.json").read_text())
    return content


def test_photos_to_page_in_the_images(
    machine: Machine, built: dict[str, Built], sample: Path
) -> None:
    """The same files and, within what threads change, the same numbers as a run without images."""
    photos = sorted((sample / "photos").glob("*.jpg"))[:PHOTOS]
    assert len(photos) == PHOTOS
    # Snakemake takes an image that its prefix holds under this name for pulled already.
    prefix = machine.folder / "prefix"
    shutil.rmtree(prefix, ignore_errors=True)
    prefix.mkdir()
    urls = rule_images(ROOT, "ghcr.io/splatmake")
    for name in IMAGES:
        held = prefix / f"{hashlib.md5(urls[name].encode()).hexdigest()}.simg"
        held.symlink_to(built[name].sandbox)
    inside = run_workflow(
        machine, machine.folder / "inside", photos,
        "--sdm", "apptainer", "--apptainer-prefix", str(prefix), "--apptainer-args", f"--bind {ROOT}",
    )  # fmt: skip
    log = (machine.folder / "inside" / "run.log").read_text()
    assert log.count("Activating singularity image") >= 13
    bare = run_workflow(machine, machine.folder / "bare", photos)
    assert files(inside) == files(bare)
    for results in (inside, bare):
        assert stage_json(results, "sfm")["registered"] == PHOTOS
    assert [photo["sha256"] for photo in stage_json(inside, "photos")["photos"]] == [
        photo["sha256"] for photo in stage_json(bare, "photos")["photos"]
    ]
    assert stage_json(inside, "eval")["psnr"] == pytest.approx(
        stage_json(bare, "eval")["psnr"], abs=1.5
    )
