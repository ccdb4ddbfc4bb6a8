"""What "changed" means for a rule: the content of its code and of its photos, never a file's date."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from scripts.lib.core.source_files import list_folder

HEAD_BYTES = 65536  # enough to tell two photos of one size apart without reading gigabytes


# Statements that import from scripts/, as the formatter writes them. To parse all files of the project would
# take a second of every start; a test holds this to what the parser finds.
IMPORT = re.compile(
    rb"^[ \t]*(?:import (scripts[\w.]+)|from (scripts[\w.]*) import (?:\(([^)]*)\)|([^\n]*)))", re.M
)
COMMENT = re.compile(rb"#[^\n]*")
NAME = re.compile(rb"(\w+)(?:\s+as\s+\w+)?")


@functools.cache
def _imported_names(source: bytes) -> tuple[str, ...]:
    """Names that a module may import from scripts/, at any depth of its functions.

    Kept by content, because seventeen rules ask about the same files.
    """
    names: list[str] = []
    for whole, module, several, one_line in IMPORT.findall(COMMENT.sub(b"", source)):
        start = (whole or module).decode()
        imported = NAME.findall(several or one_line)
        names += [start, *(f"{start}.{name.decode()}" for name in imported)]
    return tuple(name for name in names if name != "scripts")


def _imported(path: Path, root: Path) -> set[Path]:
    """Files under scripts/ that `path` imports by name."""
    found: set[Path] = set()
    for name in _imported_names(path.read_bytes()):
        base = root.joinpath(*name.split("."))
        candidates = [base.with_suffix(".py"), base / "__init__.py"]
        found.update(candidate for candidate in candidates if candidate.is_file())
    return found


def code_files(root: Path, script: str) -> list[Path]:
    """The script and every file of this project that it imports, directly or not, sorted.

    CUDA sources (.cu, .cuh) count with the modules that they lie beside.
    """
    waiting, seen = [root / "scripts" / f"{script}.py"], set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in seen and path.is_file():
            seen.add(path)
            waiting.extend(_imported(path, root))
    for folder in {path.parent for path in seen}:
        seen.update(folder.glob("*.cu"), folder.glob("*.cuh"))
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

    Files that the import does not look at do not count. A missing source hashes to "missing".
    """
    path = Path(source)
    if not path.exists():
        return "missing"
    files = list_folder(path).files if path.is_dir() else {"": path}
    digest = hashlib.sha256()
    for name, file in files.items():
        try:
            size = file.stat().st_size
            with file.open("rb") as handle:
                head = handle.read(HEAD_BYTES)
        except OSError:  # the import says which file cannot be read
            size, head = -1, b""
        digest.update(os.fsencode(name) + f"\0{size}\0".encode() + head)
    return digest.hexdigest()[:12]


# Kept for one run, whose own files may come among the photos: they are no change of these.
source_at_start = functools.cache(source_digest)
