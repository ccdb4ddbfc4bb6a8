"""The optimiser step on a GPU: kernels called one after the other, no autograd between them.

A step by autograd launches some two hundred small kernels, and the GPU waits for the CPU. Here are about
twenty. As many photos of the step as memory allows go through each kernel together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scripts.lib.render.losses.cuda import judge
from scripts.lib.render.rasterise import on_gpu
from scripts.lib.render.rasterise.constants import FAR, NEAR
from scripts.lib.render.rasterise.passes import Cameras, Shapes
from scripts.lib.train.kernels.geometry_cuda import activate, step_geometry
from scripts.lib.train.kernels.harmonics_cuda import colours, step_harmonics
from scripts.lib.train.parameters import ADAM, SH_REST, Parameters
from scripts.lib.train.step import Adjustments, StepPlan
from scripts.lib.train.views import Stack

GEOMETRY = ("means", "quats", "scales", "opacities")


@dataclass(frozen=True)
class _Gradients:
    """What some of a step's views say: seen and gradients by view, (V, N, ...), and summed over them."""

    seen: Tensor  # (V, N, 2) int32, 0 where not drawn
    colours: Tensor  # (V, N, 3)
    v_colours: Tensor
    v_means: Tensor  # (N, 3)
    v_quats: Tensor
    v_scales: Tensor
    v_opacities: Tensor  # (N,)
    v_exposures: Tensor  # (V, 6), empty where none are learned
    v_cameras: Tensor  # (V, 4, 4), likewise
    v_focals: Tensor  # (V,), likewise

    @staticmethod
    def joined(parts: list[_Gradients]) -> _Gradients:
        """Of all views together."""
        if len(parts) == 1:
            return parts[0]

        def all_of(name: str) -> Tensor:
            return torch.cat([getattr(part, name) for part in parts])

        def sum_of(name: str) -> Tensor:
            return torch.stack([getattr(part, name) for part in parts]).sum(dim=0)

        return _Gradients(
            seen=all_of("seen"),
            colours=all_of("colours"),
            v_colours=all_of("v_colours"),
            v_means=sum_of("v_means"),
            v_quats=sum_of("v_quats"),
            v_scales=sum_of("v_scales"),
            v_opacities=sum_of("v_opacities"),
            v_exposures=all_of("v_exposures"),
            v_cameras=all_of("v_cameras"),
            v_focals=all_of("v_focals"),
        )


class FusedStep:
    """As `step.AutogradStep`, for parameters on CUDA; photos of at least 11 x 11 pixels.

    backend: whose kernels draw, as `on_gpu` names them. at_once: photos of `pixels` pixels that go through
    the kernels together; of smaller ones, so many more. A step that runs out of memory before anything has
    changed is done again with half as many; with a single one, or once something has changed
    (`parameters.steps` tells), torch's error goes on.
    """

    def __init__(self, backend: str, at_once: int, pixels: int) -> None:
        self.rasteriser = on_gpu(backend)
        self.at_once, self.pixels = at_once, pixels

    def _together(self, views: Stack) -> int:
        width, height = views.size
        return min(len(views), self.at_once * max(1, self.pixels // (width * height)))

    def __call__(
        self,
        parameters: Parameters,
        views: Stack,
        plan: StepPlan,
        generator: torch.Generator,
        adjust: Adjustments,
    ) -> Tensor:
        """Change `parameters` and what is adjusted by one step; the norm of each position's gradient (N,).

        Draws by `plan.seed` inside the kernels; `generator` stays as it is.
        """
        adjust = adjust.now(plan)
        while True:
            try:
                gradients = self._gradients(parameters, views, plan, adjust)
                break
            except torch.cuda.OutOfMemoryError:
                if self._together(views) == 1:
                    raise
            # Of smaller photos as many as of the large ones from now on: the Gaussians are the burden.
            self.at_once, self.pixels = (self._together(views) + 1) // 2, 1
            torch.cuda.empty_cache()
        norms = torch.empty(len(parameters), device=parameters.device)
        parameters.steps += 1
        step_harmonics(
            parameters["means"],
            parameters["sh"],
            parameters.moments("sh"),
            views.world_to_camera,
            gradients.seen,
            gradients.colours,
            gradients.v_colours,
            gradients.v_means,
            plan.degree,
            plan.rates["sh"],
            SH_REST,
            parameters.steps,
            **ADAM,
        )
        if adjust.exposures:
            adjust.exposures.learn(views.numbers, gradients.v_exposures)
        if adjust.poses:
            by_pose = adjust.poses.gradient(views.world_to_camera, gradients.v_cameras)
            adjust.poses.learn(views.numbers, by_pose, plan.camera_rate)
        if adjust.focals:
            adjust.focals.learn(views.lenses, gradients.v_focals, plan.camera_rate)
        first, second = zip(*(parameters.moments(name) for name in GEOMETRY), strict=True)
        step_geometry(
            tuple(parameters[name] for name in GEOMETRY),
            first,
            second,
            (gradients.v_means, gradients.v_quats, gradients.v_scales, gradients.v_opacities),
            tuple(plan.rates[name] for name in GEOMETRY),
            parameters.steps,
            position_gradients=norms,
            seed=plan.seed,
            drop=plan.drop,
            opacity_cost=plan.opacity_cost / len(parameters),
            scale_cost=plan.scale_cost / (3 * len(parameters)),
            axis_ratio=plan.axis_ratio,
            noise=plan.noise,
            **ADAM,
        )
        return norms

    def _gradients(
        self, parameters: Parameters, views: Stack, plan: StepPlan, adjust: Adjustments
    ) -> _Gradients:
        raw_scales, raw_opacities = parameters["scales"], parameters["opacities"]
        active = activate(raw_scales, raw_opacities, plan.seed, plan.drop)
        parts = []
        together = self._together(views)
        for begin in range(0, len(views), together):
            part = views.part(begin, begin + together)
            parts.append(self._some(parameters, *active, part, len(views), plan, adjust))
        return _Gradients.joined(parts)

    def _some(
        self,
        parameters: Parameters,
        scales: Tensor,
        opacities: Tensor,
        views: Stack,
        total: int,
        plan: StepPlan,
        adjust: Adjustments,
    ) -> _Gradients:
        """Gradients of the mean loss over `total` photos, of which `views` are some."""
        means, quats, sh = (parameters[name] for name in ("means", "quats", "sh"))
        w2c, K = views.world_to_camera.contiguous(), views.K.contiguous()
        cameras = Cameras(w2c, K, views.size, NEAR, FAR)
        drawn = self.rasteriser(Shapes(means, quats, scales, opacities), cameras, plan.antialiased)
        made = colours(means, sh, w2c, drawn.seen, plan.degree)
        image = drawn.draw(made)
        exposures = adjust.exposures.values[views.numbers] if adjust.exposures else None
        assert isinstance(views.photos, Tensor), "photos that were not picked"
        judged = judge(
            image, views.photos, plan.ssim_weight, views.masks, exposures, share=1 / total
        )
        by_focal = []
        if adjust.focals:
            for number in range(len(views)):
                gradient = judged.gradients[number]
                by_focal.append(adjust.focals.gradient(image[number], gradient, K[number]))
        found = drawn.backward(judged.gradients, None, poses=adjust.poses is not None)
        return _Gradients(
            drawn.seen,
            made,
            found.colours,
            found.means,
            found.quats,
            found.scales,
            found.opacities,
            means[:0] if judged.by_exposures is None else judged.by_exposures,
            found.cameras if found.cameras is not None else means[:0],
            torch.stack(by_focal) if by_focal else means[:0],
        )
