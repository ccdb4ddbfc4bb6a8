"""From 3D Gaussians to ellipses on the image and back: EWA projection and spherical harmonics.

Zwicker et al., "EWA Splatting" (2002). The derivatives are written out by hand; tests hold them
against autograd. Matrices are spelt out as scalars, which stay in registers.
"""

# ruff: noqa: E741  (one-letter names follow the formulas)

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from scripts.lib.core.jit import compiled, inlined, parallel, take_next

f32 = np.float32
TILE = 16
EPS2D = f32(0.3)
ALPHA_MIN = f32(1 / 255)
LOG2_E = f32(1.4426950408889634)
CHUNK = 256  # Gaussians a thread takes at a time

# Columns of an ellipse's record. The exponent of 2 at an offset (dx, dy) from the mean is
# LOG - A dx^2 - B dx dy - C dy^2, so the opacity and exp's change of base cost nothing per pixel.
X, Y, A, B, C, LOG, RED, GREEN, BLUE, REACH_X, REACH_Y = range(11)
RECORD = 12
# Columns of the gradients a rasteriser hands back for one ellipse: sums over pixels of
# g = dL/d(ln alpha), times 1, dx, dy, dx^2, dx dy, dy^2, and the gradients of its colour.
G, G_X, G_Y, G_XX, G_XY, G_YY, G_RED, G_GREEN, G_BLUE = range(9)
GRADIENTS = 9


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
def pixel_box(x, y, reach_x, reach_y, width, height):  # type: ignore[no-untyped-def]
    """First and last column and row whose pixel centres (at +0.5) lie in the box; floats."""
    left = max(np.ceil(x - f32(0.5) - reach_x), f32(0))
    right = min(np.floor(x - f32(0.5) + reach_x), f32(width - 1))
    top = max(np.ceil(y - f32(0.5) - reach_y), f32(0))
    bottom = min(np.floor(y - f32(0.5) + reach_y), f32(height - 1))
    return left, right, top, bottom


@inlined
def _rotation(quats, i):  # type: ignore[no-untyped-def]
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
def _spread(camera, x, y, z, row0, row1, row2):  # type: ignore[no-untyped-def]
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
def _in_camera(camera, means, i):  # type: ignore[no-untyped-def]
    u, v, w = means[i, 0], means[i, 1], means[i, 2]
    x = camera[0] * u + camera[1] * v + camera[2] * w + camera[9]
    y = camera[3] * u + camera[4] * v + camera[5] * w + camera[10]
    z = camera[6] * u + camera[7] * v + camera[8] * w + camera[11]
    return x, y, z


@inlined
def _direction(camera, means, i):  # type: ignore[no-untyped-def]
    x, y, z = means[i, 0] - camera[20], means[i, 1] - camera[21], means[i, 2] - camera[22]
    inverse = f32(1) / math.sqrt(max(x * x + y * y + z * z, f32(1e-24)))
    return x * inverse, y * inverse, z * inverse, inverse


@inlined
def _basis(bands, x, y, z, out):  # type: ignore[no-untyped-def]
    """Real spherical harmonics at a unit direction."""
    out[0] = f32(0.28209479177387814)
    if bands > 1:
        out[1] = f32(-0.4886025119029199) * y
        out[2] = f32(0.4886025119029199) * z
        out[3] = f32(-0.4886025119029199) * x
    if bands > 4:
        out[4] = f32(1.0925484305920792) * x * y
        out[5] = f32(-1.0925484305920792) * y * z
        out[6] = f32(0.31539156525252005) * (f32(3) * z * z - f32(1))
        out[7] = f32(-1.0925484305920792) * x * z
        out[8] = f32(0.5462742152960396) * (x * x - y * y)
    if bands > 9:
        out[9] = f32(-0.5900435899266435) * y * (f32(3) * x * x - y * y)
        out[10] = f32(2.890611442640554) * x * y * z
        out[11] = f32(-0.4570457994644658) * y * (f32(5) * z * z - f32(1))
        out[12] = f32(0.3731763325901154) * z * (f32(5) * z * z - f32(3))
        out[13] = f32(-0.4570457994644658) * x * (f32(5) * z * z - f32(1))
        out[14] = f32(1.445305721320277) * z * (x * x - y * y)
        out[15] = f32(-0.5900435899266435) * x * (x * x - f32(3) * y * y)


