"""Which photo of the source a name in a table, a geo.txt or a gcp_list.txt means."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

# A suffix as files have it; the "0001" of "DSC.0001" is none.
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


@dataclass(frozen=True)
class Match:
    """The photos that a name can mean, by their names in the source.

    `rank` tells how exactly the name says so: letters and suffix first, then the folders in common.
    A name is `ambiguous` when its photos lie in several folders; it then means none of them.
    """

    photos: tuple[str, ...] = ()
    rank: tuple[int, int] = (0, 0)
    ambiguous: bool = False

    @property
    def meant(self) -> tuple[str, ...]:
        """The photos, or none of them where the name is ambiguous."""
        return () if self.ambiguous else self.photos


class PhotoIndex:
    r"""Finds photos of the source by names that other programs wrote.

    These may carry folders of another computer in front (`C:\flight\100MEDIA\DJI_0001.JPG`), another
    suffix (the .DNG of a .JPG) or none.
    """

    def __init__(self, photos: Iterable[str]) -> None:
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for photo in photos:
            name = _parts(photo)[-1]
            self._by_name.setdefault(name.casefold(), []).append(photo)
            self._by_stem.setdefault(PurePosixPath(name).stem.casefold(), []).append(photo)

    def find(self, written: str, folder: str = "") -> Match:
        """What the name `written` means in a file that lies in `folder` of the source."""
        parts = _parts(written)
        if not parts:
            return Match()
        name, above = parts[-1], parts[:-1]
        tier, found = (
            3,
            [p for p in self._by_name.get(name.casefold(), []) if _parts(p)[-1] == name],
        )
        if not found:
            tier, found = 2, self._by_name.get(name.casefold(), [])
        if not found:
            stem = _SUFFIX.sub("", name)
            tier = 1
            found = self._by_stem.get(name.casefold()) or self._by_stem.get(stem.casefold(), [])
        here = [_folded(part) for part in _parts(folder)] if folder else []
        asked = [_folded(part) for part in above]
        common = {photo: _common(here, asked, photo) for photo in found}
        best = max(common.values(), default=0)
        found = [photo for photo in found if common[photo] == best]
        folders = {PurePosixPath(photo).parent for photo in found}
        return Match(tuple(found), (tier, best), len(folders) > 1)


def _common(here: list[str], asked: list[str], photo: str) -> int:
    """How well the photo's folder fits the folders written: 1000 where it is that very path."""
    parents = [_folded(part) for part in _parts(photo)[:-1]]
    if parents == here + asked:
        return 1000
    inside = 500 if here and not asked and parents[: len(here)] == here else 0
    same = 0
    for mine, other in zip(reversed(parents), reversed(asked), strict=False):
        if mine != other:
            break
        same += 1
    return inside + same


def _parts(name: str) -> list[str]:
    """Folders and file name, without drive letters, dots, quotes and the blanks around them."""
    name = unicodedata.normalize("NFC", name.strip().strip("\"'").strip().replace("\\", "/"))
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return parts[1:] if len(parts) > 1 and re.fullmatch(r"[A-Za-z]:", parts[0]) else parts


def _folded(text: str) -> str:
    return text.casefold()
