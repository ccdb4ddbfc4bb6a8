"""Locks of envs/: every package that anybody installs, by version and hash; `python -m scripts.tools.locks`.

    python -m scripts.tools.locks              write every lock from the *.in files, keeping versions that fit
    python -m scripts.tools.locks --upgrade    the same with the newest versions

The *.in files are the only place where a package is named. This writes

    envs/<set>.txt            for pip: any machine, Python 3.11 or newer
    envs/local-cpu.txt        local.txt for a torch without CUDA, which on Linux is not on PyPI
    envs/images/<image>.txt   for the images: linux/amd64, Python 3.11
    envs/<stage>.yaml         the conda twins of <stage>.txt
    containers/images.yaml    the tags of the images

dev.txt is resolved first and constrains the rest, so one package has one version everywhere. The first line
of a lock says what it was made from, so that `python -m scripts.tools.images --check` sees when this was
forgotten. It needs `uv` (`pip install uv`).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement

from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.core.files import write_bytes
from scripts.lib.workflow.container_images import current, write_lock

COMMAND = "python -m scripts.tools.locks"
STAMP = re.compile(rf"# Locked from (.+) \(sha256 ([0-9a-f]{{16}})\) by {re.escape(COMMAND)}")
BUILT_WITH_CUDA = {"pycolmap-cuda12": "pycolmap"}  # another name on PyPI for the same package
IMAGE_PYTHON = {"python_version": "3.11", "python_full_version": "3.11.14"}
IMAGE_MACHINE = {
    "platform_machine": "x86_64",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
}
# Sets that people install with pip, the first of which constrains the others; local-cpu is made from local.
SETS = ("dev", "local", "cloud", "studio", "sfm", "train", "web", "node", "worker")
WITH_CUDA = (
    "local",
    "train",
)  # the others that hold torch are for machines whose torch comes without CUDA
# What only torch's CUDA build needs; a set without it has what its own file names.
CUDA = re.compile(r"(nvidia-|cuda-).+|triton")
CPU_BUILD = "train-cpu"  # the image whose lock knows torch's builds without CUDA
# Sets whose image has another name, and images that hold more than one set.
IMAGES = {
    "build": ("build",),
    "node": ("node",),
    "sfm": ("sfm", "worker"),
    "web": ("web", "worker"),
    "runner": ("cloud",),
    "studio": ("sfm", "train", "web", "worker", "studio"),
    "train": ("train", "worker"),
    CPU_BUILD: ("train", "worker"),
}
UNIVERSAL = ("--universal", "--python-version", "3.11")
IMAGE = ("--python-platform", "x86_64-manylinux_2_36", "--python-version", "3.11")


@dataclass(frozen=True)
class Pin:
    """One package of a lock: what is required, and the hashes of the files that may be installed."""

    requirement: Requirement
    hashes: tuple[str, ...]


def pins(text: str) -> list[Pin]:
    """The packages of a lock's text, in its order; comments left out."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            blocks.append([re.sub(r"\s*\\$", "", line)])
        elif blocks and line.startswith(" "):
            blocks[-1] += re.findall(r"sha256:\w+", line)
    return [Pin(Requirement(head), tuple(hashes)) for head, *hashes in blocks]


def requirements(lock: Path) -> list[Requirement]:
    """The pinned requirements of a lock, in its order; hashes and comments left out."""
    return [pin.requirement for pin in pins(lock.read_text(encoding="utf-8"))]


def applies(requirement: Requirement) -> bool:
    """Whether the images (linux/amd64, Python 3.11) need `requirement`."""
    marker: Marker | None = requirement.marker
    return marker is None or marker.evaluate({**IMAGE_PYTHON, **IMAGE_MACHINE})


def versions(lock: Path) -> dict[str, str]:
    """{package: version} of what a lock installs on linux/amd64 with Python 3.11, local labels left out."""
    return {
        requirement.name: str(requirement.specifier).removeprefix("==").split("+")[0]
        for requirement in requirements(lock)
        if applies(requirement)
    }


def sources(envs: Path, names: Iterable[str]) -> list[str]:
    """The given files of `envs` and what they include with -r, each once."""
    found: list[str] = []
    for name in names:
        included = re.findall(r"(?m)^-r (\S+)$", (envs / name).read_text(encoding="utf-8"))
        found += [name, *sources(envs, included)]
    return list(dict.fromkeys(found))


