"""What the page needs to know of a visit: start, tour, limits, map. Planned from cameras and splat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.georef import Matrix, Three
from scripts.lib.contracts.view import View
from scripts.lib.core.console import UserError
from scripts.lib.core.rig_names import frames_of
from scripts.lib.scene import start_view
from scripts.lib.scene.scene import Scene
from scripts.lib.scene.start_view import StartView
from scripts.lib.splat import occupancy
from scripts.lib.splat.pieces import Splat
from scripts.lib.visit import surroundings, tour
from scripts.lib.visit.known_places import known_places

SIGHTS = 200  # points that tell what is hidden from a camera


def best_views(names: Sequence[str], merit: npt.NDArray[np.float64]) -> list[int]:
    """The photos to stop at, in their order: of the views of a panorama the one of most merit (V,).

    It is the place of a panorama that a visit goes to; six views of it would be six stops.
    """
    frames = frames_of(names).values()
    return sorted(max(frame, key=lambda index: (merit[index], -index)) for frame in frames)


def plan_visit(splat: Splat, scene: Scene) -> tuple[StartView, View]:
    """The start view, and view.json with tour, limits and map beside it.

    Raises UserError when the scene has no points.
    """
    if not len(scene.points):
        raise UserError(f"{scene.path} holds no points; run map_scene again")
    cameras, points, centres = scene.world_to_camera, scene.points, scene.centres
    distances = start_view.distances_seen(cameras, points)
    space = occupancy.measure(splat, *surroundings.box_of(centres, points), centres)
    core = start_view.core_of(points)
    some = core[np.linspace(0, len(core) - 1, min(len(core), SIGHTS)).astype(int)]
    seen = np.array([occupancy.seen_share(space, centre, some) for centre in centres])
    view = start_view.choose(scene.names, cameras, scene.K, scene.sizes, points, seen)
    merit = seen * start_view.scores(cameras, scene.K, scene.sizes, points)
    places = best_views(scene.names, merit)
    planned = tour.plan(
        view,
        tuple(scene.names[index] for index in places),
        cameras[places],
        merit[places],
        start_view.fields_of_view(scene.K, scene.sizes)[places],
        distances[places],
        space,
    )
    plan = surroundings.photo_map(
        centres[places], cameras[places, 2, :3], distances[places], points, scene.colours
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
        known=tuple((x, y, z) for x, y, z in known_places(points).round(4).tolist()),
    )
