"""Reading a SOG: Gaussians from its description and its images, and one sentence where they are damaged."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scripts.lib.core.activations import logit
from scripts.lib.core.console import UserError
from scripts.lib.core.faults import is_fault
from scripts.lib.core.files import reading_zip
from scripts.lib.encode.codecs.rotations import HALF_SQRT, from_smallest_three
from scripts.lib.encode.codecs.sog_layout import (
    ANTIALIASED,
    QUAT_TAG,
    STEPS,
    VERSION,
    Pixels,
    log_unmapped,
)
from scripts.lib.splat.gaussians import SH_COEFFICIENTS, Array, Gaussians

# What wrong bytes may raise in the zip, the JSON and the image decoders.
DAMAGE: tuple[type[Exception], ...] = (
    *(KeyError, OSError, EOFError, ValueError, TypeError, IndexError, AttributeError),
    *(OverflowError, RuntimeError, SyntaxError, MemoryError, zipfile.BadZipFile),
)


def decode(path: Path) -> Gaussians:
    """Read a SOG: a zip, a folder, or the meta.json of a folder.

    Raises UserError when it is damaged, incomplete or of another version.
    """
    path = Path(path)
    if path.name == "meta.json":
        path = path.parent
    if path.is_dir():
        return from_members(path, lambda name: (path / name).read_bytes())
    try:
        with zipfile.ZipFile(path) as archive:
            return from_members(path, archive.read)
    except (zipfile.BadZipFile, NotImplementedError) as error:  # of a version too high
        raise UserError(
            f"{path} is not a readable SOG ({error}); download or export it again"
        ) from None


def from_members(path: Path, read: Callable[[str], bytes]) -> Gaussians:
    """Gaussians from the files of a SOG, `read(name)` giving each one's bytes."""
    try:
        meta = json.loads(read("meta.json"))
        if meta.get("version") != VERSION:
            raise UserError(
                f"{path} is SOG version {meta.get('version', 1)}, only {VERSION} is read;"
                " convert it with splat-transform"
            )
        return from_images(meta, lambda name: pixels_of(name, read))
    except UserError:
        raise
    except DAMAGE as error:
        if is_fault(error):
            raise
        raise UserError(
            f"{path} is a damaged or incomplete SOG ({error}); download or export it again"
        ) from None


def pixels_of(name: str, read: Callable[[str], bytes]) -> Pixels:
    """The pixels (M, 4) of one image, row by row. Raises ValueError for a name with a folder."""
    if Path(name).name != name:
        raise ValueError(f"the file name {name!r} points elsewhere")
    with Image.open(io.BytesIO(read(name))) as image:
        return np.asarray(image.convert("RGBA")).reshape(-1, 4)


def is_antialiased(path: Path) -> bool:
    """Whether the zipped SOG at `path` must be rendered antialiased; reads its description only."""
    with reading_zip(path) as archive:
        found: bool = json.loads(archive.read("meta.json")).get("model") == ANTIALIASED
    return found


def from_images(meta: dict[str, Any], load: Callable[[str], Pixels]) -> Gaussians:
    """Gaussians from meta.json's fields; `load(name)` gives the pixels (M, 4) of an image."""
    count = int(meta["count"])

    def rows(section: str, file: int = 0) -> Pixels:
        name = meta[section]["files"][file]
        pixels = load(name)
        if len(pixels) < count:
            raise ValueError(f"{name} has {len(pixels)} pixels for {count} Gaussians")
        return pixels[:count]

    def table(section: str) -> Array:
        values = np.array(meta[section]["codebook"], np.float32)
        return np.pad(values, (0, max(0, 256 - len(values))))

    low, high = np.array(meta["means"]["mins"]), np.array(meta["means"]["maxs"])
    lower, upper = rows("means", 0), rows("means", 1)
    steps = lower[:, :3].astype(np.int64) | (upper[:, :3].astype(np.int64) << 8)
    quats, colours = rows("quats"), rows("sh0")
    tag = quats[:, 3].astype(np.int64) - QUAT_TAG
    three = (quats[:, :3] / 255.0 * 2 - 1) * HALF_SQRT
    turned = from_smallest_three(np.clip(tag, 0, 3), three)
    turned[tag < 0] = [1, 0, 0, 0]
    shN = np.zeros((count, 0, 3), np.float32)
    if "shN" in meta and meta["shN"]["bands"]:
        coefficients = SH_COEFFICIENTS[int(meta["shN"]["bands"])]
        values = table("shN")[load(meta["shN"]["files"][0])[:, :3]]
        values = values[: len(values) // coefficients * coefficients]
        palette = values.reshape(-1, coefficients, 3)[: int(meta["shN"]["count"])]
        pixels = rows("shN", 1)
        labels = pixels[:, 0].astype(np.int64) | (pixels[:, 1].astype(np.int64) << 8)
        shN = np.where(
            (labels < len(palette))[:, None, None],
            palette[np.minimum(labels, len(palette) - 1)],
            np.float32(0),
        )
    return Gaussians(
        means=log_unmapped(low + steps / STEPS * (high - low)).astype(np.float32),
        quats=turned,
        scales=table("scales")[rows("scales")[:, :3]],
        opacities=logit(colours[:, 3] / 255.0),
        sh0=table("sh0")[colours[:, :3]],
        shN=shN,
        antialiased=meta.get("model") == ANTIALIASED,
    )
