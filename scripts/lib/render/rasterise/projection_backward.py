"""The way back of `projection`: from gradients of ellipses on the image to those of the Gaussians.

The derivatives are written out by hand; tests hold them against autograd.
"""

# ruff: noqa: E741  (one-letter names follow the formulas)

from __future__ import annotations

import numba
import numpy as np

from scripts.lib.core.jit import compiled, inlined, parallel, take_next
from scripts.lib.render.rasterise.ellipses import (
    BLUE,
    EPS2D,
    G_BLUE,
    G_GREEN,
    G_RED,
    G_X,
    G_XX,
    G_XY,
    G_Y,
    G_YY,
    GRADIENTS,
    GREEN,
    LOG2_E,
    RED,
    A,
    B,
    C,
    G,
)
from scripts.lib.render.rasterise.harmonics import basis_at, basis_gradient, view_direction
from scripts.lib.render.rasterise.projection import (
    CHUNK,
    image_covariance,
    in_camera,
    linear_maps,
    rotation,
)

f32 = np.float32


@inlined
def _colour_backward(i, camera, means, sh, record, g, basis, by_band, d_sh):  # type: ignore[no-untyped-def]
    """Fill the harmonics' gradient; returns that of the mean, which changes the direction of view.

    `basis` and `by_band` are scratch space.
    """
    bands = sh.shape[1]
    gr = g[G_RED] if record[RED] > 0 else f32(0)
    gg = g[G_GREEN] if record[GREEN] > 0 else f32(0)
    gb = g[G_BLUE] if record[BLUE] > 0 else f32(0)
    nx, ny, nz, inverse = view_direction(camera, means, i)
    basis_at(bands, nx, ny, nz, basis)
    for k in range(bands):
        by_band[k] = gr * sh[i, k, 0] + gg * sh[i, k, 1] + gb * sh[i, k, 2]
        d_sh[i, k, 0] = basis[k] * gr
        d_sh[i, k, 1] = basis[k] * gg
        d_sh[i, k, 2] = basis[k] * gb
    dx, dy, dz = basis_gradient(bands, nx, ny, nz, by_band)
    along = dx * nx + dy * ny + dz * nz
    world_x, world_y = (dx - along * nx) * inverse, (dy - along * ny) * inverse
    return world_x, world_y, (dz - along * nz) * inverse


@inlined
def _ellipse_backward(record, g, covariance, antialiased):  # type: ignore[no-untyped-def]
    """Gradients of the mean on the image, and of the covariance's a, b, c, from the moments of g."""
    half, two = f32(0.5), f32(2)
    ca, cb, cc = two * record[A] / LOG2_E, record[B] / LOG2_E, two * record[C] / LOG2_E
    d_x = ca * g[G_X] + cb * g[G_Y]
    d_y = cb * g[G_X] + cc * g[G_Y]
    k00, k01, k11 = -half * g[G_XX], -half * g[G_XY], -half * g[G_YY]
    # The inverse of a matrix: d cov = -conic . d conic . conic
    t00, t01 = ca * k00 + cb * k01, ca * k01 + cb * k11
    t10, t11 = cb * k00 + cc * k01, cb * k01 + cc * k11
    d_a = -(t00 * ca + t01 * cb)
    d_b = -two * (t00 * cb + t01 * cc)
    d_c = -(t10 * cb + t11 * cc)
    if antialiased:
        a, b, c = covariance
        unblurred = a * c - b * b
        area = (a + EPS2D) * (c + EPS2D) - b * b
        d_a += half * g[G] * (c / unblurred - (c + EPS2D) / area)
        d_b += g[G] * (b / area - b / unblurred)
        d_c += half * g[G] * (a / unblurred - (a + EPS2D) / area)
    return (d_x, d_y), (d_a, d_b, d_c)


@inlined
def _scales_backward(i, m, q, scales, d_covariance, d_scales):  # type: ignore[no-untyped-def]
    """Fill the scales' gradient; returns that of Q, row by row. cov = M M^T, M = Q S."""
    two = f32(2)
    d_a, d_b, d_c = d_covariance
    s0, s1, s2 = scales[i, 0], scales[i, 1], scales[i, 2]
    e00, e10 = two * d_a * m[0] + d_b * m[3], d_b * m[0] + two * d_c * m[3]
    e01, e11 = two * d_a * m[1] + d_b * m[4], d_b * m[1] + two * d_c * m[4]
    e02, e12 = two * d_a * m[2] + d_b * m[5], d_b * m[2] + two * d_c * m[5]
    d_scales[i, 0] = e00 * q[0] + e10 * q[3]
    d_scales[i, 1] = e01 * q[1] + e11 * q[4]
    d_scales[i, 2] = e02 * q[2] + e12 * q[5]
    return e00 * s0, e01 * s1, e02 * s2, e10 * s0, e11 * s1, e12 * s2


