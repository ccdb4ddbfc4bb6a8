"""The ground, the cobbles, the garden walls and the house. East is +x, north +y, metres."""

from __future__ import annotations

from typing import Any

import numpy as np

from .materials import surface
from .mesh import Array, MeshBuilder, rotation_xyz, rotation_z

HALF_X, HALF_Y = 6.0, 5.2  # the yard's inner half sizes
HOUSE = (-4.0, 2.6, 4.4, 8.4)  # x0, x1, y0, y1
EAVES, RIDGE = 3.1, 4.7


def tones(rng: np.random.Generator, n: int, base: Any, spread: float, hue: float = 0.06) -> Array:
    """N colours around ``base``: brightness varies by ``spread``, hue by ``hue``."""
    light = rng.lognormal(0.0, spread, (n, 1))
    return np.clip(np.asarray(base) * light * rng.normal(1.0, hue, (n, 3)), 0.01, 0.9)


def terrain_height(x: Array, y: Array) -> Array:
    """Height of the land: flat about the yard, rising to low hills far away."""
    r = np.hypot(x, y)
    rise = np.clip((r - 16.0) / 60.0, 0.0, 1.0) ** 1.5
    waves = 0.55 + 0.3 * np.sin(0.06 * x + 1.1) * np.cos(0.05 * y - 0.4) + 0.15 * np.sin(0.13 * y)
    return -0.06 + 16.0 * rise * waves


def ground(rng: np.random.Generator) -> None:
    """The land around, and the packed earth under the cobbles."""
    radius = np.concatenate([np.linspace(0.0, 16.0, 12), np.geomspace(17.0, 160.0, 50)])
    angle = np.linspace(0, 2 * np.pi, 161)
    x, y = radius[:, None] * np.cos(angle), radius[:, None] * np.sin(angle)
    land = MeshBuilder(rng)
    land.sheet(np.stack([x, y, terrain_height(x, y)], -1), (0.13, 0.155, 0.045))
    material = surface("land", layers=((0.4, 0.3), (2.2, 0.35), (14.0, 0.45)), fields=True)
    land.build("land", material)

    earth = MeshBuilder(rng)
    gx, gy = np.meshgrid(np.linspace(-6.3, 6.3, 60), np.linspace(-7.4, 5.4, 60), indexing="ij")
    gz = 0.012 + rng.uniform(-0.006, 0.006, gx.shape)
    gz = np.where((gy < -5.6) & (np.abs(gx) > 1.3), -0.1, gz)
    earth.sheet(np.stack([gx, gy, gz], -1), (0.21, 0.17, 0.125))
    earth.build("earth", surface("earth", layers=((2.0, 0.3), (18.0, 0.5), (70.0, 0.6))))


def cobbles(rng: np.random.Generator) -> None:
    """Rings of setts about the well, rows of river cobbles elsewhere."""
    builder = MeshBuilder(rng)
    centres, halves, angles, colours = [], [], [], []
    radius = 1.12
    while radius < 2.75:
        count = round(2 * np.pi * radius / 0.27)
        phase = rng.uniform(0, 1)
        for k in range(count):
            a = 2 * np.pi * (k + phase) / count
            width = 2 * np.pi * radius / count
            centres.append((radius * np.cos(a), radius * np.sin(a), rng.uniform(0.0, 0.018)))
            halves.append((0.088, width / 2 - 0.012, 0.035))
            angles.append(a)
            warm = (0.36, 0.29, 0.22) if int(radius / 0.2) % 4 else (0.33, 0.17, 0.11)
            colours.append(tones(rng, 1, warm, 0.16)[0])
        radius += 0.2
    pitch = 0.215
    row = 0
    y = -7.3
    while y < HALF_Y:
        x = -HALF_X - 0.2 + rng.uniform(0, 0.2)
        while x < HALF_X + 0.2:
            w = rng.uniform(0.17, 0.29)
            cx, cy = x + w / 2, y + rng.normal(0, 0.008) + 0.05 * np.sin(0.9 * x + 0.35 * y)
            x += w
            gate = abs(cx) < 1.25 + 0.12 * rng.normal()
            if np.hypot(cx, cy) < 2.83 or (cy < -5.55 and not gate):
                continue
            if rng.uniform() < 0.035:
                continue
            centres.append((cx, cy, rng.uniform(-0.012, 0.015)))
            halves.append((w / 2 - 0.008, pitch / 2 - 0.009, 0.035))
            angles.append(rng.normal(0, 0.07))
            patch = 0.5 + 0.5 * np.sin(0.8 * cx + 1.3) * np.cos(0.7 * cy)
            base = np.array((0.30, 0.27, 0.235)) * patch + np.array((0.34, 0.28, 0.21)) * (
                1 - patch
            )
            if rng.uniform() < 0.07:
                base = np.array((0.24, 0.15, 0.115))
            colours.append(tones(rng, 1, base, 0.2)[0])
        y += pitch
        row += 1
    builder.boxes(
        np.array(centres),
        np.array(halves),
        np.array(colours),
        rotation_z(np.array(angles)),
        bevel=0.03,
        wobble=0.007,
    )
    material = surface(
        "cobble",
        layers=((1.7, 0.25), (16.0, 0.45), (75.0, 0.5)),
        stain=(0.10, 0.115, 0.045),
        stain_range=(0.60, 0.75),
        rough=0.7,
    )
    builder.build("cobbles", material)


