"""Which file is the mask of which photo, by the ways in which tools name masks.

COLMAP: masks/X.jpg.png. OpenDroneMap, Metashape: X_mask.png. RealityScan: X.mask.png, X.jpg.mask.png.
nerfstudio: masks/X.png. Others: mask_X.png, X_mask_0.png, segmentation/X.png, or X.png beside X.jpg.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from scripts.lib.photos.companions import MASK_WORDS, Pictures, without_words, words_in
from scripts.lib.photos.source import PHOTO_SUFFIXES

DRAWN = {".png", ".tif", ".tiff", ".bmp", ".webp"}  # what masks and cut-outs are saved as
SLOW = {".heic", ".heif", ".hif", ".avif"}  # slow to look at, and nobody saves masks like that
# Where photos lie beside masks/: these names say nothing about which photos they are.
PHOTO_FOLDERS = {"images", "image", "photos", "rgb", "color", "colour", "input", "imgs", "img"}


@dataclass(frozen=True)
class Pairs:
    """photo: mask file -> its photo; why: mask file -> why it has none."""

    photo: dict[str, str]
    why: dict[str, str]


def named_as_mask(name: str) -> bool:
    """Whether the name or a folder says that a picture is a mask."""
    path = PurePosixPath(name.lower())
    return any(_mask_part(part) for part in path.parts[:-1]) or _says_mask(path.stem)


def pair_masks(photos: Sequence[str], masks: Sequence[str]) -> Pairs:
    """The photo of each mask, by name; a mask whose name fits several photos alike, or none, has none."""
    pictures = Pictures(photos)
    folders = {part for photo in photos for part in _folders(photo)}
    found: dict[str, str] = {}
    why: dict[str, str] = {}
    for mask in sorted(masks, key=lambda name: (len(name), name)):
        owners = _owners(mask, pictures, folders)
        if len(owners) == 1:
            found[mask] = owners[0]
        elif owners:
            why[mask] = f"a mask, but its name fits both {owners[0]} and {owners[1]}"
        else:
            why[mask] = "a mask, but there is no photo for it"
    for masks_of_one in _numbered(found):
        for mask in masks_of_one:
            photo = found.pop(mask)
            why[mask] = f"one of {len(masks_of_one)} masks of {photo}; merge them into one"
    return Pairs(found, why)


def _numbered(found: Mapping[str, str]) -> list[list[str]]:
    """Masks of one photo that differ by a number only, one for each object: none is the photo's mask."""
    groups: dict[tuple[str, PurePosixPath, str], list[str]] = {}
    for mask, photo in found.items():
        path = PurePosixPath(mask.lower())
        groups.setdefault((photo, path.parent, path.stem.rstrip("0123456789")), []).append(mask)
    return [group for group in groups.values() if len(group) > 1]


def twins(names: Sequence[str], sizes: Mapping[str, int]) -> dict[str, bool]:
    """Pictures that may be the mask of another of the same stem, although no name says so.

    The value tells whether it may also be the photo's cut-out, whose transparency is the mask: a file
    of another format. Beside the photo any other format counts; elsewhere also what is much smaller in
    bytes, as masks are. Their pixels have to be looked at.
    """
    pictures = Pictures(names)
    suspects: dict[str, bool] = {}
    for name in names:
        path = PurePosixPath(name.lower())
        for key in {path.stem, _without_suffix(path.stem)}:
            for other in pictures.anywhere(key, name):
                photo = PurePosixPath(other.lower())
                differs = path.suffix != photo.suffix
                drawn = path.suffix in DRAWN or path.parent == photo.parent
                small = path.parent != photo.parent and 4 * sizes[name] < sizes[other]
                if path.suffix not in SLOW and ((differs and drawn) or small):
                    suspects[name] = suspects.get(name, False) or differs
    return suspects


def _mask_part(part: str) -> bool:
    return words_in(part, MASK_WORDS) or part.endswith(("mask", "masks"))


def _says_mask(stem: str) -> bool:
    bare = _without_suffix(stem)
    return any(without_words(name, MASK_WORDS) for name in (stem, bare)) or stem in (
        "mask",
        "masks",
    )


def _without_suffix(stem: str) -> str:
    """`a.jpg` -> `a`: many tools append to the photo's whole name."""
    path = PurePosixPath(stem)
    return path.stem if path.suffix in PHOTO_SUFFIXES else stem


def _bare_stems(stem: str) -> list[str]:
    """What a mask's photo may be called, from the stem of the mask: itself, then ever shorter."""
    found = [stem]
    for bare in found:  # grows while it is walked through
        for shorter in (_without_suffix(bare), *without_words(bare, MASK_WORDS)):
            if shorter and shorter not in found:
                found.append(shorter)
    return found


def _owners(mask: str, pictures: Pictures, folders: set[str]) -> list[str]:
    """The photos that the mask's name fits best, more than one where nothing tells them apart."""
    path = PurePosixPath(mask.lower())
    wanted = _folders(mask)
    for part in wanted:  # masks/a/0.png, masks/a/1.png: objects of the photo a
        if part not in folders and (owners := pictures.anywhere(part, mask)):
            return owners
    for key in _bare_stems(path.stem):
        candidates = pictures.anywhere(key, mask)
        # A folder that photos lie in says which of them are meant: masks/left/a.png is of left/a.jpg.
        needed = [part for part in wanted if part in folders]
        candidates = [c for c in candidates if all(part in _folders(c) for part in needed)]
        if not candidates:
            continue
        extra = {c: len([part for part in _folders(c) if part not in wanted]) for c in candidates}
        best = [c for c in candidates if extra[c] == min(extra.values())]
        plain = [c for c in best if PurePosixPath(c.lower()).parent == path.parent]
        return plain or best
    return []


def _folders(name: str) -> list[str]:
    """The folders of a name that tell photos apart: not those for masks or for pictures in general."""
    parts = PurePosixPath(name.lower()).parts[:-1]
    return [part for part in parts if not _mask_part(part) and part not in PHOTO_FOLDERS]
