"""A splat in pieces that are read one at a time, so that no more of it is in memory than is looked at.

Pieces are neighbours in space: medians along the longer side cut the splat until a part is small enough. What
is told of each Gaussian (a weight, a mask) lies in the order of the pieces, piece after piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scripts.lib.core.files import scratch_folder
from scripts.lib.splat.gaussians import Array, Gaussians, open_ply, read_ply, write_ply_parts
from scripts.lib.splat.rows import RowFile, row_file

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float64]
# Where pieces lie: the number of one, or both sides of a cut.
Tree: TypeAlias = "int | tuple[Tree, Tree]"

WHOLE = 2_000_000  # Gaussians up to which a splat is read as a whole: some kB of memory each
PIECE = 96_000  # Gaussians of a piece at most


@dataclass(frozen=True)
class Box:
    """Where the Gaussians of a piece are: corners (3,) of their means, and the longest axis of any,
    one standard deviation in world units."""

    low: Float
    high: Float
    longest: float


@dataclass(frozen=True, eq=False)
class Pieces:
    """A splat of `counts` Gaussians in each piece, which `read` gives by the piece's number."""

    counts: tuple[int, ...]
    read: Callable[[int], Gaussians]
    sh_degree: int
    antialiased: bool
    tree: Tree
    _boxes: dict[int, Box] = field(default_factory=dict)  # as far as they are known

    def __len__(self) -> int:
        return sum(self.counts)

    @property
    def starts(self) -> list[int]:
        """The number of each piece's first Gaussian, and of all Gaussians at the end."""
        return [0, *np.cumsum(self.counts).tolist()]

    def __iter__(self) -> Iterator[tuple[slice, Gaussians]]:
        """Every piece, and which numbers its Gaussians have."""
        starts = self.starts
        for number in range(len(self.counts)):
            yield slice(starts[number], starts[number + 1]), self.read(number)

    def box(self, number: int) -> Box:
        """Where a piece's Gaussians are; reads it if need be."""
        if number not in self._boxes:
            self._boxes[number] = box_of(self.read(number))
        return self._boxes[number]

    def take(self, kept: Mask) -> Pieces:
        """Those of the Gaussians that a mask (N,) keeps; their pieces stay where they are."""
        starts = self.starts
        parts = [kept[a:b] for a, b in zip(starts, starts[1:], strict=False)]
        # Boxes of what is kept are no larger than those of all.
        return replace(
            self,
            counts=tuple(int(part.sum()) for part in parts),
            read=lambda number: self.read(number).take(parts[number]),
            _boxes=dict(self._boxes),
        )

    def changed(self, change: Callable[[Gaussians], Gaussians], sh_degree: int) -> Pieces:
        """The same with `change` made to each piece when it is read; no Gaussian comes, goes or grows."""
        return replace(
            self,
            read=lambda number: change(self.read(number)),
            sh_degree=sh_degree,
            _boxes=dict(self._boxes),
        )


Splat = Gaussians | Pieces


def box_of(gaussians: Gaussians) -> Box:
    """Where some Gaussians are; of none a box that nothing meets."""
    if not len(gaussians):
        return Box(np.full(3, np.inf), np.full(3, -np.inf), 0.0)
    means = gaussians.means.astype(np.float64)
    return Box(means.min(0), means.max(0), float(np.exp(gaussians.scales.max())))


def parts_of(splat: Splat) -> Iterator[tuple[slice, Gaussians]]:
    """The parts of a splat that is there as a whole (one) or in pieces, with their numbers."""
    if isinstance(splat, Pieces):
        yield from splat
    else:
        yield slice(0, len(splat)), splat


def whole(gaussians: Gaussians) -> Pieces:
    """Gaussians in memory as one piece."""
    count = (len(gaussians),)
    return Pieces(count, lambda _: gaussians, gaussians.sh_degree, gaussians.antialiased, 0)


def halves(means: Array, rows: Rows) -> tuple[Rows, Rows]:
    """`rows` of means (N, 3) on both sides of their median along their longest side."""
    axis = int(np.ptp(means[rows], axis=0).argmax())
    order = rows[np.argsort(means[rows, axis], kind="stable")]
    half = len(order) // 2
    return order[:half], order[half:]


def cut(means: Array, most: int) -> tuple[Tree, npt.NDArray[np.int32]]:
    """Pieces of at most `most` of the Gaussians at means (N, 3): their tree, and each one's piece (N,)."""
    piece_of = np.zeros(len(means), np.int32)
    count = 0

    def part(rows: Rows) -> Tree:
        nonlocal count
        if len(rows) <= most:
            piece_of[rows] = count
            count += 1
            return count - 1
        one, other = halves(means, rows)
        return part(one), part(other)

    return part(np.arange(len(means))), piece_of


@dataclass(frozen=True)
class InPly:
    """A splat as it lies in a PLY: Gaussians in memory, or Pieces, and how to write some of them again.

    `rows` (N,): the row of the PLY behind each Gaussian of Pieces, None where they are in its order.
    """

    splat: Splat
    path: Path
    source: RowFile | None = None
    rows: npt.NDArray[np.int32] | None = None

    def write(self, path: Path, kept: Mask, comments: tuple[str, ...] = ()) -> None:
        """Write those that `kept` (N,) names to the PLY `path`, atomically, in the order of the source."""
        if self.source is None or self.rows is None:
            assert isinstance(self.splat, Gaussians)
            some = self.splat.take(kept)
            write_ply_parts(path, [some], len(some), some.sh_degree, some.antialiased, comments)
            return
        of_row = np.zeros(len(kept), bool)
        of_row[self.rows] = kept
        write_ply_parts(
            path,
            self.source.chosen(of_row),
            int(kept.sum()),
            self.splat.sh_degree,
            self.source.antialiased,
            comments,
        )


@contextmanager
def opened(path: Path, beside: Path) -> Iterator[InPly]:
    """The splat of a PLY as a whole, or, of more than WHOLE Gaussians, in pieces.

    Pieces lie in a folder beside the file `beside` while the block lasts, and need as much of the disk as the
    PLY. Raises UserError when the PLY is missing, damaged, no splat, or holds means that are not finite.
    """
    source = None if is_small(path) else row_file(path)
    if source is None:
        yield InPly(read_ply(path), path)
        return
    tree, piece_of = cut(source.means(), PIECE)
    counts = np.bincount(piece_of)
    rows = np.argsort(piece_of, kind="stable").astype(np.int32)
    with scratch_folder(beside.parent, f"{beside.name}.pieces") as folder:
        source.scattered(piece_of, folder)
        del piece_of
        pieces = Pieces(
            tuple(counts.tolist()),
            lambda number: source.group(folder, number),
            source.sh_degree,
            source.antialiased,
            tree,
        )
        yield InPly(pieces, path, source, rows)


def is_small(path: Path) -> bool:
    """Whether the splat of a PLY is read as a whole."""
    rows, _ = open_ply(path)
    return len(rows) <= WHOLE or not isinstance(rows, np.memmap)


def joined(some: Sequence[Gaussians]) -> Gaussians:
    """Several sets of Gaussians of one degree as one."""
    arrays = {name: np.concatenate([each.arrays[name] for each in some]) for name in some[0].arrays}
    return Gaussians(**arrays, antialiased=some[0].antialiased)


def in_memory(splat: Splat) -> Gaussians:
    """The whole splat in memory."""
    if isinstance(splat, Gaussians):
        return splat
    return joined([part for _, part in splat])