def stone_wall(
    builder: MeshBuilder, core: MeshBuilder, a: Any, b: Any, height: float, thick: float = 0.34
) -> None:
    """A coursed rubble wall with a cap, from ground point ``a`` to ``b`` (x, y)."""
    rng = builder.rng
    start, end = np.array([*a, 0.0]), np.array([*b, 0.0])
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    turn = float(np.arctan2(along[1], along[0]))
    centres, halves = [], []
    z = 0.0
    while z < height - 0.02:
        tall = min(rng.uniform(0.13, 0.27), height - z)
        if height - z - tall < 0.1:
            tall = height - z
        s = -rng.uniform(0, 0.3)
        while s < length:
            w = rng.uniform(0.2, 0.55)
            s0, s1 = max(s, 0.0), min(s + w, length)
            s += w
            if s1 - s0 < 0.08:
                continue
            c = start + along * (s0 + s1) / 2
            centres.append((c[0], c[1], z + tall / 2))
            halves.append(
                ((s1 - s0) / 2 - 0.008, thick / 2 + rng.normal(0, 0.014), tall / 2 - 0.008)
            )
        z += tall
    n = len(centres)
    base = np.where(rng.uniform(size=(n, 1)) < 0.25, (0.40, 0.29, 0.19), (0.43, 0.375, 0.295))
    colours = base * tones(rng, n, (1, 1, 1), 0.17)[:, :3].clip(0.5, 1.6)
    colours = base * np.clip(rng.lognormal(0, 0.19, (n, 1)) * rng.normal(1, 0.05, (n, 3)), 0.4, 1.7)
    rot = rotation_z(turn + rng.normal(0, 0.015, n))
    builder.boxes(np.array(centres), np.array(halves), colours, rot, bevel=0.035, wobble=0.012)
    s = 0.0
    while s < length - 0.05:
        w = min(rng.uniform(0.4, 0.62), length - s)
        c = start + along * (s + w / 2)
        builder.boxes(
            [(c[0], c[1], height + 0.045)],
            [(w / 2 - 0.006, thick / 2 + 0.05, 0.045)],
            tones(rng, 1, (0.42, 0.37, 0.30), 0.12),
            rotation_z(turn + rng.normal(0, 0.012)),
            bevel=0.025,
            wobble=0.008,
        )
        s += w
    mid = (start + end) / 2
    core.boxes(
        [(mid[0], mid[1], height / 2)],
        [(length / 2 - 0.02, thick / 2 - 0.03, height / 2)],
        (0.36, 0.32, 0.26),
        rotation_z(turn),
        bevel=0.01,
    )


