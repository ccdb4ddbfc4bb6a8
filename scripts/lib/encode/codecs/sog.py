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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from scripts.lib.core.activations import logit, sigmoid
from scripts.lib.core.console import UserError
from scripts.lib.core.faults import is_fault
from scripts.lib.core.files import add_to_zip, reading_zip
from scripts.lib.core.threads import threads
from scripts.lib.encode.codecs import codebook, sog_palette
from scripts.lib.encode.codecs.compare import Limits
from scripts.lib.encode.codecs.encoded import Encoded
from scripts.lib.encode.codecs.rotations import (
    HALF_SQRT,
    angles,
    from_smallest_three,
    smallest_three,
)
from scripts.lib.encode.codecs.values import morton_order, to_bytes
from scripts.lib.splat.gaussians import SH_COEFFICIENTS, Array, Gaussians

Pixels = npt.NDArray[np.uint8]
VERSION = 2
PALETTE_COLUMNS = 64  # palette entries side by side in the centroid image
ANTIALIASED = "antialiased"  # as splat-transform writes it
QUAT_TAG = 252  # alpha of a rotation's pixel is this plus the index of the component left out
STEPS = 65535


@dataclass(frozen=True)
class Rounding:
    """How coarsely numbers are kept. What is even compresses: the format's bytes stay, WebP stores fewer.

    place: a centre may move by half this share of its Gaussian's middle size; turn: a rotation by steps
    that grow as the Gaussian nears a ball, whose turn nobody sees; thinnest: share of its middle size
    below which nobody sees how thin it is; sizes, colours, alphas: values told apart. The defaults keep
    all that the format can.
    """

    place: float = 0.0
    turn: float = 0.0
    thinnest: float = 0.001
    sizes: int = codebook.ENTRIES
    colours: int = codebook.ENTRIES
    alphas: int = 255


# Measured on the sample at 432 pixels (tests/bench/NOTES.md): the second saves a fifth of the bytes.
ROUNDINGS = (
    Rounding(),
    Rounding(place=0.1, turn=16, thinnest=0.003, sizes=128, colours=64, alphas=31),
    Rounding(place=0.2, turn=32, thinnest=0.003, sizes=128, colours=48, alphas=31),
)
COARSEST_PLACE, COARSEST_TURN = 7, 6  # bits that may go


@dataclass(frozen=True)
class SogOptions:
    """How to write a SOG. `palette` 0 takes splat-transform's rule; `effort` 0..6 is WebP's;
    `rounding` is the number of one of ROUNDINGS."""

    palette: int = 0
    iterations: int = 10
    seed: int = 0
    effort: int = 4
    rounding: int = 0