@inlined
def _basis_slope(bands, x, y, z, h):  # type: ignore[no-untyped-def]
    """Sum over coefficients of h[k] * d basis[k] / d(x, y, z)."""
    dx, dy, dz = f32(0), f32(0), f32(0)
    if bands > 1:
        dy -= f32(0.4886025119029199) * h[1]
        dz += f32(0.4886025119029199) * h[2]
        dx -= f32(0.4886025119029199) * h[3]
    if bands > 4:
        a4, a5 = f32(1.0925484305920792) * h[4], f32(-1.0925484305920792) * h[5]
        a7, a8 = f32(-1.0925484305920792) * h[7], f32(1.0925484305920792) * h[8]
        dx += a4 * y + a7 * z + a8 * x
        dy += a4 * x + a5 * z - a8 * y
        dz += a5 * y + a7 * x + f32(1.8923493915151203) * h[6] * z
    if bands > 9:
        a9, a15 = f32(-0.5900435899266435) * h[9], f32(-0.5900435899266435) * h[15]
        a10, a14 = f32(2.890611442640554) * h[10], f32(1.445305721320277) * h[14]
        a11, a13 = f32(-0.4570457994644658) * h[11], f32(-0.4570457994644658) * h[13]
        a12 = f32(0.3731763325901154) * h[12]
        xx, yy, zz = x * x, y * y, z * z
        ring = f32(5) * zz - f32(1)
        dx += f32(6) * a9 * x * y + a10 * y * z + a13 * ring
        dx += f32(2) * a14 * x * z + f32(3) * a15 * (xx - yy)
        dy += f32(3) * a9 * (xx - yy) + a10 * x * z + a11 * ring
        dy -= f32(2) * a14 * y * z + f32(6) * a15 * x * y
        dz += a10 * x * y + f32(10) * z * (a11 * y + a13 * x)
        dz += a12 * (f32(15) * zz - f32(3)) + a14 * (xx - yy)
    return dx, dy, dz


