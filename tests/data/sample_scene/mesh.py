"""Build large meshes from numpy arrays: rounded boxes, lathes, tubes, leaves and sheets.

Every face carries a colour (attribute ``tint``), every vertex a texture coordinate in metres
(attribute ``local``), so that one material can serve thousands of stones that all look different.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

Array = Any  # numpy arrays of float or int; shapes are given in the docstrings


def rotation_z(angle: Array) -> Array:
    """Rotation matrices about Z; ``angle`` (N,) in radians -> (N, 3, 3)."""
    a = np.atleast_1d(np.asarray(angle, float))
    c, s, o, i = np.cos(a), np.sin(a), np.zeros_like(a), np.ones_like(a)
    return np.stack([np.stack([c, -s, o], -1), np.stack([s, c, o], -1), np.stack([o, o, i], -1)], 1)


def rotation_xyz(rx: float, ry: float, rz: float) -> Array:
    """Rotation Rz @ Ry @ Rx, radians -> (3, 3)."""
    cx, sx, cy, sy = np.cos(rx), np.sin(rx), np.cos(ry), np.sin(ry)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return rotation_z(rz)[0] @ y @ x


def _box_template() -> tuple[Array, Array]:
    """A cube surface as 4x4 points a side: signs (V, 3) with an inner flag, and quads (54, 4)."""
    steps = np.array([-1.0, -0.5, 0.5, 1.0])
    verts: list[tuple[float, float, float]] = []
    index: dict[tuple[float, float, float], int] = {}
    quads = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            for i in range(3):
                for j in range(3):
                    corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
                    if side < 0:
                        corners.reverse()
                    quad = []
                    for u, v in corners:
                        p = [0.0, 0.0, 0.0]
                        p[axis], p[(axis + 1) % 3], p[(axis + 2) % 3] = side, steps[u], steps[v]
                        key = (p[0], p[1], p[2])
                        if key not in index:
                            index[key] = len(verts)
                            verts.append(key)
                        quad.append(index[key])
                    quads.append(quad)
    return np.array(verts), np.array(quads)


_BOX_VERTS, _BOX_QUADS = _box_template()


class MeshBuilder:
    """Collects geometry, then makes one Blender object of it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.verts: list[Array] = []
        self.local: list[Array] = []
        self.faces: list[Array] = []
        self.tints: list[Array] = []
        self.count = 0

    def add(self, verts: Array, faces: Array, tint: Array, local: Array | None = None) -> None:
        """Add vertices (V, 3), faces (F, 3 or 4) and a tint (3,) or (F, 3), linear RGB."""
        verts = np.asarray(verts, float)
        faces = np.asarray(faces, int)
        self.verts.append(verts)
        self.local.append(verts if local is None else np.asarray(local, float))
        self.faces.append(faces + self.count)
        self.tints.append(np.broadcast_to(np.asarray(tint, float), (len(faces), 3)))
        self.count += len(verts)

    def boxes(
        self,
        centres: Array,
        halves: Array,
        tint: Array,
        rot: Array | None = None,
        bevel: float = 0.02,
        wobble: float = 0.0,
    ) -> None:
        """Add N rounded boxes: centres and half sizes (N, 3), tints (3,) or (N, 3), rot (N, 3, 3).

        ``wobble`` moves every vertex by up to that many metres, so that no two stones are alike.
        The texture coordinate runs along each box's longest axis first (wood grain follows it).
        """
        centres = np.atleast_2d(np.asarray(centres, float))
        n = len(centres)
        halves = np.broadcast_to(np.asarray(halves, float), (n, 3))
        tint = np.broadcast_to(np.asarray(tint, float), (n, 3))
        r = np.minimum(bevel, halves.min(1) * 0.95)[:, None, None]
        h = halves[:, None, :]
        sign = np.sign(_BOX_VERTS)[None]
        outer = (np.abs(_BOX_VERTS) == 1.0)[None]
        core = sign * (h - r)
        d = np.where(outer, sign, 0.0)
        d /= np.maximum(np.linalg.norm(d, axis=-1, keepdims=True), 1e-9)
        p = core + d * r
        if wobble:
            p = p + self.rng.uniform(-wobble, wobble, p.shape)
        order = np.argsort(-halves, axis=1)
        local = np.take_along_axis(p, order[:, None, :].repeat(p.shape[1], 1), 2)
        local = local + self.rng.uniform(-50, 50, (n, 1, 3))
        if rot is not None:
            rot = np.broadcast_to(np.asarray(rot, float), (n, 3, 3))
            p = np.einsum("nij,nvj->nvi", rot, p)
        p = p + centres[:, None, :]
        v = p.shape[1]
        faces = _BOX_QUADS[None] + (np.arange(n) * v)[:, None, None]
        self.add(
            p.reshape(-1, 3),
            faces.reshape(-1, 4),
            tint.repeat(len(_BOX_QUADS), 0),
            local.reshape(-1, 3),
        )

    def beam(self, a: Array, b: Array, width: float, depth: float, tint: Array, **kw: Any) -> None:
        """Add one box from point ``a`` to point ``b`` with the given cross section."""
        a, b = np.asarray(a, float), np.asarray(b, float)
        x = b - a
        length = float(np.linalg.norm(x))
        x = x / length
        up = np.array([0.0, 0.0, 1.0]) if abs(x[2]) < 0.95 else np.array([0.0, 1.0, 0.0])
        y = np.cross(up, x)
        y /= np.linalg.norm(y)
        rot = np.stack([x, y, np.cross(x, y)], 1)
        half = [length / 2, width / 2, depth / 2]
        self.boxes([(a + b) / 2], [half], tint, rot[None], **kw)

    def lathe(self, centre: Array, profile: Array, tint: Array, segments: int = 28) -> None:
        """Add a surface of revolution about Z: profile (P, 2) of radius and height."""
        profile = np.asarray(profile, float)
        a = np.linspace(0, 2 * np.pi, segments, endpoint=False)
        ring = np.stack([np.cos(a), np.sin(a)], -1)
        p = np.concatenate(
            [
                profile[:, None, :1] * ring[None],
                np.broadcast_to(profile[:, None, 1:], (len(profile), segments, 1)),
            ],
            -1,
        )
        base = (np.arange(len(profile) - 1) * segments)[:, None]
        i = np.arange(segments)[None]
        j = (i + 1) % segments
        quads = np.stack([base + i, base + j, base + segments + j, base + segments + i], -1)
        p = p.reshape(-1, 3)
        self.add(
            p + np.asarray(centre), quads.reshape(-1, 4), tint, p + self.rng.uniform(-50, 50, 3)
        )

    def tube(self, points: Array, radius: Array, tint: Array, segments: int = 8) -> None:
        """Add a tube along a polyline (P, 3); radius is one number or (P,)."""
        pts = np.asarray(points, float)
        n = len(pts)
        rad = np.broadcast_to(np.asarray(radius, float), (n,))
        tangent = np.gradient(pts, axis=0)
        tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
        side = np.cross(tangent[0], [0.0, 0.0, 1.0])
        if np.linalg.norm(side) < 1e-3:
            side = np.array([1.0, 0.0, 0.0])
        rings = []
        a = np.linspace(0, 2 * np.pi, segments, endpoint=False)
        for p, t, r in zip(pts, tangent, rad, strict=True):
            side = side - t * (side @ t)
            side /= np.linalg.norm(side)
            up = np.cross(t, side)
            rings.append(p + r * (np.cos(a)[:, None] * side + np.sin(a)[:, None] * up))
        base = (np.arange(n - 1) * segments)[:, None]
        i = np.arange(segments)[None]
        j = (i + 1) % segments
        quads = np.stack([base + i, base + j, base + segments + j, base + segments + i], -1)
        self.add(np.concatenate(rings), quads.reshape(-1, 4), tint)

    def leaves(
        self, centres: Array, length: Array, tints: Array, width: float = 0.45, droop: float = 0.3
    ) -> None:
        """Add N leaves, each a diamond folded along its middle: centres (N, 3), tints (N, 3)."""
        c = np.asarray(centres, float)
        n = len(c)
        size = np.broadcast_to(np.asarray(length, float), (n,))[:, None]
        d = self.rng.normal(size=(n, 3))
        d[:, 2] -= droop
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        s = np.cross(d, self.rng.normal(size=(n, 3)))
        s /= np.linalg.norm(s, axis=1, keepdims=True)
        up = np.cross(s, d)
        mid = c + d * size * 0.45
        wing = s * size * width * 0.5
        lift = up * size * 0.08
        p = np.stack([c, mid + wing + lift, c + d * size, mid - wing + lift], 1)
        base = np.arange(n)[:, None] * 4
        f = np.concatenate([base + np.array([[0, 1, 2]]), base + np.array([[0, 2, 3]])])
        t = np.broadcast_to(np.asarray(tints, float), (n, 3))
        self.add(p.reshape(-1, 3), f, np.concatenate([t, t]))

    def sheet(self, points: Array, tint: Array, local: Array | None = None) -> None:
        """Add a grid of points (A, B, 3) as a surface; tint (3,) or (A-1, B-1, 3)."""
        p = np.asarray(points, float)
        a, b = p.shape[:2]
        i = np.arange(a - 1)[:, None] * b + np.arange(b - 1)[None]
        quads = np.stack([i, i + b, i + b + 1, i + 1], -1).reshape(-1, 4)
        t = np.asarray(tint, float)
        self.add(
            p.reshape(-1, 3),
            quads,
            t.reshape(-1, 3) if t.ndim == 3 else t,
            None if local is None else np.asarray(local).reshape(-1, 3),
        )

    def build(self, name: str, material: Any, smooth: bool = True) -> Any:
        """Make the Blender object and link it to the scene."""
        verts = np.concatenate(self.verts).astype(np.float32)
        local = np.concatenate(self.local).astype(np.float32)
        tints = np.concatenate(self.tints).astype(np.float32)
        sizes = np.concatenate([np.full(len(f), f.shape[1]) for f in self.faces]).astype(np.int32)
        loops = np.concatenate([f.reshape(-1) for f in self.faces]).astype(np.int32)
        mesh = bpy.data.meshes.new(name)
        mesh.vertices.add(len(verts))
        mesh.vertices.foreach_set("co", verts.ravel())
        mesh.loops.add(len(loops))
        mesh.loops.foreach_set("vertex_index", loops)
        mesh.polygons.add(len(sizes))
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
        mesh.polygons.foreach_set("loop_start", starts)
        mesh.update(calc_edges=True)
        attribute = mesh.attributes.new("tint", "FLOAT_COLOR", "FACE")
        rgba = np.concatenate([tints, np.ones((len(tints), 1), np.float32)], 1)
        attribute.data.foreach_set("color", rgba.ravel())
        attribute = mesh.attributes.new("local", "FLOAT_VECTOR", "POINT")
        attribute.data.foreach_set("vector", local.ravel())
        mesh.polygons.foreach_set("use_smooth", np.full(len(sizes), smooth))
        mesh.validate()
        mesh.materials.append(material)
        obj = bpy.data.objects.new(name, mesh)
        bpy.context.scene.collection.objects.link(obj)
        return obj
