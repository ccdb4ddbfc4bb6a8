"""What a splat loses against the whole one, measured on views of its scene. Needs torch, once it measures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.compress import Compress
from scripts.lib.splat.pieces import Splat

LONG_SIDE = 480  # pixels of the training views that tell how much each Gaussian is seen
TRAINED_VIEWS = 4  # views of the training that are measured beside those that steer
# Views that steer on which attempts are compared. What is chosen is measured on all of them.
COMPARED_VIEWS = 8


@dataclass(frozen=True)
class Quality:
    """Mean PSNR in dB on the steering views, and on some that were trained on."""

    steering: float
    trained: float

    def lost(self, now: Quality) -> float:
        """The dB by which `now` is worse, on the views where it is more so."""
        return max(self.steering - now.steering, self.trained - now.trained)


@dataclass(frozen=True)
class Measured:
    """How like the photos a splat looks, and the whole one on the same views."""

    quality: Quality
    whole: Quality

    @property
    def loss_db(self) -> float:
        """The dB that it loses."""
        return self.whole.lost(self.quality)


class Meter:
    """Measures splats against one whole splat, on views that steer and on some that were trained on.

    Where the scene generalises badly, views it was not trained on hardly notice a loss that is plain to see
    where it is good: so some views of the training are measured too, and the larger loss counts. Where many
    views steer, attempts are compared on a few of them.
    """

    def __init__(self, splat: Splat, ply: Path, scene_path: Path, device: str) -> None:
        from scripts.lib.measure import evaluate

        self.splat, self.device, self._scene_path = splat, device, scene_path
        chosen = evaluate.choose_views(ply, scene_path, evaluate.Purpose.STEER)
        self.views = evaluate.affordable(chosen)
        self.few = evaluate.spread_views(self.views, COMPARED_VIEWS)
        trained = self.views.split.trained
        self.trained = evaluate.spread_views(
            dataclasses.replace(self.views, indices=trained, held_out=False), TRAINED_VIEWS
        )
        self._photos = {
            index: evaluate.photo_of(self.views, index)
            for index in {*self.views.indices, *self.trained.indices}
        }

    @cached_property
    def importance(self) -> npt.NDArray[np.float64]:
        """How much each Gaussian (N,) is seen in the views of the training."""
        from scripts.lib.measure import visibility
        from scripts.lib.scene.scene import load_scene

        scene, trained = load_scene(self._scene_path, LONG_SIDE), self.views.split.trained
        return visibility.measure(self.splat, scene, trained, self.device).weight

    @cached_property
    def whole(self) -> Quality:
        """Of the whole splat, on all views that steer."""
        return self.quality(self.splat)

    @cached_property
    def _whole_on_few(self) -> Quality:
        return self.whole if self.all_compared else self.quality(self.splat, few=True)

    @property
    def all_compared(self) -> bool:
        """Whether attempts are compared on every view that steers."""
        return len(self.few.indices) == len(self.views.indices)

    def quality(self, some: Splat, few: bool = False) -> Quality:
        """How like the photos a splat looks."""
        from scripts.lib.measure import evaluate

        found = []
        for views in (self.few if few else self.views, self.trained):
            renders = evaluate.render_views(some, views, self.device)
            pairs = zip(renders, (self._photos[index] for index in views.indices), strict=True)
            found.append(float(np.mean([evaluate.visible_psnr(*pair) for pair in pairs])))
        return Quality(*found)

    def loss(self, some: Splat) -> float:
        """The dB that a splat loses against the whole one."""
        return self.whole.lost(self.quality(some))

    def compared(self, some: Splat) -> Measured:
        """A splat against the whole one on the views that attempts are compared on."""
        return Measured(self.quality(some, few=True), self._whole_on_few)

    def full(self, some: Splat) -> Measured:
        """A splat against the whole one on all views that steer."""
        return Measured(self.quality(some), self.whole)

    def told_to(self, made: Compress) -> Compress:
        """compress.json with what was measured on."""
        return dataclasses.replace(
            made,
            psnr=self.whole.steering,
            held_out=self.views.held_out,
            measured_on="steering" if self.views.split.steering else "trained",
            views=tuple(self.views.names),
            views_compared=tuple(self.few.names),
            views_trained=tuple(self.trained.names),
            split_counts=self.views.split.counts(),
        )
