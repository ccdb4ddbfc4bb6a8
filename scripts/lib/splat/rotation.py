"""Gaussians carried by a similarity: means, orientations, sizes, and the harmonics of their colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from scripts.lib.core.geo import Sim3
from scripts.lib.splat.gaussians import SH_COEFFICIENTS, Array, Gaussians

Float = npt.NDArray[np.float64]

# From axes with Z up to others. glTF: x stays, y is up, z comes towards who looks north.
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
# As COLMAP's cameras: y is down, z goes north.
Y_DOWN = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def harmonics(directions: npt.ArrayLike) -> Float:
    """Real spherical harmonics of degrees 1 to 3 (N, 15) at unit directions (N, 3).

    Order and signs (with the Condon-Shortley phase) are those of splat files:
    KHR_gaussian_splatting, "Spherical Harmonics Reference".
    """
    x, y, z = np.asarray(directions, np.float64).T
    xx, yy, zz = x * x, y * y, z * z
    bands = [
        -0.4886025119029199 * y,
        0.4886025119029199 * z,
        -0.4886025119029199 * x,
        1.092548430592079 * x * y,
        -1.092548430592079 * y * z,
        0.31539156525252 * (2 * zz - xx - yy),
        -1.092548430592079 * x * z,
        0.5462742152960395 * (xx - yy),
        -0.5900435899266435 * y * (3 * xx - yy),
        2.890611442640554 * x * y * z,
        -0.4570457994644657 * y * (4 * zz - xx - yy),
        0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
        -0.4570457994644657 * x * (4 * zz - xx - yy),
        1.445305721320277 * z * (xx - yy),
        -0.5900435899266435 * x * (xx - 3 * yy),
    ]
    return np.stack(bands, axis=1)


def harmonics_rotation(rotation: Float, degree: int) -> Float:
    """The matrix (K, K) that carries harmonics of degrees 1 to `degree` with a rotation (3, 3).

    Each band is carried into itself (Wigner's D matrices). Found from the functions themselves at more
    directions than there are unknowns, which is exact up to rounding.
    """
    directions = np.random.default_rng(0).standard_normal((64, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    before, after = harmonics(directions @ rotation), harmonics(directions)
    whole = np.zeros((SH_COEFFICIENTS[degree],) * 2)
    start = 0
    for band in range(1, degree + 1):
        part = slice(start, start + 2 * band + 1)
        whole[part, part] = np.linalg.lstsq(after[:, part], before[:, part], rcond=None)[0]
        start = part.stop
    return whole


def rotated(gaussians: Gaussians, rotation: npt.ArrayLike) -> Gaussians:
    """The Gaussians as they look after a proper rotation (3, 3) of the world about its origin."""
    return carried(gaussians, Sim3(1.0, np.asarray(rotation, np.float64), np.zeros(3)))


def carried(gaussians: Gaussians, sim3: Sim3) -> Gaussians:
    """The Gaussians in the frame that `sim3` leads to."""
    turn = Rotation.from_matrix(sim3.rotation)
    lengths = np.linalg.norm(gaussians.quats, axis=1, keepdims=True)
    quats = np.where(lengths > 0, gaussians.quats, [1.0, 0, 0, 0])
    turned = (turn * Rotation.from_quat(quats, scalar_first=True)).as_quat(scalar_first=True)
    shN = gaussians.shN
    if shN.shape[1]:
        matrix = harmonics_rotation(sim3.rotation, gaussians.sh_degree)
        shN = np.einsum("jk,nkc->njc", matrix, shN, optimize=True).astype(np.float32)
    return replace(
        gaussians,
        means=_single(sim3.apply(gaussians.means)),
        quats=_single(turned),
        scales=_single(gaussians.scales + np.log(sim3.scale)),
        shN=shN,
    )


def _single(values: npt.NDArray[np.floating]) -> Array:
    return np.ascontiguousarray(values, np.float32)
