"""Photos that several cameras of one rig took at a time: which they are, by folders or by file names.

Nothing but names and times tells it, so by itself only what can hardly be anything else is taken for a rig.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from scripts.lib.contracts.photos import RigView

CAMERA_FOLDER = re.compile(r"(cam(era)?|lens|sensor|fisheye)[ _-]?[a-z0-9]{1,6}", re.IGNORECASE)
NUMBERED = re.compile(
    r"(?P<frame>.+)_(?P<sensor>[0-9]{1,2})"
)  # MicaSense: IMG_0001_1 to IMG_0001_5
FEWEST_FRAMES = 3
MOST_SENSORS = 16
COMPLETE = 0.8  # share of the frames that every camera took

Found = dict[str, RigView]


def find_rigs(times: Mapping[str, str | None], how: str = "auto") -> Found:
    """The photos of rigs among those named, {name in the source: ISO 8601 time}.

    how: `folders` (one for each camera, with the same file names), `numbers` (names end with _1, _2 ... for
    each camera), `auto` (folders called cam0, cam1 and the like; numbers where the times of each frame are
    equal), or `none`.
    """
    found: Found = {}
    if how in ("auto", "folders"):
        found = _by_folders(list(times), anyhow=how == "folders")
    if how in ("auto", "numbers") and not found:
        found = _by_numbers(times, anyhow=how == "numbers")
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
