"""Write a splat in the formats that ship, each read back and held against the source before it counts."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.lib.contracts import compress as told
from scripts.lib.contracts.compress import Levels
from scripts.lib.core.console import UserError, say
from scripts.lib.core.files import add_to_zip, replacing, writing_zip
from scripts.lib.core.options import Options, option
from scripts.lib.encode import codecs, lod
from scripts.lib.encode.codecs import compare, compressed_ply, sog, sog_palette, spz
from scripts.lib.encode.codecs.encoded import Encoded
from scripts.lib.splat.gaussians import SH_COEFFICIENTS, Gaussians
from scripts.lib.splat.pieces import Splat


@dataclass(frozen=True)
class CompressOptions(Options):
    """The files for the web, each as small as its limit on the loss allows."""

    sh_degree: int = option(3, "Maximum degree of the spherical harmonics in the files.", 0, 3)
    palette: int = option(
        0,
        "Palette size for the spherical harmonics of a SOG; 0: the next power of two below the Gaussians.",
        0,
        65_536,
    )
    seed: int = option(0, "Seed of the random numbers.", 0, 2**31 - 1, shared=True)
    spz_version: int = option(3, "Version of the SPZ file; 2 is for older readers.", 2, 3)
    desktop_loss_db: float = option(
        0.3,
        """Maximum loss of PSNR of the page's file on the validation photos and on some training photos. Of
        the files within this limit (fewer Gaussians, fewer bands, rounding), the smallest is taken.""",
        0,
        100,
        unit="dB",
    )
    mobile_loss_db: float = option(
        0.6, "The same for the file that phones load.", 0, 100, unit="dB"
    )
    mobile_max_mb: float = option(
        0.0,
        """Maximum size of the file for phones, even if it then loses more than mobile_loss_db;
        check_codecs.max_mobile_loss_db still applies. 0: no limit. If the streamed form is larger than
        this, phones load that file instead.""",
        0,
        10_000,
        unit="million bytes",
    )
    stream_min_gaussians: int = option(
        300_000,
        """From this number of Gaussians on, site.zip also contains the splat in levels of detail, which the
        page streams; 0: never. Of more than 2 million Gaussians, the whole is only in the streamed form, and
        the limit on the loss holds for that: the page's file and that for phones are then overviews, with
        neighbours merged, for where nothing can be streamed.""",
        0,
        100_000_000,
    )


@dataclass(frozen=True)
class Encoding:
    """How files are written: what the options say, and what a search for lighter or better files changes."""

    palette: int  # entries of a SOG's palette of harmonics; 0: the power of two below the count
    seed: int  # of that palette
    spz_version: int
    stream_min_gaussians: int  # Gaussians from which there are levels of detail; 0: never
    # Bits of SPZ's harmonics of degree 1, and above it: those of the format's reference encoder.
    sh_bits: tuple[int, int] = (5, 4)

    @classmethod
    def of(cls, options: CompressOptions) -> Encoding:
        """What the options say."""
        return cls(options.palette, options.seed, options.spz_version, options.stream_min_gaussians)


@dataclass(frozen=True)
class Files:
    """Files to write, as compress_splat names them; None: not that one."""

    sog: Path | None = None  # for the page
    mobile: Path | None = None  # a SOG for phones
    spz: Path | None = None
    compressed_ply: Path | None = None
    lod: Path | None = None  # levels of detail for streaming


def checked(gaussians: Gaussians, path: Path) -> Gaussians:
    """The Gaussians, if they can be encoded. Raises UserError on none at all or non-finite values."""
    if len(gaussians) == 0:
        raise UserError(f"{path} holds no Gaussians; train the scene again")
    for name, values in gaussians.arrays.items():
        bad = ~np.isfinite(values.reshape(len(gaussians), -1)).all(axis=1)
        if bad.any():
            raise UserError(
                f"{path} has {int(bad.sum())} of {len(gaussians)} Gaussians whose {name} are"
                " not finite numbers; remove them or train the scene again"
            )
    return gaussians


def with_degree(gaussians: Gaussians, degree: int) -> Gaussians:
    """The Gaussians with no more than `degree` bands of spherical harmonics."""
    if gaussians.sh_degree <= degree:
        return gaussians
    kept = np.ascontiguousarray(gaussians.shN[:, : SH_COEFFICIENTS[degree]])
    return dataclasses.replace(gaussians, shN=kept)


def sog_options(encoding: Encoding, rounding: int = 0) -> sog.SogOptions:
    """What the SOG encoder needs to know."""
    return sog.SogOptions(
        rounding=rounding,
        palette=encoding.palette,
        seed=encoding.seed,
    )


def write_lod(path: Path, splat: Splat, encoding: Encoding, rounding: int = 0) -> Levels:
    """The streamed form as a stored zip, empty for a scene too small to need one; returns its size."""
    wanted = encoding.stream_min_gaussians and len(splat) >= encoding.stream_min_gaussians
    count = 0
    with writing_zip(path) as archive:
        for name, data in lod.files(splat, sog_options(encoding, rounding)) if wanted else ():
            add_to_zip(archive, name, data)
            count += 1
    return Levels(files=count, bytes=path.stat().st_size)


def encoder(name: str, encoding: Encoding, rounding: int = 0) -> Callable[[Gaussians], Encoded]:
    """The function that encodes format `name` so; `rounding` is a SOG's."""
    if name == "sog":
        return lambda gaussians: sog.encode(gaussians, sog_options(encoding, rounding))
    if name == "spz":
        return lambda gaussians: spz.encode(
            gaussians,
            version=encoding.spz_version,
            sh1_bits=encoding.sh_bits[0],
            sh_rest_bits=encoding.sh_bits[1],
        )
    return compressed_ply.encode


