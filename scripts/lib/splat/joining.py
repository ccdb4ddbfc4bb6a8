"""Splat PLY files put together into one. None is held in memory, however many Gaussians it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from plyfile import PlyData, PlyElement, PlyParseError

from scripts.lib.core.console import UserError
from scripts.lib.core.files import replacing
from scripts.lib.splat.gaussians import is_antialiased, render_mode

ROWS = 1 << 18  # Gaussians read at once: 64 MB of degree 3
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """A PLY, and which of its Gaussians are wanted: a function of means (N, 3) in world units."""

    path: Path
    wanted: Callable[[npt.NDArray[np.float64]], Mask]


def join_plys(path: Path, parts: Sequence[Part], comments: tuple[str, ...] = ()) -> list[int]:
    """Write the wanted Gaussians of all parts into one PLY, atomically; how many come from each.

    `comments` become header lines. Raises UserError when a part is missing, damaged, or holds other
    properties than the first.
    """
    opened = [_opened(part.path) for part in parts]
    first = opened[0]["vertex"]
    for part, ply in zip(parts, opened, strict=True):
        same = ply["vertex"].data.dtype == first.data.dtype
        if not same or is_antialiased(ply.comments) != is_antialiased(opened[0].comments):
            raise UserError(
                f"{part.path} holds other properties than {parts[0].path}; train its block again"
            )
    counts = [
        sum(len(rows) for rows in _rows(ply, part)) for part, ply in zip(parts, opened, strict=True)
    ]
    element = PlyElement("vertex", first.properties, sum(counts))
    lines = [render_mode(is_antialiased(opened[0].comments)), *comments]
    header = PlyData([element], byte_order="<", comments=lines).header
    with replacing(Path(path)) as temporary, open(temporary, "wb") as handle:
        handle.write(header.encode() + b"\n")
        for part, ply in zip(parts, opened, strict=True):
            for rows in _rows(ply, part):
                handle.write(rows.tobytes())
    return counts


def _opened(path: Path) -> PlyData:
    """A PLY whose rows stay on disk until they are looked at."""
    try:
        ply = PlyData.read(str(path))
        ply["vertex"].data["x"][:1]
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes it first") from None
    except (PlyParseError, KeyError, ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a readable PLY ({error}); train it again") from None
    return ply


def _rows(ply: PlyData, part: Part) -> Iterator[npt.NDArray[np.void]]:
    """The wanted rows, some at a time."""
    table = ply["vertex"].data
    for begin in range(0, len(table), ROWS):
        rows = np.asarray(table[begin : begin + ROWS])
        means = np.stack([rows[axis].astype(np.float64) for axis in "xyz"], axis=1)
        yield rows[part.wanted(means)]
