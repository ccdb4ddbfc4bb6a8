"""OpenDroneMap's cameras.json without poses: lenses of an earlier survey, where calibration starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from scripts.lib.contracts.photos import Beside
from scripts.lib.photos.focal import FOCAL_IN_WIDTHS
from scripts.lib.photos.opensfm import PINHOLES, lens_of
from scripts.lib.photos.options import RejectedError
from scripts.lib.photos.placed import CamerasError, Lens
from scripts.lib.photos.prepare import Item
from scripts.lib.photos.source import SourceFile, read_file

NAME = "cameras.json"
SAME_SHAPE = 0.005  # relative difference of the ratio of the sides
SOURCE = "cameras.json of OpenDroneMap"  # as photos.json has it


@dataclass(frozen=True)
class BroughtLenses:
    """The file, and its lenses by OpenDroneMap's names, which hold the camera's ("v2 dji fc6310 ...")."""

    file: str
    lenses: dict[str, Lens]
    error: str = ""  # why it cannot be used


def find_lenses(files: Sequence[SourceFile]) -> BroughtLenses | None:
    """The lenses of a source's first cameras.json; None where it has none of OpenDroneMap's."""
    for file in files:
        if PurePosixPath(file.name).name == NAME:
            try:
                data = read_file(file)
            except RejectedError:
                continue
            if b'"projection_type"' in data:
                return _read(file.name, data)
    return None


def _read(name: str, data: bytes) -> BroughtLenses:
    try:
        told = json.loads(data).items()
        lenses = {key: lens_of(one, key) for key, one in told if one["projection_type"] in PINHOLES}
        return BroughtLenses(name, lenses)
    except CamerasError as error:
        return BroughtLenses(name, {}, str(error))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return BroughtLenses(name, {}, "it is damaged or not complete")


def with_lenses(
    items: Sequence[Item], brought: BroughtLenses, given: str = ""
) -> tuple[list[Item], Beside]:
    """The photos with the focal lengths of the lenses that took them, and a line on the file.

    `given`: what a person says of the focal length, which counts more, or nothing. A lens took the photos of
    its size, where several have that, those of the camera that it names; and photos of that camera which
    somebody has made smaller.
    """
    found = list(items) if given else [_with_lens(item, brought.lenses) for item in items]
    count = sum(new is not old for new, old in zip(found, items, strict=True))
    if brought.error:
        note = f"lenses of OpenDroneMap that cannot be read: {brought.error}; they are not used"
    elif given:
        note = (
            "lenses of OpenDroneMap; they are not used, because import_photos.focal_length is given"
        )
    elif not count:
        note = "lenses of OpenDroneMap, but of no photo's size and camera; they are not used"
    else:
        note = (
            f"lenses of OpenDroneMap and no camera poses: calibration begins with their focal lengths for"
            f" {count} photos, and poses are computed from the photos"
        )
    return found, Beside(brought.file, "cameras", note)


def _with_lens(item: Item, lenses: dict[str, Lens]) -> Item:
    photo = item.photo
    if not photo.kept or photo.rig is not None or item.panorama or not all(photo.size):
        return item
    low, high = sorted(item.stored_size)
    camera = (photo.camera or "").lower()
    equal, named = [], []
    for name, lens in lenses.items():
        sides = sorted((lens.width, lens.height))
        if abs(low / high * sides[1] / sides[0] - 1) < SAME_SHAPE:
            if sides == [low, high]:
                equal.append(lens)
            if camera and camera in name.lower():
                named.append(lens)
    both = [lens for lens in equal if lens in named]
    fitting = both or equal or named
    if len(fitting) != 1:
        return item
    lens = fitting[0]
    share = lens.params[0] / max(lens.width, lens.height)
    if not FOCAL_IN_WIDTHS[0] <= share <= FOCAL_IN_WIDTHS[1]:
        return item
    focal = share * max(photo.size)
    return replace(
        item,
        photo=replace(photo, focal_px=focal, focal_mm=None, focal_35mm=None, focal_source=SOURCE),
    )