def digest_of(envs: Path, names: Iterable[str]) -> str:
    """Short hash over files of `envs`."""
    digest = hashlib.sha256()
    for name in names:
        path = envs / name
        digest.update(path.read_bytes() if path.is_file() else b"missing")
    return digest.hexdigest()[:16]


def locks(envs: Path) -> list[Path]:
    """Every lock."""
    return sorted([*envs.glob("*.txt"), *envs.glob("images/*.txt")])


def stale(envs: Path) -> list[str]:
    """One sentence for every lock that was not made from the requirements beside it."""
    problems: list[str] = []
    for lock in locks(envs):
        name = lock.relative_to(envs.parent).as_posix()
        stamp = STAMP.fullmatch(lock.read_text(encoding="utf-8").partition("\n")[0])
        if stamp is None:
            problems.append(f"{name} does not say what it was locked from; run `{COMMAND}`")
        elif digest_of(envs, stamp[1].split()) != stamp[2]:
            named = stamp[1].replace(" ", ", ")
            problems.append(f"{name} was locked from another {named}; run `{COMMAND}`")
    return problems


def disagreements(envs: Path) -> list[str]:
    """One sentence for every package whose version is not dev.txt's, or that an image's lock lacks.

    An image's lock holds at least what the locks of its sets do.
    """
    problems: list[str] = []
    everywhere = versions(envs / "dev.txt")
    for lock in locks(envs):
        problems += [
            f"{package} is {everywhere[package]} in envs/dev.txt but {version} in"
            f" {lock.relative_to(envs.parent).as_posix()}; run `{COMMAND}`"
            for package, version in versions(lock).items()
            if everywhere.get(package, version) != version
        ]
    for image, held_sets in IMAGES.items():
        lock = envs / "images" / f"{image}.txt"
        held = {BUILT_WITH_CUDA.get(package, package) for package in versions(lock)}
        for part in (envs / f"{name}.txt" for name in held_sets if name in SETS):
            wanted = [
                name for name in versions(part) if image != CPU_BUILD or not CUDA.fullmatch(name)
            ]
            problems += [
                f"{package} is in envs/{part.name} but not in envs/images/{lock.name}; run `{COMMAND}`"
                for package in sorted(set(wanted) - held)
            ]
    return problems


def is_cuda(pin: Pin) -> bool:
    """Whether only torch's CUDA build needs a package."""
    return CUDA.fullmatch(pin.requirement.name) is not None


def is_torch(pin: Pin) -> bool:
    """Whether it is PyTorch itself."""
    return pin.requirement.name == "torch"


