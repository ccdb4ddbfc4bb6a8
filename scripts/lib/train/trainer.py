"""One training run as an object: what it holds, one step of it, its state, and how good it is by now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scripts.lib.core.console import UserError, say
from scripts.lib.scene.scene import Scene, usual_depths
from scripts.lib.scene.sky import SkyView, find_sky
from scripts.lib.scene.split import split_scene
from scripts.lib.splat.gaussians import SH_COEFFICIENTS, Gaussians
from scripts.lib.train import densify
from scripts.lib.train.cameras import FEWEST_PHOTOS, Exposures, Focals, Poses, camera_rate
from scripts.lib.train.initialise import frame_of, initial_tensors
from scripts.lib.train.memory import FEWEST, Need, Place, fit, free_bytes
from scripts.lib.train.options import Settings
from scripts.lib.train.parameters import LEARNING_RATES, NAMES, Parameters, export
from scripts.lib.train.photos import Photos, one_by_one
from scripts.lib.train.sky import Clearing, distance, sky_tensors
from scripts.lib.train.step import Adjustments, AutogradStep, StepPlan, render
from scripts.lib.train.views import Stack, load_stacks

if TYPE_CHECKING:
    from scripts.lib.train.fused import FusedStep

PLACES = {
    Place.MEMORY: "they wait in main memory",
    Place.STREAM: "each is decoded when its turn comes",
}
OPACITY_COST = SCALE_COST = 0.01  # regularisers of the MCMC paper, in a scene of radius 1
NOISE = 80  # on the means, times their covariance: 5e5 of the paper times the rate of the means
FLAT, GAIN = 3, 0.02  # measurements, dB: a curve that gains less over the last ones is flat
GROWTH = 1.1  # factor a round at most
GROW_UNTIL = 0.75  # share of the steps that growth may go on for
CLEARINGS = 20  # in a run
MOST_BROKEN = 0.01  # share of the Gaussians that may have values that are not finite
BROKEN = "Gaussians with values that are not finite were made transparent"
FINAL_RATE = 0.01  # of the means at the end, against the start


def step_for(device: torch.device, at_once: int, pixels: int) -> AutogradStep | FusedStep:
    """The optimiser step for a device; on a GPU `at_once` photos of `pixels` pixels are rendered together."""
    if device.type != "cuda":
        return AutogradStep()
    # Triton comes with torch's CUDA build only.
    from scripts.lib.train.fused import FusedStep

    return FusedStep(at_once, pixels)


class Trainer:
    """One run. `train()` drives it; apart from the clock everything that changes is in `state()`."""

    def __init__(self, scene: Scene, settings: Settings) -> None:
        self.scene, self.settings = scene, settings
        self.device = torch.device(settings.device)
        self.frame = frame_of(scene)
        self.split = split_scene(scene, settings.holdout, settings.held_out)
        areas = scene.sizes.prod(axis=1)
        need = Need(
            cap=settings.cap,
            harmonics=3 * (1 + SH_COEFFICIENTS[settings.sh_degree]),
            photos_per_step=settings.photos_per_step,
            photo_bytes=int(3.75 * areas[self.split.trained].sum()),  # 0.75 for halved ones
            pixels=int(areas.max()),
        )
        beside = free_bytes(torch.device("cpu")) if self.device.type != "cpu" else 0
        fits = fit(need, free_bytes(self.device), beside)
        self.cap = fits.cap
        self.adapted: list[str] = []
        if fits.cap < settings.cap:
            self._adapt(f"{settings.cap} Gaussians do not fit into memory, at most {fits.cap} do")
        if fits.place is not Place.DEVICE:
            self._adapt(f"The photos do not fit beside the Gaussians: {PLACES[fits.place]}")
        self.photos = Photos(
            scene,
            self.frame,
            self.split,
            self.device,
            fits.place,
            batch=settings.photos_per_step,
            seed=settings.seed,
            coarse=settings.coarse > 0,
        )
        self.generator = torch.Generator(self.device).manual_seed(settings.seed)
        self.optimise = step_for(self.device, fits.at_once, need.pixels)
        sky = find_sky(scene, self.split.trained) if settings.sky else []
        self.clearing = (
            Clearing(sky, self.frame, distance(scene, self.frame), self.device) if sky else None
        )
        self.parameters = Parameters(self._start(scene, sky), self.cap)
        self.pull = torch.zeros(len(self.parameters), device=self.device)
        photos = len(self.split.trained)
        self.adjust = Adjustments(
            Exposures(photos, self.device) if settings.exposure else None,
            self._poses() if settings.refine_poses else None,
            self._focals() if settings.refine_focal else None,
        )
        self.step = 0
        self.seconds = 0.0
        self.curve: list[dict[str, float]] = []

    @property
    def sky_photos(self) -> int:
        """How many photos the sky was found in."""
        return len(self.clearing.views) if self.clearing else 0

    @property
    def sky_from(self) -> float | None:
        """Distance from the cameras' middle beyond which only sky stands, world units; None without sky."""
        return self.clearing.begins * self.frame.radius if self.clearing else None

    def _poses(self) -> Poses | None:
        """Motions of the photos trained on; None, which is told, when they are too few."""
        scene, trained = self.scene, self.split.trained
        if len(trained) < FEWEST_PHOTOS:
            self._adapt(
                f"The cameras stay where they are: {len(trained)} photos cannot tell better"
                f" ({FEWEST_PHOTOS} could)"
            )
            return None
        start = torch.tensor(self.frame.cameras(scene.world_to_camera[trained]))
        focal = torch.tensor(scene.K[trained][:, [0, 1], [0, 1]].mean(axis=1))
        depth = torch.tensor(usual_depths(scene, trained) / self.frame.radius)
        return Poses(start, focal, depth, self.device)

    def _focals(self) -> Focals:
        """Lengths of the scene's lenses, of which those that took enough photos may change."""
        lenses, trained = self.scene.lenses, self.split.trained
        count = int(lenses.max()) + 1
        reach = np.zeros(count)
        np.maximum.at(reach, lenses, self.scene.sizes.max(axis=1) / 2)
        photos = np.bincount(lenses[trained], minlength=count)
        return Focals(torch.tensor(reach), torch.tensor(photos), self.device)

    def _start(self, scene: Scene, views: Sequence[SkyView]) -> dict[str, torch.Tensor]:
        """The Gaussians to begin with, those of the sky in `views` last."""
        settings, device, sky = self.settings, self.device, dict[str, torch.Tensor]()
        if self.clearing:
            sky = sky_tensors(views, self.clearing.away, self.cap, settings.sh_degree, device)
            count = len(sky["means"])
            if count:
                say(f"{len(views)} photos show sky: {count} Gaussians far behind stand for it")
            else:
                say(f"{len(views)} photos show sky, which {self.cap} Gaussians are too few for")
                self.clearing, sky = None, {}
        start = initial_tensors(
            scene,
            self.frame,
            cap=self.cap - (len(sky["means"]) if sky else 0),
            sh_degree=settings.sh_degree,
            seed=settings.seed,
            device=device,
        )
        return {name: torch.cat([start[name], sky[name]]) if sky else start[name] for name in start}

    def _adapt(self, sentence: str) -> None:
        """Say what was changed to fit the machine, and remember it for the metrics."""
        say(sentence)
        self.adapted.append(sentence)

    def state(self) -> dict[str, Any]:
        """Everything that training changes, for a checkpoint."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "curve": self.curve,
            "cap": self.cap,
            "adapted": self.adapted,
            "parameters": self.parameters.state(),
            "pull": self.pull.cpu(),
            "exposures": self.adjust.exposures.state() if self.adjust.exposures else None,
            "poses": self.adjust.poses.state() if self.adjust.poses else None,
            "focals": self.adjust.focals.state() if self.adjust.focals else None,
            "generator": self.generator.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state()` was taken."""
        self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]
        self.adapted = list(dict.fromkeys([*state["adapted"], *self.adapted]))
        self.cap = min(self.cap, state["cap"])
        self.parameters = Parameters.restored(state["parameters"], self.cap, self.device)
        self.pull = state["pull"].to(self.device)
        self.generator.set_state(state["generator"])
        if self.adjust.exposures:
            self.adjust.exposures.restore(state["exposures"])
        if self.adjust.poses:
            self.adjust.poses.restore(state["poses"])
        if self.adjust.focals:
            self.adjust.focals.restore(state["focals"])

    def sh_degree(self) -> int:
        """Bands in use: one more after each tenth of the steps."""
        return min(self.settings.sh_degree, 10 * self.step // self.settings.steps)

    def advance(self) -> None:
        """One optimiser step on the next photos."""
        settings = self.settings
        share = self.step / settings.steps
        decay = FINAL_RATE**share
        rates = {name: rate * settings.learning_rate for name, rate in LEARNING_RATES.items()}
        rates["means"] = LEARNING_RATES["means"] * settings.means_rate * decay
        views = self.adjust.seen(self.photos.at(self.step, small=share < settings.coarse))
        plan = StepPlan(
            degree=self.sh_degree(),
            rates=rates,
            noise=NOISE * settings.learning_rate * decay,
            ssim_weight=settings.ssim_weight,
            opacity_cost=OPACITY_COST,
            scale_cost=SCALE_COST,
            antialiased=settings.antialiased,
            drop=settings.drop * share,
            seed=2 * ((settings.seed * 1_000_003 + self.step) % 2**29),
            camera_rate=camera_rate(share),
        )
        together = self.optimise.at_once
        strain = self._optimised(views, plan)
        if strain is not None:
            self.pull += strain
        if self.optimise.at_once < together:
            self._adapt(
                f"Out of memory: {self.optimise.at_once} instead of {together} photos at once"
            )
        self.step += 1
        if self.step % self._round == 0 or self.step == self.settings.steps:
            self._quench()
        self._clear_the_air()
        grown = True
        try:
            self._densify()
        except torch.cuda.OutOfMemoryError:
            grown = False
        if not grown:
            self.cap = len(self.parameters)
            self._adapt(f"Out of memory at {self.cap} Gaussians: no more are made")

    def _optimised(self, views: Stack, plan: StepPlan) -> torch.Tensor | None:
        """One step, with fewer Gaussians where memory runs out; None when it ran out half way.

        What a half step has changed is kept: done again, it would count twice.
        """
        while True:
            begun = self.parameters.steps
            try:
                return self.optimise(self.parameters, views, plan, self.generator, self.adjust)
            except torch.cuda.OutOfMemoryError:
                half_way = self.parameters.steps != begun
            # Not inside `except`: there the error still holds the failed step's tensors.
            self._shed()
            if half_way:
                return None

    def _shed(self) -> None:
        """Go on with three quarters of the Gaussians, those that are least transparent.

        Raises UserError when that leaves too few.
        """
        p = self.parameters
        self.cap = len(p) * 3 // 4
        if self.cap < FEWEST:
            raise UserError(
                f"the GPU has no memory left for {len(p)} Gaussians and one photo; free some, or set"
                " train_splat.resolution lower"
            )
        torch.cuda.empty_cache()
        kept = torch.argsort(p["opacities"], descending=True)[: self.cap].sort().values
        self.parameters, self.pull = p.taken(kept), self.pull[kept].clone()
        torch.cuda.empty_cache()
        self._adapt(f"Out of memory at {len(p)} Gaussians: going on with {self.cap}")

    def tensors(self) -> dict[str, torch.Tensor]:
        """The raw parameters by name."""
        return {name: self.parameters[name] for name in NAMES}

    def finished(self) -> bool:
        """Whether nothing is left to do: all steps are done, or the curve is flat and may end the run."""
        return self.step >= self.settings.steps or (self.settings.early_stop and self.flat())

    def flat(self) -> bool:
        """Whether the curve, past half of the steps, gained nothing over its last three points."""
        if self.step < self.settings.steps / 2 or len(self.curve) <= FLAT:
            return False
        figures = [point["psnr"] for point in self.curve]
        return max(figures[-FLAT:]) < max(figures[:-FLAT]) + GAIN

    def _clear_the_air(self) -> None:
        """Make dead what hangs before the sky; the next round of growth moves it to where it is needed."""
        every = max(1, self.settings.steps // CLEARINGS)
        if self.clearing and (self.step % every == 0 or self.step == self.settings.steps):
            p = self.parameters
            densify.kill(p, torch.nonzero(self.clearing.misplaced(p["means"], p["sh"][:, 0]))[:, 0])

    @property
    def _round(self) -> int:
        """Steps from one round of growth to the next: a hundredth of the run."""
        return max(1, min(100, self.settings.steps // 100))

    def _quench(self) -> None:
        """Make Gaussians with values that are not finite transparent; the next round of growth moves them.

        Raises UserError when they are too many for that: the run has diverged.
        """
        p = self.parameters
        fine = p.finite() & torch.isfinite(self.pull)
        broken = torch.nonzero(~fine)[:, 0]
        if not len(broken):
            return
        if len(broken) > max(1, MOST_BROKEN * len(p)) or len(broken) == len(p):
            raise UserError(
                f"training diverged: after step {self.step}, {len(broken)} of {len(p)} Gaussians have values"
                " that are not finite; try another train_splat.seed, and if that does not help, look in"
                " sfm.json for cameras or points far away from all others"
            )
        like = torch.nonzero(fine)[:1, 0].expand(len(broken))
        p.replace_rows(broken, {name: p[name][like] for name in NAMES})
        densify.kill(p, broken)
        self.pull[broken] = 0
        if BROKEN not in self.adapted:
            self._adapt(BROKEN)

    def _densify(self) -> None:
        """Relocate and grow at every hundredth of the run, from 3 % of it to 75 %."""
        settings, p = self.settings, self.parameters
        share = self.step / settings.steps
        if 0.03 <= share < GROW_UNTIL and self.step % self._round == 0:
            densify.relocate_dead(p, torch.sigmoid(p["opacities"]), self.generator)
            target = min(self.cap, int(GROWTH * len(p)) + 1)
            densify.grow(p, target, self.pull.clamp_min(1e-20), self.generator)
            self.pull = torch.zeros(len(p), device=self.device)

    def gaussians(self) -> Gaussians:
        """The splat as it is now, in world units."""
        centre = torch.tensor(self.frame.centre)
        return export(self.tensors(), centre, self.frame.radius, self.settings.antialiased)

    def cameras(self) -> torch.Tensor:
        """Where the photos trained on stand by now, world_to_camera (V, 4, 4) of training's frame."""
        start = self.frame.cameras(self.scene.world_to_camera[self.split.trained])
        cameras = torch.tensor(start, dtype=torch.float32, device=self.device)
        everyone = torch.arange(len(cameras), device=self.device)
        return self.adjust.poses.of(everyone, cameras) if self.adjust.poses else cameras

    def focal_scales(self) -> list[float]:
        """Factor on the focal length of each of the scene's lenses; [] where they are not learned."""
        return self.adjust.focals.scales.tolist() if self.adjust.focals else []

    def measure(self) -> float | None:
        """Mean PSNR in dB over the views that steer; None when there are none."""
        if self.photos.steering:
            self._quench()
        return self._psnr(one_by_one(self.photos.steering, self.device))

    def judge(self) -> float | None:
        """The same over the views that judge, for the spread of several runs: once, when all is decided."""
        each = ([index] for index in self.split.judged)
        found = (load_stacks(self.scene, self.frame, index, self.device) for index in each)
        return self._psnr(stack for stacks in found for stack in stacks)

    @torch.no_grad()
    def _psnr(self, views: Iterable[Stack]) -> float | None:
        tensors, antialiased = self.tensors(), self.settings.antialiased
        errors = []
        for view in map(self.adjust.through, views):
            colour = render(tensors, view, self.sh_degree(), antialiased)[0].clamp(0, 1)
            errors.append(square_error(colour, view.photo(0), view.mask(0)))
        if not errors:
            return None
        return float((-10 * torch.log10(torch.stack(errors).clamp_min(1e-10))).mean())


def square_error(
    colour: torch.Tensor, photo: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Mean square error of a render (H, W, 3) in 0..1 against a photo, uint8, over what its mask shows."""
    squares = (colour - photo.float() / 255).square().mean(dim=2)
    if mask is None:
        return squares.mean()
    return (squares * mask).sum() / mask.sum().clamp_min(1e-6)
