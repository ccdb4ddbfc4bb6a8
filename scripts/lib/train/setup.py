"""What a training run begins with: what fits into memory, the first Gaussians, and what else is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from scripts.lib.core.console import say
from scripts.lib.scene.scene import Scene, usual_depths
from scripts.lib.scene.sky import SkyView
from scripts.lib.splat.gaussians import SH_COEFFICIENTS
from scripts.lib.train.brightness import Brightness
from scripts.lib.train.cameras import FEWEST_PHOTOS, Exposures, Focals, Poses
from scripts.lib.train.depth_term import DepthTerm
from scripts.lib.train.frozen import Frozen
from scripts.lib.train.initialise import Frame, initial_tensors
from scripts.lib.train.memory import Fit, Need, PhotoStore, fit, free_bytes
from scripts.lib.train.options import Settings
from scripts.lib.train.sky import Clearing, sky_tensors
from scripts.lib.train.step import Adjustments, AutogradStep

if TYPE_CHECKING:
    from scripts.lib.train.fused import FusedStep

PLACES = {
    PhotoStore.MEMORY: "they stay in main memory",
    PhotoStore.STREAM: "each one is decoded when it is needed",
}


def needs(scene: Scene, trained: Sequence[int], settings: Settings) -> Need:
    """How large the run is that `settings` ask for; `trained` are the photos trained on."""
    areas = scene.sizes.prod(axis=1)
    return Need(
        max_gaussians=settings.max_gaussians,
        harmonics=3 * (1 + SH_COEFFICIENTS[settings.sh_degree]),
        precisions=settings.precisions,
        batch_size=settings.batch_size,
        photo_bytes=int(3.75 * areas[trained].sum()),  # 0.75 for halved ones
        pixels=int(areas.max()),
    )


def fit_machine(need: Need, device: torch.device) -> tuple[Fit, list[str]]:
    """What of it fits into the memory that is free now, and a sentence for each thing that does not."""
    beside = free_bytes(torch.device("cpu")) if device.type != "cpu" else 0
    fits = fit(need, free_bytes(device), beside)
    sentences = []
    if fits.precision != need.precisions[0]:
        sentences.append(
            "In single precision not everything fits into memory: harmonics and Adam's moments have 16 bits"
        )
    if fits.max_gaussians < need.max_gaussians:
        sentences.append(
            f"{need.max_gaussians} Gaussians do not fit into memory, at most {fits.max_gaussians} do"
        )
    if fits.store_in is not PhotoStore.DEVICE:
        sentences.append(
            f"The photos do not fit into memory together with the Gaussians: {PLACES[fits.store_in]}"
        )
    return fits, sentences


def step_for(
    settings: Settings,
    at_once: int,
    pixels: int,
    frozen: Frozen | None = None,
    depths: DepthTerm | None = None,
) -> AutogradStep | FusedStep:
    """The optimiser step for the device of `settings`; on a GPU its backend draws `at_once` photos of
    `pixels` pixels together. `frozen` Gaussians are drawn too; `depths` is the depth term."""
    device = torch.device(settings.device)
    if device.type != "cuda":
        return AutogradStep(frozen, depths)
    # Its kernels come with torch's CUDA build only.
    from scripts.lib.train.fused import FusedStep

    return FusedStep(settings.backend, at_once, pixels, device, frozen, depths)


def start_tensors(
    scene: Scene,
    frame: Frame,
    views: Sequence[SkyView],
    clearing: Clearing | None,
    max_gaussians: int,
    settings: Settings,
    device: torch.device,
) -> tuple[dict[str, torch.Tensor], Clearing | None]:
    """The Gaussians to begin with, those of the sky in `views` last; `clearing`, or None without such."""
    sky: dict[str, torch.Tensor] = {}
    if clearing:
        sky = sky_tensors(views, clearing.away, max_gaussians, settings.sh_degree, device)
        count = len(sky["means"])
        if count:
            say(
                f"{len(views)} photos show the sky: {count} Gaussians far behind the scene represent it"
            )
        else:
            say(
                f"{len(views)} photos show the sky, but {max_gaussians} Gaussians are too few to represent it"
            )
            clearing, sky = None, {}
    start = initial_tensors(
        scene,
        frame,
        max_gaussians=max_gaussians - (len(sky["means"]) if sky else 0),
        sh_degree=settings.sh_degree,
        seed=settings.seed,
        device=device,
    )
    joined = {name: torch.cat([start[name], sky[name]]) if sky else start[name] for name in start}
    return joined, clearing


def adjustments(
    scene: Scene,
    frame: Frame,
    trained: Sequence[int],
    settings: Settings,
    device: torch.device,
    bright: Brightness | None,
) -> tuple[Adjustments, list[str]]:
    """What is learned about the photos beside the splat, and a sentence where too few photos allow it.

    `bright`: what their points tell of their brightness, if they do.
    """
    refine_poses = settings.refine_poses and len(trained) >= FEWEST_PHOTOS
    sentences = []
    if settings.refine_poses and not refine_poses:
        sentences.append(
            f"The cameras are not refined: {len(trained)} photos are too few, {FEWEST_PHOTOS} are needed"
        )
    found = Adjustments(
        _exposures(trained, settings, device, bright),
        _poses(scene, frame, trained, device) if refine_poses else None,
        _focals(scene, trained, device) if settings.refine_focal else None,
    )
    return found, sentences


def _exposures(
    trained: Sequence[int], settings: Settings, device: torch.device, bright: Brightness | None
) -> Exposures | None:
    """Gains and offsets of the photos trained on, where they are wanted or needed."""
    needed = bright is not None and bright.varies
    if not (needed if settings.exposure == "auto" else settings.exposure):
        return None
    return Exposures(len(trained), device, bright.gains if bright else None)


def _poses(scene: Scene, frame: Frame, trained: Sequence[int], device: torch.device) -> Poses:
    """Motions of the photos trained on."""
    start = torch.tensor(frame.cameras(scene.world_to_camera[trained]))
    focal = torch.tensor(scene.K[trained][:, [0, 1], [0, 1]].mean(axis=1))
    depth = torch.tensor(usual_depths(scene, trained) / frame.radius)
    return Poses(start, focal, depth, device)


def _focals(scene: Scene, trained: Sequence[int], device: torch.device) -> Focals:
    """Lengths of the scene's lenses, of which those that took enough photos may change."""
    lenses = scene.lenses
    count = int(lenses.max()) + 1
    reach = np.zeros(count)
    np.maximum.at(reach, lenses, scene.sizes.max(axis=1) / 2)
    photos = np.bincount(lenses[trained], minlength=count)
    return Focals(torch.tensor(reach), torch.tensor(photos), device)
