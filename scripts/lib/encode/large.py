"""The files of a splat of very many Gaussians, none of which is made from the whole in memory.

The page streams it in levels of detail. The two SOGs are overviews: neighbours merged until a browser, and a
phone, can hold all of them. They stand in where nothing can be streamed: in the one-file page, and from a
disk. SPZ and compressed PLY hold every Gaussian.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from scripts.lib.contracts import compress as told
from scripts.lib.contracts.compress import Compress, Target
from scripts.lib.core.console import say
from scripts.lib.encode import formats, lod, search
from scripts.lib.encode.codecs import parts
from scripts.lib.encode.meter import Meter
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.splat.pieces import Pieces

# Gaussians of the overviews at most: what the viewer draws on a desktop and on a phone when it saves.
DESKTOP, PHONE = 1_000_000, 300_000
# As `search.STREAM_TRIES`, fewer: each writes the whole once.
TRIES = ((1 / 4, 1), (1.0, 0), (4.0, 0))
PHONE_BYTES = 14.0  # of a Gaussian without harmonics in a SOG, to guess how many a budget holds
FITS = 0.95  # of a budget that was missed: what to aim for next
GUESSES = 4
SH_BITS = (8, 8)  # of an SPZ whose loss with the usual ones is too large


def compress(
    splat: Pieces,
    files: formats.Files,
    options: formats.CompressOptions,
    made: Compress,
    meter: Meter | None,
) -> Compress:
    """Write `files`; `made` with what was written and, with a meter, lost."""
    encoding = formats.Encoding.of(options)
    targets: dict[str, Target | None] = {}
    written: dict[str, told.Encoded] = {}
    if files.lod is not None:
        if meter is None:
            made = replace(made, lod=formats.write_lod(files.lod, splat, encoding))
        else:
            limit, free = options.desktop_loss_db, [0.0] * 3
            targets["stream"] = search.streamed(
                splat, files.lod, encoding, limit, meter.loss, free, TRIES
            )
            _say("stream", targets["stream"])
    most = round(1e6 * options.mobile_max_mb)
    for name, path, count, limit, budget in (
        ("desktop", files.sog, DESKTOP, options.desktop_loss_db, 0),
        ("mobile", files.mobile, PHONE, options.mobile_loss_db, most),
    ):
        if path is not None:
            made_of = _overview(name, path, splat, count, encoding, budget)
            if meter is None:
                written[name.replace("desktop", "sog")] = made_of[1]
            else:
                targets[name] = _target(*made_of, splat, meter, limit, budget)
                _say(name, targets[name])
    if files.spz is not None:
        if meter is None:
            written["spz"] = _spz(files.spz, splat, encoding, encoding.sh_bits)
        else:
            targets["archive"] = search.first_within(
                _archive(files.spz, splat, encoding, bits, meter, options.desktop_loss_db)
                for bits in (
                    (encoding.sh_bits, SH_BITS) if splat.sh_degree else (encoding.sh_bits,)
                )
            )
            _say("archive", targets["archive"])
    if files.compressed_ply is not None:
        began = time.monotonic()
        numbers = parts.write_compressed_ply(files.compressed_ply, splat)
        written["compressed_ply"] = _encoded(numbers, len(splat), time.monotonic() - began)
    if meter is not None:
        chosen = {name: entry for name, entry in targets.items() if entry}
        made = replace(meter.told_to(made), targets=chosen, rate=())
    return replace(made, formats=written)


def _say(name: str, target: Target | None) -> None:
    if target:
        lost = (
            f"{target.gaussians:,} Gaussians, {target.bytes:,} bytes, {target.loss_db:.2f} dB lost"
        )
        over = "" if target.within_limit else f", more than the limit of {target.limit_db} dB"
        say(f"{name}: {lost}{', as an overview' if target.overview else over}")


def _overview(
    name: str, path: Path, splat: Pieces, count: int, encoding: formats.Encoding, budget: int
) -> tuple[Gaussians, told.Encoded]:
    """Write a SOG of at most about `count` Gaussians, and of at most `budget` bytes if that is not 0."""
    harmonics = name == "desktop"
    if budget:
        count = min(count, max(1, round(budget / PHONE_BYTES)))
    for _ in range(GUESSES):
        some = lod.overview(splat, count, harmonics)
        numbers = formats.write("sog", path, some, encoding)
        if not budget or numbers.bytes <= budget:
            break
        count = max(1, round(len(some) * FITS * budget / numbers.bytes))
    return some, numbers


def _target(
    some: Gaussians,
    numbers: told.Encoded,
    splat: Pieces,
    meter: Meter,
    limit_db: float,
    budget: int,
) -> Target:
    """What an overview is and loses."""
    lost = meter.loss(some)
    return Target(
        sh_degree=some.sh_degree,
        keep=len(some) / len(splat),
        gaussians=len(some),
        bytes=numbers.bytes,
        seconds=numbers.seconds,
        loss_db=lost,
        limit_db=limit_db,
        within_limit=lost <= limit_db,
        max_bytes=budget or None,
        within_bytes=numbers.bytes <= budget if budget else None,
        overview=True,
    )


def _spz(
    path: Path, splat: Pieces, encoding: formats.Encoding, bits: tuple[int, int]
) -> told.Encoded:
    began = time.monotonic()
    numbers = parts.write_spz(path, splat, encoding.spz_version, bits)
    return _encoded(numbers, len(splat), time.monotonic() - began)


def _archive(
    path: Path,
    splat: Pieces,
    encoding: formats.Encoding,
    bits: tuple[int, int],
    meter: Meter,
    limit_db: float,
) -> Target:
    """Write the SPZ with so many bits of its harmonics, and measure it."""
    numbers = _spz(path, splat, encoding, bits)
    with parts.opened(path, path) as found:
        lost = meter.loss(found)
    return Target(
        bytes=numbers.bytes,
        gaussians=len(splat),
        sh_degree=splat.sh_degree,
        sh_bits=bits,
        seconds=numbers.seconds,
        loss_db=lost,
        limit_db=limit_db,
        within_limit=lost <= limit_db,
    )


def _encoded(numbers: parts.Told, count: int, seconds: float) -> told.Encoded:
    return told.Encoded(
        bytes=numbers.bytes,
        bytes_per_gaussian=numbers.bytes / count,
        seconds=seconds,
        errors=numbers.errors,
        clipped=numbers.clipped,
    )
