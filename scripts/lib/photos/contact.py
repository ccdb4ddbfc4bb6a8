"""The contact sheet: every picture small, the kept ones first, the dropped ones with their reason.

It shows no positions and no times, so that it can be published with the report.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, WIDTH = 168, 10, 1240  # pixels; WIDTH is that of the report's text
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
    kept = [thumb for thumb in thumbs if thumb.kept]
    dropped = [thumb for thumb in thumbs if not thumb.kept]
    parts: list[tuple[str, list[Thumb], int]] = []
    for group, what, label in ((kept, "kept", 20), (dropped, "left out", 52)):
        shown = _evenly(group, MOST)
        if shown:
            parts.append((_title(group, shown, what), shown, label))
    columns = (WIDTH - GAP) // (CELL + GAP)
    height = GAP + sum(
        34 + -(-len(shown) // columns) * (CELL + label + GAP) for _, shown, label in parts
    )
    sheet = Image.new("RGB", (WIDTH, max(height, 60)), PAPER)
    draw = ImageDraw.Draw(sheet)
    if not parts:
        draw.text((GAP, GAP), "No picture could be read.", INK, _font(18))
    top = GAP
    for title, shown, label in parts:
        draw.text((GAP, top + 2), title, INK, _font(18))
        top += 34
        for number, thumb in enumerate(shown):
            x = GAP + number % columns * (CELL + GAP)
            y = top + number // columns * (CELL + label + GAP)
            _cell(sheet, draw, thumb, x, y)
        top += -(-len(shown) // columns) * (CELL + label + GAP)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=THUMB_QUALITY, optimize=True)
    return buffer.getvalue()


def _cell(sheet: Image.Image, draw: ImageDraw.ImageDraw, thumb: Thumb, x: int, y: int) -> None:
    with Image.open(io.BytesIO(thumb.jpeg)) as image:
        left, top = x + (CELL - image.width) // 2, y + CELL - image.height
        sheet.paste(image, (left, top))
    if not thumb.kept:
        draw.rectangle(
            (left, top, left + image.width - 1, top + image.height - 1), None, WARNING, 2
        )
    draw.text(
        (x, y + CELL + 3), _shortened(thumb.name, 26), INK if thumb.kept else WARNING, _font(12)
    )
    if not thumb.kept:
        lines = textwrap.wrap(thumb.reason, 30)
        text = "\n".join([lines[0], _shortened(" ".join(lines[1:]), 30)] if lines[1:] else lines)
        draw.multiline_text((x, y + CELL + 19), text, FAINT, _font(11), spacing=2)


def _title(group: Sequence[Thumb], shown: Sequence[Thumb], what: str) -> str:
    thinned = f", {len(shown)} of them shown" if len(shown) < len(group) else ""
    return f"{len(group)} {'picture' if len(group) == 1 else 'pictures'} {what}{thinned}"


def _evenly(group: Sequence[Thumb], most: int) -> list[Thumb]:
    if len(group) <= most:
        return list(group)
    return [group[i * len(group) // most] for i in range(most)]


def _shortened(text: str, length: int) -> str:
    return (
        text if len(text) <= length else f"{text[: length // 2 - 1]}\u2026{text[-(length // 2) :]}"
    )


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
