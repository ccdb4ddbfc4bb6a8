"""The optimiser step on a GPU: kernels called one after the other, no autograd between them.

A step by autograd launches some two hundred small kernels, and the GPU waits for the CPU. Here are about
twenty. As many photos of the step as memory allows go through each kernel together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scripts.lib.render.losses.cuda import judge
from scripts.lib.render.rasterise import on_gpu
from scripts.lib.render.rasterise.constants import FAR, NEAR
from scripts.lib.render.rasterise.cuda.room import LOST, Room
from scripts.lib.render.rasterise.passes import Cameras, Gradients, Pass, Shapes
from scripts.lib.train.cameras import unless
from scripts.lib.train.depth_term import DepthTerm, by_means, features
from scripts.lib.train.frozen import Frozen, joined
from scripts.lib.train.kernels.geometry_cuda import activate, step_geometry
from scripts.lib.train.kernels.harmonics_cuda import colours, slopes_of, step_harmonics
from scripts.lib.train.parameters import ADAM, SH_REST, Parameters
from scripts.lib.train.step import Adjustments, StepPlan
from scripts.lib.train.views import Stack

GEOMETRY = ("means", "quats", "scales", "opacities")


class _Gradients:
    """What a step's views say, as far as they were followed back.

    Of five million Gaussians every number counts: of each view only the slopes of its colours are kept, the
    rest is summed as it comes.
    """

    def __init__(self, views: int, count: int, device: torch.device) -> None:
        self.views, self.count, self.seen = views, count, 0  # `seen`: photos followed back so far
        self.slopes = torch.empty((views, count, 3), device=device)  # see `slopes_of`
        self.geometry: tuple[
            Tensor, ...
        ] = ()  # by means (N, 3), quats (N, 4), scales (N, 3), opacities (N,)
        self.exposures: list[Tensor] = []  # (V, 6)
        self.cameras: list[Tensor] = []  # (V, 4, 4)
        self.focals: list[Tensor] = []  # () of each view

    def add(self, drawn: Pass, made: Tensor, sh: Tensor, found: Gradients) -> None:
        """Add what the views of a pass say of the first `count` Gaussians; `made`: their colours, by the
        harmonics `sh`. Those after them are frozen."""
        begin, self.seen, own = self.seen, self.seen + len(made), self.count
        by_colours = found.colours[:, :own].contiguous()
        slopes_of(_own(drawn, own), made, by_colours, self.slopes[begin : self.seen], sh)
        geometry = (found.means[:own], found.quats[:own], found.scales[:own], found.opacities[:own])
        for total, part in zip(self.geometry, geometry, strict=False):
            total += part
        self.geometry = self.geometry or geometry
        if found.cameras is not None:
            self.cameras.append(found.cameras)


def _own(drawn: Pass, count: int) -> Tensor:
    """What a pass has `seen` of its first `count` Gaussians."""
    return drawn.seen[:, :count].contiguous()


class FusedStep:
    """As `step.AutogradStep`, for parameters on CUDA; photos of at least 11 x 11 pixels.

    backend: whose kernels draw, as `on_gpu` names them. at_once: photos of `pixels` pixels that go through
    the kernels together; of smaller ones, so many more. A step that runs out of memory before anything has
    changed is done again with half as many; with a single one, or once something has changed
    (`parameters.steps` tells), torch's error goes on.

    Nothing in a step waits for the GPU. So it is not known at once whether our kernels had room for its
    lists: without it, this step and those after it have changed nothing, and `lost` tells how many.
    """

    def __init__(
        self,
        backend: str,
        at_once: int,
        pixels: int,
        device: torch.device,
        frozen: Frozen | None = None,
        depths: DepthTerm | None = None,
    ) -> None:
        self.frozen, self.depths = frozen, depths
        self.room = Room(device) if backend == "cuda" else None
        self.rasteriser = on_gpu(backend, self.room)
        self.at_once, self.pixels = at_once, pixels

    def lost(self) -> int:
        """How many of the latest steps have changed nothing and must be done again. Waits for the GPU."""
        return self.room.look() if self.room else 0

    def unsure(self) -> bool:
        """Whether it is worth to wait for `lost`, because many steps may be."""
        return self.room is not None and self.room.unsure

    def broken(self) -> bool:
        """Whether numbers may not be finite since this was asked last, as far as `lost` has looked."""
        if self.room is None:
            return True
        found, self.room.broken = self.room.broken, False
        return found

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
        norms: Tensor,
    ) -> None:
        """Change `parameters` and what is adjusted by one step; add the norm of each position's gradient to
        `norms` (N,).

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
        ledger = self.room.ledger if self.room else None
        parameters.steps += 1
        step_harmonics(
            parameters["means"],
            parameters["sh"],
            parameters.moments("sh"),
            views.world_to_camera,
            gradients.slopes,
            gradients.geometry[0],
            plan.degree,
            plan.rates["sh"],
            SH_REST,
            parameters.steps,
            seed=plan.seed,
            ledger=ledger,
            **ADAM,
        )
        lost = None if ledger is None else ledger[LOST : LOST + 1]
        with unless(lost, adjust.exposures, adjust.poses, adjust.focals):
            if adjust.exposures:
                adjust.exposures.learn(views.numbers, torch.cat(gradients.exposures))
            if adjust.poses:
                by_pose = adjust.poses.gradient(views.world_to_camera, torch.cat(gradients.cameras))
                adjust.poses.learn(views.numbers, by_pose, plan.camera_rate)
            if adjust.focals:
                adjust.focals.learn(views.lenses, torch.stack(gradients.focals), plan.camera_rate)
        first, second = zip(*(parameters.moments(name) for name in GEOMETRY), strict=True)
        step_geometry(
            tuple(parameters[name] for name in GEOMETRY),
            first,
            second,
            gradients.geometry,
            tuple(plan.rates[name] for name in GEOMETRY),
            parameters.steps,
            position_gradients=norms,
            seed=plan.seed,
            drop=plan.drop,
            opacity_cost=plan.opacity_cost / len(parameters),
            scale_cost=plan.scale_cost / (3 * len(parameters)),
            axis_ratio=plan.axis_ratio,
            noise=plan.noise,
            ledger=ledger,
            **ADAM,
        )
        if self.room:
            self.room.asked()

    def _gradients(
        self, parameters: Parameters, views: Stack, plan: StepPlan, adjust: Adjustments
    ) -> _Gradients:
        raw_scales, raw_opacities = parameters["scales"], parameters["opacities"]
        scales, opacities = activate(raw_scales, raw_opacities, plan.seed, plan.drop)
        frozen = self.frozen
        shapes = Shapes(
            joined(parameters["means"], frozen, "means"),
            joined(parameters["quats"], frozen, "quats"),
            joined(scales, frozen, "scales"),
            joined(opacities, frozen, "opacities"),
        )
        exposures = adjust.exposures.values[views.numbers] if adjust.exposures else None
        together = self._together(views)
        found = _Gradients(len(views), len(parameters), parameters.device)
        for begin in range(0, len(views), together):
            part = views.part(begin, begin + together)
            own = None if exposures is None else exposures[begin : begin + together]
            self._some(parameters, shapes, part, own, plan, adjust, found)
        if self.depths and plan.depth_weight:
            self._depth(self.depths, shapes, views.part(0, 1), plan, found)
        return found

    def _depth(
        self,
        depths: DepthTerm,
        shapes: Shapes,
        view: Stack,
        plan: StepPlan,
        gradients: _Gradients,
    ) -> None:
        """Add to `gradients` those of the depth term of one photo."""
        pose = view.world_to_camera
        cameras = Cameras(pose, view.K, view.size, NEAR, FAR)
        drawn = self.rasteriser(shapes, cameras, plan.antialiased)
        made = features(shapes.means, pose[0])
        image = drawn.draw(made[None]).requires_grad_()
        (plan.depth_weight * depths.loss(image[0], view.numbers)).backward()
        assert image.grad is not None
        found = drawn.backward(image.grad, None, poses=False)
        geometry = (found.means, found.quats, found.scales, found.opacities)
        for total, part in zip(gradients.geometry, geometry, strict=True):
            total += part[: len(total)]
        own = slice(len(gradients.geometry[0]))
        gradients.geometry[0].add_(by_means(made[own], found.colours[0, own], pose[0]))

    def _some(
        self,
        parameters: Parameters,
        shapes: Shapes,
        views: Stack,
        exposures: Tensor | None,
        plan: StepPlan,
        adjust: Adjustments,
        gradients: _Gradients,
    ) -> None:
        """Add to `gradients` those of the mean loss over the step's photos, of which `views` are some."""
        means, sh, count = parameters["means"], parameters["sh"], len(parameters)
        frozen = self.frozen
        w2c, K = views.world_to_camera, views.K
        cameras = Cameras(w2c, K, views.size, NEAR, FAR)
        drawn = self.rasteriser(shapes, cameras, plan.antialiased)
        made = colours(means, sh, w2c, _own(drawn, count), plan.degree)
        everyone = made
        if frozen is not None:
            around = drawn.seen[:, count:].contiguous()
            others = colours(frozen.means, frozen.sh, w2c, around, plan.degree)
            everyone = torch.cat([made, others], dim=1)
        image = drawn.draw(everyone)
        assert isinstance(views.photos, Tensor), "photos that were not picked"
        judged = judge(
            image, views.photos, plan.ssim_weight, views.masks, exposures, share=1 / gradients.views
        )
        if judged.by_exposures is not None:
            gradients.exposures.append(judged.by_exposures)
        if adjust.focals:
            for number in range(len(views)):
                gradient = judged.gradients[number]
                gradients.focals.append(adjust.focals.gradient(image[number], gradient, K[number]))
        found = drawn.backward(judged.gradients, None, poses=adjust.poses is not None)
        gradients.add(drawn, made, sh, found)