def log_mapped(means: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """sign(x) ln(1 + |x|): fine steps near the origin, coarse ones far out."""
    wide = means.astype(np.float64)
    return np.sign(wide) * np.log1p(np.abs(wide))


def log_unmapped(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Inverse of `log_mapped`."""
    return np.sign(values) * np.expm1(np.abs(values))


def importance(gaussians: Gaussians) -> npt.NDArray[np.float64]:
    """How much a Gaussian's colour matters (N,): opacity times the size of its larger two axes."""
    largest_two = np.sort(gaussians.scales.astype(np.float64), axis=1)[:, 1:].sum(1)
    size = np.exp(0.5 * (largest_two - np.median(largest_two)))
    weight = sigmoid(gaussians.opacities) * size
    return np.clip(weight, 0.02 * np.median(weight), 50 * np.median(weight)) + 1e-12


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
            meta["shN"], limits["shN"] = store_harmonics(inside, options, store)
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


def rounded_steps(
    steps: npt.NDArray[np.int64], inside: Gaussians, unit: npt.NDArray[np.float64], place: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Places (N, 3) in steps of `unit` world units, less the bits that each Gaussian can spare, and those."""
    if not place:
        return steps, np.zeros_like(steps)
    middle = np.exp(np.sort(inside.scales.astype(np.float64), axis=1)[:, 1:2])
    spare = np.log2(np.maximum(place * middle / np.maximum(unit, 1e-30), 1)).astype(np.int64)
    spare = np.minimum(spare, COARSEST_PLACE)
    half = (1 << spare) >> 1
    return np.minimum((steps + half) >> spare << spare, STEPS), spare


def rounded_turn(
    three: npt.NDArray[np.float64], inside: Gaussians, turn: float
) -> npt.NDArray[np.uint8]:
    """The three stored components (N, 3) of rotations as bytes, coarser the more a Gaussian is a ball."""
    exact = (three / HALF_SQRT * 0.5 + 0.5) * 255
    if not turn:
        return to_bytes(exact)
    longer = np.exp(np.ptp(inside.scales.astype(np.float64), axis=1)) - 1
    spare = np.log2(np.maximum(turn / np.maximum(longer, 1e-6), 1)).astype(np.int64)
    step = (1 << np.minimum(spare, COARSEST_TURN))[:, None]
    return to_bytes(np.rint((exact - 128) / step) * step + 128)


def store_attributes(
    inside: Gaussians, rounding: Rounding, store: Callable[[str, Pixels], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Store every image but those of the harmonics; returns meta.json's fields and the limits."""
    mapped = log_mapped(inside.means)
    low, high = mapped.min(0), mapped.max(0)
    width = np.where(high > low, high - low, 1.0)
    steps = np.rint((mapped - low) / width * STEPS).astype(np.int64)
    reach = np.abs(inside.means.astype(np.float64))
    steps, spare = rounded_steps(steps, inside, (1 + reach) * width / STEPS, rounding.place)
    store("means_l.webp", image_of(steps & 255))
    store("means_u.webp", image_of(steps >> 8))
    largest, three = smallest_three(inside.quats)
    turned = rounded_turn(three, inside, rounding.turn)
    store("quats.webp", image_of(np.column_stack([turned, largest + QUAT_TAG])))
    # Trained discs are as thin as rounding errors let them be, and would take up most of the table.
    middle = np.sort(inside.scales, axis=1)[:, 1:2]
    lengths = np.maximum(inside.scales, middle + np.float32(np.log(rounding.thinnest)))
    scale_table = codebook.build(lengths, entries=rounding.sizes)
    sizes = codebook.nearest(scale_table, lengths)
    store("scales.webp", image_of(sizes))
    colour_table = codebook.build(inside.sh0, entries=rounding.colours)
    alphas = to_bytes(np.rint(sigmoid(inside.opacities) * rounding.alphas) * 255 / rounding.alphas)
    colours = codebook.nearest(colour_table, inside.sh0)
    store("sh0.webp", image_of(np.column_stack([colours, alphas])))
    meta: dict[str, Any] = {
        "version": VERSION,
        "asset": {"generator": "splatmake"},
        "count": len(inside),
        "means": {
            "mins": low.tolist(),
            "maxs": high.tolist(),
            "files": ["means_l.webp", "means_u.webp"],
        },
        "scales": {"codebook": numbers(scale_table), "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": numbers(colour_table), "files": ["sh0.webp"]},
    }
    if inside.antialiased:
        meta["model"] = ANTIALIASED
    back = (turned / 255.0 - 0.5) * 2 * HALF_SQRT
    limits = {
        # Half a step, or, rounded to the table's last place, up to a whole one.
        "mean": (1 + reach) * np.expm1(np.where(spare, 1.001, 0.501) * (1 << spare) * width / STEPS)
        + reach * 5e-7
        + 1e-7,
        "angle": max(
            1.2, float(angles(inside.quats, from_smallest_three(largest, back)).max()) + 0.1
        ),
        "log_scale": largest_error(inside.scales, scale_table[sizes]),
        "alpha": 0.51 / rounding.alphas + (0.0 if rounding.alphas == 255 else 0.51 / 255),
        "sh0": largest_error(inside.sh0, colour_table[colours]),
        "shN": 0.0,
    }
    return meta, limits


def store_harmonics(
    inside: Gaussians, options: SogOptions, store: Callable[[str, Pixels], None]
) -> tuple[dict[str, Any], float]:
    """Store palette and labels; returns meta.json's `shN` and the largest acceptable RMS error."""
    count, coefficients = inside.shN.shape[:2]
    flat = np.ascontiguousarray(inside.shN.reshape(count, 3 * coefficients))
    weights = importance(inside)
    size = options.palette or sog_palette.automatic_size(count)
    palette, labels = sog_palette.build(
        flat, weights, size, iterations=options.iterations, seed=options.seed
    )
    # Entries in the order of first use: labels then mostly count upwards along the Morton curve,
    # which the image compressor likes, and entries used close together lie close together.
    first = np.full(len(palette), count)
    np.minimum.at(first, labels, np.arange(count))
    by_use = np.argsort(first, kind="stable")
    rank = np.empty(len(palette), np.int64)
    rank[by_use] = np.arange(len(palette))
    palette, labels = palette[by_use], rank[labels]
    used = np.bincount(labels, weights, len(palette))
    table = codebook.build(palette, np.repeat(used, palette.shape[1]))
    index = codebook.nearest(table, palette).reshape(len(palette), coefficients, 3)
    rows = -(-len(palette) // PALETTE_COLUMNS)
    canvas = np.zeros((rows * PALETTE_COLUMNS, coefficients, 3), np.uint8)
    canvas[: len(palette)] = index
    store("shN_centroids.webp", canvas.reshape(rows, PALETTE_COLUMNS * coefficients, 3))
    store("shN_labels.webp", image_of(np.column_stack([labels & 255, labels >> 8, 0 * labels])))
    meta = {
        "count": len(palette),
        "bands": inside.sh_degree,
        "codebook": numbers(table),
        "files": ["shN_centroids.webp", "shN_labels.webp"],
    }
    # A palette must do about as well as the one mean colour; what is clearly worse is a fault, not a
    # loss. (Weights pull a tiny palette off the plain mean, hence the quarter.)
    spread = float(np.sqrt(np.mean((flat - flat.mean(0)) ** 2)))
    return meta, 1.25 * spread + 1e-6


def largest_error(values: Array, rounded: Array) -> float:
    """Largest error that rounding to a table makes, with room for the last float32 digits."""
    return float(np.abs(values.astype(np.float64) - rounded).max()) * (1 + 1e-5) + 1e-6


def numbers(table: Array) -> list[float]:
    """A table for JSON: the shortest decimals that are still the same float32."""
    return [float(str(value)) for value in table]


def image_of(columns: npt.NDArray[np.integer]) -> Pixels:
    """Rows (N, 3 or 4) as an image nearly square, with sides that are multiples of 4."""
    count, channels = columns.shape
    width = -(-int(np.ceil(np.sqrt(count))) // 4) * 4
    height = -(-count // (4 * width)) * 4
    pixels = np.zeros((width * height, channels), np.uint8)
    pixels[:count] = columns
    return pixels.reshape(height, width, channels)


def to_webp(pixels: Pixels, effort: int) -> bytes:
    """Lossless WebP of an RGB or RGBA image; `exact` keeps colours where opacity is zero."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, exact=True, method=effort)
    return stream.getvalue()


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
    except zipfile.BadZipFile as error:
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
