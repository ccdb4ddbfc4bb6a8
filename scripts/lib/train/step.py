"""One optimiser step: what it is told, and the version for every device, by autograd."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scripts.lib.render.losses import photo_loss
from scripts.lib.render.rasterise import rasterise
from scripts.lib.splat.gaussians import SH_C0
from scripts.lib.train.cameras import Exposures, Focals, Poses
from scripts.lib.train.densify import add_noise, shorten
from scripts.lib.train.depth_term import DepthTerm, features
from scripts.lib.train.frozen import Frozen, joined
from scripts.lib.train.parameters import NAMES, Parameters
from scripts.lib.train.views import Stack


@dataclass(frozen=True)
class Adjustments:
    """What is learned about the photos beside the splat; None is not."""

    exposures: Exposures | None = None
    poses: Poses | None = None
    focals: Focals | None = None

    def seen(self, views: Stack) -> Stack:
        """Trained photos with their cameras as they are known by now."""
        w2c, K = views.world_to_camera, views.K
        if self.poses:
            w2c = self.poses.of(views.numbers, w2c)
        return self.through(replace(views, world_to_camera=w2c, K=K))

    def through(self, views: Stack) -> Stack:
        """Any photos with their lenses as they are known by now."""
        return replace(views, K=self.focals.of(views.lenses, views.K)) if self.focals else views

    def now(self, plan: StepPlan) -> Adjustments:
        """What `plan` lets this step change."""
        return self if plan.camera_rate else Adjustments(self.exposures)


OPAQUE = 0.9999  # opacity at most, also of a Gaussian that stands in for dropped ones


@dataclass(frozen=True)
class StepPlan:
    """The numbers of one step.

    degree: bands of harmonics in use; rates: learning rate by name; noise: MCMC's noise on the means,
    times the covariance; ssim_weight: of the photo loss; opacity_cost, scale_cost: weights of the mean
    opacity and the mean scale; axis_ratio: of a Gaussian's longest axis to its second, at most (0: no limit);
    antialiased: as in `rasterise`; drop: share of the Gaussians left out of
    this step, while the others stand in for them (Park et al., "DropGaussian", CVPR 2025); seed: of
    this step, for versions that draw numbers inside their kernels; camera_rate: of the poses and focal
    lengths, as `cameras.camera_rate` has it; depth_weight: of the depth term of the step's first photo.
    """

    degree: int
    rates: dict[str, float]
    noise: float
    ssim_weight: float
    opacity_cost: float
    scale_cost: float
    axis_ratio: float
    antialiased: bool
    drop: float
    seed: int
    camera_rate: float = 0.0
    depth_weight: float = 0.0


def render(
    parameters: dict[str, Tensor],
    views: Stack,
    degree: int,
    antialiased: bool,
    kept: Tensor | float = 1.0,
    frozen: Frozen | None = None,
) -> Tensor:
    """Colours (V, H, W, 3) of `views`, differentiable in the raw `parameters`.

    `kept` (N,) multiplies the opacities. `frozen` Gaussians are drawn with them.
    """
    sh = joined(parameters["sh"][:, : (degree + 1) ** 2].float().contiguous(), frozen, "sh")
    return _drawn(parameters, sh, views, antialiased, kept, frozen)


def _drawn(
    parameters: dict[str, Tensor],
    sh: Tensor,
    views: Stack,
    antialiased: bool,
    kept: Tensor | float,
    frozen: Frozen | None,
) -> Tensor:
    """As `render`, of all Gaussians' harmonics `sh` (N + F, K, 3)."""
    opacities = (torch.sigmoid(parameters["opacities"]) * kept).clamp(max=OPAQUE)
    colour, _ = rasterise(
        joined(parameters["means"], frozen, "means"),
        joined(parameters["quats"], frozen, "quats"),
        joined(torch.exp(parameters["scales"]), frozen, "scales"),
        joined(opacities, frozen, "opacities"),
        sh,
        views.world_to_camera,
        views.K,
        views.size,
        antialiased=antialiased,
    )
    return colour


