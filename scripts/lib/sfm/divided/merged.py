"""One model of the parts that were joined: their poses and lenses, and points triangulated anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pycolmap

from scripts.lib.core.geo import Array, Sim3
from scripts.lib.sfm.adjust import free_adjustment
from scripts.lib.sfm.divided.join import Group
from scripts.lib.sfm.divided.parts import Part
from scripts.lib.sfm.divided.submaps import Submap
from scripts.lib.sfm.incremental import pipeline_settings
from scripts.lib.sfm.options import MapOptions
from scripts.lib.sfm.rigs import exact_cameras

# What a point may miss a photo by before everything is adjusted: photos of different parts see it some pixels
# apart.
FILTER_PX = 24.0


def merged_model(
    cache: pycolmap.DatabaseCache,
    submaps: Sequence[Submap],
    group: Group,
    parts: Sequence[Part],
    left: set[int],
    options: MapOptions,
    threads: int,
) -> pycolmap.Reconstruction:
    """A model of the photos of a group that are in `left`, adjusted once.

    cache: of the database that the parts were mapped from.
    """
    poses = {n: pose for n, pose in placed_photos(submaps, group, parts).items() if n in left}
    model = pycolmap.Reconstruction()
    model.load(cache)
    exact = exact_cameras(model)
    for number, params in mean_lenses([submaps[member] for member in group.members]).items():
        if number not in exact and model.exists_camera(number):
            model.cameras[number].params = list(params)
    frames: set[int] = set()
    for number, pose in poses.items():
        image = model.image(number)
        if image.frame_id not in frames:  # the photos of a frame stand where the first one says
            frames.add(image.frame_id)
            model.frame(image.frame_id).set_cam_from_world(image.camera_id, pose)
            model.register_frame(image.frame_id)
    settings = pipeline_settings(options, threads, exact)
    usual = settings.mapper.filter_max_reproj_error
    settings.mapper.filter_max_reproj_error = FILTER_PX
    mapper = pycolmap.IncrementalMapper(cache)
    mapper.begin_reconstruction(model)
    for number in sorted(model.reg_image_ids()):
        mapper.triangulate_image(settings.triangulation, number)
    mapper.complete_and_merge_tracks(settings.triangulation)
    mapper.filter_points(settings.mapper)
    free_adjustment(model, options.refine_principal_point, frozenset())
    # Now the poses tell which sightings are wrong, and which points that were made apart are one.
    settings.mapper.filter_max_reproj_error = usual
    mapper.complete_and_merge_tracks(settings.triangulation)
    mapper.retriangulate(settings.triangulation)
    mapper.filter_points(settings.mapper)
    mapper.end_reconstruction(False)
    return model


def placed_photos(
    submaps: Sequence[Submap], group: Group, parts: Sequence[Part]
) -> dict[int, pycolmap.Rigid3d]:
    """Poses of the photos of a group in its frame, each of the part that it belongs to, where that has it."""
    home = {photo: number for number, part in enumerate(parts) for photo in part.own}
    chosen: dict[int, tuple[tuple[bool, int], int]] = {}
    for place, member in enumerate(group.members):
        submap = submaps[member]
        for photo in submap.poses:
            merit = (home.get(photo) == submap.part, len(submap.poses))
            if photo not in chosen or merit > chosen[photo][0]:
                chosen[photo] = merit, place
    return {
        photo: moved(submaps[group.members[place]].poses[photo], group.sim3[place])
        for photo, (_, place) in sorted(chosen.items())
    }


def moved(pose: pycolmap.Rigid3d, sim3: Sim3) -> pycolmap.Rigid3d:
    """The pose of a camera whose world was moved by a similarity; the camera's own unit grows with it."""
    turn = pose.rotation.matrix() @ sim3.rotation.T
    shift = sim3.scale * pose.translation - turn @ sim3.translation
    return pycolmap.Rigid3d(pycolmap.Rotation3d(turn), shift)


def mean_lenses(submaps: Sequence[Submap]) -> dict[int, Array]:
    """The parameters of each lens: the mean of what its parts found, by how many photos they have."""
    sums: dict[int, tuple[Array, int]] = {}
    for submap in submaps:
        for number, (params, used) in submap.cameras.items():
            before, count = sums.get(number, (np.zeros(len(params)), 0))
            sums[number] = before + used * params, count + used
    return {number: total / count for number, (total, count) in sums.items()}
