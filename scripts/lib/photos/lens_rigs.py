"""Photos that several cameras of one rig took at a time: which they are, by XMP, folders or file names.

Where only names and times tell it, only what can hardly be anything else is taken for a rig by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from scripts.lib.contracts.photos import RigView
from scripts.lib.photos.xmp import RigTag

CAMERA_FOLDER = re.compile(r"(cam(era)?|lens|sensor|fisheye)[ _-]?[a-z0-9]{1,6}", re.IGNORECASE)
NUMBERED = re.compile(
    r"(?P<frame>.+)_(?P<sensor>[0-9]{1,2})"
)  # MicaSense: IMG_0001_1 to IMG_0001_5
# Endings of one release's photos: DJI's multispectral drones, its wide, thermal and visible cameras (not the
# zoom, whose lens changes), and Parrot's Sequoia.
LENSES = (
    ("D", "MS_G", "MS_R", "MS_RE", "MS_NIR"),
    ("W", "T", "V"),
    ("RGB", "GRE", "RED", "REG", "NIR"),
)
FEWEST_FRAMES = 3
MOST_SENSORS = 16
COMPLETE = 0.8  # share of the frames that every camera took

Found = dict[str, RigView]


def find_rigs(
    times: Mapping[str, str | None], how: str = "auto", tags: Mapping[str, RigTag] | None = None
) -> Found:
    """The photos of rigs among those named, {name in the source: ISO 8601 time}.

    how: `folders` (one for each camera, with the same file names), `numbers` (names end with _1, _2 ... for
    each camera), `auto` (`tags` that the photos have; folders called cam0, cam1 and the like; numbers where
    the times of each frame are equal; names that drones give the photos of their lenses), or `none`.
    """
    found: Found = {}
    if how == "auto":
        found = _by_tags(tags or {}, times)
    if how in ("auto", "folders") and not found:
        found = _by_folders(list(times), anyhow=how == "folders")
    if how in ("auto", "numbers") and not found:
        found = _by_numbers(times, anyhow=how == "numbers")
    if how == "auto" and not found:
        found = _by_lenses(list(times))
    return found


def _by_tags(tags: Mapping[str, RigTag], times: Mapping[str, str | None]) -> Found:
    """By the XMP of the photos: a frame is what one release took, or else what has one time and number."""
    rigs: dict[str, dict[str, dict[str, str]]] = {}
    for name, tag in tags.items():
        path = PurePosixPath(name)
        told = NUMBERED.fullmatch(path.stem)
        number = f"{told['frame'].lower()} {times[name]}" if told else times[name]
        frame = tag.capture or (f"{path.parent.as_posix()} {number}" if number else None)
        if frame is not None:
            rigs.setdefault(tag.rig, {}).setdefault(tag.camera, {}).setdefault(frame, name)
    found: Found = {}
    for rig, sensors in rigs.items():
        found |= _rig(f"rig {rig}", dict(sorted(sensors.items())))
    return found


def _by_lenses(names: Sequence[str]) -> Found:
    """By the endings that a drone gives the photos of its lenses: DJI_20300101120000_0001_MS_NIR."""
    families: dict[tuple[str, int], dict[str, dict[str, str]]] = {}
    for name in names:
        path = PurePosixPath(name)
        for number, lenses in enumerate(LENSES):
            told = re.fullmatch(rf"(.*[0-9])_({'|'.join(lenses)})", path.stem, re.IGNORECASE)
            if told:
                # The clocks of two lenses may differ by a second; the counter does not.
                frame = re.sub(r"(?<![0-9])([0-9]{8})[0-9]{6}(?=_)", r"\1", told[1]).lower()
                sensors = families.setdefault((path.parent.as_posix(), number), {})
                sensors.setdefault(told[2].upper(), {}).setdefault(frame, name)
    found: Found = {}
    for (folder, _), sensors in families.items():
        found |= _rig(f"rig {folder}", dict(sorted(sensors.items())))
    return found


def _by_folders(names: Sequence[str], anyhow: bool) -> Found:
    beside: dict[str, dict[str, dict[str, str]]] = {}
    for name in names:
        path = PurePosixPath(name)
        folder = path.parent.name
        if folder and (anyhow or CAMERA_FOLDER.fullmatch(folder)):
            above = path.parent.parent.as_posix()
            beside.setdefault(above, {}).setdefault(folder, {})[path.stem.lower()] = name
    found: Found = {}
    for above, sensors in beside.items():
        found |= _rig(f"rig {above}", dict(sorted(sensors.items())))
    return found


def _by_numbers(times: Mapping[str, str | None], anyhow: bool) -> Found:
    folders: dict[str, dict[str, dict[str, str]]] = {}
    for name in times:
        path = PurePosixPath(name)
        if told := NUMBERED.fullmatch(path.stem):
            sensors = folders.setdefault(path.parent.as_posix(), {})
            sensors.setdefault(told["sensor"], {})[told["frame"].lower()] = name
    found: Found = {}
    for folder, sensors in folders.items():
        rig = _rig(f"rig {folder}", dict(sorted(sensors.items())))
        moments: dict[str, set[str | None]] = {}
        for name, view in rig.items():
            moments.setdefault(view.frame, set()).add(times[name])
        if anyhow or all(len(at) == 1 and None not in at for at in moments.values()):
            found |= rig
    return found


def _rig(name: str, sensors: Mapping[str, Mapping[str, str]]) -> Found:
    """The views of a rig, {sensor: {frame: photo}}; empty where the cameras did not take the same frames."""
    if not 2 <= len(sensors) <= MOST_SENSORS:
        return {}
    frames = [set(taken) for taken in sensors.values()]
    every, common = set.union(*frames), set.intersection(*frames)
    if len(common) < FEWEST_FRAMES or len(common) < COMPLETE * len(every):
        return {}
    return {
        photo: RigView(name, frame, sensor, False)
        for sensor, taken in sensors.items()
        for frame, photo in taken.items()
    }