def walls(rng: np.random.Generator) -> None:
    """The garden walls, the gate piers and the quoins of the house."""
    stones, core = MeshBuilder(rng), MeshBuilder(rng)
    x0, x1, y0, y1 = HOUSE
    wx, wy = HALF_X + 0.17, HALF_Y + 0.1
    stone_wall(stones, core, (-wx, -wy), (-wx, wy), 1.75)
    stone_wall(stones, core, (wx, -wy), (wx, wy), 1.55)
    stone_wall(stones, core, (x1, wy), (wx, wy), 1.9)
    stone_wall(stones, core, (-wx, wy), (x0, wy), 1.9)
    stone_wall(stones, core, (-wx, -wy), (-4.2, -wy), 1.15)
    stone_wall(stones, core, (4.2, -wy), (wx, -wy), 1.15)
    for x in (-1.45, 1.45):
        for k in range(7):
            stones.boxes(
                [(x, -wy, 0.11 + 0.22 * k)],
                [(0.23 + rng.normal(0, 0.008), 0.23 + rng.normal(0, 0.008), 0.105)],
                tones(rng, 1, (0.42, 0.37, 0.29), 0.14),
                rotation_z(rng.normal(0, 0.03)),
                bevel=0.03,
                wobble=0.01,
            )
        stones.boxes([(x, -wy, 1.6)], [(0.3, 0.3, 0.06)], (0.45, 0.4, 0.33), bevel=0.03)
    for cx, sx in ((x0, 1), (x1, -1)):
        for cy, sy in ((y0, 1), (y1, -1)):
            for k in range(11):
                long = k % 2 == 0
                hx, hy = (0.27, 0.17) if long else (0.17, 0.27)
                stones.boxes(
                    [(cx + sx * (hx - 0.035), cy + sy * (hy - 0.035), 0.14 + 0.275 * k)],
                    [(hx, hy, 0.132)],
                    tones(rng, 1, (0.47, 0.41, 0.32), 0.12),
                    bevel=0.025,
                    wobble=0.008,
                )
    material = surface(
        "stone",
        layers=((2.6, 0.3), (13.0, 0.5), (60.0, 0.55)),
        stain=(0.16, 0.155, 0.085),
        stain_range=(0.56, 0.72),
        stain_scale=1.9,
        bump=0.5,
    )
    stones.build("stones", material)
    core.build("mortar", surface("mortar", layers=((3.0, 0.3), (22.0, 0.5), (80.0, 0.5))))


def _opening(
    frame: MeshBuilder, stone: MeshBuilder, centre: Any, half: Any, face: int, door: bool
) -> None:
    """A door or window with shutters on the south (face -1) or north (+1) wall."""
    rng = frame.rng
    x, y, z = centre
    hw, hh = half
    out = float(face)
    stone.boxes(
        [(x, y + out * 0.03, z + hh + 0.12)],
        [(hw + 0.2, 0.06, 0.11)],
        (0.5, 0.44, 0.35),
        bevel=0.02,
        wobble=0.005,
    )
    for side in (-1, 1):
        for k in range(4):
            stone.boxes(
                [(x + side * (hw + 0.07), y + out * 0.02, z - hh + hh * (2 * k + 1) / 4)],
                [(0.075 + 0.03 * (k % 2), 0.05, hh / 4 - 0.006)],
                tones(rng, 1, (0.5, 0.44, 0.35), 0.1),
                bevel=0.015,
                wobble=0.004,
            )
    blue = np.array((0.075, 0.19, 0.26))
    if door:
        planks = 6
        for k in range(planks):
            frame.boxes(
                [(x - hw + hw * (2 * k + 1) / planks, y + out * 0.02, z)],
                [(hw / planks - 0.004, 0.03, hh)],
                tones(rng, 1, blue, 0.12),
                bevel=0.006,
            )
        for dz in (-0.6, 0.62):
            frame.boxes([(x, y + out * 0.06, z + dz * hh)], [(hw, 0.015, 0.07)], blue * 0.8)
        stone.boxes(
            [(x, y + out * 0.22, 0.07)],
            [(hw + 0.3, 0.3, 0.07)],
            (0.42, 0.37, 0.3),
            bevel=0.02,
            wobble=0.006,
        )
        return
    stone.boxes(
        [(x, y + out * 0.06, z - hh - 0.06)],
        [(hw + 0.18, 0.1, 0.055)],
        (0.5, 0.44, 0.36),
        bevel=0.02,
        wobble=0.004,
    )
    frame.boxes([(x, y - out * 0.005, z)], [(hw, 0.02, hh)], (0.018, 0.022, 0.028), bevel=0.005)
    cream = (0.55, 0.5, 0.4)
    for u in (-1.0, 0.0, 1.0):
        frame.boxes(
            [(x + u * (hw - 0.03), y + out * 0.025, z)], [(0.03, 0.02, hh)], cream, bevel=0.006
        )
    for v in (-1.0, -0.33, 0.33, 1.0):
        frame.boxes(
            [(x, y + out * 0.027, z + v * (hh - 0.02))], [(hw, 0.018, 0.022)], cream, bevel=0.006
        )
    for side in (-1, 1):
        cx = x + side * (hw + 0.12 + hw / 2)
        for k in range(4):
            frame.boxes(
                [(cx - hw / 2 + hw * (2 * k + 1) / 8, y + out * 0.085, z)],
                [(hw / 8 - 0.004, 0.016, hh)],
                tones(rng, 1, blue, 0.15),
                bevel=0.005,
            )
        for v in (-0.7, 0.7):
            frame.boxes(
                [(cx, y + out * 0.11, z + v * hh)],
                [(hw / 2, 0.012, 0.045)],
                blue * 0.85,
                bevel=0.005,
            )


