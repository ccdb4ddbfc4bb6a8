"""Every rule runs in a pinned image, and the recipes of the images are sound."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.lib.render.cuda.compile import ARCHITECTURES
from scripts.lib.workflow.container_images import read_lock
from scripts.lib.workflow.recipes import base_images, instructions
from scripts.tools.locks import versions

RULE = re.compile(r"^rule (\w+):\n((?:[ \t].*\n|\n)*)", re.M)
ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted(ROOT.glob("containers/*/Dockerfile"))
TRAIN = ROOT / "containers" / "train" / "Dockerfile"
# Compilers as Debian names them, and the parts of NVIDIA's that are on PyPI.
DEBIAN_COMPILER = re.compile(
    r"\b(g\+\+|gcc|cpp|clang|build-essential|cuda-\S+|nvidia-\S+)(?![\w+])"
)
NVIDIA_COMPILER = re.compile(r"nvidia-(cuda-(nvcc|crt|cccl)|nvvm)(-cu\d+)?")


def rules() -> dict[str, str]:
    """Every rule of the workflow, {name: body}."""
    files = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    return {name: body for path in files for name, body in RULE.findall(path.read_text())}


def test_rules_are_found() -> None:
    assert {"import_photos", "train_splat", "bundle_web", "all"} <= rules().keys()


@pytest.mark.parametrize(("name", "body"), rules().items(), ids=list(rules()))
def test_every_rule_names_a_locked_image(name: str, body: str) -> None:
    """But rules without a command; and each has the conda twin of the same stage."""
    if "shell:" not in body:
        assert "container:" not in body
        return
    image = re.search(r'^    container:\n        IMAGES\["([\w-]+)"\]$', body, re.M)
    assert image, f"{name} names no image of containers/images.yaml"
    assert image[1] in read_lock(ROOT)
    assert f'    conda:\n        "../envs/{image[1]}.yaml"\n' in body


def test_names_come_only_from_the_lock() -> None:
    """No image is named anywhere else in the workflow."""
    for path in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]:
        assert "docker://" not in path.read_text(), path.name
        assert len(re.findall(r"\bcontainer\w*:", path.read_text())) == path.read_text().count(
            "IMAGES["
        )


def test_hadolint() -> None:
    program = Path(sys.executable).parent / "hadolint"
    result = subprocess.run([program, *DOCKERFILES], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_recipes(dockerfile: Path) -> None:
    """One pinned small base, packages by hash, no root at run time, and labels that say where it is from."""
    text = dockerfile.read_text()
    (base,) = base_images(dockerfile)
    # The digest counts, so a tag that is pushed anew changes nothing; the tag tells people and Dependabot.
    name = r"docker\.io/library/python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}"
    assert re.fullmatch(name, base)
    parsed = list(instructions(text))
    assert [rest for word, rest in parsed if word == "USER"][-1] == "1000:1000"
    installs = re.findall(r"pip install (.*?)(?=&&|\n\n|$)", " ".join(rest for _, rest in parsed))
    assert installs and all(
        "--require-hashes" in words and "--no-deps" in words for words in installs
    )
    labels = " ".join(rest for word, rest in parsed if word == "LABEL")
    for label in ("title", "description", "source", "revision", "licenses"):
        assert f"org.opencontainers.image.{label}=" in labels


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_no_image_needs_a_compiler(dockerfile: Path) -> None:
    """Not even while it is built: nothing of Debian's, nothing of NVIDIA's."""
    parsed = list(instructions(dockerfile.read_text()))
    runs = " ".join(rest for word, rest in parsed if word == "RUN")
    installed = " ".join(re.findall(r"apt-get install (.*?)(?=&&|$)", runs))
    assert not DEBIAN_COMPILER.search(installed)
    assert "nvcc" not in runs
    copied = " ".join(rest for word, rest in parsed if word == "COPY")
    held = re.findall(r"envs/images/[\w-]+\.txt", copied)
    assert held, "its packages come from a lock"
    packages = {name for lock in held for name in versions(ROOT / lock)}
    assert not [name for name in packages if NVIDIA_COMPILER.fullmatch(name)]


def test_the_train_image_has_one_stage_and_what_compiles_kernels_at_run_time() -> None:
    parsed = list(instructions(TRAIN.read_text()))
    assert [word for word, _ in parsed].count("FROM") == 1
    assert not [rest for word, rest in parsed if word == "COPY" and "--from=" in rest]
    assert {"cuda-core", "nvidia-cuda-nvrtc"} <= set(versions(ROOT / "envs/images/train.txt"))


def check_of_kernels() -> str:
    """What the train image's recipe runs to see that kernels can be compiled."""
    runs = " ".join(rest for word, rest in instructions(TRAIN.read_text()) if word == "RUN")
    (code,) = [code for code in re.findall(r'python -c "(.*?)"', runs) if "cuda.core" in code]
    return code


def test_the_train_image_compiles_for_the_oldest_and_the_newest_gpu() -> None:
    """The recipe's own check, without a GPU; it fails where NVRTC does."""
    pytest.importorskip("cuda.core", reason="cuda-core and NVRTC are not installed")
    code = check_of_kernels()
    assert re.findall(r"sm_\d+", code) == [ARCHITECTURES[0], ARCHITECTURES[-1]]
    subprocess.run([sys.executable, "-c", code], check=True)
    wrong = subprocess.run(
        [sys.executable, "-c", code.replace("none() {}", "none() { nothing; }")],
        capture_output=True,
        text=True,
    )
    assert wrong.returncode and "nothing" in wrong.stderr


def test_actions_are_pinned() -> None:
    """A tag can be moved to other code, a commit cannot; one action has one commit everywhere."""
    pins: dict[str, set[str]] = {}
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yaml")):
        for action, version in re.findall(r"uses: (\S+?)@(\S+)", path.read_text()):
            assert re.fullmatch(r"[0-9a-f]{40}", version), f"{path.name}: {action}@{version}"
            pins.setdefault(action, set()).add(version)
    assert pins and all(len(versions) == 1 for versions in pins.values())
