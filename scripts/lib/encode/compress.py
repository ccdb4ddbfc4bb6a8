"""Compress a splat into the files that ship, and tell what each of them is."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from scripts.lib.contracts.compress import Compress
from scripts.lib.core.console import say
from scripts.lib.encode import formats, search
from scripts.lib.encode.codecs import decode
from scripts.lib.splat.gaussians import Gaussians


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
    began = time.monotonic()
    gaussians = formats.checked(decode(ply), ply)
    source_degree = gaussians.sh_degree
    gaussians = formats.with_degree(gaussians, options.sh_degree)
    say(f"{ply}: {len(gaussians):,} Gaussians, SH degree {gaussians.sh_degree}")
    made = Compress(
        gaussians=len(gaussians),
        sh_degree=gaussians.sh_degree,
        source_sh_degree=source_degree,
        source_bytes=ply.stat().st_size if ply.is_file() else None,
        formats={},
        seconds=0.0,
    )
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
    return replace(made, formats=written, seconds=time.monotonic() - began)


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
