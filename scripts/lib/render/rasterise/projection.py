"""From 3D Gaussians to ellipses on the image: EWA projection and spherical harmonics.

Zwicker et al., "EWA Splatting" (2002). Matrices are spelt out as scalars, which stay in registers.
The way back is in `projection_backward`.
"""

# ruff: noqa: E741  (one-letter names follow the formulas)

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from scripts.lib.core.jit import compiled, inlined, parallel, take_next
from scripts.lib.render.rasterise.ellipses import (
    ALPHA_MIN,
    BLUE,
    EPS2D,
    GREEN,
    LOG,
    LOG2_E,
    REACH_X,
    REACH_Y,
    RED,
    TILE,
    A,
    B,
    C,
    X,
    Y,
    pixel_box,
)
from scripts.lib.render.rasterise.harmonics import basis_at, view_direction

f32 = np.float32
CHUNK = 256  # Gaussians a thread takes at a time


def pack_camera(
    world_to_camera: npt.NDArray[Any],
    K: npt.NDArray[Any],
    size: tuple[int, int],
    near: float,
    far: float,
) -> npt.NDArray[np.float32]:
    """A camera as the flat array that the kernels read: R, t, K, slope limits, centre, near, far."""
    pose, intrinsics = np.asarray(world_to_camera, np.float64), np.asarray(K, np.float64)
    turn, shift = pose[:3, :3], pose[:3, 3]
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    # Beyond 1.3 times the field of view the linearisation explodes; it is held there.
    edge_x, edge_y = 0.15 * size[0] / fx, 0.15 * size[1] / fy
    limits = [-cx / fx - edge_x, (size[0] - cx) / fx + edge_x]
    limits += [-cy / fy - edge_y, (size[1] - cy) / fy + edge_y]
    centre = -turn.T @ shift
    parts: list[Any] = [
        turn.ravel(),
        shift,
        [fx, fy, cx, cy],
        limits,
        centre,
        [near, min(far, 3e38)],
    ]
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float32)


@inlined
def rotation(quats, i):  # type: ignore[no-untyped-def]
    """1 / length, the unit quaternion and its rotation matrix, row by row."""
    w, x, y, z = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
    inverse = f32(1) / math.sqrt(max(w * w + x * x + y * y + z * z, f32(1e-24)))
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    one, two = f32(1), f32(2)
    return (
        (inverse, w, x, y, z),
        (one - two * (y * y + z * z), two * (x * y - w * z), two * (x * z + w * y)),
        (two * (x * y + w * z), one - two * (x * x + z * z), two * (y * z - w * x)),
        (two * (x * z - w * y), two * (y * z + w * x), one - two * (x * x + y * y)),
    )


@inlined
def linear_maps(camera, x, y, z, row0, row1, row2):  # type: ignore[no-untyped-def]
    """The 2 x 3 maps J (sparse), P = J R_view and Q = P R_quat, and the held slopes."""
    rz = f32(1) / z
    sx = min(max(x * rz, camera[16]), camera[17])
    sy = min(max(y * rz, camera[18]), camera[19])
    j00, j11 = camera[12] * rz, camera[13] * rz
    j02, j12 = -j00 * sx, -j11 * sy
    p00, p10 = j00 * camera[0] + j02 * camera[6], j11 * camera[3] + j12 * camera[6]
    p01, p11 = j00 * camera[1] + j02 * camera[7], j11 * camera[4] + j12 * camera[7]
    p02, p12 = j00 * camera[2] + j02 * camera[8], j11 * camera[5] + j12 * camera[8]
    q00 = p00 * row0[0] + p01 * row1[0] + p02 * row2[0]
    q01 = p00 * row0[1] + p01 * row1[1] + p02 * row2[1]
    q02 = p00 * row0[2] + p01 * row1[2] + p02 * row2[2]
    q10 = p10 * row0[0] + p11 * row1[0] + p12 * row2[0]
    q11 = p10 * row0[1] + p11 * row1[1] + p12 * row2[1]
    q12 = p10 * row0[2] + p11 * row1[2] + p12 * row2[2]
    return (sx, sy, j00, j11), (p00, p01, p02, p10, p11, p12), (q00, q01, q02, q10, q11, q12)


@inlined
def in_camera(camera, means, i):  # type: ignore[no-untyped-def]
    """The mean of Gaussian i in the camera's frame."""
    u, v, w = means[i, 0], means[i, 1], means[i, 2]
    x = camera[0] * u + camera[1] * v + camera[2] * w + camera[9]
    y = camera[3] * u + camera[4] * v + camera[5] * w + camera[10]
    z = camera[6] * u + camera[7] * v + camera[8] * w + camera[11]
    return x, y, z


