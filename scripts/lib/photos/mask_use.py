"""Which masks are used in the end, told in one sentence each kind: a mask is never dropped in silence."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace

from PIL import Image

from scripts.lib.contracts.photos import Beside
from scripts.lib.photos.contact import thumbnail
from scripts.lib.photos.masks import HIDES_ALL
from scripts.lib.photos.options import Cause
from scripts.lib.photos.prepare import Item, MaskNote, noted
from scripts.lib.photos.record import drop
from scripts.lib.photos.source import SourceFile

HIDES_NOTHING = ", hides nothing"
HIDING = "it hides all of the photo, as most masks here do"
MISREAD = 0.5  # when more of the masks hide everything, they are meant in another way


def judge_masks(items: Sequence[Item]) -> list[Item]:
    """Photos whose mask hides all of them are left out; when most are like that, their masks are.

    One empty mask says that a photo shows nothing that is wanted. Many say that what was taken for a
    mask, or for transparency, means something else.
    """
    masked = [i for i, item in enumerate(items) if item.photo.kept and item.mask is not None]
    empty = [i for i in masked if (items[i].photo.masked or 0.0) >= HIDES_ALL]
    judged = list(items)
    for i in empty:
        photo = items[i].photo
        what = (
            "its transparency" if photo.mask_source == "alpha" else f"its mask {photo.mask_source}"
        )
        if len(empty) <= MISREAD * len(masked):
            dropped = drop(photo, f"{what} hides all of it", Cause.MASKED)
            judged[i] = replace(items[i], photo=dropped)
        else:
            judged[i] = _without_mask(items[i])
    return judged


def _without_mask(item: Item) -> Item:
    """The item as if it had no mask, and a note on why."""
    photo, jpeg = item.photo, item.jpeg
    assert jpeg is not None and photo.mask_source is not None  # it was kept, with a mask
    alpha = photo.mask_source == "alpha"
    note = MaskNote(f"{photo.original}: its transparency" if alpha else photo.mask_source, HIDING)
    with Image.open(io.BytesIO(jpeg.read_bytes())) as image:
        thumb = thumbnail(image.convert("RGB"))
    photo = replace(photo, mask_source=None, masked=None)
    return noted(replace(item, photo=photo, mask=None, thumb=thumb), note)


def mask_lines(items: Sequence[Item], mask_of: Mapping[str, SourceFile]) -> list[Beside]:
    """The masks' lines in photos.json: whose each is, and why it is not used where it is not."""
    by_name = {item.photo.original: item for item in items}
    lines = []
    for name, mask in sorted(mask_of.items(), key=lambda pair: pair[1].name):
        photo = by_name[name].photo
        note = f"mask of {name}"
        if refused := [told.text for told in by_name[name].mask_notes if not told.used]:
            note += f", not used: {refused[0]}"
        elif not photo.kept:
            note += ", which was left out"
        elif by_name[name].mask is None:
            note += HIDES_NOTHING
        lines.append(Beside(mask.name, "mask", note))
    return lines


def sentences(
    items: Sequence[Item], lines: Sequence[Beside], unused: Mapping[str, str]
) -> list[str]:
    """What to know of the masks: how many are used, and one sentence on each kind that is not.

    `lines` are those of `mask_lines`; `unused` are masks without a photo, with the reason.
    """
    said = []
    if used := sum(item.photo.kept and item.mask is not None for item in items):
        photos = "1 photo has" if used == 1 else f"{used} photos have"
        said.append(f"{photos} a mask: black is ignored, white is kept.")
    if idle := [line.file for line in lines if line.note.endswith(HIDES_NOTHING)]:
        said.append(
            f"{_masks(len(idle))} without black, so that nothing is hidden ({_first(idle)})."
        )
    notes = [note for item in items for note in item.mask_notes]
    refused = [note for note in notes if not note.used]
    if hiding := [note.name for note in refused if note.text == HIDING]:
        said.append(
            f"{_masks(len(hiding))} not used, because nearly all of them hide the whole photo "
            f"({_first(hiding)}): black and transparent parts are ignored."
        )
    if unfit := [f"{note.name}: {note.text}" for note in refused if note.text != HIDING]:
        said.append(f"{_masks(len(unfit))} not used ({_first(unfit)}).")
    if labels := [str(note) for note in notes if note.used]:
        said.append(f"{_masks(len(labels))} with grey values ({_first(labels)}).")
    if unused:
        shown = [f"{name}: {reason}" for name, reason in unused.items()]
        said.append(f"{_masks(len(shown))} not used ({_first(shown)}).")
    return said


def _masks(count: int) -> str:
    return "1 mask was" if count == 1 else f"{count} masks were"


def _first(notes: Sequence[str]) -> str:
    return notes[0] if len(notes) == 1 else f"{notes[0]}, and {len(notes) - 1} more"
