"""A 3TZ archive: a zip of stored members whose last one is an index, so that readers find a tile at once.

https://github.com/Maxar-Public/3d-tiles/tree/3tz/specification: `@3dtilesIndex1@` holds, for each member, the
MD5 hash of its name and where its local header begins (64 bits), in the order of the hashes as two
little-endian numbers. `tileset.json` is the entry point.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.lib.core.files import add_to_zip, writing_zip

INDEX = "@3dtilesIndex1@"


@contextmanager
def writing_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Yield a zip to add members to; it gets its index, and its name, when the block ends well."""
    with writing_zip(path) as archive:
        yield archive
        add_to_zip(archive, INDEX, index_of(archive))


def index_of(archive: zipfile.ZipFile) -> bytes:
    """The index of the members so far."""
    entries = [
        (struct.unpack("<QQ", hashlib.md5(info.filename.encode()).digest()), info.header_offset)
        for info in archive.infolist()
    ]
    return b"".join(struct.pack("<QQQ", *digest, offset) for digest, offset in sorted(entries))
