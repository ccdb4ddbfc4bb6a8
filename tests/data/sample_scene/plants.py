"""Trees, climbers, grass and the planting in pots."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .masonry import HOUSE, terrain_height, tones
from .materials import surface
from .mesh import Array, MeshBuilder


def foliage(name: str = "leaf") -> Any:
    """A leaf material that lets some light through."""
    return surface(name, layers=((1.2, 0.25), (20.0, 0.35)), rough=0.55, bump=0.0, translucent=0.35)


def tree(rng: np.random.Generator, wood: MeshBuilder, leaf: MeshBuilder, base: Any) -> None:
    """A lemon tree: a forked trunk, limbs, clumps of leaves and some fruit."""
    tips: list[Array] = []

    def grow(p: Array, d: Array, length: float, radius: float, depth: int) -> None:
        points = [p]
        for _ in range(5):
            d = d + rng.normal(0, 0.13, 3) + [0, 0, 0.04]
            d = d / np.linalg.norm(d)
            points.append(points[-1] + d * length / 5)
        wood.tube(np.array(points), np.linspace(radius, radius * 0.68, 6), (0.23, 0.18, 0.135))
        if depth == 0:
            tips.extend(points[2:])
            return
        for _ in range(3 if depth > 1 else 3):
            e = d + rng.normal(0, 0.55, 3) + [0, 0, 0.12]
            grow(points[-1], e / np.linalg.norm(e), length * 0.72, radius * 0.62, depth - 1)

    grow(np.asarray(base, float), np.array([0.05, -0.08, 1.0]), 1.15, 0.12, 3)
    ends = np.array(tips)
    n = 5200
    centres = ends[rng.integers(0, len(ends), n)] + rng.normal(0, 0.16, (n, 3))
    leaf.leaves(centres, rng.uniform(0.09, 0.16, n), tones(rng, n, (0.105, 0.17, 0.04), 0.25))
    for p in ends[rng.integers(0, len(ends), 34)]:
        r = 0.045
        t = np.linspace(0, np.pi, 7)
        leaf.lathe(
            p + rng.normal(0, 0.15, 3),
            np.stack([r * np.sin(t), -r * 1.2 * np.cos(t)], -1),
            (0.75, 0.52, 0.05),
            10,
        )


def climber(rng: np.random.Generator, wood: MeshBuilder, leaf: MeshBuilder) -> None:
    """A bougainvillea up the house's south-east corner and along the eaves."""
    x1, y0 = HOUSE[1], HOUSE[2]
    routes = [
        [
            (x1 - 0.15, y0 - 0.1, 0),
            (x1 - 0.25, y0 - 0.12, 1.1),
            (x1 - 0.35, y0 - 0.12, 2.3),
            (x1 - 0.9, y0 - 0.16, 2.75),
            (x1 - 2.1, y0 - 0.18, 2.72),
            (x1 - 3.2, y0 - 0.17, 2.62),
        ],
        [(x1 - 0.1, y0 - 0.1, 0), (x1 + 0.05, y0 - 0.1, 1.4), (x1 - 0.1, y0 - 0.12, 2.8)],
        [(x1 + 0.1, y0 - 0.05, 0), (x1 + 0.14, y0 + 0.5, 1.5), (x1 + 0.14, y0 + 1.2, 2.5)],
    ]
    for route in routes:
        p = np.array(route, float)
        s = np.linspace(0, len(p) - 1, 40)
        line = np.stack([np.interp(s, np.arange(len(p)), p[:, k]) for k in range(3)], -1)
        line += np.cumsum(rng.normal(0, 0.008, line.shape), 0)
        wood.tube(line, np.linspace(0.035, 0.012, 40), (0.2, 0.15, 0.1), 6)
        n = 1500
        pick = np.clip(rng.beta(2.2, 1.1, n) * 39, 0, 39).astype(int)
        spread = np.array([0.2, 0.09, 0.2])
        c = line[pick] + rng.normal(0, 1, (n, 3)) * spread
        c[:, 1] = np.where(c[:, 0] < x1, np.minimum(c[:, 1], y0 - 0.02), c[:, 1])
        bloom = rng.uniform(size=(n, 1)) < 0.15 + 0.3 * (np.sin(3 * c[:, :1]) > 0.2)
        colour = np.where(
            bloom, tones(rng, n, (0.55, 0.06, 0.24), 0.2), tones(rng, n, (0.085, 0.16, 0.04), 0.25)
        )
        leaf.leaves(c, rng.uniform(0.07, 0.13, n), colour, width=0.7)


