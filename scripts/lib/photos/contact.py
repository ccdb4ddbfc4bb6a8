"""The contact sheet: every picture small, the kept ones first, the dropped ones with their reason.

It shows no positions and no times, so that it can be published with the report.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, HEAD, WIDTH = 194, 10, 36, 1234  # pixels; WIDTH is that of the report's text
PAPER, INK, FAINT, WARNING = (250, 250, 248), (28, 30, 33), (110, 114, 120), (176, 42, 30)
MOST = 240  # thumbnails; a larger set is shown thinned
THUMB_QUALITY = 85


@dataclass(frozen=True)
class Thumb:
    """One picture of the sheet: its JPEG of at most CELL pixels, its name, and the reason if dropped."""

    name: str
    reason: str
    kept: bool
    jpeg: bytes


def thumbnail(image: Image.Image, mask: Image.Image | None = None) -> bytes:
    """A JPEG for the sheet, with masked parts dimmed."""
    small = image.copy()
    small.thumbnail((CELL, CELL), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if mask is not None:
        veil = Image.new("RGB", small.size, (205, 62, 48))
        dimmed = Image.blend(small, veil, 0.55)
        small = Image.composite(small, dimmed, mask.resize(small.size, Image.Resampling.NEAREST))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=THUMB_QUALITY)
    return buffer.getvalue()


def contact_sheet(thumbs: Sequence[Thumb]) -> bytes:
    """The sheet as a JPEG. Without any picture it says so."""
    columns = (WIDTH - GAP) // (CELL + GAP)
    groups = []
    for kept, what in ((True, "kept"), (False, "left out")):
        every = [thumb for thumb in thumbs if thumb.kept == kept]
        shown = _evenly(every, MOST)
        rows = [
            [(thumb, Image.open(io.BytesIO(thumb.jpeg))) for thumb in shown[i : i + columns]]
            for i in range(0, len(shown), columns)
        ]
        if rows:
            groups.append((_title(len(every), len(shown), what), rows, 24 if kept else 54))
    height = sum(
        HEAD + sum(_tallest(row) + label + GAP for row in rows) for _, rows, label in groups
    )
    sheet = Image.new("RGB", (WIDTH, max(height + 2 * GAP, 60)), PAPER)
    draw = ImageDraw.Draw(sheet)
    if not groups:
        draw.text((GAP, GAP), "No picture could be read.", INK, _font(18))
    y = GAP
    for title, rows, label in groups:
        draw.text((GAP, y + 2), title, INK, _font(18))
        y += HEAD
        for row in rows:
            for number, (thumb, image) in enumerate(row):
                _cell(sheet, draw, thumb, image, (GAP + number * (CELL + GAP), y, _tallest(row)))
            y += _tallest(row) + label + GAP
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=THUMB_QUALITY, optimize=True)
    return buffer.getvalue()


def _tallest(row: Sequence[tuple[Thumb, Image.Image]]) -> int:
    return max(image.height for _, image in row)


def _cell(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    thumb: Thumb,
    image: Image.Image,
    place: tuple[int, int, int],
) -> None:
    x, y, tallest = place
    top = y + tallest - image.height
    sheet.paste(image, (x, top))
    if not thumb.kept:
        draw.rectangle((x, top, x + image.width - 1, y + tallest - 1), None, WARNING, 2)
    name = _shortened(_drawable(thumb.name), 26)
    draw.text((x, y + tallest + 3), name, INK if thumb.kept else WARNING, _font(12))
    if not thumb.kept:
        lines = textwrap.wrap(_drawable(thumb.reason), 31)
        lines = [lines[0], _shortened(" ".join(lines[1:]), 31)] if lines[1:] else lines
        draw.multiline_text((x, y + tallest + 19), "\n".join(lines), FAINT, _font(11), spacing=2)


def _drawable(text: str) -> str:
    """Letters that Pillow's own font lacks would be drawn as boxes."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in text)


def _title(count: int, shown: int, what: str) -> str:
    thinned = f", {shown} of them shown" if shown < count else ""
    return f"{count} {'picture' if count == 1 else 'pictures'} {what}{thinned}"


def _evenly(group: Sequence[Thumb], most: int) -> list[Thumb]:
    if len(group) <= most:
        return list(group)
    return [group[i * len(group) // most] for i in range(most)]


def _shortened(text: str, length: int) -> str:
    return (
        text if len(text) <= length else f"{text[: length // 2 - 1]}...{text[-(length // 2 - 2) :]}"
    )


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
