"""Training without what stands in one photo only: it is found first, by the photos and by a small splat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from scripts.lib.contracts.train import TransientsRecord
from scripts.lib.core.console import say
from scripts.lib.render.renderer import Picture, Renderer
from scripts.lib.scene.scene import Scene
from scripts.lib.train.brightness import brightness
from scripts.lib.train.loop import train
from scripts.lib.train.options import Settings
from scripts.lib.train.samples import read_samples
from scripts.lib.train.transients import Mask, Transients

SMALL = 240  # pixels of the photos that the small splat learns from
STEPS = 0.5  # of the training's
FEWEST_STEPS = 300


def without_transients(
    scene: Scene, photos: Sequence[int], settings: Settings
) -> tuple[Scene, TransientsRecord | None]:
    """The scene without what single ones of `photos` (indices) show, and what that was.

    None where nothing is looked for, or too few photos tell. Raises UserError when the zip is damaged.
    """
    if settings.transients is False:
        return scene, None
    samples = read_samples(scene, photos)
    bright = brightness(samples) if samples else None
    device = torch.device(settings.device)
    found = Transients(scene, photos, bright.gains if bright and bright.varies else None, device)
    there = found.look(always=settings.transients is True)
    if not found.regions:
        return scene, None
    if not there:
        return scene, found.record({})
    say(
        f"Other photos contradict {found.share:.0%} of what single photos show: people, cars or other things"
        " that moved. They are left out"
    )
    sure = scene.hiding(_shown(found.surely()))
    small = replace(
        settings,
        steps=max(FEWEST_STEPS, round(STEPS * settings.steps)),
        refine_poses=False,
        refine_focal=False,
        lens_light=False,  # the photos that it is compared with are not corrected
    )
    splat = train(sure.at_most(SMALL), small, None, 0, stage="transients").gaussians
    renderer = Renderer(splat, settings.device)

    def render(photo: int) -> Picture:
        look = found.small
        picture = renderer.picture(look.world_to_camera[photo], look.K[photo], look.sizes[photo])
        return np.clip(picture, 0, 1)

    left_out = found.unexplained(render)
    record = found.record(left_out)
    say(f"Left out: {record.share:.0%} of the photos' area, in {len(record.photos)} photos")
    return scene.hiding(_shown(left_out)), record


def _shown(masks: dict[int, Mask]) -> dict[int, npt.NDArray[np.uint8]]:
    """As the scene's masks are: 0 where nothing counts, 255 elsewhere."""
    return {photo: np.where(mask, 0, 255).astype(np.uint8) for photo, mask in masks.items()}
