"""Real spherical harmonics at the direction from which a Gaussian is seen, and their gradient."""

from __future__ import annotations

import math

import numpy as np

from scripts.lib.core.jit import inlined

f32 = np.float32


@inlined
def view_direction(camera, means, i):  # type: ignore[no-untyped-def]
    """Unit vector from the camera to Gaussian i, and 1 / its distance."""
    x, y, z = means[i, 0] - camera[20], means[i, 1] - camera[21], means[i, 2] - camera[22]
    inverse = f32(1) / math.sqrt(max(x * x + y * y + z * z, f32(1e-24)))
    return x * inverse, y * inverse, z * inverse, inverse


@inlined
def basis_at(bands, x, y, z, out):  # type: ignore[no-untyped-def]
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
def basis_gradient(bands, x, y, z, h):  # type: ignore[no-untyped-def]
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
