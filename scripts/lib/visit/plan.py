"""What the page needs to know of a visit: start, tour, limits, map. Planned from cameras and splat."""

from __future__ import annotations

from typing import Any

import numpy as np

from scripts.lib.core.console import UserError
from scripts.lib.scene import start_view
from scripts.lib.scene.scene import Scene
from scripts.lib.scene.start_view import StartView
from scripts.lib.splat import occupancy
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.visit import surroundings, tour

SIGHTS = 200  # points that tell what is hidden from a camera


def plan_visit(gaussians: Gaussians, scene: Scene) -> tuple[StartView, dict[str, Any]]:
    """The start view and view.json: its own keys, with `tour` (or null), `limits` and `map` beside.

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
    return view, {
        **view.as_json(),
        "tour": None if planned is None else planned.as_json(),
        "limits": surroundings.limits(centres, points),
        "map": surroundings.photo_map(
            centres, cameras[:, 2, :3], np.asarray(distances), points, scene.colours
        ),
    }
