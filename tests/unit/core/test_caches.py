"""Compiled kernels and npm packages find a folder, whoever runs the project and whatever HOME is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.lib.core import caches
from scripts.lib.core.console import UserError
from scripts.lib.web import node


def refuse_writing(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """These folders and what is below them belong to somebody else."""
    mkdir, access = Path.mkdir, os.access

    def ours(path: Path) -> bool:
        return not any(path == folder or folder in path.parents for folder in folders)

    def make(path: Path, *arguments: object, **options: object) -> None:
        if not ours(path) and not path.exists():
            raise PermissionError(13, "Permission denied", str(path))
        mkdir(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", make)
    monkeypatch.setattr(os, "access", lambda path, mode: ours(Path(path)) and access(path, mode))


def test_the_first_folder_that_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, mine = tmp_path / "their checkout", tmp_path / "mein Zwischenspeicher ü"
    refuse_writing(monkeypatch, theirs)
    assert caches.writable([theirs / "a", mine / "b"]) == mine / "b"
    assert caches.writable([theirs / "a"]) is None


def test_an_account_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert caches.user_cache() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert caches.user_cache() == tmp_path / "splatmake"


def test_a_temporary_folder_that_somebody_else_made_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They could put code of theirs into it."""
    monkeypatch.setattr(caches.tempfile, "tempdir", str(tmp_path))
    mine = caches.temporary_cache()
    assert mine == caches.temporary_cache() and mine.stat().st_mode & 0o077 == 0
    mine.chmod(0o777)
    assert caches.temporary_cache() != mine
    mine.rmdir()
    (tmp_path / "elsewhere").mkdir()
    mine.symlink_to(tmp_path / "elsewhere")
    assert caches.temporary_cache() not in (mine, tmp_path / "elsewhere")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of somebody else's, and a folder of one's own; what would be installed is only noted."""
    monkeypatch.setattr(node, "ROOT", tmp_path / "project")
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    monkeypatch.delenv(node.NODE_MODULES_VARIABLE, raising=False)
    monkeypatch.setattr(node, "check_node", lambda: "v99.0.0")
    monkeypatch.setattr(node, "install", lambda _, folder: folder / "node_modules")
    (tmp_path / "project" / "build" / "node" / "node_modules").mkdir(parents=True)
    refuse_writing(monkeypatch, tmp_path / "project")
    return tmp_path


def test_packages_go_where_one_may_write(project: Path) -> None:
    assert node.node_modules() == project / "run" / ".snakemake" / "node" / "node_modules"


def test_packages_in_somebody_elses_checkout_are_used(project: Path) -> None:
    folder = project / "project" / "build" / "node"
    (folder / node.STAMP).write_text(node._wanted(node.PACKAGES))
    assert node.node_modules() == folder / "node_modules"
    (folder / node.STAMP).write_text("older packages")
    assert node.node_modules() == project / "run" / ".snakemake" / "node" / "node_modules"


def test_nowhere_to_install_is_a_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_writing(monkeypatch, project)
    with pytest.raises(UserError, match="cannot be installed.* run it in a folder of your own"):
        node.node_modules()


def test_npm_needs_no_home_and_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cache goes with the packages, and a file system without flock is no reason to stop."""
    commands = []

    class Done:
        returncode = 0

    def run(command: list[object], cwd: Path, **_: object) -> Done:
        commands.append(command)
        (cwd / "node_modules").mkdir()
        (cwd / "cache").mkdir()
        return Done()

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(node, "check_node", lambda: "v99.0.0")
    monkeypatch.setattr(node, "find_program", lambda name: Path("/usr/bin") / name)
    monkeypatch.setattr(node.subprocess, "run", run)
    monkeypatch.setattr(node.fcntl, "flock", refuse)
    folder = tmp_path / "node"
    assert node.install(node.PACKAGES, folder) == folder / "node_modules"
    (command,) = commands
    assert command[command.index("--cache") + 1] == folder / "cache"
    assert not (folder / "cache").exists()
    node.install(node.PACKAGES, folder)
    assert len(commands) == 1, "it is not installed again"
