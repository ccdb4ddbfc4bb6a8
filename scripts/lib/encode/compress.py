"""Compress a splat into the files that ship, and tell what each of them is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from scripts.lib.contracts.compress import Compress
from scripts.lib.core.console import say
from scripts.lib.encode import formats, large, search
from scripts.lib.encode.codecs import compressed_ply, decode
from scripts.lib.encode.meter import Meter
from scripts.lib.splat import pieces
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.splat.pieces import Pieces, Splat


def compress_splat(
    ply: Path,
    scene: Path | None,
    files: formats.Files,
    options: formats.CompressOptions,
    device: str = "auto",
    gpus: int = 0,
) -> Compress:
    """Write `files` from the splat in `ply`, any format that is read; return the numbers of compress.json.

    With a `scene` (undistorted.zip) all but the compressed PLY are fitted to limits on the loss, measured on
    `device` as `on_device` takes it, with `gpus` that a scheduler gave. Raises UserError on a splat that
    cannot be encoded.
    """
    beside = next(path for path in vars(files).values() if path is not None)
    with opened(ply, beside) as splat:
        return _compressed(splat, ply, scene, files, options, device, gpus)


@contextmanager
def opened(ply: Path, beside: Path) -> Iterator[Splat]:
    """The splat in a file of any format that is read: in memory, or in pieces if it is a very large PLY.

    Raises UserError when it is damaged.
    """
    plain = ply.suffix.lower() == ".ply" and ply.is_file()
    if plain and not compressed_ply.is_compressed(ply):
        with pieces.opened(ply, beside) as found:
            yield found.splat
    else:
        yield decode(ply)


def _compressed(
    splat: Splat,
    ply: Path,
    scene: Path | None,
    files: formats.Files,
    options: formats.CompressOptions,
    device: str,
    gpus: int,
) -> Compress:
    """`compress_splat` of the splat in `ply`."""
    began = time.monotonic()
    source_degree = splat.sh_degree
    degree = min(source_degree, options.sh_degree)
    if isinstance(splat, Pieces):
        splat = splat.changed(
            lambda part: formats.with_degree(formats.checked(part, ply), degree), degree
        )
    else:
        splat = formats.with_degree(formats.checked(splat, ply), degree)
    say(f"{ply}: {len(splat):,} Gaussians, SH degree {degree}")
    made = Compress(
        gaussians=len(splat),
        sh_degree=degree,
        source_sh_degree=source_degree,
        source_bytes=ply.stat().st_size if ply.is_file() else None,
        formats={},
        seconds=0.0,
    )
    if isinstance(splat, Pieces):
        made = in_pieces(splat, ply, scene, files, options, device, gpus, made)
    else:
        made = whole(splat, ply, scene, files, options, device, gpus, made)
    return replace(made, seconds=time.monotonic() - began)


def in_pieces(
    splat: Pieces,
    ply: Path,
    scene: Path | None,
    files: formats.Files,
    options: formats.CompressOptions,
    device: str,
    gpus: int,
    made: Compress,
) -> Compress:
    """The files of a splat of very many Gaussians; `made` with what they are."""
    if scene is None:
        return large.compress(splat, files, options, made, None)
    from scripts.lib.render.device import on_device

    with on_device(device, gpus) as used:
        meter = Meter(splat, ply, scene, used.type)
        found = large.compress(splat, files, options, made, meter)
    return replace(found, device=used.type, device_reason=used.reason)


def whole(
    gaussians: Gaussians,
    ply: Path,
    scene: Path | None,
    files: formats.Files,
    options: formats.CompressOptions,
    device: str,
    gpus: int,
    made: Compress,
) -> Compress:
    """The files of a splat in memory; `made` with what they are."""
    encoding = formats.Encoding.of(options)
    plain = {"compressed_ply": files.compressed_ply}
    if scene is None:
        plain = {"sog": files.sog, "spz": files.spz} | plain
    else:
        made = fitted(gaussians, ply, scene, files, options, device, gpus, made)
    written = {
        name: formats.write(name, path, gaussians, encoding)
        for name, path in plain.items()
        if path is not None
    }
    if files.lod is not None and scene is None:
        made = replace(made, lod=formats.write_lod(files.lod, gaussians, encoding))
    return replace(made, formats=written)


def fitted(
    gaussians: Gaussians,
    ply: Path,
    scene: Path,
    files: formats.Files,
    options: formats.CompressOptions,
    device: str,
    gpus: int,
    made: Compress,
) -> Compress:
    """`search.targets` on a device, and which it was."""
    from scripts.lib.render.device import on_device

    with on_device(device, gpus) as used:
        found = search.targets(gaussians, ply, scene, options, used.type, files, made)
    return replace(found, device=used.type, device_reason=used.reason)