def with_effort(encoding: Encoding, effort: float, count: int) -> Encoding:
    """The encoding for a SOG of `count` Gaussians with `effort` times the palette.

    More passes of k-means are no use: twice and four times as many gained 0.2 % of the palette's error.
    """
    if effort == 1:
        return encoding
    palette = encoding.palette or sog_palette.automatic_size(count)
    return dataclasses.replace(
        encoding, palette=min(sog_palette.MOST_ENTRIES, max(1, round(effort * palette)))
    )


def richer_efforts(encoding: Encoding, efforts: Sequence[float], count: int) -> tuple[float, ...]:
    """Those of the ascending `efforts` above 1 with which the palette of `count` Gaussians still grows."""
    largest, found = with_effort(encoding, 1 + 1e-9, count).palette, []
    for effort in efforts:
        palette = min(count, with_effort(encoding, effort, count).palette)
        if palette > largest:
            largest = palette
            found.append(effort)
    return tuple(found)


def clip(name: str, gaussians: Gaussians) -> Gaussians:
    """The Gaussians moved into the ranges that format `name` can hold."""
    if name == "spz":
        return spz.clipped(gaussians)[0]
    if name == "compressed_ply":
        return compressed_ply.clipped(gaussians)[0]
    return gaussians


def write(
    name: str, path: Path, gaussians: Gaussians, encoding: Encoding, rounding: int = 0
) -> told.Encoded:
    """Encode to `path`, decode that file, compare, and only then let it take its name.

    Returns bytes, seconds, errors against the source and counts of clipped values.
    Raises RuntimeError when the decoded file is further off than its format allows.
    """
    began = time.monotonic()
    encoded = encoder(name, encoding, rounding)(gaussians)
    seconds = time.monotonic() - began
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.data)
        decoded = codecs.decode(temporary)
        try:
            found = compare.check(
                clip(name, gaussians).take(encoded.order), decoded, encoded.limits
            )
        except ValueError as error:
            raise RuntimeError(f"{path} did not survive its own decoder: {error}") from None
    say(f"{path.name}: {len(encoded.data):,} bytes in {seconds:.1f} s, read back and checked")
    return told.Encoded(
        bytes=len(encoded.data),
        bytes_per_gaussian=len(encoded.data) / len(gaussians),
        seconds=seconds,
        errors=found,
        clipped=encoded.clipped,
    )
