"""Landscape and portrait photos of one camera: they share a lens, which is turned by a quarter.

Photos are handed on upright, so COLMAP has two cameras of them. An adjustment that turns the portrait photos
back into the sensor's picture gives both the same lens, where a few portrait photos by themselves tell
little of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pycolmap

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.geo import Array
from scripts.lib.sfm.adjust import Adjust
from scripts.lib.sfm.lenses import parameters, set_lens
from scripts.lib.sfm.rigs import has_rigs
from scripts.lib.sfm.tables import tables, with_points

# Focal lengths of one lens: what the mapper finds for a few photos is not better known.
ONE_FOCAL = 0.03


@dataclass(frozen=True)
class SharedLens:
    """Two cameras that may be one: `other`'s photos are its own, turned by a quarter.

    clockwise: the way in which they were turned to stand upright.
    """

    camera: int
    other: int
    clockwise: bool

    @property
    def words(self) -> str:
        """The hypothesis for the report."""
        way = "clockwise" if self.clockwise else "anticlockwise"
        return f"lens shared with camera {self.camera}, turned {way}"


def shared_lens_candidates(
    model: pycolmap.Reconstruction, photos: Sequence[Photo]
) -> list[SharedLens]:
    """Pairs of cameras that may be one, that with more photos first, each with both ways to turn.

    They have the same name and body, width and height exchanged, and focal lengths that are equal as far as
    EXIF and the mapper can tell. A camera is in one pair at most. None in a model with rigs, whose photos
    cannot be turned one by one.
    """
    if has_rigs(model):
        return []
    lines = {photo.file: photo for photo in photos}
    taken: dict[int, list[Photo]] = {}
    for number in model.reg_image_ids():
        image = model.image(number)
        if image.name in lines:
            taken.setdefault(image.camera_id, []).append(lines[image.name])
    found: list[SharedLens] = []
    free = sorted(taken, key=lambda n: (-len(taken[n]), n))
    while free:
        camera = free.pop(0)
        other = next((n for n in free if _alike(model, taken, camera, n)), None)
        if other is not None:
            free.remove(other)
            found += [SharedLens(camera, other, True), SharedLens(camera, other, False)]
    return found


def _alike(
    model: pycolmap.Reconstruction, taken: Mapping[int, Sequence[Photo]], a: int, b: int
) -> bool:
    one, two = model.cameras[a], model.cameras[b]
    if (one.width, one.height) != (two.height, two.width) or one.width == one.height:
        return False
    first, second = taken[a][0], taken[b][0]
    if (first.camera, first.body) != (second.camera, second.body):
        return False
    told = [[p.focal_mm for p in taken[n] if p.focal_mm] for n in (a, b)]
    pairs = [(one.mean_focal_length(), two.mean_focal_length())]
    if all(told):
        pairs.append((float(np.median(told[0])), float(np.median(told[1]))))
    return all(abs(x - y) <= ONE_FOCAL * min(x, y) for x, y in pairs)


def is_shared(model: pycolmap.Reconstruction, candidate: SharedLens) -> bool:
    """Whether the two cameras have the same lens, as `with_shared_lens` leaves them."""
    lens, other = model.cameras[candidate.camera], model.cameras[candidate.other]
    turned = list(turned_parameters(lens, candidate.clockwise).values())
    return bool(lens.model == other.model and turned == list(other.params))


def with_shared_lens(adjust: Adjust, shared: SharedLens) -> Adjust:
    """`adjust` with one lens for both cameras; they must have the same model. See Adjust."""

    def adjusted(
        model: pycolmap.Reconstruction, principal_point: bool, keep_lenses: frozenset[int]
    ) -> bool:
        one = as_one(model, shared)
        if not adjust(one, principal_point, keep_lenses - {shared.other}):
            return False
        _write_back(one, model, shared)
        return True

    return adjusted


def with_shared_lenses(adjust: Adjust, shared: Sequence[SharedLens]) -> Adjust:
    """`adjust` with one lens for each pair of `shared`."""
    for one in shared:
        adjust = with_shared_lens(adjust, one)
    return adjust


def as_one(model: pycolmap.Reconstruction, shared: SharedLens) -> pycolmap.Reconstruction:
    """The model with the photos of `shared.other` turned back and taken by `shared.camera`.

    Photos, points and their sightings keep their numbers and their order. Features without a point are left
    out.
    """
    camera = model.cameras[shared.camera]
    span = np.array([camera.width, camera.height], float)

    def turned(
        number: int, pixels: Array, pose: pycolmap.Rigid3d
    ) -> tuple[int, Array, pycolmap.Rigid3d]:
        if number != shared.other:
            return number, pixels, pose
        return (
            shared.camera,
            _pixels_back(pixels, span, shared.clockwise),
            _turn_back(shared) * pose,
        )

    found = tables(model)
    return with_points(model, found, found.points, turned)


def _write_back(
    one: pycolmap.Reconstruction, model: pycolmap.Reconstruction, shared: SharedLens
) -> None:
    """Give `model` the poses, points and lenses of the model `one` that has one camera for both."""
    forth = _turn_back(shared).inverse()
    for number in one.reg_image_ids():
        image = model.image(number)
        pose = one.image(number).cam_from_world()
        turned = image.camera_id == shared.other
        model.frame(image.frame_id).rig_from_world = forth * pose if turned else pose
    for number in one.point3D_ids():
        model.point3D(number).xyz = one.point3D(number).xyz
    for number, camera in one.cameras.items():
        model.cameras[number].params = camera.params
    lens = one.cameras[shared.camera]
    other = model.cameras[shared.other]
    set_lens(other, lens.model_name)
    other.params = list(turned_parameters(lens, shared.clockwise).values())


def turned_parameters(camera: pycolmap.Camera, clockwise: bool) -> dict[str, float]:
    """The camera's parameters for its picture turned by a quarter.

    Clockwise, what lay at (x, y) of a picture of height H lies at (H - y, x), and a ray (x, y) is (-y, x). In
    OPENCV's x + 2 p1 xy + p2 (r^2 + 2 x^2), y + 2 p2 xy + p1 (r^2 + 2 y^2) that makes p1 to p2 and p2 to -p1.
    """
    params = parameters(camera)
    new = dict(params)
    if "fx" in params:
        new["fx"], new["fy"] = params["fy"], params["fx"]
    if clockwise:
        new["cx"], new["cy"] = camera.height - params["cy"], params["cx"]
    else:
        new["cx"], new["cy"] = params["cy"], camera.width - params["cx"]
    if "p1" in params:
        sign = 1.0 if clockwise else -1.0
        new["p1"], new["p2"] = sign * params["p2"], -sign * params["p1"]
    return new


def _pixels_back(pixels: Array, span: Array, clockwise: bool) -> Array:
    """Pixels (K, 2) of the turned picture in the one it was, of width and height `span`."""
    x, y = pixels.T
    back = (y, span[1] - x) if clockwise else (span[0] - y, x)
    found: Array = np.column_stack(back)
    return found


def _turn_back(shared: SharedLens) -> pycolmap.Rigid3d:
    """From the turned photo's camera to the camera as it was shared."""
    sign = 1.0 if shared.clockwise else -1.0
    turn = np.array([[0.0, sign, 0.0], [-sign, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return pycolmap.Rigid3d(pycolmap.Rotation3d(turn), np.zeros(3))