@inlined
def image_covariance(q, s0, s1, s2):  # type: ignore[no-untyped-def]
    """M = Q S, row by row, and the entries a, b, c of M M^T before it is blurred."""
    m00, m01, m02 = q[0] * s0, q[1] * s1, q[2] * s2
    m10, m11, m12 = q[3] * s0, q[4] * s1, q[5] * s2
    a = m00 * m00 + m01 * m01 + m02 * m02
    b = m00 * m10 + m01 * m11 + m02 * m12
    c = m10 * m10 + m11 * m11 + m12 * m12
    return (m00, m01, m02, m10, m11, m12), (a, b, c)


@inlined
def _ellipse(i, camera, size, antialiased, means, quats, scales, opacities, record, depths):  # type: ignore[no-untyped-def]
    """Fill Gaussian i's record but for its colour; returns the tiles of its bounding box, 0 when unseen."""
    unseen = 0
    x, y, z = in_camera(camera, means, i)
    opacity = opacities[i]
    if not (z >= camera[23] and z <= camera[24] and opacity >= ALPHA_MIN):
        return unseen
    _, row0, row1, row2 = rotation(quats, i)
    _, _, q = linear_maps(camera, x, y, z, row0, row1, row2)
    _, (a, b, c) = image_covariance(q, scales[i, 0], scales[i, 1], scales[i, 2])
    unblurred = a * c - b * b
    a += EPS2D
    c += EPS2D
    area = a * c - b * b
    if not area > f32(0):
        return unseen
    if antialiased:
        opacity *= math.sqrt(max(unblurred / area, f32(0)))
        if not opacity >= ALPHA_MIN:
            return unseen
    # The ellipse where alpha falls to 1/255; beyond it the pixel loop draws nothing.
    level = f32(2) * math.log(opacity / ALPHA_MIN)
    # A hundredth of a pixel more, for rounding: the pixel loop tests alpha itself.
    reach_x, reach_y = math.sqrt(level * a) + f32(0.01), math.sqrt(level * c) + f32(0.01)
    mean_x = camera[12] * x / z + camera[14]
    mean_y = camera[13] * y / z + camera[15]
    left, right, top, bottom = pixel_box(mean_x, mean_y, reach_x, reach_y, size[0], size[1])
    if not (left <= right and top <= bottom):
        return unseen
    depths[i] = z
    record[X], record[Y] = mean_x, mean_y
    record[A] = f32(0.5) * LOG2_E * c / area
    record[B] = -LOG2_E * b / area
    record[C] = f32(0.5) * LOG2_E * a / area
    record[LOG] = LOG2_E * math.log(opacity)
    record[REACH_X], record[REACH_Y] = reach_x, reach_y
    across = int(right) // TILE - int(left) // TILE + 1
    return across * (int(bottom) // TILE - int(top) // TILE + 1)


@inlined
def _colour(i, camera, means, sh, basis, record):  # type: ignore[no-untyped-def]
    """Fill the colour of Gaussian i's record; `basis` is scratch space."""
    bands = sh.shape[1]
    dx, dy, dz, _ = view_direction(camera, means, i)
    basis_at(bands, dx, dy, dz, basis)
    red, green, blue = f32(0.5), f32(0.5), f32(0.5)
    for k in range(bands):
        red += basis[k] * sh[i, k, 0]
        green += basis[k] * sh[i, k, 1]
        blue += basis[k] * sh[i, k, 2]
    record[RED], record[GREEN] = max(red, f32(0)), max(green, f32(0))
    record[BLUE] = max(blue, f32(0))


@compiled
def _project_some(  # type: ignore[no-untyped-def]
    counter,
    camera,
    width,
    height,
    antialiased,
    means,
    quats,
    scales,
    opacities,
    sh,
    records,
    depths,
    boxes,
):
    count, size = means.shape[0], (width, height)
    basis = np.empty(16, np.float32)
    while True:
        begin = take_next(counter, CHUNK)
        if begin >= count:
            break
        for i in range(begin, min(begin + CHUNK, count)):
            record = records[i]
            boxes[i] = _ellipse(
                i, camera, size, antialiased, means, quats, scales, opacities, record, depths
            )
            if boxes[i]:
                _colour(i, camera, means, sh, basis, record)


@parallel
def project(  # type: ignore[no-untyped-def]
    threads,
    camera,
    width,
    height,
    antialiased,
    means,
    quats,
    scales,
    opacities,
    sh,
    records,
    depths,
    boxes,
):
    """Fill `records` (N, RECORD), `depths` (N,) and `boxes` (N,), tiles in the bounding box or 0."""
    counter = np.zeros(1, np.int64)
    for _ in numba.prange(threads):
        _project_some(
            counter,
            camera,
            width,
            height,
            antialiased,
            means,
            quats,
            scales,
            opacities,
            sh,
            records,
            depths,
            boxes,
        )
