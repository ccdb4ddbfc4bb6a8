"""Photos that all lie between the same black bars: the bars are masked, so that nobody builds black walls."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from scripts.lib.photos.contact import thumbnail
from scripts.lib.photos.masks import combine, encode_mask, hidden_share
from scripts.lib.photos.prepare import Item

FEWEST = 3  # photos with the same bars
MOST_OF = 0.9  # of the photos of one folder and size: a dark scene has black sides now and then
ALIKE = 0.005  # of a side
SOURCE = "black bars"  # in Photo.mask_source


def mask_bars(items: Sequence[Item]) -> tuple[list[Item], str | None]:
    """The items with the bars masked that all photos of one folder and size share, and a sentence on them."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, item in enumerate(items):
        if item.photo.kept and item.stats is not None:
            folder = PurePosixPath(item.photo.original).parent.as_posix()
            groups.setdefault((folder, item.photo.width, item.photo.height), []).append(i)
    judged, count, share = list(items), 0, 0.0
    for group in groups.values():
        found = np.array([_bars(items[i]) for i in group])
        usual = np.median(found, axis=0)
        alike = (np.abs(found - usual) <= ALIKE).all(axis=1)
        if not usual.any() or alike.sum() < max(FEWEST, MOST_OF * len(group)):
            continue
        for i in np.array(group)[alike]:
            judged[i] = _masked(items[i], float(usual[0]), float(usual[1]))
            count, share = count + 1, judged[i].photo.masked or 0.0
    told = f"{count} photos lie between black bars ({100 * share:.0f} % of the picture): masked."
    return judged, told if count else None


def _bars(item: Item) -> tuple[float, float]:
    assert item.stats is not None  # asked of kept photos only
    return item.stats.bars


def _masked(item: Item, sides: float, ends: float) -> Item:
    """The item whose mask hides these shares at each side, and above and below."""
    photo, jpeg = item.photo, item.jpeg
    assert jpeg is not None and photo.width and photo.height  # it was kept
    inside = np.zeros((photo.height, photo.width), np.uint8)
    x, y = -int(-sides * photo.width // 1), -int(-ends * photo.height // 1)
    inside[y : photo.height - y, x : photo.width - x] = 255
    drawn = Image.open(io.BytesIO(item.mask)).convert("L") if item.mask is not None else None
    mask = combine(drawn, Image.fromarray(inside))
    assert mask is not None  # there are bars
    with Image.open(io.BytesIO(jpeg.read_bytes())) as image:
        thumb = thumbnail(image.convert("RGB"), mask)
    sources = " and ".join(filter(None, (photo.mask_source, SOURCE)))
    photo = replace(photo, mask_source=sources, masked=round(hidden_share(mask), 4))
    return replace(item, photo=photo, mask=encode_mask(mask), thumb=thumb)
