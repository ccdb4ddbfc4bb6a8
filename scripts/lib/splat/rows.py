"""A splat PLY of any size, read a part at a time, and its rows gathered by place in files on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.lib.core.console import UserError
from scripts.lib.splat.gaussians import Array, Gaussians, from_rows, open_ply

CHUNK = 100_000  # rows read at a time: 25 MB with all harmonics


@dataclass(frozen=True)
class RowFile:
    """Where the rows of a splat PLY begin, how many there are, and what one holds."""

    path: Path
    offset: int
    count: int
    dtype: np.dtype[np.void]
    antialiased: bool

    def chunks(self) -> Iterator[npt.NDArray[np.void]]:
        """All rows, in order, a part at a time."""
        with open(self.path, "rb") as handle:
            handle.seek(self.offset)
            left = self.count
            while left:
                rows = np.fromfile(handle, self.dtype, min(CHUNK, left))
                if not len(rows):
                    raise UserError(f"{self.path} ends early; train or export it again")
                left -= len(rows)
                yield rows

    @property
    def sh_degree(self) -> int:
        """Spherical-harmonics degree, 0 to 3."""
        return from_rows(np.zeros(0, self.dtype), self.antialiased).sh_degree

    def chosen(self, kept: npt.NDArray[np.bool_]) -> Iterator[Gaussians]:
        """The Gaussians that a mask (N,) keeps, in order, a part at a time."""
        at = 0
        for rows in self.chunks():
            yield from_rows(rows[kept[at : at + len(rows)]], self.antialiased)
            at += len(rows)

    def means(self) -> Array:
        """The means (N, 3). Raises UserError when one is not finite."""
        parts = [np.stack([rows[key] for key in "xyz"], axis=1) for rows in self.chunks()]
        found = np.concatenate(parts).astype(np.float32)
        if not np.isfinite(found).all():
            raise UserError(f"{self.path} has means that are not finite; train the scene again")
        return found

    def scattered(self, groups: npt.NDArray[np.int32], folder: Path) -> None:
        """Write the rows of each group (N,) to a file of `folder`, in their order; below 0 is no group."""
        at = 0
        for rows in self.chunks():
            here = groups[at : at + len(rows)]
            order = np.argsort(here, kind="stable")
            edges = np.flatnonzero(np.diff(here[order])) + 1
            for part in filter(len, np.split(order, edges)):
                if here[part[0]] < 0:
                    continue
                with open(folder / str(here[part[0]]), "ab") as handle:
                    handle.write(rows[part].tobytes())
            at += len(rows)

    def group(self, folder: Path, number: int) -> Gaussians:
        """The Gaussians of a group that `scattered` wrote."""
        return from_rows(np.fromfile(folder / str(number), self.dtype), self.antialiased)


def row_file(path: Path) -> RowFile:
    """The rows of a splat PLY. Raises UserError when it is none, is empty, or is not binary."""
    rows, antialiased = open_ply(path)
    if not len(rows):
        raise UserError(f"{path} holds no Gaussians; train the scene again")
    if not isinstance(rows, np.memmap):
        raise UserError(f"{path} is not a binary PLY; export it again")
    return RowFile(Path(path), int(rows.offset), len(rows), rows.dtype, antialiased)
