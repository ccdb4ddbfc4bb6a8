"""Each place that changed as the cameras see it: what happened there, and pictures of it. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.changes import ChangedPlace, Kind
from scripts.lib.core.console import Progress
from scripts.lib.measure.changes import compare
from scripts.lib.measure.changes.compare import Camera, Compared, Exposure, Score, Side
from scripts.lib.measure.changes.places import Place, kind_of
from scripts.lib.measure.evaluate import jpeg
from scripts.lib.render.renderer import Picture

Float = npt.NDArray[np.float64]

TINT = (1.0, 0.35, 0.05)  # of what changed, over the grey picture of the later capture


@dataclass(frozen=True)
class Look:
    """What the views tell of a place: its kind, and the number of the view that shows it best."""

    kind: Kind
    view: int


def looked_at(
    places: Sequence[Place],
    sides: tuple[Side, Side],
    scores: tuple[Score, Score],
    cameras: Sequence[Camera],
    progress: Progress | None = None,
) -> tuple[list[Look], float]:
    """Each place as the cameras see it, and how many pixels of all views changed."""
    best = [(-1.0, 0)] * len(places)
    counts, changed = np.zeros((len(places), 3)), 0.0
    for number, camera in enumerate(cameras):
        shown = compare.changed_pixels(*sides, scores, camera)
        told = shown.share > 0.5
        changed += float(told.sum())
        for row, place in enumerate(places):
            if (window := _window(place, camera)) is None:
                continue
            mine = told[window.rows, window.columns]
            front = (shown.came, shown.went, told)
            counts[row] += [(mine & part[window.rows, window.columns]).sum() for part in front]
            best[row] = max(best[row], (float(mine.sum()) * window.worth, number))
        if progress:
            progress.update(progress.total - len(cameras) + number + 1)
    looks = [
        Look(kind_of(*row), view) for row, (_, view) in zip(counts.tolist(), best, strict=True)
    ]
    return looks, changed


def drawn(
    places: Sequence[Place],
    sides: tuple[Side, Side],
    scores: tuple[Score, Score],
    cameras: Sequence[Camera],
    looks: Sequence[Look],
    light: Exposure,
    metres: float | None,
    total: float,
) -> tuple[list[ChangedPlace], dict[str, bytes]]:
    """Each place as changes.json has it, and its pictures, from the view that shows it best."""
    told: list[ChangedPlace] = []
    pictures: dict[str, bytes] = {}
    for number, (place, look) in enumerate(zip(places, looks, strict=True), 1):
        camera = cameras[look.view]
        view = compare.compare_view(*sides, camera, light)
        share = compare.changed_pixels(*sides, scores, camera).share
        names = (f"{number:02d}_before.jpg", f"{number:02d}_after.jpg", f"{number:02d}_map.jpg")
        pictures |= dict(zip(names, _pictures(view, share), strict=True))
        told.append(_told(place, look.kind, camera, names, metres, total))
    return told, pictures


@dataclass(frozen=True)
class Window:
    """The part of a picture around a place, and how well the picture shows it, 0..1."""

    rows: slice
    columns: slice
    worth: float


def _window(place: Place, camera: Camera) -> Window | None:
    """Where a camera sees a place; None if it does not. Near the edge, and so close that the place fills the
    picture, it is worth less."""
    local = camera.world_to_camera[:3, :3] @ place.position + camera.world_to_camera[:3, 3]
    if local[2] <= 0:
        return None
    x, y = (camera.K @ local)[:2] / local[2]
    width, height = (float(side) for side in camera.size)
    if not (0 <= x < width and 0 <= y < height):
        return None
    reach = max(0.7 * place.size * camera.K[0, 0] / local[2], 4.0)
    inside = min(x, width - x, y, height - y) / reach
    return Window(
        slice(max(int(y - reach), 0), int(y + reach) + 1),
        slice(max(int(x - reach), 0), int(x + reach) + 1),
        min(inside, 1.0) / (1 + 4 * reach / height) ** 2,
    )


def _pictures(view: Compared, share: Float) -> tuple[bytes, bytes, bytes]:
    """JPEGs: before, after, and the later picture in grey with what changed in a colour."""
    return jpeg(view.before), jpeg(view.after), jpeg(tinted(view.after, share))


def tinted(picture: Picture, share: Float) -> Picture:
    """A picture (H, W, 3) in dim grey, with what changed (H, W) in a colour over it."""
    grey = 0.25 + 0.5 * picture.mean(axis=2, keepdims=True)
    strength = np.clip(share, 0, 1)[..., None] * 0.85
    found: Picture = (grey * (1 - strength) + np.array(TINT) * strength).astype(np.float32)
    return found


def _told(
    place: Place,
    kind: Kind,
    camera: Camera,
    pictures: tuple[str, str, str],
    metres: float | None,
    total: float,
) -> ChangedPlace:
    R, t = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    longest = float(max(camera.size))
    return ChangedPlace(
        position=three(place.position),
        kind=kind,
        size=place.size,
        size_m=place.size * metres if metres else None,
        percent=100 * place.pixels / max(total, 1),
        view=camera.name,
        eye=three(-R.T @ t),
        fov=float(np.degrees(2 * np.arctan(longest / 2 / camera.K[0, 0]))),
        pictures=pictures,
    )


def three(values: npt.ArrayLike) -> tuple[float, float, float]:
    """Three numbers as the JSON files have them."""
    x, y, z = (float(value) for value in np.asarray(values))
    return x, y, z