@compiled
def _project_some(  # type: ignore[no-untyped-def]
    counter,
    camera,
    width,
    height,
    sharp,
    means,
    quats,
    scales,
    opacities,
    sh,
    records,
    depths,
    boxes,
):
    count, bands = means.shape[0], sh.shape[1]
    basis = np.empty(16, np.float32)
    while True:
        begin = take_next(counter, CHUNK)
        if begin >= count:
            break
        for i in range(begin, min(begin + CHUNK, count)):
            boxes[i] = 0
            x, y, z = _in_camera(camera, means, i)
            if not (z >= camera[23] and z <= camera[24]):
                continue
            opacity = opacities[i]
            if not opacity >= ALPHA_MIN:
                continue
            _, row0, row1, row2 = _rotation(quats, i)
            _, _, q = _spread(camera, x, y, z, row0, row1, row2)
            s0, s1, s2 = scales[i, 0], scales[i, 1], scales[i, 2]
            m00, m01, m02 = q[0] * s0, q[1] * s1, q[2] * s2
            m10, m11, m12 = q[3] * s0, q[4] * s1, q[5] * s2
            a = m00 * m00 + m01 * m01 + m02 * m02
            b = m00 * m10 + m01 * m11 + m02 * m12
            c = m10 * m10 + m11 * m11 + m12 * m12
            bare = a * c - b * b
            a += EPS2D
            c += EPS2D
            area = a * c - b * b
            if not area > f32(0):
                continue
            if sharp:
                opacity *= math.sqrt(max(bare / area, f32(0)))
                if not opacity >= ALPHA_MIN:
                    continue
            # The ellipse where alpha falls to 1/255; beyond it the pixel loop draws nothing.
            level = f32(2) * math.log(opacity / ALPHA_MIN)
            # A hundredth of a pixel more, for rounding: the pixel loop tests alpha itself.
            reach_x, reach_y = math.sqrt(level * a) + f32(0.01), math.sqrt(level * c) + f32(0.01)
            mean_x = camera[12] * x / z + camera[14]
            mean_y = camera[13] * y / z + camera[15]
            left, right, top, bottom = pixel_box(mean_x, mean_y, reach_x, reach_y, width, height)
            if not (left <= right and top <= bottom):
                continue
            across = int(right) // TILE - int(left) // TILE + 1
            boxes[i] = across * (int(bottom) // TILE - int(top) // TILE + 1)
            depths[i] = z
            record = records[i]
            record[X], record[Y] = mean_x, mean_y
            record[A] = f32(0.5) * LOG2_E * c / area
            record[B] = -LOG2_E * b / area
            record[C] = f32(0.5) * LOG2_E * a / area
            record[LOG] = LOG2_E * math.log(opacity)
            record[REACH_X], record[REACH_Y] = reach_x, reach_y
            dx, dy, dz, _ = _direction(camera, means, i)
            _basis(bands, dx, dy, dz, basis)
            red, green, blue = f32(0.5), f32(0.5), f32(0.5)
            for k in range(bands):
                red += basis[k] * sh[i, k, 0]
                green += basis[k] * sh[i, k, 1]
                blue += basis[k] * sh[i, k, 2]
            record[RED], record[GREEN] = max(red, f32(0)), max(green, f32(0))
            record[BLUE] = max(blue, f32(0))


@parallel
def project(  # type: ignore[no-untyped-def]
    threads,
    camera,
    width,
    height,
    sharp,
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
            sharp,
            means,
            quats,
            scales,
            opacities,
            sh,
            records,
            depths,
            boxes,
        )


@compiled
def _unproject_some(  # type: ignore[no-untyped-def]
    counter,
    camera,
    sharp,
    means,
    quats,
    scales,
    opacities,
    sh,
    records,
    starts,
    counts,
    partial,
    d_means,
    d_quats,
    d_scales,
    d_opacities,
    d_sh,
):
    count, bands = means.shape[0], sh.shape[1]
    basis, slope = np.empty(16, np.float32), np.empty(16, np.float32)
    g = np.empty(GRADIENTS, np.float32)
    half, one, two = f32(0.5), f32(1), f32(2)
    while True:
        begin = take_next(counter, CHUNK)
        if begin >= count:
            break
        for i in range(begin, min(begin + CHUNK, count)):
            if counts[i] == 0:
                d_means[i, :] = 0
                d_quats[i, :] = 0
                d_scales[i, :] = 0
                d_opacities[i] = 0
                d_sh[i, :, :] = 0
                continue
            g[:] = 0
            for slot in range(starts[i], starts[i] + counts[i]):
                for k in range(GRADIENTS):
                    g[k] += partial[slot, k]
            record = records[i]

            # Colour: spherical harmonics, and through their direction the mean.
            gr = g[G_RED] if record[RED] > 0 else f32(0)
            gg = g[G_GREEN] if record[GREEN] > 0 else f32(0)
            gb = g[G_BLUE] if record[BLUE] > 0 else f32(0)
            nx, ny, nz, inverse = _direction(camera, means, i)
            _basis(bands, nx, ny, nz, basis)
            for k in range(bands):
                slope[k] = gr * sh[i, k, 0] + gg * sh[i, k, 1] + gb * sh[i, k, 2]
                d_sh[i, k, 0] = basis[k] * gr
                d_sh[i, k, 1] = basis[k] * gg
                d_sh[i, k, 2] = basis[k] * gb
            dx, dy, dz = _basis_slope(bands, nx, ny, nz, slope)
            along = dx * nx + dy * ny + dz * nz
            world_x, world_y = (dx - along * nx) * inverse, (dy - along * ny) * inverse
            world_z = (dz - along * nz) * inverse

            # What the forward pass computed, once more.
            x, y, z = _in_camera(camera, means, i)
            (unit, qw, qx, qy, qz), row0, row1, row2 = _rotation(quats, i)
            (sx, sy, j00, j11), p, q = _spread(camera, x, y, z, row0, row1, row2)
            s0, s1, s2 = scales[i, 0], scales[i, 1], scales[i, 2]
            m00, m01, m02 = q[0] * s0, q[1] * s1, q[2] * s2
            m10, m11, m12 = q[3] * s0, q[4] * s1, q[5] * s2
            a = m00 * m00 + m01 * m01 + m02 * m02
            b = m00 * m10 + m01 * m11 + m02 * m12
            c = m10 * m10 + m11 * m11 + m12 * m12
            ca, cb, cc = two * record[A] / LOG2_E, record[B] / LOG2_E, two * record[C] / LOG2_E

            # Conic and mean on the image, from the moments of g.
            d_x = ca * g[G_X] + cb * g[G_Y]
            d_y = cb * g[G_X] + cc * g[G_Y]
            k00, k01, k11 = -half * g[G_XX], -half * g[G_XY], -half * g[G_YY]
            # The inverse of a matrix: d cov = -conic . d conic . conic
            t00, t01 = ca * k00 + cb * k01, ca * k01 + cb * k11
            t10, t11 = cb * k00 + cc * k01, cb * k01 + cc * k11
            d_a = -(t00 * ca + t01 * cb)
            d_b = -two * (t00 * cb + t01 * cc)
            d_c = -(t10 * cb + t11 * cc)
            d_opacities[i] = g[G] / opacities[i]
            if sharp:
                bare = a * c - b * b
                area = (a + EPS2D) * (c + EPS2D) - b * b
                d_a += half * g[G] * (c / bare - (c + EPS2D) / area)
                d_b += g[G] * (b / area - b / bare)
                d_c += half * g[G] * (a / bare - (a + EPS2D) / area)

            # cov = M M^T, M = Q S, Q = P R_quat, P = J R_view
            e00, e10 = two * d_a * m00 + d_b * m10, d_b * m00 + two * d_c * m10
            e01, e11 = two * d_a * m01 + d_b * m11, d_b * m01 + two * d_c * m11
            e02, e12 = two * d_a * m02 + d_b * m12, d_b * m02 + two * d_c * m12
            d_scales[i, 0] = e00 * q[0] + e10 * q[3]
            d_scales[i, 1] = e01 * q[1] + e11 * q[4]
            d_scales[i, 2] = e02 * q[2] + e12 * q[5]
            e00, e01, e02 = e00 * s0, e01 * s1, e02 * s2
            e10, e11, e12 = e10 * s0, e11 * s1, e12 * s2
            r00, r01, r02 = (
                p[0] * e00 + p[3] * e10,
                p[0] * e01 + p[3] * e11,
                p[0] * e02 + p[3] * e12,
            )
            r10, r11, r12 = (
                p[1] * e00 + p[4] * e10,
                p[1] * e01 + p[4] * e11,
                p[1] * e02 + p[4] * e12,
            )
            r20, r21, r22 = (
                p[2] * e00 + p[5] * e10,
                p[2] * e01 + p[5] * e11,
                p[2] * e02 + p[5] * e12,
            )
            d_w = two * (qz * (r10 - r01) + qy * (r02 - r20) + qx * (r21 - r12))
            d_i = two * (
                qy * (r01 + r10) + qz * (r02 + r20) + qw * (r21 - r12) - two * qx * (r11 + r22)
            )
            d_j = two * (
                qx * (r01 + r10) + qz * (r12 + r21) + qw * (r02 - r20) - two * qy * (r00 + r22)
            )
            d_k = two * (
                qx * (r02 + r20) + qy * (r12 + r21) + qw * (r10 - r01) - two * qz * (r00 + r11)
            )
            along = d_w * qw + d_i * qx + d_j * qy + d_k * qz
            d_quats[i, 0], d_quats[i, 1] = (d_w - along * qw) * unit, (d_i - along * qx) * unit
            d_quats[i, 2], d_quats[i, 3] = (d_j - along * qy) * unit, (d_k - along * qz) * unit

            f00 = e00 * row0[0] + e01 * row0[1] + e02 * row0[2]
            f01 = e00 * row1[0] + e01 * row1[1] + e02 * row1[2]
            f02 = e00 * row2[0] + e01 * row2[1] + e02 * row2[2]
            f10 = e10 * row0[0] + e11 * row0[1] + e12 * row0[2]
            f11 = e10 * row1[0] + e11 * row1[1] + e12 * row1[2]
            f12 = e10 * row2[0] + e11 * row2[1] + e12 * row2[2]
            h00 = f00 * camera[0] + f01 * camera[1] + f02 * camera[2]
            h02 = f00 * camera[6] + f01 * camera[7] + f02 * camera[8]
            h11 = f10 * camera[3] + f11 * camera[4] + f12 * camera[5]
            h12 = f10 * camera[6] + f11 * camera[7] + f12 * camera[8]

            # J00 = fx / z, J02 = -J00 slope_x, and the mean itself at fx x / z + cx.
            rz = one / z
            d_z = -rz * (j00 * (h00 - sx * h02) + j11 * (h11 - sy * h12))
            d_sx, d_sy = -j00 * h02, -j11 * h12
            slope_x, slope_y = x * rz, y * rz
            d_slope_x = camera[12] * d_x + (d_sx if sx == slope_x else f32(0))
            d_slope_y = camera[13] * d_y + (d_sy if sy == slope_y else f32(0))
            d_z -= rz * (d_slope_x * slope_x + d_slope_y * slope_y)
            d_x, d_y = d_slope_x * rz, d_slope_y * rz
            d_means[i, 0] = world_x + camera[0] * d_x + camera[3] * d_y + camera[6] * d_z
            d_means[i, 1] = world_y + camera[1] * d_x + camera[4] * d_y + camera[7] * d_z
            d_means[i, 2] = world_z + camera[2] * d_x + camera[5] * d_y + camera[8] * d_z


@parallel
def unproject(  # type: ignore[no-untyped-def]
    threads,
    camera,
    sharp,
    means,
    quats,
    scales,
    opacities,
    sh,
    records,
    starts,
    counts,
    partial,
    d_means,
    d_quats,
    d_scales,
    d_opacities,
    d_sh,
):
    """Gradients of the parameters from `partial` (slots, GRADIENTS), summed per Gaussian in order."""
    counter = np.zeros(1, np.int64)
    for _ in numba.prange(threads):
        _unproject_some(
            counter,
            camera,
            sharp,
            means,
            quats,
            scales,
            opacities,
            sh,
            records,
            starts,
            counts,
            partial,
            d_means,
            d_quats,
            d_scales,
            d_opacities,
            d_sh,
        )