def bush(
    rng: np.random.Generator,
    leaf: MeshBuilder,
    centre: Any,
    size: Any,
    n: int,
    colour: Any,
    flower: Any = None,
    length: float = 0.08,
    share: float = 0.2,
) -> None:
    """A rounded shrub of ``n`` leaves, some of them flowers on the outside."""
    d = rng.normal(size=(n, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    d[:, 2] = np.abs(d[:, 2]) * 1.2 - 0.2
    lumps = 1 + 0.18 * np.sin(5 * d[:, :1] + 2 * d[:, 1:2]) * np.cos(4 * d[:, 2:])
    r = rng.uniform(0.55, 1.0, (n, 1)) ** 0.6
    c = np.asarray(centre) + d * r * lumps * np.asarray(size)
    colours = tones(rng, n, colour, 0.25) * (0.55 + 0.45 * r)
    if flower is not None:
        bloom = (rng.uniform(size=(n, 1)) < share) & (r > 0.8)
        colours = np.where(bloom, tones(rng, n, flower, 0.15), colours)
    leaf.leaves(c, rng.uniform(0.7, 1.3, n) * length, colours, width=0.6)


def grass(rng: np.random.Generator) -> None:
    """Tufts along the feet of the walls and over the meadow just outside."""
    builder = MeshBuilder(rng)
    spots = []
    for _ in range(420):
        side = rng.integers(0, 3)
        t = rng.uniform(-5.1, 5.1)
        off = abs(rng.normal(0, 0.1))
        spots.append([(-5.98 + off, t), (5.98 - off, t), (t * 1.15, 5.1 - off)][side])
    inside = len(spots)
    while len(spots) < inside + 2600:
        x, y = rng.uniform(-13, 13, 2)
        house = HOUSE[0] - 0.2 < x < HOUSE[1] + 0.2 and y < HOUSE[3] + 0.1 and y > 0
        yard = abs(x) < 6.5 and -5.6 < y < 5.5
        path = abs(x) < 1.5 and y < 0
        clump = np.sin(0.9 * x + 0.5) * np.cos(0.8 * y) + rng.normal(0, 0.5)
        if house or yard or path or clump < 0:
            continue
        spots.append((x, y))
    for k, (x, y) in enumerate(spots):
        blades = 7 if k < inside else 9
        tall = rng.uniform(0.07, 0.16) if k < inside else rng.uniform(0.10, 0.24)
        a = rng.uniform(0, 2 * np.pi, blades)
        lean = rng.uniform(0.15, 0.7, blades) * tall
        foot = np.array([x, y, -0.05]) + np.stack(
            [rng.normal(0, 0.05, blades), rng.normal(0, 0.05, blades), 0 * a], -1
        )
        w = np.stack([-np.sin(a), np.cos(a), 0 * a], -1) * 0.010
        tip = foot + np.stack(
            [np.cos(a) * lean, np.sin(a) * lean, np.full(blades, tall + 0.05)], -1
        )
        p = np.stack([foot - w, foot + w, tip], 1).reshape(-1, 3)
        colour = tones(rng, 1, (0.15, 0.18, 0.05), 0.2)[0]
        if rng.uniform() < 0.3:
            colour = tones(rng, 1, (0.28, 0.25, 0.10), 0.15)[0]
        builder.add(p, np.arange(3 * blades).reshape(-1, 3), tones(rng, blades, colour, 0.12))
    builder.build("grass", foliage("grass"), smooth=False)


def landscape(rng: np.random.Generator) -> None:
    """Trees and shrubs in the fields, a few shapes used many times."""
    kinds = []
    for k in range(5):
        leaf = MeshBuilder(rng)
        if k < 2:  # cypress
            n = 2600
            t = rng.uniform(0, 1, n)
            r = 0.75 * np.sin(np.pi * np.clip(t, 0, 1) ** 0.6) ** 0.8 * rng.uniform(0.75, 1, n)
            a = rng.uniform(0, 2 * np.pi, n)
            c = np.stack([r * np.cos(a), r * np.sin(a), 6.0 * t], -1)
            leaf.leaves(c, 0.38, tones(rng, n, (0.055, 0.09, 0.032), 0.25), 0.5, -1.0)
        else:
            n = 2400
            for _ in range(4):
                at = rng.normal(0, 0.7, 3) * [1, 1, 0.4] + [0, 0, 1.6]
                tone = [(0.12, 0.155, 0.05), (0.15, 0.165, 0.075), (0.095, 0.14, 0.04)][k - 2]
                bush(rng, leaf, at, (1.3, 1.3, 1.2), n // 4, tone, length=0.42)
        obj = leaf.build(f"tree{k}", foliage(f"tree{k}"))
        kinds.append(obj)
    placed = 0
    tries = 0
    while placed < 120 and tries < 4000:
        tries += 1
        r = 19.0 + 75.0 * rng.uniform() ** 1.6
        a = rng.uniform(0, 2 * np.pi)
        x, y = r * np.cos(a), r * np.sin(a)
        if np.sin(0.11 * x + 0.4) * np.cos(0.09 * y + 0.7) + rng.normal(0, 0.45) < -0.1:
            continue
        source = kinds[int(rng.integers(0, 5))]
        scale = rng.uniform(0.75, 1.35)
        if placed < len(kinds):
            obj = kinds[placed]
        else:
            obj = bpy.data.objects.new(f"copy{placed}", source.data)
            bpy.context.scene.collection.objects.link(obj)
        obj.location = (x, y, float(terrain_height(np.float64(x), np.float64(y))) - 0.15)
        obj.scale = (scale, scale, scale * rng.uniform(0.85, 1.15))
        obj.rotation_euler = (0, 0, rng.uniform(0, 6.28))
        placed += 1


def plant(rng: np.random.Generator, pots: list[tuple[float, float, float, float]]) -> None:
    """The lemon tree, the climber, the shrubs and what grows in the pots (x, y, top, radius)."""
    wood, leaf = MeshBuilder(rng), MeshBuilder(rng)
    tree(rng, wood, leaf, (4.25, 3.35, 0.25))
    climber(rng, wood, leaf)
    flowers = [(0.62, 0.05, 0.04), (0.65, 0.30, 0.45), (0.75, 0.7, 0.62), (0.66, 0.42, 0.04)]
    for k, (x, y, top, r) in enumerate(pots):
        bush(
            rng,
            leaf,
            (x, y, top + r * 0.55),
            (r * 1.25, r * 1.25, r * 1.2),
            420,
            (0.10, 0.165, 0.045),
            flowers[k % 4],
            0.065,
            0.45,
        )
    bush(
        rng,
        leaf,
        (-5.5, -4.3, 0.35),
        (0.55, 0.75, 0.6),
        1500,
        (0.12, 0.15, 0.075),
        (0.30, 0.18, 0.50),
        0.09,
        0.55,
    )
    bush(
        rng,
        leaf,
        (5.45, -3.9, 0.4),
        (0.6, 0.8, 0.65),
        1600,
        (0.095, 0.15, 0.04),
        (0.7, 0.62, 0.5),
        0.09,
        0.25,
    )
    bush(
        rng,
        leaf,
        (5.5, -2.7, 0.3),
        (0.5, 0.6, 0.5),
        900,
        (0.12, 0.15, 0.075),
        (0.30, 0.18, 0.50),
        0.08,
        0.55,
    )
    bush(rng, leaf, (-5.2, 4.7, 0.5), (0.7, 0.45, 0.75), 1400, (0.09, 0.14, 0.04), None, 0.1)
    wood.build("bark", surface("bark", layers=((5.0, 0.3), (30.0, 0.6), (90.0, 0.5)), bump=0.6))
    leaf.build("leaves", foliage())
