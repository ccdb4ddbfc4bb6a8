"""One training run as an object: what it holds, one step of it, its state, and how good it is by now."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable

import torch

from scripts.lib.core.console import UserError, say
from scripts.lib.scene.scene import Scene
from scripts.lib.scene.sky import find_sky
from scripts.lib.scene.split import split_scene
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.train import densify, depth_term, thinning
from scripts.lib.train.block import Block, Region, clearing_of, cut, seen_of, start_of_block
from scripts.lib.train.cameras import camera_rate
from scripts.lib.train.findings import findings
from scripts.lib.train.free_space import FreeSpace
from scripts.lib.train.initialise import frame_of
from scripts.lib.train.memory import FEWEST
from scripts.lib.train.options import Settings
from scripts.lib.train.parameters import LEARNING_RATES, NAMES, Parameters, export
from scripts.lib.train.photos import Photos, one_by_one
from scripts.lib.train.quality import mean_psnr
from scripts.lib.train.repair import repair
from scripts.lib.train.schedule import Schedule
from scripts.lib.train.setup import adjustments, fit_machine, needs, start_tensors, step_for
from scripts.lib.train.sky import Clearing, distance
from scripts.lib.train.state import TrainerState
from scripts.lib.train.step import StepPlan
from scripts.lib.train.views import Stack

OPACITY_COST = SCALE_COST = 0.01  # regularisers of the MCMC paper, in a scene of radius 1
NOISE = 80  # on the means, times their covariance: 5e5 of the paper times the rate of the means
GROWTH = 1.1  # factor a round at most
GROW_FROM, GROW_UNTIL = 0.03, 0.6  # shares of the steps; then those that show least go
CLEARINGS = 20  # in a run
BROKEN = "Gaussians with values that are not finite were made transparent"


class Trainer:
    """One run. `train()` drives it; apart from the clock everything that changes is in `state()`.

    With a `block`, it makes a part of a large scene; `scene` has the photos of the block alone.
    """

    def __init__(self, scene: Scene, settings: Settings, block: Block | None = None) -> None:
        self.settings, self.block = settings, block
        self.device = torch.device(settings.device)
        self.frame = frame_of(scene)
        self.split = (
            block.split if block else split_scene(scene, settings.test_every, settings.test_photos)
        )
        trained = self.split.trained
        self.adapted: list[str] = []
        coarse = cut(block, self.frame, settings.sh_degree, self.device) if block else None
        need = needs(scene, trained, settings)
        fits, sentences = fit_machine(need, self.device)
        self._adapt(*sentences)
        self.max_gaussians = fits.max_gaussians
        self.found = findings(scene, trained, settings)
        self.scene = scene = self.found.evened(scene)
        self.photos = Photos(
            scene,
            self.frame,
            self.split,
            self.device,
            fits.store_in,
            batch=settings.batch_size,
            seed=settings.seed,
            coarse=settings.coarse > 0,
            weights=self.found.weights,
        )
        self.generator = torch.Generator(self.device).manual_seed(settings.seed)
        sky = find_sky(scene, trained) if settings.sky and not (block and not block.sky) else []
        self.frozen = self.region = None
        if block and coarse:
            self.clearing = clearing_of(block, sky, self.frame, self.device)
            self.region = Region(block.region, self.frame, self.device)
            start = start_of_block(
                coarse[0], scene, self.frame, block, self.max_gaussians, settings
            )
            self.frozen = seen_of(*coarse, self.photos.stacks, settings.antialiased)
        else:
            self.clearing = (
                Clearing(sky, self.frame, distance(scene, self.frame), self.device) if sky else None
            )
            start, self.clearing = start_tensors(
                scene, self.frame, sky, self.clearing, self.max_gaussians, settings, self.device
            )
        depths = depth_term.wanted(scene, self.frame, trained, settings)
        self.optimise = step_for(settings, fits.at_once, need.pixels, self.frozen, depths)
        seen = self.frame.points(scene.centres[trained]), self.frame.points(scene.points)
        self.free_space = FreeSpace(*seen, self.device)
        self.parameters = Parameters(start, self.max_gaussians, fits.precision)
        self.position_gradients = torch.zeros(len(self.parameters), device=self.device)
        self.adjust, sentences = adjustments(
            scene, self.frame, trained, settings, self.device, self.found.bright
        )
        self._adapt(*sentences)
        self.schedule = Schedule(settings.steps, settings.cooling)
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

    def _adapt(self, *sentences: str) -> None:
        """Say what was changed to fit the machine, and remember it for the metrics."""
        for sentence in sentences:
            say(sentence)
            self.adapted.append(sentence)

    def state(self) -> TrainerState:
        """Everything that training changes, for a checkpoint."""
        self.settle()
        return {
            "step": self.step,
            "seconds": self.seconds,
            "curve": self.curve,
            "max_gaussians": self.max_gaussians,
            "adapted": self.adapted,
            "parameters": self.parameters.state(),
            "position_gradients": self.position_gradients.cpu(),
            "exposures": self.adjust.exposures.state() if self.adjust.exposures else None,
            "poses": self.adjust.poses.state() if self.adjust.poses else None,
            "focals": self.adjust.focals.state() if self.adjust.focals else None,
            "generator": self.generator.get_state(),
        }

    def restore(self, state: TrainerState) -> None:
        """Continue exactly where `state()` was taken."""
        self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]
        self.adapted = list(dict.fromkeys([*state["adapted"], *self.adapted]))
        self.max_gaussians = min(self.max_gaussians, state["max_gaussians"])
        self.parameters = Parameters.restored(
            state["parameters"], self.max_gaussians, self.device, self.parameters.precision
        )
        self.position_gradients = state["position_gradients"].to(self.device)
        self.generator.set_state(state["generator"])
        if self.adjust.exposures and state["exposures"]:
            self.adjust.exposures.restore(state["exposures"])
        if self.adjust.poses and state["poses"]:
            self.adjust.poses.restore(state["poses"])
        if self.adjust.focals and state["focals"]:
            self.adjust.focals.restore(state["focals"])

    def sh_degree(self) -> int:
        """Bands in use: one more after each tenth of the steps; all at once in a block, which has them."""
        if self.block:
            return self.settings.sh_degree
        return min(self.settings.sh_degree, 10 * self.step // self.settings.steps)

    def advance(self) -> None:
        """One optimiser step on the next photos, and what is due after it."""
        self.take_step()
        if self.optimise.unsure():
            self.settle()
        if self.step % self.round == 0 or self.step == self.settings.steps:
            self._repair()
        self._remove_floaters()
        grown = True
        try:
            self._densify()
        except torch.cuda.OutOfMemoryError:
            grown = False
        if not grown:
            self.max_gaussians = len(self.parameters)
            self._adapt(f"Out of memory at {self.max_gaussians} Gaussians: no more are added")

    def settle(self) -> None:
        """See to it that all steps so far have been done. A GPU may have left out the latest, see
        `rasterise.cuda.room`; whoever looks at what steps change must call this first."""
        while lost := self.optimise.lost():
            self.step -= lost
            self.parameters.steps -= lost
            for _ in range(lost):
                self.take_step()

    def take_step(self) -> None:
        """One optimiser step on the next photos, and nothing else."""
        settings = self.settings
        share = self.step / settings.steps
        rate, decay = self.schedule.rate(self.step), self.schedule.means_decay(self.step)
        rates = {
            name: base * settings.learning_rate * rate for name, base in LEARNING_RATES.items()
        }
        rates["means"] = LEARNING_RATES["means"] * settings.means_rate * decay
        plan = StepPlan(
            degree=self.sh_degree(),
            rates=rates,
            noise=NOISE * settings.learning_rate * decay * rate,
            ssim_weight=settings.ssim_weight,
            opacity_cost=OPACITY_COST,
            scale_cost=SCALE_COST,
            axis_ratio=settings.axis_ratio,
            antialiased=settings.antialiased,
            drop=settings.drop * share,
            seed=2 * ((settings.seed * 1_000_003 + self.step) % 2**29),
            camera_rate=camera_rate(share),
            depth_weight=depth_term.weight_at(self.step, settings.batch_size),
        )
        together = self.optimise.at_once
        self._optimised(plan)
        if self.optimise.at_once < together:
            self._adapt(
                f"Out of memory: {self.optimise.at_once} instead of {together} photos at once"
            )
        self.step += 1

    def _optimised(self, plan: StepPlan) -> None:
        """One step on the next photos, with fewer Gaussians where memory runs out.

        What a step that ran out half way has changed is kept: done again, it would count twice.
        """
        while True:
            begun = self.parameters.steps
            try:
                small = self.step < self.settings.coarse * self.settings.steps
                views = self.adjust.seen(self.photos.at(self.step, small))
                given = (self.parameters, views, plan, self.generator, self.adjust)
                self.optimise(*given, self.position_gradients)
                return
            except torch.cuda.OutOfMemoryError:
                half_way = self.parameters.steps != begun
            # Not inside `except`: there the error still holds the failed step's tensors.
            self._shed()
            if half_way:
                return

    def _shed(self) -> None:
        """Go on with three quarters of the Gaussians, those that are least transparent.

        Raises UserError when that leaves too few.
        """
        p, count = self.parameters, len(self.parameters)
        self.max_gaussians = count * 3 // 4
        if self.max_gaussians < FEWEST:
            raise UserError(
                f"the GPU has no memory left for {count} Gaussians and one photo; free some, or set"
                " train_splat.resolution lower"
            )
        gc.collect()  # what the failed step left behind in cycles
        torch.cuda.empty_cache()
        opacities = p["opacities"].cpu()
        kept = torch.argsort(opacities, descending=True)[: self.max_gaussians].sort().values
        p.keep(kept)
        self.position_gradients = self.position_gradients.cpu()[kept].to(p.device)
        torch.cuda.empty_cache()
        self._adapt(f"Out of memory at {count} Gaussians: continuing with {self.max_gaussians}")

    def tensors(self) -> dict[str, torch.Tensor]:
        """The raw parameters by name."""
        return {name: self.parameters[name] for name in NAMES}

    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.step >= self.settings.steps

    def _remove_floaters(self) -> None:
        """Make transparent what hangs before the sky or a camera; the next round of growth moves it."""
        every = max(1, self.settings.steps // CLEARINGS)
        if self.step % every == 0 or self.step == self.settings.steps:
            self.settle()
            p = self.parameters
            misplaced = self.free_space.intruders(p["means"])
            if self.clearing:
                misplaced |= self.clearing.misplaced(p["means"], p["sh"][:, 0])
            if self.region:
                misplaced |= ~self.region.contains(p["means"])
            densify.set_transparent(p, torch.nonzero(misplaced)[:, 0])

    @property
    def round(self) -> int:
        """Steps from one round of growth to the next: a hundredth of the run."""
        return max(1, min(100, self.settings.steps // 100))

    def _repair(self) -> None:
        """Make Gaussians with values that are not finite transparent. Raises UserError when they are many."""
        self.settle()
        if not self.optimise.broken():
            return
        broken = repair(self.parameters, self.position_gradients, self.step)
        if broken and BROKEN not in self.adapted:
            self._adapt(BROKEN)

    def _densify(self) -> None:
        """Grow at every hundredth of the run, then let those go that show least."""
        settings, p = self.settings, self.parameters
        if self.step == math.ceil(GROW_UNTIL * settings.steps):
            self._thin()
        share = self.step / settings.steps
        if GROW_FROM <= share < GROW_UNTIL and self.step % self.round == 0:
            target = min(self.max_gaussians, int(GROWTH * len(p)) + 1)
            weights = self.position_gradients.clamp_min(1e-20)
            if self.region:
                weights *= self.region.contains(p["means"])
            densify.grow(p, target, weights, self.generator)
            self.position_gradients = torch.zeros(len(p), device=self.device)

    def _thin(self) -> None:
        """Go on with the Gaussians that the photos need."""
        self.settle()
        cameras = map(self.adjust.seen, self.photos.stacks)
        weights = thinning.contributions(
            self.tensors(), cameras, self.settings.antialiased, self.frozen
        )
        kept = thinning.needed(weights)
        self.parameters.keep(kept)
        self.max_gaussians = len(kept)
        self.position_gradients = torch.zeros(len(kept), device=self.device)

    def gaussians(self) -> Gaussians:
        """The splat as it is now, in world units."""
        self.settle()
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

    def _psnr(self, views: Iterable[Stack]) -> float | None:
        # Once photos are corrected, none that was kept from training tells how bright the splat should be.
        how = self.sh_degree(), self.settings.antialiased, bool(self.adjust.exposures), self.frozen
        return mean_psnr(self.tensors(), map(self.adjust.through, views), *how)

    def measure(self) -> float | None:
        """Mean PSNR in dB over the views that steer, after the best gain and offset of each where training
        corrects brightness; None when there are none."""
        if self.photos.steering:
            self._repair()
        return self._psnr(one_by_one(self.photos.steering, self.device))
