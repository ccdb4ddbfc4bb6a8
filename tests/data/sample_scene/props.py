"""The things in the yard: well, barrels, crates, table, bench, bicycle, fence, flags, cloth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .masonry import HALF_Y, HOUSE, tones
from .materials import surface
from .mesh import Array, MeshBuilder, rotation_xyz, rotation_z

OAK = (0.30, 0.185, 0.095)
GREY_OAK = (0.30, 0.25, 0.195)
IRON = (0.045, 0.043, 0.042)

# Where the basket of apples, a barrel and the crate of oranges stand: first, and in the later capture.
FIRST = ((4.7, -1.2, 0.02), (-5.35, 3.2, 0.02), (5.15, 0.75, 0.38))
LATER = ((2.3, -1.9, 0.02), (-2.4, -1.6, 0.02), (-4.2, -0.9, 0.03))


def well(rng: np.random.Generator, wood: MeshBuilder, iron: MeshBuilder) -> None:
    """A round stone well with a shingled roof, a windlass and a bucket."""
    stone = MeshBuilder(rng)
    for k in range(5):
        count = 15
        a = 2 * np.pi * (np.arange(count) + 0.5 * (k % 2) + rng.uniform(-0.12, 0.12, count)) / count
        z = 0.09 + 0.17 * k
        centres = np.stack([0.86 * np.cos(a), 0.86 * np.sin(a), np.full(count, z)], -1)
        halves = np.stack(
            [np.full(count, 0.13), rng.uniform(0.15, 0.178, count), np.full(count, 0.082)], -1
        )
        stone.boxes(
            centres,
            halves,
            tones(rng, count, (0.46, 0.41, 0.335), 0.2),
            rotation_z(a),
            bevel=0.035,
            wobble=0.012,
        )
    a = 2 * np.pi * np.arange(11) / 11
    rim = np.stack([0.86 * np.cos(a), 0.86 * np.sin(a), np.full(11, 0.93)], -1)
    stone.boxes(
        rim,
        (0.19, 0.238, 0.045),
        tones(rng, 11, (0.5, 0.45, 0.37), 0.1),
        rotation_z(a),
        bevel=0.025,
        wobble=0.008,
    )
    stone.lathe((0, 0, 0), [(0.74, 0.9), (0.74, 0.25), (0.01, 0.25)], (0.09, 0.08, 0.065))
    stone.build(
        "well",
        surface(
            "wellstone",
            layers=((3.0, 0.3), (14.0, 0.5), (60.0, 0.55)),
            stain=(0.13, 0.145, 0.055),
            stain_range=(0.55, 0.7),
            bump=0.5,
        ),
    )
    for x in (-0.86, 0.86):
        wood.beam((x, 0, 0.95), (x, 0, 2.3), 0.13, 0.13, OAK)
        wood.beam((x, 0, 1.75), (x * 0.55, 0, 2.25), 0.07, 0.07, OAK)
        wood.beam((x, -0.02, 2.28), (x, -0.72, 1.93), 0.08, 0.07, OAK)
        wood.beam((x, 0.02, 2.28), (x, 0.72, 1.93), 0.08, 0.07, OAK)
    wood.beam((-1.15, 0, 2.33), (1.15, 0, 2.33), 0.1, 0.1, OAK)
    t = np.linspace(-0.8, 0.8, 16)
    wood.tube(np.stack([t, 0 * t, 0 * t + 1.5], -1), 0.085, (0.27, 0.18, 0.10), 12)
    iron.tube(
        [
            (0.8, 0, 1.5),
            (1.08, 0, 1.5),
            (1.08, 0.02, 1.49),
            (1.08, 0.1, 1.24),
            (1.1, 0.1, 1.22),
            (1.3, 0.1, 1.22),
        ],
        0.017,
        IRON,
    )
    turns = np.linspace(0, 2 * np.pi * 9, 150)
    coil = np.stack(
        [-0.2 + 0.028 * turns / 6.28, 0.105 * np.cos(turns), 1.5 + 0.105 * np.sin(turns)], -1
    )
    rope = np.concatenate([coil, [(0.05, -0.105, 1.42), (0.05, -0.105, 1.14)]])
    wood.tube(rope, 0.016, (0.45, 0.36, 0.23), 6)
    staves(wood, iron, (0.05, -0.105, 0.86), 0.13, 0.15, 0.24, 12, GREY_OAK)
    iron.tube(
        [
            (0.05 + 0.15 * np.cos(u), -0.105, 1.08 + 0.07 * np.sin(u))
            for u in np.linspace(0, np.pi, 12)
        ],
        0.008,
        IRON,
        6,
    )
    for side in (-1.0, 1.0):
        down = np.array([0, side * 0.72, -0.37]) / np.hypot(0.72, 0.37)
        for r in range(6):
            x = -1.2 - rng.uniform(0, 0.1)
            while x < 1.15:
                w = rng.uniform(0.10, 0.2)
                c = np.array([x + w / 2, 0, 2.42]) + down * (0.1 + 0.15 * r + rng.normal(0, 0.008))
                tilt = float(np.arctan2(0.37, 0.72)) - 0.09
                c[2] += 0.008 * (5 - r) * 0
                wood.boxes(
                    [c],
                    [(w / 2 - 0.004, 0.125, 0.011)],
                    tones(rng, 1, (0.27, 0.215, 0.16), 0.2),
                    rotation_xyz(-side * tilt, 0, 0)[None],
                    bevel=0.006,
                    wobble=0.003,
                )
                x += w
    wood.beam((-1.25, 0, 2.44), (1.25, 0, 2.44), 0.14, 0.05, (0.28, 0.22, 0.16))


def staves(
    wood: MeshBuilder,
    iron: MeshBuilder,
    foot: Any,
    r0: float,
    r1: float,
    height: float,
    count: int,
    colour: Any,
    belly: float = 0.0,
) -> None:
    """A tub, bucket or barrel of staves, with two or more hoops and a head."""
    rng = wood.rng
    levels = np.linspace(0, 1, 9)
    radius = r0 + (r1 - r0) * levels + belly * np.sin(np.pi * levels)
    for k in range(count):
        a0, a1 = 2 * np.pi * (k + 0.03) / count, 2 * np.pi * (k + 0.97) / count
        a = np.linspace(a0, a1, 3)
        p = np.stack(
            [
                radius[:, None] * np.cos(a),
                radius[:, None] * np.sin(a),
                np.broadcast_to(levels[:, None] * height, (9, 3)),
            ],
            -1,
        )
        local = np.stack([p[..., 2], (a - a0)[None] * radius[:, None], p[..., 0] * 0], -1)
        wood.sheet(
            p + np.asarray(foot), tones(rng, 1, colour, 0.16)[0], local + rng.uniform(-50, 50, 3)
        )
    wood.lathe(
        foot,
        [
            (radius[-1], height),
            (radius[-1] - 0.02, height),
            (radius[-1] - 0.02, height - 0.03),
            (0.005, height - 0.03),
        ],
        np.asarray(colour) * 0.9,
        24,
    )
    for level in (0.06, 0.3, 0.7, 0.94) if belly else (0.15, 0.8):
        r = float(np.interp(level, levels, radius)) + 0.006
        z = level * height
        iron.lathe(
            foot,
            [(r - 0.01, z - 0.02), (r, z - 0.02), (r, z + 0.02), (r - 0.01, z + 0.02)],
            (0.13, 0.085, 0.06),
            28,
        )


def crate(wood: MeshBuilder, centre: Any, size: Any, turn: float, colour: Any) -> None:
    """An open slatted crate; ``centre`` is the middle of its bottom."""
    rng = wood.rng
    hx, hy, h = size
    rot = rotation_z(turn)[0]
    base = np.asarray(centre, float)

    def plank(c: Any, half: Any) -> None:
        wood.boxes(
            [base + rot @ np.asarray(c, float)],
            [half],
            tones(rng, 1, colour, 0.17),
            rot[None],
            bevel=0.006,
            wobble=0.003,
        )

    for k in range(3):
        z = h * (0.17 + 0.33 * k)
        for s in (-1, 1):
            plank((0, s * hy, z), (hx, 0.011, h * 0.13))
            plank((s * hx, 0, z), (0.011, hy, h * 0.13))
    for sx in (-1, 1):
        for sy in (-1, 1):
            plank((sx * (hx - 0.03), sy * (hy - 0.03), h / 2), (0.022, 0.022, h / 2))
    plank((0, 0, 0.03), (hx, hy, 0.012))


def fruit(
    builder: MeshBuilder, centre: Any, spread: Any, n: int, radius: float, colour: Any
) -> None:
    """A heap of round fruit."""
    rng = builder.rng
    t = np.linspace(0, np.pi, 8)
    for _ in range(n):
        r = radius * rng.uniform(0.85, 1.15)
        p = np.asarray(centre) + rng.uniform(-1, 1, 3) * np.asarray(spread)
        builder.lathe(
            p, np.stack([r * np.sin(t), -r * np.cos(t)], -1), tones(rng, 1, colour, 0.12)[0], 12
        )


def pumpkin(builder: MeshBuilder, centre: Any, r: float, colour: Any) -> None:
    """A ribbed pumpkin with a stalk."""
    u, v = np.meshgrid(np.linspace(0, np.pi, 15), np.linspace(0, 2 * np.pi, 73), indexing="ij")
    rib = (
        1
        - 0.13 * np.abs(np.sin(5 * v)) ** 0.6 * np.sin(u) * 0
        + 0.09 * np.abs(np.cos(5 * v)) * np.sin(u)
    )
    p = np.stack(
        [
            r * rib * np.sin(u) * np.cos(v),
            r * rib * np.sin(u) * np.sin(v),
            0.7 * r * np.cos(u) * (1 - 0.25 * np.exp(-((u / 0.35) ** 2))),
        ],
        -1,
    )
    builder.sheet(p + np.asarray(centre) + [0, 0, 0.7 * r], colour)
    top = np.asarray(centre) + [0, 0, 1.25 * r]
    builder.tube(
        np.array([top, top + [0.01, 0, 0.06], top + [0.04, 0.01, 0.1]]),
        [0.03, 0.02, 0.022],
        (0.22, 0.2, 0.09),
        6,
    )


def furniture(rng: np.random.Generator, wood: MeshBuilder) -> None:
    """A table with two benches near the house, and a ladder against it."""
    cx, cy, turn = -3.35, 1.7, 0.32
    rot = rotation_z(turn)[0]

    def at(x: float, y: float, z: float) -> Array:
        return np.array([cx, cy, 0.0]) + rot @ np.array([x, y, z])

    for k in range(5):
        wood.boxes(
            [at(0, -0.34 + 0.17 * k, 0.76)],
            [(0.95, 0.081, 0.02)],
            tones(rng, 1, OAK, 0.16),
            rot[None],
            bevel=0.008,
            wobble=0.003,
        )
    for sx in (-0.75, 0.75):
        for sy in (-0.3, 0.3):
            wood.beam(at(sx, sy, 0.02), at(sx, sy, 0.74), 0.08, 0.08, OAK)
        wood.beam(at(sx, -0.36, 0.68), at(sx, 0.36, 0.68), 0.06, 0.1, OAK)
    for sy in (-0.78, 0.78):
        for k in range(2):
            wood.boxes(
                [at(0, sy - 0.075 + 0.15 * k, 0.44)],
                [(0.85, 0.07, 0.018)],
                tones(rng, 1, GREY_OAK, 0.16),
                rot[None],
                bevel=0.008,
                wobble=0.003,
            )
        for sx in (-0.65, 0.65):
            wood.beam(at(sx, sy - 0.12, 0.02), at(sx, sy - 0.06, 0.43), 0.05, 0.07, GREY_OAK)
            wood.beam(at(sx, sy + 0.12, 0.02), at(sx, sy + 0.06, 0.43), 0.05, 0.07, GREY_OAK)
    lx = 0.42
    for s in (-0.2, 0.2):
        wood.beam(
            (lx + s, HOUSE[2] - 0.75, 0.02),
            (lx + s, HOUSE[2] - 0.28, 2.75),
            0.05,
            0.07,
            (0.33, 0.26, 0.17),
        )
    for k in range(8):
        f = 0.1 + 0.11 * k
        y, z = HOUSE[2] - 0.75 + 0.47 * f, 2.73 * f
        wood.beam((lx - 0.22, y, z), (lx + 0.22, y, z), 0.035, 0.035, (0.36, 0.29, 0.2))


def table_cloth(cloth: MeshBuilder) -> None:
    """A striped runner over the table, hanging at both ends."""
    rot = rotation_z(0.32)[0]
    u, v = np.meshgrid(np.linspace(-0.27, 0.27, 55), np.linspace(-0.78, 0.78, 60), indexing="ij")
    over = np.clip(np.abs(v) - 0.44, 0, None)
    y = np.sign(v) * np.minimum(np.abs(v), 0.44 + 0.02 * np.sin(9 * u) * (over > 0))
    z = 0.788 - over + 0.004 * np.sin(23 * u + 9 * v)
    p = np.stack([u + 0.1, y + 0.025 * np.sin(14 * u) * over * 3, z], -1)
    world = np.array([-3.35, 1.7, 0.0]) + p @ rot.T
    stripes = np.where(
        ((np.arange(54) // 3) % 4 == 0)[:, None, None], (0.50, 0.055, 0.05), (0.68, 0.62, 0.52)
    )
    accents = (np.arange(54) // 3 % 8 == 2)[:, None, None]
    tint = np.broadcast_to(np.where(accents, (0.08, 0.16, 0.30), stripes), (54, 59, 3))
    cloth.sheet(world, tint)


def banner(cloth: MeshBuilder) -> None:
    """A woven banner on the west wall: lozenges and borders, drawn per cell."""
    n, m = 96, 130
    u, v = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, m), indexing="ij")
    y = 1.35 + 1.15 * u
    x = -5.9 + 0.045 * np.sin(11 * u + 2 * v) * v + 0.04
    p = np.stack([x, y, 1.95 - 1.55 * v + 0.02 * np.sin(9 * u) * v], -1)
    uu, vv = (u[:-1, :-1] - 0.5) * 2, (v[:-1, :-1] - 0.5) * 2
    red, cream, navy, gold = map(
        np.array, ((0.42, 0.05, 0.045), (0.64, 0.57, 0.44), (0.05, 0.085, 0.2), (0.58, 0.36, 0.07))
    )
    tint = np.broadcast_to(red, (*uu.shape, 3)).copy()
    d = np.abs(uu) + np.abs(vv) * 0.8
    tint[(d < 0.66)] = navy
    tint[(d < 0.52)] = cream
    tint[(d < 0.36)] = red
    tint[np.hypot(uu * 1.1, vv * 1.5) < 0.15] = gold
    tint[(np.hypot(np.abs(uu) - 0.72, np.abs(vv) - 0.76) < 0.16)] = gold
    tint[(np.abs(uu) > 0.91) | (np.abs(vv) > 0.93)] = cream
    edge = (np.abs(vv) > 0.87) & (np.abs(vv) < 0.93)
    tint[edge & (np.floor(uu * 17 + 40) % 3 == 0)] = navy
    cloth.sheet(p, tint)


def bunting(
    rng: np.random.Generator, cloth: MeshBuilder, wood: MeshBuilder, iron: MeshBuilder
) -> None:
    """Flags on slack lines from the house to two poles at the gate side."""
    colours = [
        (0.55, 0.06, 0.05),
        (0.70, 0.62, 0.48),
        (0.06, 0.17, 0.33),
        (0.62, 0.38, 0.05),
        (0.10, 0.26, 0.16),
    ]
    for k, (a, b) in enumerate(
        (
            ((HOUSE[0] + 0.1, HOUSE[2] - 0.3, 2.95), (-5.55, -4.95, 3.0)),
            ((HOUSE[1] - 0.1, HOUSE[2] - 0.3, 2.95), (5.55, -4.95, 3.0)),
        )
    ):
        pole = np.array([*b[:2], 0.0])
        wood.tube(
            np.array([pole + [0, 0, z] for z in np.linspace(0, 3.1, 8)]),
            0.045,
            (0.34, 0.27, 0.18),
            10,
        )
        t = np.linspace(0, 1, 60)[:, None]
        line = np.array(a) * (1 - t) + np.array(b) * t
        line[:, 2] -= 0.55 * np.sin(np.pi * t[:, 0]) + 0.05 * np.sin(2 * np.pi * t[:, 0])
        iron.tube(line, 0.008, (0.35, 0.3, 0.22), 5)
        along = np.array(b) - np.array(a)
        along /= np.linalg.norm(along)
        for j in range(2, 57, 3):
            p = line[j]
            swing = np.array([-along[1], along[0], 0]) * rng.normal(0, 0.09)
            c = np.array(colours[int(rng.integers(0, 5))])
            w = along * 0.13
            drop = np.array([0, 0, -0.34]) + swing
            grid = np.array(
                [
                    [
                        p - w * (1 - f) + drop * f,
                        p + drop * f + swing * np.sin(3 * f) * 0.2,
                        p + w * (1 - f) + drop * f,
                    ]
                    for f in np.linspace(0, 0.98, 6)
                ]
            )
            cloth.sheet(grid, c * rng.normal(1, 0.1))
        del k


def bicycle(rng: np.random.Generator, iron: MeshBuilder) -> None:
    """An old bicycle leaning on the west wall."""
    lean = rotation_xyz(0.0, -0.19, 0.0)
    turn = rotation_z(np.pi / 2 + 0.03)[0]
    origin = np.array([-5.42, -1.35, 0.03])

    def at(x: float, z: float, y: float = 0.0) -> Array:
        return origin + lean @ (turn @ np.array([x, y, z]))

    def ring(cx: float, r: float, tube: float, colour: Any, n: int = 41) -> None:
        iron.tube(
            np.array(
                [at(cx + r * np.cos(u), 0.35 + r * np.sin(u)) for u in np.linspace(0, 2 * np.pi, n)]
            ),
            tube,
            colour,
        )

    green = (0.05, 0.20, 0.15)
    for cx in (0.0, 1.08):
        ring(cx, 0.335, 0.021, (0.035, 0.033, 0.03))
        ring(cx, 0.305, 0.010, (0.36, 0.36, 0.36))
        for k in range(16):
            u = 2 * np.pi * k / 16
            side = 0.03 if k % 2 else -0.03
            iron.tube(
                [
                    at(cx + 0.02 * np.cos(u), 0.35 + 0.02 * np.sin(u), side),
                    at(cx + 0.3 * np.cos(u), 0.35 + 0.3 * np.sin(u)),
                ],
                0.0028,
                (0.4, 0.4, 0.4),
                4,
            )
        fender = np.linspace(0.4, 2.8, 16)
        iron.tube(
            np.array([at(cx + 0.375 * np.cos(u), 0.35 + 0.375 * np.sin(u)) for u in fender]),
            0.018,
            green,
            6,
        )
    bars = [
        ((0, 0.35), (0.34, 0.82)),
        ((0, 0.35), (0.44, 0.31)),
        ((0.44, 0.31), (0.30, 0.92)),
        ((0.34, 0.80), (0.86, 0.83)),
        ((0.44, 0.31), (0.88, 0.72)),
        ((1.08, 0.35), (0.84, 0.95)),
    ]
    for a, b in bars:
        iron.tube([at(*a), at(*b)], 0.016, green, 8)
    iron.tube(
        [
            at(0.84, 0.95),
            at(0.82, 1.03),
            at(0.80, 1.03, 0.12),
            at(0.74, 1.01, 0.27),
            at(0.62, 0.99, 0.28),
        ],
        0.012,
        (0.4, 0.4, 0.4),
    )
    iron.tube(
        [at(0.82, 1.03), at(0.80, 1.03, -0.12), at(0.74, 1.01, -0.27), at(0.62, 0.99, -0.28)],
        0.012,
        (0.4, 0.4, 0.4),
    )
    iron.tube(
        [at(0.16, 0.95), at(0.26, 0.95), at(0.40, 0.94)], [0.075, 0.06, 0.025], (0.17, 0.085, 0.045)
    )
    iron.tube(
        [
            at(0.44 + 0.09 * np.cos(u), 0.31 + 0.09 * np.sin(u), 0.03)
            for u in np.linspace(0, 2 * np.pi, 25)
        ],
        0.008,
        (0.2, 0.2, 0.2),
    )
    iron.tube([at(0.44, 0.31, -0.12), at(0.44, 0.31, 0.12)], 0.012, (0.2, 0.2, 0.2))
    for s, dz in ((-1, 0.15), (1, -0.15)):
        iron.tube([at(0.44, 0.31, 0.06 * s), at(0.5, 0.31 + dz, 0.07 * s)], 0.01, (0.2, 0.2, 0.2))
        iron.boxes([at(0.5, 0.31 + dz, 0.11 * s)], [(0.05, 0.05, 0.012)], IRON)


def fence(rng: np.random.Generator, wood: MeshBuilder) -> None:
    """Picket fences both sides of the gate, and the gate standing open."""
    y = -HALF_Y - 0.1

    def run(a: Array, b: Array, height: float) -> None:
        length = float(np.linalg.norm(b - a))
        along = (b - a) / length
        turn = rotation_z(float(np.arctan2(along[1], along[0])))
        for z in (0.3, 0.82):
            wood.beam(a + [0, 0.03, z], b + [0, 0.03, z], 0.03, 0.07, (0.42, 0.4, 0.36))
        s = 0.07
        while s < length - 0.03:
            h = height / 2 + rng.normal(0, 0.012)
            wood.boxes(
                [a + along * s + [0, 0, 0.05 + h]],
                [(0.036, 0.011, h)],
                tones(rng, 1, (0.47, 0.45, 0.41), 0.12),
                rotation_xyz(0, rng.normal(0, 0.014), 0)[None] @ turn,
                bevel=0.01,
                wobble=0.003,
            )
            s += 0.135

    run(np.array([-4.2, y, 0.0]), np.array([-1.7, y, 0.0]), 1.02)
    run(np.array([1.7, y, 0.0]), np.array([4.2, y, 0.0]), 1.02)
    run(np.array([-1.18, y - 0.05, 0.0]), np.array([-0.95, y - 1.1, 0.0]), 0.98)


def furnish(
    rng: np.random.Generator, moved: Sequence[tuple[float, float, float]] = FIRST
) -> list[tuple[float, float, float, float]]:
    """Put everything in the yard; returns the flower pots as (x, y, top, radius).

    moved: where basket, barrel and crate stand. All else is the same wherever that is.
    """
    basket, barrel, oranges = moved
    wood, iron, cloth = MeshBuilder(rng), MeshBuilder(rng), MeshBuilder(rng)
    clay, fruits = MeshBuilder(rng), MeshBuilder(rng)
    well(rng, wood, iron)
    furniture(rng, wood)
    table_cloth(cloth)
    banner(cloth)
    bunting(rng, cloth, wood, iron)
    bicycle(rng, iron)
    fence(rng, wood)
    for place in ((-4.75, 3.75, 0.02), barrel):
        staves(wood, iron, place, 0.27, 0.27, 0.86, 18, OAK, belly=0.09)
    staves(wood, iron, basket, 0.36, 0.42, 0.42, 20, GREY_OAK)
    heap = (basket[0], basket[1], basket[2] + 0.42)
    fruit(fruits, heap, (0.24, 0.24, 0.04), 60, 0.05, (0.45, 0.06, 0.03))
    crate(wood, (5.1, 0.45, 0.03), (0.42, 0.3, 0.34), 0.25, (0.40, 0.29, 0.17))
    crate(wood, (5.2, 1.3, 0.03), (0.42, 0.3, 0.34), -0.18, (0.36, 0.27, 0.17))
    crate(wood, oranges, (0.42, 0.3, 0.34), 0.72, (0.40, 0.29, 0.17))
    heap = (oranges[0], oranges[1], oranges[2] + 0.22)
    fruit(fruits, heap, (0.3, 0.2, 0.09), 90, 0.055, (0.72, 0.28, 0.02))
    crate(wood, (4.25, 0.35, 0.03), (0.34, 0.26, 0.26), 1.1, (0.36, 0.27, 0.17))
    fruit(fruits, (4.25, 0.35, 0.2), (0.24, 0.17, 0.07), 60, 0.05, (0.30, 0.34, 0.05))
    for x, y, r in ((3.95, -0.45, 0.22), (4.3, -0.62, 0.15), (-1.9, 3.9, 0.19), (3.8, -0.85, 0.13)):
        pumpkin(fruits, (x, y, 0.03), r, tones(rng, 1, (0.56, 0.22, 0.035), 0.12)[0])
    fruit(fruits, (-3.0, 1.95, 0.86), (0.1, 0.1, 0.03), 9, 0.045, (0.68, 0.42, 0.03))
    clay.lathe(
        (-3.0, 1.95, 0.79),
        [(0.07, 0), (0.16, 0.06), (0.2, 0.1), (0.19, 0.1), (0.05, 0.02)],
        (0.16, 0.27, 0.36),
    )
    clay.lathe(
        (-3.75, 1.45, 0.785),
        [
            (0.06, 0),
            (0.1, 0.07),
            (0.105, 0.15),
            (0.06, 0.22),
            (0.05, 0.27),
            (0.07, 0.3),
            (0.06, 0.3),
            (0.04, 0.25),
        ],
        (0.52, 0.35, 0.2),
    )
    spots = [
        (0.95, 3.95, 0.24),
        (1.75, 3.95, 0.2),
        (-1.45, 3.98, 0.22),
        (-2.55, 4.0, 0.26),
        (-3.35, 4.0, 0.2),
        (2.25, 3.8, 0.17),
        (-1.45, -4.65, 0.24),
        (1.45, -4.65, 0.24),
        (3.2, 4.75, 0.2),
        (-5.5, 0.75, 0.22),
        (-0.35, 2.55, 0.17),
    ]
    pots = []
    for x, y, r in spots:
        h = 1.65 * r
        clay.lathe(
            (x, y, 0.02),
            [
                (0.005, 0),
                (r * 0.62, 0),
                (r * 0.9, h * 0.8),
                (r * 1.02, h * 0.8),
                (r * 1.02, h),
                (r * 0.9, h),
                (r * 0.86, h * 0.86),
                (0.005, h * 0.86),
            ],
            tones(rng, 1, (0.46, 0.19, 0.095), 0.14)[0],
        )
        pots.append((x, y, 0.02 + h * 0.86, r))
    a = 2 * np.pi * np.arange(13) / 13
    clay.boxes(
        np.stack([4.25 + 0.62 * np.cos(a), 3.35 + 0.62 * np.sin(a), 0 * a + 0.13], -1),
        (0.09, 0.145, 0.14),
        tones(rng, 13, (0.43, 0.38, 0.3), 0.15),
        rotation_z(a),
        bevel=0.03,
        wobble=0.01,
    )
    clay.lathe((4.25, 3.35, 0), [(0.58, 0.2), (0.3, 0.24), (0.01, 0.25)], (0.13, 0.09, 0.06))
    grain = surface(
        "wood",
        layers=((1.5, 0.3), (9.0, 0.5), (32.0, 0.5)),
        stretch=(0.12, 1.5, 1.5),
        rough=0.75,
        bump=0.4,
        bump_depth=0.006,
    )
    wood.build("wood", grain)
    iron.build("iron", surface("metal", layers=((6.0, 0.3), (40.0, 0.5)), rough=0.5, bump=0.1))
    weave = surface(
        "cloth",
        layers=((5.0, 0.15), (30.0, 0.25), (110.0, 0.3)),
        rough=0.95,
        bump=0.2,
        translucent=0.2,
    )
    cloth.build("cloth", weave)
    clay.build(
        "clay",
        surface(
            "clay",
            layers=((5.0, 0.25), (22.0, 0.4), (80.0, 0.4)),
            stain=(0.5, 0.42, 0.33),
            stain_range=(0.57, 0.72),
            stain_scale=6.0,
        ),
    )
    fruits.build("fruit", surface("fruit", layers=((8.0, 0.2), (40.0, 0.3)), rough=0.45, bump=0.1))
    return pots
