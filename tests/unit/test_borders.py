"""Who may import what: the borders of README and design that keep every part replaceable."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Two ways to AWS: files of a run (checkpoints, records, publishing), and the job API.
SPEAKS_TO_AWS = {"places.py", "jobs/aws.py", "jobs/checks.py"}
LIB = ROOT / "scripts" / "lib"


def imports(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", sorted(LIB.rglob("*.py")), ids=lambda p: str(p.relative_to(LIB)))
def test_only_two_subjects_speak_to_aws(path: Path) -> None:
    found = imports(path)
    assert "snakemake" not in found
    if found & {"boto3", "botocore"}:
        assert path.relative_to(LIB).as_posix() in SPEAKS_TO_AWS


def test_pycolmap_is_loaded_by_one_package() -> None:
    """Its import order matters, see scripts/lib/sfm/__init__.py."""
    outside = [path for path in (ROOT / "scripts").rglob("*.py") if path.parent.name != "sfm"]
    assert not [path for path in outside if "pycolmap" in imports(path)]


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").glob("*.py")), ids=lambda p: p.name)
def test_programs_use_the_library_alone(path: Path) -> None:
    """And never each other, nor AWS by themselves."""
    assert not imports(path) & {"snakemake", "boto3", "botocore"}