def house(rng: np.random.Generator) -> None:
    """A small plastered house with a tiled roof."""
    x0, x1, y0, y1 = HOUSE
    ym = (y0 + y1) / 2
    body = MeshBuilder(rng)
    plaster = (0.60, 0.43, 0.255)
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    for k in range(4):
        a, b = corners[k], corners[(k + 1) % 4]
        v = [(*a, -0.1), (*b, -0.1), (*b, EAVES), (*a, EAVES)]
        body.add(v, [[0, 1, 2, 3]], plaster)
    for x in (x0, x1):
        body.add([(x, y0, EAVES), (x, y1, EAVES), (x, ym, RIDGE)], [[0, 1, 2]], plaster)
    material = surface(
        "plaster",
        layers=((0.9, 0.22), (6.0, 0.22), (38.0, 0.25)),
        bricks=True,
        bump=0.4,
        stain=(0.30, 0.23, 0.16),
        stain_range=(0.58, 0.8),
        stain_scale=1.1,
    )
    body.build("house", material, smooth=False)

    frame, stone = MeshBuilder(rng), MeshBuilder(rng)
    _opening(frame, stone, (-0.55, y0, 1.18), (0.52, 1.05), -1, True)
    _opening(frame, stone, (-2.55, y0, 1.65), (0.42, 0.55), -1, False)
    _opening(frame, stone, (1.35, y0, 1.65), (0.42, 0.55), -1, False)
    _opening(frame, stone, (-2.3, y1, 1.65), (0.42, 0.55), 1, False)
    _opening(frame, stone, (0.9, y1, 1.65), (0.42, 0.55), 1, False)
    paint = surface(
        "paint",
        layers=((2.0, 0.25), (14.0, 0.4), (50.0, 0.35)),
        stretch=(0.25, 1.6, 1.6),
        rough=0.6,
        stain=(0.35, 0.31, 0.25),
        stain_range=(0.6, 0.72),
        stain_scale=7.0,
    )
    frame.build("joinery", paint)
    stone.build("dressings", surface("dressed", layers=((3.0, 0.2), (15.0, 0.4), (70.0, 0.4))))

    chimney = MeshBuilder(rng)
    for k in range(14):
        for dx, dy, hx, hy in (
            (-0.2, -0.3, 0.15, 0.095),
            (0.15, -0.3, 0.19, 0.095),
            (-0.2, 0.3, 0.19, 0.095),
            (0.17, 0.3, 0.15, 0.095),
            (-0.27, 0.0, 0.095, 0.2),
            (0.27, 0.0, 0.095, 0.2),
        ):
            chimney.boxes(
                [(1.6 + dx, ym + 0.35 + dy, 4.15 + 0.085 * k)],
                [(hx, hy, 0.038)],
                tones(rng, 1, (0.36, 0.17, 0.10), 0.18),
                bevel=0.012,
                wobble=0.004,
            )
    chimney.boxes([(1.6, ym + 0.35, 5.36)], [(0.44, 0.47, 0.04)], (0.45, 0.4, 0.33), bevel=0.02)
    chimney.boxes([(1.6, ym + 0.35, 4.7)], [(0.3, 0.32, 0.62)], (0.35, 0.3, 0.25))
    chimney.build("chimney", surface("brick", layers=((4.0, 0.3), (25.0, 0.5), (70.0, 0.5))))
    _roof(rng)


