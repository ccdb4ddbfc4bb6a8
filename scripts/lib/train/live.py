"""What a training shows while it goes on: live.json with its numbers, live.jpg with a view it is measured on.

It costs less than a hundredth of the time: a picture waits a hundred times as long as the one before took.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from PIL import Image

from scripts.lib.contracts.live import Live
from scripts.lib.contracts.record import write
from scripts.lib.core.files import write_bytes
from scripts.lib.train.quality import exposed_as
from scripts.lib.train.step import render
from scripts.lib.train.trainer import Trainer
from scripts.lib.train.views import Stack, halved

PICTURE = "live.jpg"
NUMBERS_SECONDS = 2.0  # between two looks at the numbers
PICTURE_SECONDS = 5.0  # between two pictures, at least
SHARE = 0.01  # of the time may go into pictures
LARGEST = 480  # pixels of the longer side are enough for a thumbnail


class Watched:
    """Shows a training in a folder; a disk that is full costs only that."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.clock = folder, clock
        self.began = self.told_at = self.picture_at = clock()
        self.first: int | None = None
        self.shown: tuple[str | None, int] = (None, 0)

    def look(self, trainer: Trainer) -> None:
        """Called after each step; does nothing most of the time."""
        now = self.clock()
        if self.first is None:  # the first step compiles the kernels
            self.first, self.began = trainer.step, now
        if now - self.told_at < NUMBERS_SECONDS:
            return
        try:
            if now >= self.picture_at:
                self._draw(trainer)
                took = self.clock() - now
                self.picture_at = self.clock() + max(PICTURE_SECONDS, took / SHARE)
            write(self.folder / Live.file, self._numbers(trainer))
        except (OSError, torch.cuda.OutOfMemoryError):
            self.picture_at = self.clock() + PICTURE_SECONDS / SHARE
        self.told_at = self.clock()

    def _numbers(self, trainer: Trainer) -> Live:
        done, total = trainer.step, trainer.settings.steps
        fresh = done - (self.first or 0)
        pace = (self.clock() - self.began) / fresh if fresh > 0 else None
        return Live(
            updated=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            step=done,
            steps=total,
            eta_seconds=None if pace is None else round(pace * (total - done), 1),
            gaussians=len(trainer.parameters),
            psnr=trainer.curve[-1]["psnr"] if trainer.curve else None,
            picture=self.shown[0],
            pictured=self.shown[1],
        )

    def _draw(self, trainer: Trainer) -> None:
        """Write live.jpg: the first validation photo's view, or of a photo trained on where there is none."""
        trainer.settle()
        held_out = trainer.photos.steering
        stack = (held_out or trainer.photos.stacks)[0].pick([0], trainer.device)
        view = trainer.adjust.through(stack) if held_out else trainer.adjust.seen(stack)
        image = Image.fromarray(thumbnail(trainer, view).cpu().numpy())
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=80)
        write_bytes(self.folder / PICTURE, buffer.getvalue())
        photos = trainer.split.steering if held_out else trainer.split.trained
        self.shown = (trainer.scene.names[photos[int(view.numbers[0])]], trainer.step)

    def clear(self) -> None:
        """The training is over: its results say more."""
        for name in (Live.file, PICTURE):
            (self.folder / name).unlink(missing_ok=True)


@torch.no_grad()
def thumbnail(trainer: Trainer, view: Stack) -> torch.Tensor:
    """A view as the Gaussians show it by now, (H, W, 3) uint8 on the device, sides at most LARGEST."""
    while max(view.size) > LARGEST:
        view = halved(view)
    how = trainer.sh_degree(), trainer.settings.antialiased
    colour = render(trainer.tensors(), view, *how, frozen=trainer.frozen)[0]
    if trainer.adjust.exposures:
        colour = exposed_as(colour, view.photo(0), view.mask(0))
    return (colour.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
