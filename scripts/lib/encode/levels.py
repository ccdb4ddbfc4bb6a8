"""Levels of detail read back for measuring: what a viewer that loaded all of one would draw."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.lib.core.console import UserError
from scripts.lib.core.faults import is_fault
from scripts.lib.core.files import reading_zip
from scripts.lib.encode.codecs import sog
from scripts.lib.encode.lod import Node, Rows
from scripts.lib.splat import pieces
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.splat.pieces import Pieces, Splat, Tree, in_memory


@dataclass(frozen=True)
class Level:
    """One level of detail as a viewer that loaded all of it would draw it."""

    gaussians: Splat
    bytes: int  # of its SOGs


def read(path: Path) -> list[Level]:
    """The levels of a zip of `files`, finest first; none of a zip that holds nothing.

    A level of very many Gaussians comes in pieces, which stay in the zip until they are read. Gaussians come
    by the tree's tables, as a viewer takes them, so that a wrong table shows. Raises UserError when it is
    damaged or its tables do not fit its parts; what is read later, when it is read.
    """
    with reading_zip(path) as archive:
        if not archive.namelist():
            return []
        with _damage_told(path):
            meta = json.loads(archive.read("lod-meta.json"))
            tables: list[dict[int, list[Rows]]] = [{} for _ in range(meta["lodLevels"])]
            for leaf in _leaves_of(meta["tree"]):
                for level, entry in leaf["lods"].items():
                    rows = np.arange(entry["offset"], entry["offset"] + entry["count"])
                    tables[int(level)].setdefault(entry["file"], []).append(rows)
            if [sum(map(len, sum(table.values(), []))) for table in tables] != meta["counts"]:
                raise ValueError("its tables name other numbers of Gaussians than it says")
            sizes = [
                sum(
                    part.file_size
                    for part in archive.infolist()
                    if _level_of(part.filename) == level
                )
                for level in range(len(tables))
            ]
    levels = [_level(path, meta["filenames"], table) for table in tables]
    some = [level if len(level) > pieces.WHOLE else in_memory(level) for level in levels]
    return [Level(*pair) for pair in zip(some, sizes, strict=True)]


def _level(path: Path, names: list[str], table: dict[int, list[Rows]]) -> Pieces:
    """A level of the zip `path`: a piece for each SOG, whose rows `table` tells."""
    files = list(table)

    def read(number: int) -> Gaussians:
        with reading_zip(path) as archive, _damage_told(path):
            folder = names[files[number]].removesuffix("meta.json")
            part = sog.from_members(path, _reader(archive, folder))
            return part.take(np.concatenate(table[files[number]]))

    first = read(0)
    counts = tuple(sum(map(len, rows)) for rows in table.values())
    tree: Tree = 0
    for number in range(1, len(files)):
        tree = (tree, number)
    return Pieces(counts, read, first.sh_degree, first.antialiased, tree)


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Raises UserError, which names the zip, where the block finds it damaged."""
    try:
        yield
    except UserError:
        raise
    except sog.DAMAGE as error:
        if is_fault(error):
            raise
        raise UserError(
            f"{path} holds damaged levels of detail ({error}); run compress_splat again"
        ) from None


def _level_of(name: str) -> int | None:
    """The level that a member `LEVEL_PART/FILE` belongs to; None of what belongs to all."""
    level = name.partition("_")[0]
    return int(level) if level.isdigit() else None


def _reader(archive: zipfile.ZipFile, folder: str) -> Callable[[str], bytes]:
    """Reads members of one folder of the archive by their names in it."""
    return lambda name: archive.read(folder + name)


def _leaves_of(node: Node) -> Iterator[Node]:
    """Leaves of lod-meta.json's tree."""
    if "children" not in node:
        yield node
        return
    for child in node["children"]:
        yield from _leaves_of(child)