def named(envs: Path, name: str) -> set[str]:
    """The packages that envs/<name>.in names itself, not by including other files."""
    lines = (envs / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return {Requirement(line).name for line in lines if re.match(r"[A-Za-z0-9]", line)}


def without_cuda(found: Iterable[Pin], cpu: Sequence[str], wanted: Container[str]) -> list[Pin]:
    """A set for machines whose torch comes without CUDA, but for the packages `wanted`.

    cpu: hashes of such builds of torch for Linux.
    PyPI has one for every other system. On Linux none of its files may be allowed beside them: pip prefers a
    file whose hash it knows before it downloads, and that would be the one with CUDA.
    """
    kept: list[Pin] = []
    for pin in found:
        if is_torch(pin):
            for sign, hashes in (("==", tuple(cpu)), ("!=", pin.hashes)):
                kept.append(
                    Pin(Requirement(f"{pin.requirement}; sys_platform {sign} 'linux'"), hashes)
                )
        elif not is_cuda(pin) or pin.requirement.name in wanted:
            kept.append(pin)
    return kept


def rendered(pin: Pin) -> str:
    """A package as a lock has it."""
    hashes = sorted(set(pin.hashes))
    return " \\\n".join([str(pin.requirement), *(f"    --hash={value}" for value in hashes)]) + "\n"


def run_uv(options: Sequence[str], requirements_text: str) -> None:
    """Run `uv pip compile`. Raises UserError when uv is missing or finds no solution."""
    program = shutil.which("uv")
    if program is None:
        raise UserError("uv is not installed; run `pip install uv`, then this again")
    command = [program, "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--generate-hashes", *options]
    made = subprocess.run(command, input=requirements_text, text=True, capture_output=True)
    if made.returncode:
        raise UserError(f"uv could not lock this: {made.stderr.strip()}")


@dataclass(frozen=True)
class Locker:
    """Makes the locks of a folder `envs`, in the newest versions if `upgrade`."""

    envs: Path
    upgrade: bool = False

    def write(self) -> None:
        """Write every lock. Raises UserError as `compiled`."""
        made = {"dev": self.compiled(["dev.in"], ("dev.txt", "local.txt"), UNIVERSAL)}
        images = {name: self.image(name, sets, made["dev"]) for name, sets in IMAGES.items()}
        for name in SETS[1:]:
            made[name] = self.compiled([f"{name}.in"], (f"{name}.txt",), UNIVERSAL, made["dev"])
        made["local-cpu"] = made["local"]
        cpu = [value for pin in images[CPU_BUILD] if is_torch(pin) for value in pin.hashes]
        for name, found in made.items():
            if name not in WITH_CUDA:
                found = without_cuda(found, cpu, named(self.envs, name))
            self._write(f"{name}.txt", [f"{name}.in"], "".join(map(rendered, found)))
        for name, found in images.items():
            inputs = [f"{part}.in" for part in IMAGES[name]]
            self._write(f"images/{name}.txt", inputs, "".join(map(rendered, found)))

    def image(self, name: str, sets: Sequence[str], dev: list[Pin]) -> list[Pin]:
        """The packages of an image. Raises UserError when it needs torch without CUDA and none is found."""
        options = list(IMAGE)
        if name == CPU_BUILD:
            # From PyTorch's own index, or from a folder of wheels that pip knows too.
            folder = os.environ.get("PIP_FIND_LINKS")
            options += ["--find-links", folder] if folder else ["--torch-backend", "cpu"]
        found = self.compiled(
            [f"{part}.in" for part in sets], (f"images/{name}.txt",), options, dev
        )
        torch = [str(pin.requirement) for pin in found if pin.requirement.name == "torch"]
        if name == CPU_BUILD and not any("+cpu" in pin for pin in torch):
            raise UserError(
                "no torch without CUDA was found; unset PIP_FIND_LINKS to take it from PyTorch's index"
            )
        # What the training set has for GPUs is of no use with such a torch.
        return [pin for pin in found if name != CPU_BUILD or not is_cuda(pin)]

    def compiled(
        self,
        inputs: Sequence[str],
        kept: Sequence[str],
        options: Sequence[str],
        limits: Sequence[Pin] = (),
    ) -> list[Pin]:
        """What uv makes of the files `inputs`; versions of the locks `kept` stay where they fit.

        Raises UserError when uv is missing or finds no solution.
        """
        say(f"{', '.join(inputs)}: being locked")
        lines = [line for name in sources(self.envs, inputs) for line in self._lines(name)]
        wanted = "\n".join(line for line in lines if not line.startswith("-r "))
        if "--universal" not in options and not re.search(r"(?m)^torch==", wanted):
            # PyPI carries COLMAP with CUDA under a name of its own; it needs no GPU to be imported. Its
            # CUDA is older than torch's: where both are, torch has the GPU.
            wanted = re.sub(r"(?m)^pycolmap==", "pycolmap-cuda12==", wanted)
        # Torch's own CUDA packages, which it pins exactly, must not bind other users of CUDA.
        ours = named(self.envs, "dev")
        others = [
            f"{pin.requirement}"
            for pin in limits
            if not is_cuda(pin) or pin.requirement.name in ours
        ]
        # Versions only: uv would keep their hashes too, and not ask which files there are now.
        known = [self.envs / name for name in kept if (self.envs / name).is_file()]
        before = [str(requirement) for path in known for requirement in requirements(path)]
        with tempfile.TemporaryDirectory() as scratch:
            constraints, output = Path(scratch, "limits.txt"), Path(scratch, "lock.txt")
            constraints.write_text("\n".join(others), encoding="utf-8")
            output.write_text("\n".join(before), encoding="utf-8")
            more = [*options, *(["--upgrade"] if self.upgrade else [])]
            run_uv([*more, "-c", str(constraints), "-o", str(output), "-"], wanted)
            return pins(output.read_text(encoding="utf-8"))

    def _lines(self, name: str) -> list[str]:
        return (self.envs / name).read_text(encoding="utf-8").splitlines()

    def _write(self, name: str, inputs: Sequence[str], text: str) -> None:
        files = sources(self.envs, inputs)
        stamp = (
            f"# Locked from {' '.join(files)} (sha256 {digest_of(self.envs, files)}) by {COMMAND}\n"
        )
        write_bytes(self.envs / name, (stamp + text).encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    from scripts.tools import conda_envs

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    Locker(ROOT / "envs", parser.parse_args(argv).upgrade).write()
    conda_envs.main([])
    write_lock(ROOT, current(ROOT))


if __name__ == "__main__":
    run_main(main)
