"""The API's code for Lambda: pip really fetches its packages, and the zip is the same each time."""

from __future__ import annotations

import ast
import re
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.core.files import sha256
from scripts.tools import deploy_aws
from scripts.tools.deploy_aws import api_files, install_packages, write_zip
from scripts.tools.locks import versions
from tests.conftest import ROOT

LAMBDAS_OWN = {"boto3", "botocore"}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    install_packages(folder)
    return folder


def imported(path: Path) -> set[str]:
    """Top names of all that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").split(".")[0])
    return names


def test_pip_fetches_what_the_function_imports(packages: Path) -> None:
    there = {path.name.removesuffix(".py") for path in packages.iterdir()}
    wanted = {name for path in api_files() if path.suffix == ".py" for name in imported(path)}
    outside = wanted - set(sys.stdlib_module_names) - LAMBDAS_OWN - {"scripts"}
    assert {"jsonschema", "yaml"} <= outside <= there
    # For Lambda's Python, not for this one.
    (compiled,) = packages.glob("rpds/*.so")
    assert "cpython-313-x86_64-linux" in compiled.name


def test_the_versions_are_those_of_the_lock(packages: Path) -> None:
    locked = versions(ROOT / "envs" / "cloud.txt")
    for name in ("jsonschema", "pyyaml"):
        assert list(packages.glob(f"{name}-{locked[name]}.dist-info")), name


def test_a_package_that_is_not_the_locks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that comes along with what is named: attrs comes with jsonschema."""
    lock = (ROOT / "envs" / "cloud.txt").read_text()
    monkeypatch.setattr(deploy_aws, "ROOT", tmp_path)
    (tmp_path / "envs").mkdir()
    wrong = re.sub(
        r"(?m)^(attrs==.*(?:\n +--hash=.*)*)",
        lambda found: re.sub(r"sha256:\w+", f"sha256:{'0' * 64}", found[1]),
        lock,
    )
    assert wrong != lock
    (tmp_path / "envs" / "cloud.txt").write_text(wrong)
    with pytest.raises(UserError, match="pip could not fetch jsonschema, PyYAML for the API"):
        install_packages(tmp_path / "packages")


def test_the_same_code_is_the_same_zip(packages: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    install_packages(again)
    for name, folder in (("one", packages), ("two", again)):
        write_zip(tmp_path / f"{name}.zip", api_files(), folder)
    assert sha256(tmp_path / "one.zip") == sha256(tmp_path / "two.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert "scripts/lib/cloud/handlers.py" in archive.namelist()
