"""A digest changes with content and only with content."""

from __future__ import annotations

import ast
import os
from pathlib import Path

from scripts.lib.core.digest import _imported_names, code_digest, code_files, source_digest
from tests.conftest import ROOT


def project(root: Path) -> Path:
    files = {
        "scripts/__init__.py": "",
        "scripts/lib/__init__.py": "",
        "scripts/lib/a.py": "from scripts.lib import b\n",
        "scripts/lib/b.py": "X = 1\n",
        "scripts/lib/other.py": "Y = 1\n",
        "scripts/job.py": "def f():\n    from scripts.lib.a import thing\n",
        "scripts/viewer/page.js": "1;\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_code_follows_imports(tmp_path: Path) -> None:
    root = project(tmp_path)
    names = {path.relative_to(root).as_posix() for path in code_files(root, "job")}
    assert names >= {"scripts/job.py", "scripts/lib/a.py", "scripts/lib/b.py"}
    assert "scripts/lib/other.py" not in names


def parsed_names(source: bytes) -> set[str]:
    """What Python itself takes for imports from scripts/."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return {name for name in names if name.startswith("scripts.")}


def test_imports_are_those_that_python_finds() -> None:
    """In every way to write them that the formatter leaves, and in every file of the project."""
    written = (
        b"import os\nimport scripts.lib.a\nimport scripts.lib.b as c\nfrom scripts import job\n"
        b"from scripts.lib import d as e, f  # noqa: E402\n"
        b"from scripts.lib.g import (\n    H,  # a comment (with brackets), commas\n    i as j,\n)\n"
        b"if True:\n    from scripts.lib.k import L\nfrom other import scripts\nx = 1  # import scripts.no\n"
    )
    assert set(_imported_names(written)) == parsed_names(written)
    for path in sorted(ROOT.glob("scripts/**/*.py")):
        source = path.read_bytes()
        assert set(_imported_names(source)) == parsed_names(source), path


def test_code_digest_sees_content_not_dates(tmp_path: Path) -> None:
    root = project(tmp_path)
    before = code_digest(root, "job", ["scripts/viewer/*"])
    for path in root.rglob("*.py"):
        os.utime(path, (1, 1))
    (root / "scripts/lib/other.py").write_text("Y = 2\n")
    assert code_digest(root, "job", ["scripts/viewer/*"]) == before
    (root / "scripts/lib/b.py").write_text("X = 2\n")
    assert code_digest(root, "job", ["scripts/viewer/*"]) != before


def test_code_digest_sees_other_files(tmp_path: Path) -> None:
    root = project(tmp_path)
    before = code_digest(root, "job", ["scripts/viewer/*"])
    (root / "scripts/viewer/page.js").write_text("2;\n")
    assert code_digest(root, "job", ["scripts/viewer/*"]) != before


def test_cuda_sources_count_with_the_modules_beside_them(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "scripts/lib/kernels").mkdir()
    for name in ("kernels/far.cu", "near.cu", "near.cuh"):
        (root / "scripts/lib" / name).write_text("int x;\n")
    names = {path.name for path in code_files(root, "job")}
    assert {"near.cu", "near.cuh"} <= names and "far.cu" not in names
    before = code_digest(root, "job")
    (root / "scripts/lib/near.cuh").write_text("int y;\n")
    assert code_digest(root, "job") != before


def test_training_starts_anew_with_other_kernels() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in code_files(ROOT, "train_splat")}
    kernels = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "scripts").rglob("*.cu*")
        if path.suffix in (".cu", ".cuh")
    }
    assert kernels and kernels <= found


def test_source_digest(tmp_path: Path) -> None:
    assert source_digest(str(tmp_path / "none")) == "missing"
    (tmp_path / "a.jpg").write_bytes(b"one")
    before = source_digest(str(tmp_path))
    os.utime(tmp_path / "a.jpg", (1, 1))
    assert source_digest(str(tmp_path)) == before
    (tmp_path / "a.jpg").write_bytes(b"two")
    assert source_digest(str(tmp_path)) != before
    assert source_digest(str(tmp_path / "a.jpg")) != before
