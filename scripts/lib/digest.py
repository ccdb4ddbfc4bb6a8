"""What "changed" means for a rule: the content of its code and of its photos, never a file's date."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

HEAD_BYTES = 65536  # enough to tell two photos of one size apart without reading gigabytes


def _imported(path: Path, root: Path) -> set[Path]:
    """Files under scripts/ that `path` imports by name, at any depth of its functions."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if not name.startswith("scripts."):
                continue
            base = root.joinpath(*name.split("."))
            candidates = [base.with_suffix(".py"), base / "__init__.py"]
            found.update(candidate for candidate in candidates if candidate.is_file())
    return found


def code_files(root: Path, script: str) -> list[Path]:
    """The script and every file of this project that it imports, directly or not, sorted."""
    waiting, seen = [root / "scripts" / f"{script}.py"], set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in seen and path.is_file():
            seen.add(path)
            waiting.extend(_imported(path, root))
    return sorted(seen)


def code_digest(root: Path, script: str, globs: Iterable[str] = ()) -> str:
    """Short hash over the content of a script, all project code it imports, and files by pattern.

    Independent of dates and of where the checkout lies.
    """
    files = code_files(root, script)
    for pattern in globs:
        files += sorted(path for path in root.glob(pattern) if path.is_file())
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def source_digest(source: str) -> str:
    """Short hash of a folder of photos or one archive: names, sizes and the first 64 kB of each file.

    A missing source hashes to "missing": import_photos says what is wrong with it.
    """
    path = Path(source)
    if not path.exists():
        return "missing"
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest = hashlib.sha256()
    for file in files:
        name = file.relative_to(path).as_posix() if file != path else ""
        digest.update(f"{name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as handle:
            digest.update(handle.read(HEAD_BYTES))
    return digest.hexdigest()[:12]
