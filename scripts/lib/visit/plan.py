"""What the page needs to know of a visit: start, tour, limits, map. Planned from cameras and splat."""

from __future__ import annotations

from typing import cast

import numpy as np

from scripts.lib.contracts.georef import Matrix, Three
from scripts.lib.contracts.view import View
from scripts.lib.core.console import UserError
from scripts.lib.scene import start_view
from scripts.lib.scene.scene import Scene
from scripts.lib.scene.start_view import StartView
from scripts.lib.splat import occupancy
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.visit import surroundings, tour

SIGHTS = 200  # points that tell what is hidden from a camera


def plan_visit(gaussians: Gaussians, scene: Scene) -> tuple[StartView, View]:
    """The start view, and view.json with tour, limits and map beside it.

    Raises UserError when the scene has no points.
    """
    if not len(scene.points):
        raise UserError(f"{scene.path} holds no points; run map_scene again")
    cameras, points, centres = scene.world_to_camera, scene.points, scene.centres
    distances = start_view.distances_seen(cameras, points)
    space = occupancy.measure(gaussians, *surroundings.box_of(centres, points), centres)
    core = start_view.core_of(points)
    some = core[np.linspace(0, len(core) - 1, min(len(core), SIGHTS)).astype(int)]
    seen = np.array([occupancy.seen_share(space, centre, some) for centre in centres])
    view = start_view.choose(scene.names, cameras, scene.K, scene.sizes, points, seen)
    planned = tour.plan(
        view,
        scene.names,
        cameras,
        seen * start_view.scores(cameras, scene.K, scene.sizes, points),
        start_view.fields_of_view(scene.K, scene.sizes),
        distances,
        space,
    )
    plan = surroundings.photo_map(
        centres, cameras[:, 2, :3], np.asarray(distances), points, scene.colours
    )
    return view, View(
        name=view.name,
        position=cast(Three, tuple(view.position.tolist())),
        target=cast(Three, tuple(view.target.tolist())),
        fov=view.fov,
        world_to_camera=cast(Matrix, tuple(map(tuple, view.world_to_camera.tolist()))),
        tour=None if planned is None else planned.keyframes(),
        limits=surroundings.limits(centres, points),
        map=plan,
    )
