"""Camera poses of another program given to the photos they mean, and what is missing on either side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from scripts.lib.contracts.photos import Beside, BroughtFrame, BroughtPose
from scripts.lib.core.console import UserError
from scripts.lib.photos.brought import BroughtCameras
from scripts.lib.photos.options import METRES, ImportOptions
from scripts.lib.photos.photo_index import PhotoIndex
from scripts.lib.photos.placed import Brought, BroughtFile, Lens
from scripts.lib.photos.prepare import Item

KIND = "cameras"
NAMED = 5  # photos that a sentence lists
FAR = 1e4  # units from the middle of the poses to their world's zero
SAME_SHAPE = 0.01  # relative difference of two aspect ratios
TURNED_90 = 5  # EXIF orientations from here on swap width and height
# Clockwise from the stored picture to the upright one, by EXIF orientation; others are mirrored.
QUARTERS = {3: 2, 6: 1, 8: 3}


def with_poses(
    items: Sequence[Item], cameras: BroughtCameras, options: ImportOptions
) -> tuple[list[Item], list[Beside], BroughtFrame | None]:
    """The items with the poses that `cameras` brings for them, lines for photos.json, and the poses' world.

    Lenses are scaled to the archived picture. Raises UserError when the file means other photos.
    """
    if not cameras.told.entries:
        return list(items), [], None
    cameras = replace(cameras, told=_near_zero(cameras.told))
    entries = cameras.told.entries
    met = _met(items, entries)
    done = list(items)
    without: list[str] = []
    turned: list[str] = []
    for number, item in enumerate(items):
        if not item.photo.kept:
            continue
        pose = _fitted(item, met.given[number]) if number in met.given else None
        if pose is not None:
            done[number] = replace(item, photo=replace(item.photo, brought=pose))
        else:
            (turned if number in met.given else without).append(item.photo.original)
    posed = sum(item.photo.brought is not None for item in done)
    if posed < 2:
        raise UserError(_of_others(cameras.file, entries, posed, turned, items))
    note = f"poses of {posed} photos"
    for names, what in (
        (without, "no pose for {}, to be placed by matching: {}"),
        (turned, "of another shape than in the file, to be placed by matching, {}: {}"),
        (met.unknown, "not in the source, but in the file, {}: {}"),
        (met.left_out, "with a pose, but left out, {}: {}"),
    ):
        if names:
            count = "1 photo" if len(names) == 1 else f"{len(names)} photos"
            note += "; " + what.format(count, _listed(names))
    notes = [Beside(cameras.file, KIND, note), *_remarks(cameras)]
    return done, notes, _frame(cameras.file, cameras.told, options)


def _near_zero(told: BroughtFile) -> BroughtFile:
    """The poses in a world that is moved near them, where they count from far away, as on the Earth.

    Adjustments would lose digits there.
    """
    centres = np.array([-entry.rotation.T @ entry.translation for entry in told.entries])
    middle = np.round(np.median(centres, axis=0))
    if np.abs(middle).max() < FAR:
        return told
    moved = [replace(e, translation=e.translation + e.rotation @ middle) for e in told.entries]
    points = None if told.points is None else told.points - middle
    return replace(told, entries=moved, points=points)


@dataclass(frozen=True)
class _Met:
    """Poses by the number of their photo, and the names of the other ones."""

    given: dict[int, Brought]
    unknown: list[str]
    left_out: list[str]


def _met(items: Sequence[Item], entries: Sequence[Brought]) -> _Met:
    """Which photos the entries mean; of two for one photo the first counts."""
    index = PhotoIndex([item.photo.original for item in items])
    place = {item.photo.original: number for number, item in enumerate(items)}
    met = _Met({}, [], [])
    for entry in entries:
        meant = index.find(entry.name).meant
        if not meant:
            met.unknown.append(entry.name)
        elif not items[place[meant[0]]].photo.kept:
            met.left_out.append(meant[0])
        else:
            met.given.setdefault(place[meant[0]], entry)
    return met


def _of_others(
    file: str, entries: Sequence[Brought], posed: int, turned: Sequence[str], items: Sequence[Item]
) -> str:
    """Why hardly any pose is of a photo of this source."""
    if len(turned) > 1:
        return (
            f"{file} has the poses of photos of another shape than {_listed(turned)}: put the photos it was "
            "made from beside it, neither cropped nor turned, or set import_photos.cameras to ignore"
        )
    example = next((item.photo.original for item in items if item.photo.kept), "")
    return (
        f"{file} has {len(entries)} poses (such as of {entries[0].name}), but only {posed} of them are of "
        f"photos of this source (such as {example}): put the photos it was made from beside it, with their "
        "names unchanged, or set import_photos.cameras to ignore"
    )


def _remarks(cameras: BroughtCameras) -> list[Beside]:
    told = cameras.told
    remarks = list(told.remarks)
    if any(entry.mirrored for entry in told.entries):
        remarks.append(
            "is mirrored (its axes are left-handed); the matches tell how it has to be read"
        )
    return [Beside(cameras.file, KIND, remark) for remark in remarks]


def _frame(file: str, told: BroughtFile, options: ImportOptions) -> BroughtFrame:
    """The world of the poses, in the unit that the user or the file tells."""
    rows = told.points if told.points is not None else np.zeros((0, 3))
    points = tuple((float(x), float(y), float(z)) for x, y, z in rows)
    if options.camera_units == "auto":
        return BroughtFrame(file, told.metres, told.metres_from, points)
    metres = METRES.get(options.camera_units)
    return BroughtFrame(file, metres, "import_photos.camera_units" if metres else None, points)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")


def _fitted(item: Item, entry: Brought) -> BroughtPose | None:
    """The pose for the archived picture; None where its lens belongs to a picture of another shape.

    Most programs leave a photo's EXIF orientation aside: then the lens is that of the stored picture, and the
    camera has to be turned as the import turned the picture. Others turn it first; their lens has the shape
    of the upright picture. Where both have one shape, the stored one is meant.
    """
    upright = item.photo.size
    known = bool(entry.lens.width and entry.lens.height)
    stored = item.stored_size if known or item.turn < TURNED_90 else upright
    entry = replace(entry, lens=entry.lens.sized(*stored))
    if known and item.turn != 1 and _same_shape(entry.lens, *item.stored_size):
        if item.turn not in QUARTERS:
            return None  # a mirrored picture has no camera
        for _ in range(QUARTERS[item.turn]):
            entry = entry.turned()
    if not _same_shape(entry.lens, *upright):
        return None
    scaled = entry.lens.scaled(*upright)
    x, y, z, w = Rotation.from_matrix(entry.rotation).as_quat()
    numbers: npt.NDArray[np.float64] = np.array([w, x, y, z, *entry.translation])
    return BroughtPose(tuple(map(float, numbers)), scaled.model, scaled.params)  # type: ignore[arg-type]


def _same_shape(lens: Lens, width: int, height: int) -> bool:
    return abs(lens.width / lens.height / (width / height) - 1) <= SAME_SHAPE
