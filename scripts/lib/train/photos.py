"""The photos of a run: where they lie, at which size, and which of them a step sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from scripts.lib.scene.scene import Scene
from scripts.lib.scene.split import Split
from scripts.lib.train.initialise import Frame
from scripts.lib.train.memory import PhotoStore
from scripts.lib.train.stream import AHEAD, StreamedPhotos
from scripts.lib.train.views import Schedule, Stack, halved, load_stacks

COARSE_SIDE = 160  # pixels of the longer side below which a halved photo teaches nothing


class Photos:
    """Photos to train on, and `steering`: those that training is measured on while it goes on.

    store_in: of the photos' bytes, see `memory.PhotoStore`. coarse: whether steps may ask for halved photos.
    weights (V,): how often each photo trained on is seen, see `Schedule`.
    """

    def __init__(
        self,
        scene: Scene,
        frame: Frame,
        split: Split,
        device: torch.device,
        store_in: PhotoStore,
        *,
        batch: int,
        seed: int,
        coarse: bool,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self.device = device
        kept = batch * AHEAD if store_in is PhotoStore.STREAM else None
        store = device if store_in is PhotoStore.DEVICE else torch.device("cpu")
        self.stacks = load_stacks(scene, frame, split.trained, device, store, kept)
        # Looked at ten times in all, so they may wait in main memory.
        self.steering = load_stacks(scene, frame, split.steering, device, torch.device("cpu"), kept)
        counts = [len(stack) for stack in self.stacks]
        some = (
            None
            if weights is None
            else [weights[stack.numbers.cpu().numpy()] for stack in self.stacks]
        )
        self.schedule = Schedule(counts, batch, seed, some)
        self.coarse = coarse and int(scene.sizes.max()) >= 2 * COARSE_SIDE
        streamed = store_in is PhotoStore.STREAM
        self._small = [halved(s) for s in self.stacks] if self.coarse and not streamed else None

    def at(self, step: int, small: bool) -> Stack:
        """The photos of one step on the device; halved ones if `small`."""
        group, rows = self.schedule.at(step)
        self._expect(step)
        small = small and self.coarse
        if not small:
            self._small = None  # the halved photos have served: their memory is free again
        if small and self._small:
            return self._small[group].pick(rows, self.device)
        views = self.stacks[group].pick(rows, self.device)
        return halved(views) if small else views

    def _expect(self, step: int) -> None:
        """Let threads decode what the next steps need."""
        for later in range(step, step + AHEAD):
            group, rows = self.schedule.at(later)
            photos = self.stacks[group].photos
            if not isinstance(photos, StreamedPhotos):
                return
            photos.expect(rows)


def one_by_one(stacks: Sequence[Stack], device: torch.device) -> Iterator[Stack]:
    """The photos of some stacks, each as a stack of its own on the device."""
    for stack in stacks:
        for number in range(len(stack)):
            yield stack.pick([number], device)
