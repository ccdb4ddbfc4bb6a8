"""Verification of panoramas as wholes: the matches of all their views tell one geometry.

Two panoramas have up to thirty-six pairs of views, and few matches in each. Together they are many, and all
obey one essential matrix, for the views of a panorama have one centre. COLMAP's EQUIRECTANGULAR camera
takes directions all around, so its own estimation does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pycolmap

from scripts.lib.core.geo import Array
from scripts.lib.sfm.projection import cross_matrix
from scripts.lib.sfm.rigs import is_exact

# Pixels around the horizon of the camera that stands for a panorama: as the views have them in their middles.
AROUND = np.pi

Pair = tuple[int, int]


def verify_panoramas(
    link: Any, pairs: Sequence[Pair], options: pycolmap.TwoViewGeometryOptions
) -> None:
    """Verify the matches of `pairs` of images between panoramas, and write what fits to the database.

    Images that are no views of panoramas, and pairs that have a geometry, are left alone.
    """
    views = _views(link)
    together: dict[Pair, list[Pair]] = {}
    for a, b in pairs:
        if a in views and b in views and not link.exists_two_view_geometry(a, b):
            together.setdefault((views[a].frame, views[b].frame), []).append((a, b))
    rays = _Rays(link, views)
    for same in together.values():
        _verify(link, same, views, rays, options)


class _View:
    """A panorama's view: its frame, the side of the picture, and its pose in the rig."""

    def __init__(self, frame: int, side: int, pose: pycolmap.Rigid3d) -> None:
        self.frame, self.side, self.pose = frame, side, pose


class _Rays:
    """Directions of the features of views, in their panoramas' axes, read once each."""

    def __init__(self, link: Any, views: dict[int, _View]) -> None:
        self._link, self._views = link, views
        self._known: dict[int, Array] = {}

    def __getitem__(self, number: int) -> Array:
        if number not in self._known:
            view = self._views[number]
            pixels = np.asarray(self._link.read_keypoints(number), float)[:, :2].reshape(-1, 2)
            local = np.column_stack([pixels / (view.side / 2) - 1, np.ones(len(pixels))])
            self._known[number] = local @ view.pose.rotation.matrix()
        return self._known[number]


def _views(link: Any) -> dict[int, _View]:
    """The views of panoramas by their image's number."""
    cameras = {c.camera_id: c for c in link.read_all_cameras() if is_exact(c)}
    if not cameras:
        return {}
    rigs = {rig.rig_id: rig for rig in link.read_all_rigs()}
    frame_of = {data.id: frame for frame in link.read_all_frames() for data in frame.data_ids}
    found = {}
    for image in link.read_all_images():
        camera, frame = cameras.get(image.camera_id), frame_of.get(image.image_id)
        if camera is None or frame is None:
            continue
        rig = rigs[frame.rig_id]
        pose = pycolmap.Rigid3d()
        if not rig.is_ref_sensor(camera.sensor_id):
            if not rig.has_sensor_from_rig(camera.sensor_id):
                continue
            pose = rig.sensor_from_rig(camera.sensor_id)
        found[image.image_id] = _View(frame.frame_id, camera.width, pose)
    return found


def _verify(
    link: Any,
    pairs: Sequence[Pair],
    views: dict[int, _View],
    rays: _Rays,
    options: pycolmap.TwoViewGeometryOptions,
) -> None:
    """One geometry for the pairs of two panoramas' views."""
    matches = [np.asarray(link.read_matches(a, b), np.int64).reshape(-1, 2) for a, b in pairs]
    if sum(map(len, matches)) < options.min_num_inliers:
        return
    side = max(views[number].side for pair in pairs for number in pair)
    camera = pycolmap.Camera.create_from_model_name(
        1, "EQUIRECTANGULAR", 1.0, 2 * round(AROUND * side / 2), round(AROUND * side / 2)
    )
    first = np.concatenate(
        [rays[a][found[:, 0]] for (a, _), found in zip(pairs, matches, strict=True)]
    )
    second = np.concatenate(
        [rays[b][found[:, 1]] for (_, b), found in zip(pairs, matches, strict=True)]
    )
    number = np.arange(len(first))
    asked = pycolmap.TwoViewGeometryOptions(options.todict())
    asked.compute_relative_pose = True
    geometry = pycolmap.estimate_two_view_geometry(
        camera,
        np.asarray(camera.img_from_cam(first)),
        camera,
        np.asarray(camera.img_from_cam(second)),
        np.column_stack([number, number]).astype(np.uint32),
        asked,
    )
    pose = geometry.cam2_from_cam1
    if pose is None or len(geometry.inlier_matches) < options.min_num_inliers:
        return
    good = np.zeros(len(first), bool)
    good[np.asarray(geometry.inlier_matches)[:, 0]] = True
    ends = np.cumsum([len(found) for found in matches])[:-1]
    for (a, b), found, kept in zip(pairs, matches, np.split(good, ends), strict=True):
        if kept.any():
            between = views[b].pose * pose * views[a].pose.inverse()
            link.write_two_view_geometry(a, b, _between(between, found[kept]))


def _between(pose: pycolmap.Rigid3d, matches: np.ndarray[Any, Any]) -> pycolmap.TwoViewGeometry:
    """The geometry of two views with this pose between them."""
    geometry = pycolmap.TwoViewGeometry()
    geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
    geometry.E = cross_matrix(pose.translation) @ pose.rotation.matrix()
    geometry.cam2_from_cam1 = pose
    geometry.inlier_matches = matches.astype(np.uint32)
    return geometry
