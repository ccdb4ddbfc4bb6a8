"""Cameras of RealityCapture's and RealityScan's CSV export "Internal/External camera parameters".

Its columns are a template: `#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2`, or some of them.
Angles are in degrees: heading clockwise from y (north), pitch upwards from straight down, then roll.
`f`, `px` and `py` count in mm of film whose longer side is 36 mm, the principal point from the middle.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from scripts.lib.core.geo import Array, enu_from_geodetic
from scripts.lib.photos.placed import BroughtFile, CamerasError, checked, opencv_lens
from scripts.lib.photos.transforms_json import FROM_OPENGL

NEEDED = ("name", "x", "y", "alt", "heading", "pitch", "roll", "f")
OTHER_NAMES = {"z": "alt", "altitude": "alt", "yaw": "heading", "filename": "name"}
FILM = 36.0  # mm, the longer side
HEAD = 8192  # bytes
# Heights spread over a hundred times the ground's numbers only where those are degrees.
DEGREES = 100.0
WIDE = 4.0  # radians: headings all round, of which none is beyond two pi, are no degrees


def is_reality_csv(data: bytes) -> bool:
    """Whether a CSV file has the columns of camera poses with their lenses."""
    return _header(data[:HEAD].decode("utf-8-sig", "replace")) is not None


def read_reality_csv(data: bytes) -> BroughtFile:
    """Poses and lenses of all rows. Raises CamerasError when they cannot be used."""
    text = data.decode("utf-8-sig", "replace")
    header = _header(text)
    if header is None:
        raise CamerasError("it lacks some of the columns " + ", ".join(NEEDED))
    line, names = header
    try:
        rows = [
            dict(zip(names, cells, strict=False))
            for cells in csv.reader(text.splitlines()[line + 1 :])
            if cells and not cells[0].startswith("#")
        ]
        places = np.array([[float(row[key]) for key in ("x", "y", "alt")] for row in rows])
        angles = np.array(
            [[float(row[key]) for key in ("heading", "pitch", "roll")] for row in rows]
        )
        lenses = [_lens_numbers(row) for row in rows]
    except (ValueError, KeyError, TypeError, csv.Error):
        raise CamerasError("a row is damaged or not complete") from None
    if not rows:
        return BroughtFile(())
    if not (np.isfinite(places).all() and np.isfinite(angles).all()):
        raise CamerasError("a row has numbers that are none")
    remarks = []
    geographic = _geographic(places)
    if geographic:
        remarks.append("has its positions in degrees; they are read as longitude and latitude")
        places = enu_from_geodetic(
            [(y, x, up) for x, y, up in places.tolist()],
            (float(places[0, 1]), float(places[0, 0]), float(places[0, 2])),
        )
    degrees = bool(np.abs(angles).max() > 2 * np.pi or np.ptp(angles[:, 0]) < WIDE)
    if not degrees:
        remarks.append("has its angles in radians instead of degrees; they are read so")
    turns = Rotation.from_euler("ZXY", angles * [-1, 1, 1], degrees=degrees).as_matrix()
    entries = []
    for row, place, turn, lens in zip(rows, places, turns, lenses, strict=True):
        to_camera = FROM_OPENGL @ turn.T
        focal, middle = lens["f"] / FILM, (lens["px"] / FILM, lens["py"] / FILM)
        # OpenCV's model has no r^8 term, and its tangential terms stand the other way round.
        terms = {key: lens[key] for key in ("k1", "k2", "k3")} | {
            "p1": lens["t2"],
            "p2": lens["t1"],
        }
        entries.append(
            checked(
                row["name"],
                to_camera,
                -to_camera @ place,
                opencv_lens(0, 0, (focal, focal), middle, **terms),
            )
        )
    return BroughtFile(
        entries,
        1.0 if geographic else None,
        "its positions on the Earth" if geographic else None,
        tuple(remarks),
    )


def _header(text: str) -> tuple[int, list[str]] | None:
    """The line of the header, counted from 0, and the columns' names; None where it is no such table."""
    for number, line in enumerate(text.splitlines()[:3]):
        cells = [cell.strip().strip('"').lstrip("#").strip().lower() for cell in line.split(",")]
        names = [OTHER_NAMES.get(cell, cell) for cell in cells]
        if set(NEEDED) <= set(names):
            return number, names
    return None


def _lens_numbers(row: Mapping[str, str]) -> dict[str, float]:
    return {
        key: float(row.get(key) or 0.0) for key in ("f", "px", "py", "k1", "k2", "k3", "t1", "t2")
    }


def _geographic(places: Array) -> bool:
    """Whether x and y of places (N, 3) are degrees of longitude and latitude beside heights in metres."""
    if len(places) < 3 or (np.abs(places[:, :2]) > [180, 90]).any():
        return False
    across, up = np.ptp(places[:, :2], axis=0).max(), np.ptp(places[:, 2])
    return bool(0 < across * DEGREES < up)
