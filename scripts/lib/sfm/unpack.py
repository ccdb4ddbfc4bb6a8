"""Photos from their zip to a temporary folder, because COLMAP reads files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.lib.console import UserError
from scripts.lib.files import reading_zip


@contextmanager
def unpacked(archive: Path, beside: Path, names: Iterable[str] | None = None) -> Iterator[Path]:
    """Yield a temporary folder beside `beside` that holds the (named) photos of `archive`.

    Raises UserError when a named photo is not in the archive, or a member is no plain file name.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    with (
        reading_zip(archive) as photos,
        tempfile.TemporaryDirectory(prefix=".sfm.", dir=beside.parent) as folder,
    ):
        present = set(photos.namelist())
        for name in present if names is None else names:
            if name not in present:
                raise UserError(f"{archive} lacks {name}; run import_photos again")
            if "/" in name or "\\" in name:
                raise UserError(f"{archive} was not made by import_photos: it holds {name!r}")
            (Path(folder) / name).write_bytes(photos.read(name))
        yield Path(folder)