def _roof(rng: np.random.Generator) -> None:
    """Rows of half-round clay tiles, each a little out of line."""
    x0, x1, y0, y1 = HOUSE
    ym = (y0 + y1) / 2
    tiles, under = MeshBuilder(rng), MeshBuilder(rng)
    over = 0.32
    slope = np.array([(ym - y0), RIDGE - EAVES])
    pitch = float(np.hypot(*slope))
    slope /= pitch
    a = np.linspace(0, np.pi, 7)
    column = 0.205
    for side, edge in ((1.0, y0), (-1.0, y1)):
        down = np.array([0.0, -side * slope[0], -slope[1]])
        normal = np.array([0.0, -side * slope[1], slope[0]])
        ridge = np.array([0.0, ym, RIDGE + 0.03])
        length = pitch + over
        v = [
            ridge + [x, 0, 0] + down * s
            for x, s in ((x0 - 0.25, 0), (x1 + 0.25, 0), (x1 + 0.25, length), (x0 - 0.25, length))
        ]
        under.add(np.array(v), [[0, 1, 2, 3]], (0.19, 0.085, 0.05))
        rows = int(length / 0.33) + 1
        for c in range(int((x1 - x0 + 0.5) / column) + 1):
            x = x0 - 0.22 + c * column
            for r in range(rows):
                s0 = r * 0.33 + rng.normal(0, 0.012)
                s1 = min(s0 + 0.42, length + 0.05)
                shift = rng.normal(0, 0.007)
                grid = []
                for s, radius, lift in ((s0, 0.080, 0.0), (s1, 0.104, 0.028)):
                    centre = ridge + down * s + normal * (lift + 0.002) + [x + shift, 0, 0]
                    grid.append(
                        centre
                        + radius
                        * (
                            np.cos(a)[:, None] * np.array([1.0, 0, 0])
                            + 0.85 * np.sin(a)[:, None] * normal
                        )
                    )
                    if lift:
                        grid.append(grid[-1] - normal * 0.02)
                colour = tones(rng, 1, (0.40, 0.165, 0.085), 0.2, 0.05)[0]
                if rng.uniform() < 0.12:
                    colour = tones(rng, 1, (0.46, 0.27, 0.16), 0.12)[0]
                p = np.array(grid)
                tiles.sheet(p, colour, p + rng.uniform(-50, 50, 3))
        del edge
    for c in range(int((x1 - x0 + 0.5) / 0.36)):
        x = x0 - 0.22 + c * 0.36
        grid = []
        for s, radius in ((x, 0.125), (x + 0.42, 0.145)):
            arc = np.stack([0 * a, np.cos(a) * radius, np.sin(a) * radius * 0.8], -1)
            grid.append(arc + [s, ym, RIDGE + 0.05 + 0.02 * (radius > 0.13)])
        p = np.array(grid)
        tiles.sheet(p, tones(rng, 1, (0.40, 0.17, 0.09), 0.15)[0], p + rng.uniform(-50, 50, 3))
    material = surface(
        "tile",
        layers=((3.0, 0.25), (14.0, 0.4), (60.0, 0.4)),
        stain=(0.20, 0.17, 0.11),
        stain_range=(0.57, 0.74),
        stain_scale=2.4,
    )
    tiles.build("tiles", material)
    under.build("roof", material, smooth=False)
    rafters = MeshBuilder(rng)
    for x in np.arange(x0 + 0.15, x1, 0.55):
        for y, side in ((y0, -1), (y1, 1)):
            rot = rotation_xyz(-side * float(np.arctan2(slope[1], slope[0])), 0, 0)
            rafters.boxes(
                [(x, y + side * 0.12, EAVES - 0.11)],
                [(0.045, 0.2, 0.05)],
                tones(rng, 1, (0.22, 0.13, 0.075), 0.1),
                rot[None],
                bevel=0.01,
            )
    rafters.build("rafters", surface("rafter", stretch=(0.3, 2, 2)))
