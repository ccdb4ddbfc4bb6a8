"""Photos and masks from their zip to a temporary folder, because COLMAP reads files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.lib.core.console import UserError
from scripts.lib.core.files import reading_zip, scratch_folder

MASKS = "masks"


@contextmanager
def unpacked(archive: Path, beside: Path, names: Iterable[str]) -> Iterator[Path]:
    """Yield a temporary folder beside `beside` that holds the named photos of `archive`.

    Masks, where there are any, lie under masks/NAME.png in it, as COLMAP wants them. Raises
    UserError when a photo is not in the archive, or its name is no plain file name.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    with (
        reading_zip(archive) as photos,
        scratch_folder(beside.parent, "sfm") as folder,
    ):
        present = set(photos.namelist())
        masks = folder / MASKS
        for name in names:
            if name not in present:
                raise UserError(f"{archive} lacks {name}; run import_photos again")
            if "/" in name or "\\" in name:
                raise UserError(f"{archive} was not made by import_photos: it holds {name!r}")
            (folder / name).write_bytes(photos.read(name))
            mask = f"{MASKS}/{name}.png"
            if mask in present:
                masks.mkdir(exist_ok=True)
                (masks / f"{name}.png").write_bytes(photos.read(mask))
        yield folder
