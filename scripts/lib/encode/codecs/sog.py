"""SOG version 2, PlayCanvas's splat for the web: attributes as lossless WebP images in a zip.

Written from the public format description,
https://developer.playcanvas.com/user-manual/gaussian-splatting/formats/sog/ . Pixel i of every
image belongs to Gaussian i, Gaussians lie along a Morton curve, and numbers go through tables of
256 entries (scales, colours) or a palette of up to 64k entries (spherical harmonics).
"""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from scripts.lib.core.console import UserError
from scripts.lib.core.files import add_to_zip
from scripts.lib.core.threads import threads
from scripts.lib.encode.codecs.compare import Limits
from scripts.lib.encode.codecs.encoded import Encoded
from scripts.lib.encode.codecs.sog_attributes import store_attributes
from scripts.lib.encode.codecs.sog_decode import DAMAGE, decode, from_members, is_antialiased
from scripts.lib.encode.codecs.sog_harmonics import store_harmonics
from scripts.lib.encode.codecs.sog_layout import Pixels
from scripts.lib.encode.codecs.sog_rounding import ROUNDINGS
from scripts.lib.encode.codecs.values import morton_order
from scripts.lib.splat.gaussians import Gaussians

__all__ = [
    "DAMAGE",
    "ROUNDINGS",
    "SogOptions",
    "decode",
    "encode",
    "from_members",
    "is_antialiased",
    "members",
    "rounded",
]


@dataclass(frozen=True)
class SogOptions:
    """How to write a SOG. `palette` 0 takes splat-transform's rule; `effort` 0..6 is WebP's;
    `rounding` is the number of one of ROUNDINGS."""

    palette: int = 0
    iterations: int = 10
    seed: int = 0
    effort: int = 4
    rounding: int = 0


def encode(gaussians: Gaussians, options: SogOptions | None = None) -> Encoded:
    """Encode as a zipped SOG; the same input and options give the same bytes.

    Raises UserError when there are no Gaussians.
    """
    if len(gaussians) == 0:
        raise UserError("there are no Gaussians to write as SOG; train the scene again")
    order = morton_order(gaussians.means)
    files, limits = members(gaussians.take(order), options)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        # The description comes first: a viewer that streams can start on it.
        for name, data in files.items():
            add_to_zip(archive, name, data)
    return Encoded(stream.getvalue(), order, limits, {})


def members(
    inside: Gaussians, options: SogOptions | None = None
) -> tuple[dict[str, bytes], Limits]:
    """The files of a SOG, meta.json first, with the Gaussians in the order given, and its limits."""
    options = options or SogOptions()
    files: dict[str, bytes] = {}
    with ThreadPoolExecutor(min(2, threads())) as pool:
        # WebP leaves Python's lock, so images compress while the palette is being built.
        pending = []

        def store(name: str, pixels: Pixels) -> None:
            pending.append((name, pool.submit(to_webp, pixels, options.effort)))

        meta, limits = store_attributes(inside, ROUNDINGS[options.rounding], store)
        if inside.shN.shape[1]:
            meta["shN"], limits["shN"] = store_harmonics(
                inside, options.palette, options.iterations, options.seed, store
            )
        for name, image in sorted(pending, key=lambda item: item[0]):
            files[name] = image.result()
    described = json.dumps(meta, separators=(",", ":")).encode()
    return {"meta.json": described, **files}, Limits(**limits)


def rounded(gaussians: Gaussians, rounding: int) -> Gaussians:
    """The Gaussians along a Morton curve as a SOG with that rounding gives them back, harmonics untouched."""
    inside = gaussians.take(morton_order(gaussians.means))
    bare = replace(inside, shN=inside.shN[:, :0])
    files, _ = members(bare, SogOptions(effort=0, rounding=rounding))
    return replace(from_members(Path("rounded.sog"), files.__getitem__), shN=inside.shN)


def to_webp(pixels: Pixels, effort: int) -> bytes:
    """Lossless WebP of an RGB or RGBA image; `exact` keeps colours where opacity is zero."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, exact=True, method=effort)
    return stream.getvalue()
