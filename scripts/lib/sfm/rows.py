"""Rows of COLMAP's databases, copied from one to another without being read into memory.

COLMAP brings a SQLite of its own, and Python another one. Each forgets the other's locks, so nothing here may
run while COLMAP has one of the databases open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pycolmap

from scripts.lib.core.console import UserError

OF_PHOTOS, OF_PAIRS = ("keypoints", "descriptors"), ("matches", "two_view_geometries")


def new_database(path: Path) -> None:
    """Make an empty database of COLMAP's."""
    pycolmap.Database.open(path).close()


def copy_photos(source: Path, target: Path) -> None:
    """Add cameras, rigs, frames and images, with their numbers, and neither features nor pairs."""
    with closing(sqlite3.connect(source)) as link:
        found = link.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
        names = [name for (name,) in found if not name.startswith("sqlite_")]
    copy_rows(source, target, [name for name in names if name not in (*OF_PHOTOS, *OF_PAIRS)])


def copy_rows(
    source: Path, target: Path, tables: Sequence[str], images: Sequence[int] | None = None
) -> None:
    """Add all rows of these tables, or those of the images with these numbers.

    Raises UserError when `source` is no such database.
    """
    if not source.is_file():  # SQLite would make an empty one
        raise UserError(f"{source} does not exist; run its stage first")
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as link:
            _copy(link, source, tables, images)
    except sqlite3.DatabaseError as error:
        if "full" in str(error):  # of the disk
            raise
        raise UserError(
            f"{source} is no database as this version makes it ({error}); delete it and run its stage again"
        ) from None


def _copy(
    link: sqlite3.Connection, source: Path, tables: Sequence[str], images: Sequence[int] | None
) -> None:
    """In one transaction."""
    link.execute("PRAGMA foreign_keys = OFF")  # a table may come before the one it refers to
    link.execute("ATTACH DATABASE ? AS source", (str(source),))
    link.execute("BEGIN")
    for table in tables:
        rows = f"INSERT INTO main.{table} SELECT * FROM source.{table}"
        if images is None:
            link.execute(f"{rows} ORDER BY rowid")
        else:
            link.executemany(f"{rows} WHERE image_id = ?", ((number,) for number in images))
    link.execute("COMMIT")
