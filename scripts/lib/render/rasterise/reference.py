"""The rasteriser in plain torch: every pixel looks at every Gaussian, autograd does the rest.

Some thirty times slower than the real thing and hungry for memory; it exists to test it against.
Formulas: Zwicker et al., "EWA Splatting" (2002); constants and culling as in gsplat 1.5.3.
"""

from __future__ import annotations

import torch

EPS2D = 0.3
ALPHA_MIN, ALPHA_MAX, STOP = 1 / 255, 0.999, 1e-4


def rotations(quats: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (N, 3, 3) of quaternions (N, 4) wxyz of any length."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
    rows += [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
    rows += [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def sh_basis(directions: torch.Tensor, count: int) -> torch.Tensor:
    """The first `count` real spherical harmonics (N, count) at unit directions (N, 3)."""
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, 0.28209479177387814)]
    if count > 1:
        basis += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if count > 4:
        basis += [1.0925484305920792 * x * y, -1.0925484305920792 * y * z]
        basis += [0.31539156525252005 * (3 * z * z - 1), -1.0925484305920792 * x * z]
        basis += [0.5462742152960396 * (x * x - y * y)]
    if count > 9:
        basis += [-0.5900435899266435 * y * (3 * x * x - y * y), 2.890611442640554 * x * y * z]
        basis += [-0.4570457994644658 * y * (5 * z * z - 1)]
        basis += [0.3731763325901154 * z * (5 * z * z - 3)]
        basis += [-0.4570457994644658 * x * (5 * z * z - 1)]
        basis += [1.445305721320277 * z * (x * x - y * y)]
        basis += [-0.5900435899266435 * x * (x * x - 3 * y * y)]
    return torch.stack(basis, -1)


def render(
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    sh: torch.Tensor,
    world_to_camera: torch.Tensor,
    K: torch.Tensor,
    size: tuple[int, int],
    *,
    near: float = 0.01,
    far: float = 1e10,
    antialiased: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One camera: colour (H, W, 3) premultiplied and alpha (H, W, 1), in the dtype of `means`."""
    width, height = size
    turn, shift = world_to_camera[:3, :3], world_to_camera[:3, 3]
    depths = (means @ turn.T + shift)[:, 2].detach()
    order = torch.argsort(depths, stable=True)
    order = order[(depths[order] >= near) & (depths[order] <= far)]
    means, quats, scales = means[order], quats[order], scales[order]
    opacities, sh = opacities[order], sh[order]

    x, y, z = (means @ turn.T + shift).unbind(-1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    # The linearisation is held within 1.3 times the field of view: beyond it, it explodes.
    edge_x, edge_y = 0.15 * width / fx, 0.15 * height / fy
    slope_x = (x / z).clamp(-cx / fx - edge_x, (width - cx) / fx + edge_x)
    slope_y = (y / z).clamp(-cy / fy - edge_y, (height - cy) / fy + edge_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * slope_x / z, zero, fy / z, -fy * slope_y / z], -1)
    spread = jacobian.reshape(-1, 2, 3) @ turn @ rotations(quats) * scales[:, None, :]
    a, b = (spread[:, 0] ** 2).sum(-1), (spread[:, 0] * spread[:, 1]).sum(-1)
    c = (spread[:, 1] ** 2).sum(-1)
    unblurred = a * c - b * b
    a, c = a + EPS2D, c + EPS2D
    area = a * c - b * b
    if antialiased:
        opacities = opacities * (unblurred / area).clamp_min(0).sqrt()

    centre = -turn.T @ shift
    basis = sh_basis(torch.nn.functional.normalize(means - centre, dim=-1), sh.shape[1])
    colours = ((basis[:, :, None] * sh).sum(1) + 0.5).clamp_min(0)

    rows, columns = torch.meshgrid(
        torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij"
    )
    dx = columns.reshape(-1, 1).to(means) - (fx * x / z + cx)
    dy = rows.reshape(-1, 1).to(means) - (fy * y / z + cy)
    power = 0.5 * (c * dx * dx - 2 * b * dx * dy + a * dy * dy) / area
    alphas = (opacities * torch.exp(-power)).clamp_max(ALPHA_MAX)
    alphas = torch.where(alphas >= ALPHA_MIN, alphas, 0)
    # The Gaussian that would take the transmittance below STOP is not drawn, nor any behind it.
    alphas = torch.where(torch.cumprod(1 - alphas, 1) > STOP, alphas, 0)
    transmittance = torch.cumprod(1 - alphas, 1)
    before = torch.cat([torch.ones_like(transmittance[:, :1]), transmittance[:, :-1]], 1)
    weights = alphas * before
    colour = (weights @ colours).reshape(height, width, 3)
    return colour, weights.sum(1).reshape(height, width, 1)
