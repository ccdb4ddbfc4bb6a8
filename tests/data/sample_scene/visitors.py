"""What is elsewhere in every photo: people, a car and laundry, and how much of a picture they cover."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from . import cameras
from .masonry import HALF_X, HALF_Y
from .materials import surface
from .mesh import Array, MeshBuilder

NAME = "visitors"
COVERED = 0.2  # of a picture's pixels
EVERY = 16  # pixels between the rays that measure it
MOST = 60  # groups
NEAREST = 1.8  # metres from the camera
SKIN = ((0.55, 0.36, 0.26), (0.32, 0.19, 0.12), (0.68, 0.48, 0.38))
CLOTH = (
    (0.55, 0.04, 0.04),
    (0.03, 0.09, 0.32),
    (0.02, 0.02, 0.025),
    (0.7, 0.68, 0.62),
    (0.62, 0.42, 0.03),
    (0.05, 0.22, 0.1),
    (0.3, 0.28, 0.3),
    (0.42, 0.14, 0.3),
)


def person(build: MeshBuilder, foot: Array, facing: float) -> None:
    """Somebody who walks: legs, arms, body and head, in clothes of two colours."""
    rng = build.rng
    top, legs = (np.asarray(CLOTH[k]) for k in rng.choice(len(CLOTH), 2, replace=False))
    skin = np.asarray(SKIN[rng.integers(len(SKIN))])
    tall = rng.uniform(0.9, 1.08)
    ahead = np.array([np.cos(facing), np.sin(facing), 0.0])
    aside = np.array([-ahead[1], ahead[0], 0.0])
    stride = rng.uniform(0.05, 0.3)

    def at(forward: float, left: float, up: float) -> Array:
        return foot + tall * (forward * ahead + left * aside + np.array([0, 0, up]))

    for side in (-1, 1):
        step, swing = side * stride, -side * stride
        build.tube(
            [at(step, side * 0.1, 0.0), at(step / 3, side * 0.1, 0.45), at(0, side * 0.09, 0.9)],
            [0.06 * tall, 0.075 * tall, 0.1 * tall],
            legs,
        )
        build.tube(
            [
                at(0, side * 0.2, 1.42),
                at(swing / 3, side * 0.26, 1.12),
                at(swing, side * 0.25, 0.86),
            ],
            [0.06 * tall, 0.05 * tall, 0.04 * tall],
            top,
        )
    body = [
        (0.01, 0.84),
        (0.16, 0.86),
        (0.17, 1.0),
        (0.155, 1.15),
        (0.19, 1.35),
        (0.13, 1.47),
        (0.06, 1.5),
    ]
    build.lathe(foot, tall * np.array(body), top, 14)
    head = [(0.01, 1.5), (0.05, 1.52), (0.09, 1.58), (0.1, 1.65), (0.085, 1.73), (0.01, 1.77)]
    build.lathe(foot, tall * np.array(head), skin, 14)


def car(build: MeshBuilder, place: Array, facing: float) -> None:
    """A small car: body, cabin, windows and wheels."""
    turn = np.array(
        [[np.cos(facing), -np.sin(facing), 0], [np.sin(facing), np.cos(facing), 0], [0, 0, 1]]
    )
    paint = np.asarray(CLOTH[build.rng.integers(len(CLOTH))])

    def box(centre: Any, half: Any, tint: Any, bevel: float = 0.08) -> None:
        build.boxes([place + turn @ np.asarray(centre, float)], [half], tint, turn[None], bevel)

    box((0, 0, 0.58), (1.85, 0.8, 0.3), paint, 0.14)
    box((-0.2, 0, 1.1), (1.05, 0.72, 0.3), paint, 0.2)
    box((-0.2, 0, 1.1), (1.08, 0.6, 0.2), (0.02, 0.025, 0.03))
    box((-0.2, 0, 1.1), (0.85, 0.74, 0.18), (0.02, 0.025, 0.03))
    for x in (-1.15, 1.2):
        for y in (-0.76, 0.76):
            box((x, y, 0.31), (0.3, 0.1, 0.3), (0.015, 0.015, 0.015), 0.09)


def laundry(build: MeshBuilder, place: Array, facing: float) -> None:
    """A line with sheets and towels in the wind."""
    rng = build.rng
    along = np.array([np.cos(facing), np.sin(facing), 0.0])
    across = np.array([-along[1], along[0], 0.0])
    x = -1.6
    while x < 1.4:
        width, drop = rng.uniform(0.5, 1.2), rng.uniform(0.7, 1.5)
        a, b = np.meshgrid(np.linspace(0, 1, 14), np.linspace(0, 1, 12), indexing="ij")
        bulge = 0.16 * b * np.sin(5 * a + 6 * rng.random()) + 0.2 * b * rng.uniform(-1, 1)
        points = (
            place
            + (x + a * width)[..., None] * along
            + bulge[..., None] * across
            + (2.0 - b * drop)[..., None] * np.array([0, 0, 1.0])
        )
        stripes = np.asarray(CLOTH[rng.integers(len(CLOTH))])
        tint = np.broadcast_to(stripes, (13, 11, 3)).copy()
        if rng.random() < 0.5:
            tint[:, ::3] = (0.75, 0.73, 0.7)
        build.sheet(points, tint)
        x += width + rng.uniform(0.03, 0.15)
    for end in (-1.7, 1.7):
        build.beam(
            place + end * along, place + end * along + [0, 0, 2.05], 0.06, 0.06, (0.3, 0.2, 0.1)
        )


def clear() -> None:
    """Take the visitors of the last photo away."""
    for thing in [o for o in bpy.data.objects if o.name.startswith(NAME)]:
        bpy.data.meshes.remove(thing.data)


def covered(view: cameras.View) -> Array:
    """Where visitors stand before the scene: (H / EVERY, W / EVERY) bool."""
    scene, graph = bpy.context.scene, bpy.context.evaluated_depsgraph_get()
    camera = view.world_to_camera()
    eye = Vector(view.eye)
    across, down = (
        (np.arange(EVERY // 2, side, EVERY) + 0.5 - side / 2) / cameras.FOCAL_PX
        for side in (cameras.WIDTH, cameras.HEIGHT)
    )
    found = np.zeros((len(down), len(across)), bool)
    for row, y in enumerate(down):
        for column, x in enumerate(across):
            ray = camera[:3, :3].T @ np.array([x, y, 1.0])
            hit, _, _, _, thing, _ = scene.ray_cast(graph, eye, Vector(ray / np.linalg.norm(ray)))
            found[row, column] = hit and thing.name.startswith(NAME)
    return found


def place(view: cameras.View, number: int, seed: int) -> float:
    """Put people, a car and laundry into the yard until they cover enough of this view: their share."""
    clear()
    rng = np.random.default_rng([seed, 1000 + number])
    cloth = surface(f"{NAME}{number}", layers=((4.0, 0.15), (30.0, 0.2)), rough=0.8, bump=0.1)
    share = 0.0
    for group in range(MOST):
        build = MeshBuilder(rng)
        if group == 0:
            car(build, _free(view, rng, 4.0), rng.uniform(0, 2 * np.pi))
        else:
            spot, facing = _free(view, rng, NEAREST), rng.uniform(0, 2 * np.pi)
            if group % 4 == 1:
                laundry(build, spot, facing)
            else:
                person(build, spot, facing)
        build.build(f"{NAME}{group}", cloth)
        bpy.context.view_layer.update()
        share = float(covered(view).mean())
        if share >= COVERED:
            break
    return share


def _free(view: cameras.View, rng: np.random.Generator, nearest: float) -> Array:
    """A spot on the ground of the yard that the view sees, not too near to the camera."""
    camera = view.world_to_camera()
    while True:
        spot = np.array([rng.uniform(-HALF_X, HALF_X), rng.uniform(-HALF_Y, HALF_Y), 0.0])
        x, y, z = camera[:3, :3] @ (spot + [0, 0, 0.9]) + camera[:3, 3]
        half = (cameras.WIDTH / 2, cameras.HEIGHT / 2)
        inside = z > nearest and all(
            abs(q) / z * cameras.FOCAL_PX < side for q, side in zip((x, y), half, strict=True)
        )
        # Not in the well.
        if inside and np.hypot(*spot[:2]) > 1.6 and np.hypot(*(spot[:2] - view.eye[:2])) > nearest:
            return spot
