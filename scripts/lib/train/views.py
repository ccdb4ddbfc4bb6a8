"""The photos and cameras as tensors on the training device, and the order they are visited in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from scripts.lib.scene import Scene, fit
from scripts.lib.train.initialise import Frame


@dataclass(frozen=True)
class View:
    """One photo (H, W, 3) uint8 with world_to_camera (1, 4, 4), K (1, 3, 3), all on the device."""

    photo: Tensor
    world_to_camera: Tensor
    K: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.photo.shape[1], self.photo.shape[0]

    def target(self) -> Tensor:
        """The photo as float32 in 0..1."""
        return self.photo.float().div_(255)


def load_views(
    scene: Scene, frame: Frame, indices: Sequence[int], device: torch.device
) -> list[View]:
    """The views at `indices`, photos as bytes on `device`, cameras in training's frame."""
    cameras = torch.tensor(frame.cameras(scene.world_to_camera), dtype=torch.float32)
    K = torch.tensor(scene.K, dtype=torch.float32)
    return [
        View(
            torch.from_numpy(photo.copy()).to(device),
            cameras[index : index + 1].to(device),
            K[index : index + 1].to(device),
        )
        for index, photo in zip(indices, scene.photos(indices), strict=True)
    ]


def halved(view: View) -> View:
    """The same view at half the size, averaged over areas."""
    width, height = view.size
    small = fit(width, height, max(width, height) // 2)
    photo = Image.fromarray(view.photo.cpu().numpy()).resize(small, Image.Resampling.BOX)
    scale = torch.tensor([small[0] / width, small[1] / height, 1.0], device=view.K.device)
    return View(
        torch.from_numpy(np.array(photo)).to(view.photo.device),
        view.world_to_camera,
        view.K * scale[:, None],
    )


def visiting_order(count: int, first: int, seed: int) -> Iterator[int]:
    """Photo numbers from visit `first` on: every photo once per round, each round shuffled anew.

    Depends on nothing but its arguments, so a resumed run goes on exactly where it stopped.
    """
    visit = first
    while True:
        turn, place = divmod(visit, count)
        order = np.random.default_rng((seed, turn)).permutation(count)
        for number in order[place:]:
            yield int(number)
            visit += 1