@inlined
def _quaternion_backward(i, unit_quat, p, e, d_quats):  # type: ignore[no-untyped-def]
    """Fill the quaternion's gradient from that of Q = P R_quat, `e`."""
    two = f32(2)
    unit, qw, qx, qy, qz = unit_quat
    r00, r01, r02 = p[0] * e[0] + p[3] * e[3], p[0] * e[1] + p[3] * e[4], p[0] * e[2] + p[3] * e[5]
    r10, r11, r12 = p[1] * e[0] + p[4] * e[3], p[1] * e[1] + p[4] * e[4], p[1] * e[2] + p[4] * e[5]
    r20, r21, r22 = p[2] * e[0] + p[5] * e[3], p[2] * e[1] + p[5] * e[4], p[2] * e[2] + p[5] * e[5]
    d_w = two * (qz * (r10 - r01) + qy * (r02 - r20) + qx * (r21 - r12))
    d_i = two * (qy * (r01 + r10) + qz * (r02 + r20) + qw * (r21 - r12) - two * qx * (r11 + r22))
    d_j = two * (qx * (r01 + r10) + qz * (r12 + r21) + qw * (r02 - r20) - two * qy * (r00 + r22))
    d_k = two * (qx * (r02 + r20) + qy * (r12 + r21) + qw * (r10 - r01) - two * qz * (r00 + r11))
    along = d_w * qw + d_i * qx + d_j * qy + d_k * qz
    d_quats[i, 0], d_quats[i, 1] = (d_w - along * qw) * unit, (d_i - along * qx) * unit
    d_quats[i, 2], d_quats[i, 3] = (d_j - along * qy) * unit, (d_k - along * qz) * unit


@inlined
def _mean_backward(camera, place, held, rows, e, d_image):  # type: ignore[no-untyped-def]
    """Gradient of the mean in the camera's frame: through where it is drawn, and through P = J R_view."""
    x, y, z = place
    sx, sy, j00, j11 = held
    row0, row1, row2 = rows
    d_x, d_y = d_image
    f00 = e[0] * row0[0] + e[1] * row0[1] + e[2] * row0[2]
    f01 = e[0] * row1[0] + e[1] * row1[1] + e[2] * row1[2]
    f02 = e[0] * row2[0] + e[1] * row2[1] + e[2] * row2[2]
    f10 = e[3] * row0[0] + e[4] * row0[1] + e[5] * row0[2]
    f11 = e[3] * row1[0] + e[4] * row1[1] + e[5] * row1[2]
    f12 = e[3] * row2[0] + e[4] * row2[1] + e[5] * row2[2]
    h00 = f00 * camera[0] + f01 * camera[1] + f02 * camera[2]
    h02 = f00 * camera[6] + f01 * camera[7] + f02 * camera[8]
    h11 = f10 * camera[3] + f11 * camera[4] + f12 * camera[5]
    h12 = f10 * camera[6] + f11 * camera[7] + f12 * camera[8]

    # J00 = fx / z, J02 = -J00 slope_x, and the mean itself at fx x / z + cx.
    rz = f32(1) / z
    d_z = -rz * (j00 * (h00 - sx * h02) + j11 * (h11 - sy * h12))
    d_sx, d_sy = -j00 * h02, -j11 * h12
    slope_x, slope_y = x * rz, y * rz
    d_slope_x = camera[12] * d_x + (d_sx if sx == slope_x else f32(0))
    d_slope_y = camera[13] * d_y + (d_sy if sy == slope_y else f32(0))
    d_z -= rz * (d_slope_x * slope_x + d_slope_y * slope_y)
    return d_slope_x * rz, d_slope_y * rz, d_z


@compiled
def _project_backward_some(  # type: ignore[no-untyped-def]
    counter,
    camera,
    antialiased,
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
    count = means.shape[0]
    basis, by_band = np.empty(16, np.float32), np.empty(16, np.float32)
    g = np.empty(GRADIENTS, np.float32)
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
            world = _colour_backward(i, camera, means, sh, record, g, basis, by_band, d_sh)

            # What the forward pass computed, once more.
            place = in_camera(camera, means, i)
            unit_quat, row0, row1, row2 = rotation(quats, i)
            held, p, q = linear_maps(camera, place[0], place[1], place[2], row0, row1, row2)
            m, covariance = image_covariance(q, scales[i, 0], scales[i, 1], scales[i, 2])

            d_image, d_covariance = _ellipse_backward(record, g, covariance, antialiased)
            d_opacities[i] = g[G] / opacities[i]
            e = _scales_backward(i, m, q, scales, d_covariance, d_scales)
            _quaternion_backward(i, unit_quat, p, e, d_quats)
            d_x, d_y, d_z = _mean_backward(camera, place, held, (row0, row1, row2), e, d_image)
            d_means[i, 0] = world[0] + camera[0] * d_x + camera[3] * d_y + camera[6] * d_z
            d_means[i, 1] = world[1] + camera[1] * d_x + camera[4] * d_y + camera[7] * d_z
            d_means[i, 2] = world[2] + camera[2] * d_x + camera[5] * d_y + camera[8] * d_z


@parallel
def project_backward(  # type: ignore[no-untyped-def]
    threads,
    camera,
    antialiased,
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
        _project_backward_some(
            counter,
            camera,
            antialiased,
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