class AutogradStep:
    """Renders one photo after the other, `frozen` Gaussians too, and lets torch find the gradients.

    depths: the depth term, if it is wanted.
    """

    at_once = 1

    def __init__(self, frozen: Frozen | None = None, depths: DepthTerm | None = None) -> None:
        self.frozen, self.depths = frozen, depths

    def lost(self) -> int:
        """How many of the latest steps have changed nothing and must be done again."""
        return 0

    def unsure(self) -> bool:
        """Whether it is worth to wait for `lost`, because many steps may be."""
        return False

    def broken(self) -> bool:
        """Whether numbers may not be finite since this was asked last."""
        return True

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

        Raises torch's OutOfMemoryError before anything has changed, or after `parameters.steps` has.
        """
        leaves = {name: parameters[name].detach().requires_grad_() for name in NAMES}
        kept: Tensor | float = 1.0
        if plan.drop:
            device = leaves["opacities"].device
            drawn = torch.rand(len(parameters), generator=generator, device=device)
            kept = (drawn >= plan.drop) / (1 - plan.drop)
        adjust = adjust.now(plan)
        exposures = None
        if adjust.exposures:
            exposures = adjust.exposures.values[views.numbers].clone().requires_grad_()
        by_pose, by_focal = _backward(leaves, self.frozen, views, plan, kept, exposures, adjust)
        if self.depths and plan.depth_weight:
            first = views.one(0)
            made = features(joined(leaves["means"], self.frozen, "means"), first.world_to_camera[0])
            sh = ((made[:, None] - 0.5) / SH_C0).contiguous()  # of these colours
            image = _drawn(leaves, sh, first, plan.antialiased, kept, self.frozen)
            (plan.depth_weight * self.depths.loss(image[0], first.numbers)).backward()
        costs = plan.opacity_cost * torch.sigmoid(leaves["opacities"]).mean()
        costs = costs + plan.scale_cost * torch.exp(leaves["scales"]).mean()
        costs.backward()
        gradients = {name: _gradient(leaf) for name, leaf in leaves.items()}
        width = torch.exp(leaves["scales"].detach().amax(dim=1))
        pulls = torch.linalg.vector_norm(gradients["means"], dim=1) * width
        # From here on things change, Adam's count first: whoever runs out of memory later can tell.
        parameters.adam(gradients, plan.rates)
        shorten(parameters["scales"], plan.axis_ratio)
        if adjust.poses:
            adjust.poses.learn(views.numbers, torch.stack(by_pose), plan.camera_rate)
        if adjust.focals:
            adjust.focals.learn(views.lenses, torch.stack(by_focal), plan.camera_rate)
        if adjust.exposures and exposures is not None and exposures.grad is not None:
            adjust.exposures.learn(views.numbers, exposures.grad)
        add_noise(parameters, plan.noise, generator)
        norms += pulls


def _backward(
    leaves: dict[str, Tensor],
    frozen: Frozen | None,
    views: Stack,
    plan: StepPlan,
    kept: Tensor | float,
    exposures: Tensor | None,
    adjust: Adjustments,
) -> tuple[list[Tensor], list[Tensor]]:
    """Add the photos' gradients to `leaves` and `exposures` (V, 6).

    Returns those by each photo's pose (6,) and focal length (), as far as they are learned.
    """
    by_pose, by_focal = [], []
    if frozen is not None and adjust.poses:  # a camera's motion shows by all that it sees
        means, quats = frozen.means.clone(), frozen.quats.clone()
        frozen = replace(frozen, means=means.requires_grad_(), quats=quats.requires_grad_())
    means = joined(leaves["means"], frozen, "means").detach()
    quats = joined(leaves["quats"], frozen, "quats").detach()
    before = [torch.zeros_like(means), torch.zeros_like(quats)]
    for number in range(len(views)):
        rendered = render(leaves, views.one(number), plan.degree, plan.antialiased, kept, frozen)[0]
        if adjust.focals:
            rendered.retain_grad()
        colour = rendered
        if exposures is not None:
            colour = colour * torch.exp(exposures[number, :3]) + exposures[number, 3:]
        loss = photo_loss(colour, views.photo(number), plan.ssim_weight, views.mask(number))
        (loss / len(views)).backward()
        if adjust.focals:
            by_colour = _gradient(rendered)
            by_focal.append(adjust.focals.gradient(rendered.detach(), by_colour, views.K[number]))
        if adjust.poses:
            summed = [_gradients(leaves, frozen, name) for name in ("means", "quats")]
            by_pose.append(
                adjust.poses.by_gaussians(
                    means,
                    quats,
                    summed[0] - before[0],
                    summed[1] - before[1],
                    views.world_to_camera[number],
                )
            )
            before = summed
    return by_pose, by_focal


def _gradients(leaves: dict[str, Tensor], frozen: Frozen | None, name: str) -> Tensor:
    """A copy of the gradients by the trained Gaussians and the frozen ones."""
    own = _gradient(leaves[name])
    if frozen is None:
        return own.clone()
    return torch.cat([own, _gradient(getattr(frozen, name))])


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
