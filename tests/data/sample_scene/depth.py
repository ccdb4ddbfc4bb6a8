"""Exact depths of the modelled scene, by rays."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from sample_scene import cameras

ABOVE_HALF, ABOVE_STEP = (
    9.0,
    0.05,
)  # metres: half a side of what is looked down on, and a pixel of it
EVERY = 4  # pixels; a ray goes through the centre of every fourth, from the third on


def depth(view: cameras.View) -> Any:
    """Depth along the axis in metres, (H / EVERY, W / EVERY) float16; 0 where a ray meets nothing."""
    scene = bpy.context.scene
    graph = bpy.context.evaluated_depsgraph_get()
    camera = view.world_to_camera()
    rotation, shift = camera[:3, :3], camera[:3, 3]
    eye = Vector(-rotation.T @ shift)
    across, down = (
        (np.arange(EVERY // 2, side, EVERY) + 0.5 - side / 2) / cameras.FOCAL_PX
        for side in (cameras.WIDTH, cameras.HEIGHT)
    )
    found = np.zeros((len(down), len(across)), np.float16)
    for row, y in enumerate(down):
        for column, x in enumerate(across):
            ray = rotation.T @ np.array([x, y, 1.0])
            hit, place, *_ = scene.ray_cast(graph, eye, Vector(ray / np.linalg.norm(ray)))
            if hit:
                found[row, column] = (rotation @ np.array(place) + shift)[2]
    return found


def heights() -> Any:
    """Height of what a ray straight down meets first, metres, (360, 360) float16; north is up."""
    scene, graph = bpy.context.scene, bpy.context.evaluated_depsgraph_get()
    axis = np.arange(-ABOVE_HALF + ABOVE_STEP / 2, ABOVE_HALF, ABOVE_STEP)
    found = np.zeros((len(axis), len(axis)), np.float16)
    for row, north in enumerate(-axis):
        for column, east in enumerate(axis):
            _, place, *_ = scene.ray_cast(graph, Vector((east, north, 60.0)), Vector((0, 0, -1)))
            found[row, column] = place[2]
    return found


def seen(view: cameras.View, to_sun: Any) -> tuple[Any, Any]:
    """Depth as in `depth`, float32, and whether the sun shines there, both (H / EVERY, W / EVERY).

    to_sun: the unit direction (3,) to the sun.
    """
    scene, graph = bpy.context.scene, bpy.context.evaluated_depsgraph_get()
    camera, sun = view.world_to_camera(), Vector(to_sun)
    across, down = (
        (np.arange(EVERY // 2, side, EVERY) + 0.5 - side / 2) / cameras.FOCAL_PX
        for side in (cameras.WIDTH, cameras.HEIGHT)
    )
    far, lit = (
        np.zeros((len(down), len(across)), np.float32),
        np.ones((len(down), len(across)), bool),
    )
    for row, y in enumerate(down):
        for column, x in enumerate(across):
            ray = camera[:3, :3].T @ np.array([x, y, 1.0])
            hit, place, normal, *_ = scene.ray_cast(
                graph, Vector(view.eye), Vector(ray / np.linalg.norm(ray))
            )
            if hit:
                far[row, column] = (camera[:3, :3] @ np.array(place) + camera[:3, 3])[2]
                begin = place + normal * 0.002 * (1 if normal.dot(sun) > 0 else -1)
                lit[row, column] = not scene.ray_cast(graph, begin, sun)[0]
    return far, lit
