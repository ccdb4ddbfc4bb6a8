"""The optimiser step on CUDA: gsplat's kernels called one after the other, no autograd between them.

A step by autograd launches some two hundred small kernels, and the GPU waits for the CPU. Here are about
thirty: gsplat projects, bins and rasterises, forward and backward; ours do the rest. All photos of the
step go through each kernel together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scripts.lib.kernels.geometry_cuda import activate, step_geometry
from scripts.lib.kernels.harmonics_cuda import colours, step_harmonics
from scripts.lib.losses.cuda import losses_and_gradients
from scripts.lib.rasterise import EPS2D, FAR, NEAR, gsplat_kernels
from scripts.lib.train.parameters import ADAM, SH_REST, Parameters
from scripts.lib.train.step import StepPlan
from scripts.lib.train.views import Stack

TILE = 16
GEOMETRY = ("means", "quats", "scales", "opacities")


class FusedStep:
    """As `step.AutogradStep`, for parameters on CUDA; photos of at least 11 x 11 pixels."""

    def __init__(self) -> None:
        self.kernels = gsplat_kernels()
        self.v_alpha: Tensor | None = None

    def __call__(
        self, parameters: Parameters, views: Stack, plan: StepPlan, generator: torch.Generator
    ) -> Tensor:
        """Change `parameters` by one step; returns (N,) how much each Gaussian strained to move.

        Draws by `plan.seed` inside the kernels; `generator` stays as it is.
        """
        kernels, (width, height), count = self.kernels, views.size, len(views)
        raw = {name: parameters[name] for name in GEOMETRY}
        sh, means, quats = parameters["sh"], raw["means"], raw["quats"]
        scales, opacities = activate(raw["scales"], raw["opacities"], plan.seed, plan.drop)
        w2c, K = views.world_to_camera, views.K
        pinhole = kernels.CameraModelType.PINHOLE
        radii, means2d, depths, conics, dimmed = kernels.projection_ewa_3dgs_fused_fwd(
            means,
            None,
            quats,
            scales,
            opacities,
            w2c,
            K,
            width,
            height,
            EPS2D,
            NEAR,
            FAR,
            0.0,
            plan.antialiased,
            pinhole,
        )
        across, down = -(-width // TILE), -(-height // TILE)
        _, keys, order = kernels.intersect_tile(
            means2d, radii, depths, None, None, count, TILE, across, down, True, False
        )
        offsets = kernels.intersect_offset(keys, count, across, down).view(count, down, across)
        made = colours(means, sh, w2c, radii, plan.degree)
        shown = opacities.expand(count, -1).contiguous()
        shown = shown * dimmed if plan.antialiased else shown
        drawn = (means2d, conics, made, shown, None, None, width, height, TILE, offsets, order)
        image, alpha, last = kernels.rasterize_to_pixels_3dgs_fwd(*drawn)
        mask = None if views.masks is None else views.masks.float() / 255
        _, v_image = losses_and_gradients(image, views.photos, plan.ssim_weight, mask)
        if count > 1:
            v_image /= count
        if self.v_alpha is None or self.v_alpha.shape != alpha.shape:
            self.v_alpha = torch.zeros_like(alpha)  # the loss does not judge it
        back = kernels.rasterize_to_pixels_3dgs_bwd(
            *drawn, alpha, last, v_image, self.v_alpha, False
        )
        _, v_means2d, v_conics, v_colours, v_shown = back
        v_means, _, v_quats, v_scales, _ = kernels.projection_ewa_3dgs_fused_bwd(
            means,
            None,
            quats,
            scales,
            w2c,
            K,
            width,
            height,
            EPS2D,
            pinhole,
            radii,
            conics,
            dimmed if plan.antialiased else None,
            v_means2d,
            torch.zeros_like(depths),
            v_conics,
            v_shown * opacities if plan.antialiased else None,
            False,
        )
        parameters.steps += 1
        step_harmonics(
            means,
            sh,
            parameters.moments("sh"),
            w2c,
            radii,
            made,
            v_colours,
            v_means,
            plan.degree,
            plan.rates["sh"],
            SH_REST,
            parameters.steps,
            **ADAM,
        )
        first, second = zip(*(parameters.moments(name) for name in GEOMETRY), strict=True)
        return step_geometry(
            tuple(raw.values()),
            first,
            second,
            (v_means, v_quats, v_scales, v_shown),
            dimmed if plan.antialiased else None,
            tuple(plan.rates[name] for name in GEOMETRY),
            parameters.steps,
            seed=plan.seed,
            drop=plan.drop,
            opacity_cost=plan.opacity_cost / len(parameters),
            scale_cost=plan.scale_cost / (3 * len(parameters)),
            noise=plan.noise,
            **ADAM,
        )
