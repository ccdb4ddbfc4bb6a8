"""Splat files of every format the pipeline ships or accepts: read by suffix, written by format.

numpy, scipy-free and torch-free: it runs in the smallest image.
"""

from __future__ import annotations

from pathlib import Path

from scripts.lib.core.console import UserError
from scripts.lib.encode.codecs import compressed_ply, sog, splat, spz
from scripts.lib.splat.gaussians import Gaussians, read_ply

READS = ".ply, .compressed.ply, .sog (or its folder), .spz, .splat"


def decode(path: Path) -> Gaussians:
    """Read a splat file by its suffix, or a SOG folder.

    Raises UserError when the file is missing, damaged, not a splat, or of a format not read.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist; check the name")
    suffix = path.suffix.lower()
    if path.is_dir() or path.name == "meta.json" or suffix == ".sog":
        return sog.decode(path)
    if suffix == ".ply":
        packed = compressed_ply.is_compressed(path)
        return compressed_ply.decode(path) if packed else read_ply(path)
    if suffix == ".spz":
        return spz.decode(path)
    if suffix == ".splat":
        return splat.decode(path)
    raise UserError(
        f"{path} is not a splat format that is read here ({READS});"
        " convert it first, for example with splat-transform"
    )
