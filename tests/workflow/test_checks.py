"""The code checks that CI and a developer run: one test each, so a failure names its tool."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = {
    "ruff": ["ruff", "check", "."],
    "ruff-format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "snakefmt": ["snakefmt", "--check", "--compact-diff", "-l", "110", "Snakefile", "rules"],
    "snakemake-lint": ["snakemake", "--lint"],
    "images": ["scripts.tools.images", "--check"],
}


@pytest.mark.parametrize("tool", CHECKS)
def test_check(tool: str, root: Path) -> None:
    command = [sys.executable, "-m", *CHECKS[tool]]
    result = subprocess.run(
        command, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert result.returncode == 0, result.stdout
