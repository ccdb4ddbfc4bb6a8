"""The photos and cameras as tensors on the training device, and the order they are visited in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from scripts.lib.scene.scene import Scene, fit
from scripts.lib.train.initialise import Frame
from scripts.lib.train.stream import StreamedPhotos


@dataclass(frozen=True)
class Stack:
    """V photos of one size: photos (V, H, W, 3) uint8, world_to_camera (V, 4, 4), K (V, 3, 3).

    What `pick` returned has its photos in a tensor; only such stacks are rendered or cut further.

    numbers (V,) int64: their places among all photos that were loaded with them.
    lenses (V,) int64: which of the scene's lenses took each.
    masks (V, H, W) uint8: 0 where a photo does not count; None when all of every photo does.
    """

    photos: Tensor | StreamedPhotos
    world_to_camera: Tensor
    K: Tensor
    numbers: Tensor
    lenses: Tensor
    masks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.photos.shape[2], self.photos.shape[1]

    def pick(self, rows: Sequence[int], device: torch.device) -> Stack:
        """The photos at `rows`, in that order, on `device`. Does not wait for a GPU."""
        if (
            len(rows) == 1
            and isinstance(self.photos, Tensor)
            and self.photos.is_cuda == (device.type == "cuda")
        ):
            return self.one(rows[0])  # without a copy
        index = torch.tensor(rows)
        photos = _fetched(self.photos, index, device)
        masks = None if self.masks is None else _fetched(self.masks, index, device)
        at = _moved(index, self.K.device)
        cameras = (self.world_to_camera[at], self.K[at], self.numbers[at], self.lenses[at])
        return Stack(photos, *cameras, masks)

    def part(self, begin: int, end: int) -> Stack:
        """The photos from `begin` up to `end`, sharing their memory."""
        rows = slice(begin, end)
        assert isinstance(self.photos, Tensor), "photos that were not picked"
        masks = None if self.masks is None else self.masks[rows]
        w2c, K = self.world_to_camera[rows], self.K[rows]
        cameras = (w2c, K, self.numbers[rows], self.lenses[rows])
        return Stack(self.photos[rows], *cameras, masks)

    def one(self, row: int) -> Stack:
        """One photo as a stack, sharing its memory."""
        return self.part(row, row + 1)

    def photo(self, row: int) -> Tensor:
        """One photo (H, W, 3), of a stack that was picked."""
        assert isinstance(self.photos, Tensor), "photos that were not picked"
        return self.photos[row]

    def mask(self, row: int) -> Tensor | None:
        """The mask (H, W) of one photo as float32 in 0..1."""
        return None if self.masks is None else self.masks[row].float() / 255


def _moved(values: Tensor, device: torch.device) -> Tensor:
    """Values of the CPU on `device`; from memory that a GPU reads by itself, or torch would wait for it."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values


def _fetched(photos: Tensor | StreamedPhotos, index: Tensor, device: torch.device) -> Tensor:
    """Those at `index` (M,), which is on the CPU, on `device`."""
    if isinstance(photos, StreamedPhotos):
        return _moved(photos[index], device)
    if photos.device.type == device.type:
        return photos[_moved(index, device)]
    shape = (len(index), *photos.shape[1:])
    found = torch.empty(shape, dtype=photos.dtype, pin_memory=device.type == "cuda")
    return torch.index_select(photos, 0, index, out=found).to(device, non_blocking=True)


def load_stacks(
    scene: Scene,
    frame: Frame,
    indices: Sequence[int],
    device: torch.device,
    store: torch.device | None = None,
    kept: int | None = None,
) -> list[Stack]:
    """The views at `indices` by size, cameras in training's frame on `device`.

    Photos and masks lie as bytes on `store`, by default the same device; those of a GPU that has no room
    for them wait in main memory. With `kept`, photos stay in the zip but for so many.
    """
    store = store or device
    cameras = torch.tensor(frame.cameras(scene.world_to_camera), dtype=torch.float32)
    K = torch.tensor(scene.K, dtype=torch.float32)
    places = {index: place for place, index in enumerate(indices)}
    groups: dict[tuple[int, ...], list[int]] = {}
    for index in indices:
        groups.setdefault(tuple(scene.sizes[index]), []).append(index)
    stacks = []
    for members in groups.values():
        found = scene.masks(members)
        masks = None
        if any(mask is not None for mask in found):
            width, height = scene.sizes[members[0]]
            whole = np.full((height, width), 255, np.uint8)
            stacked = np.stack([whole if mask is None else mask for mask in found])
            masks = torch.from_numpy(stacked).to(store)
        poses, intrinsics = cameras[members].to(device), K[members].to(device)
        numbers = torch.tensor([places[member] for member in members], device=device)
        photos: Tensor | StreamedPhotos
        if kept is None:
            photos = torch.from_numpy(np.stack(scene.photos(members))).to(store)
        else:
            photos = StreamedPhotos(scene, members, kept)
        lenses = torch.from_numpy(scene.lenses[members]).to(device)
        stacks.append(Stack(photos, poses, intrinsics, numbers, lenses, masks))
    return stacks


def halved(stack: Stack) -> Stack:
    """The same views at half the size, averaged over areas."""
    width, height = stack.size
    small = fit(width, height, max(width, height) // 2)
    photos = torch.empty(
        (len(stack), small[1], small[0], 3), dtype=torch.uint8, device=stack.photos.device
    )
    for number in range(len(stack)):  # one by one: floats take four times the memory
        planes = stack.photo(number).permute(2, 0, 1)[None].float()
        reduced = functional.interpolate(planes, (small[1], small[0]), mode="area")
        photos[number] = (reduced[0].permute(1, 2, 0) + 0.5).to(torch.uint8)
    scale = torch.tensor([small[0] / width, small[1] / height, 1.0], device=stack.K.device)
    masks = None
    if stack.masks is not None:
        planes = stack.masks[:, None].float()
        reduced = functional.interpolate(planes, (small[1], small[0]), mode="area")
        masks = reduced[:, 0].to(torch.uint8)
    return replace(stack, photos=photos, K=stack.K * scale[:, None], masks=masks)


class Schedule:
    """Which photos each step sees: every photo once per round, each round shuffled anew.

    Photos of one step have one size, so a step may see fewer than `batch`. What a step sees depends on
    nothing but these arguments and its number, so a resumed run goes on exactly where it stopped.

    weights: of each photo in its size group, of mean one over all; a photo of weight 0.3 is seen in three of
    ten rounds, one of weight 1.3 twice in three of ten. A round is as long as without.
    """

    def __init__(
        self,
        counts: Sequence[int],
        batch: int,
        seed: int,
        weights: Sequence[npt.NDArray[np.float64]] | None = None,
    ) -> None:
        self.batch, self.seed, self.weights = batch, seed, weights
        if weights is not None:
            counts = [max(1, round(float(group.sum()))) for group in weights]
        self.counts = tuple(counts)
        self.steps_per_round = sum(-(-count // batch) for count in self.counts)
        self._turn, self._round = -1, list[tuple[int, list[int]]]()

    def at(self, step: int) -> tuple[int, list[int]]:
        """The size group and its photos for one step."""
        turn, place = divmod(step, self.steps_per_round)
        if turn != self._turn:
            random = np.random.default_rng((self.seed, turn))
            chunks = []
            for group, count in enumerate(self.counts):
                order = self._drawn(group, count, random)
                chunks += [
                    (group, order[begin : begin + self.batch])
                    for begin in range(0, count, self.batch)
                ]
            self._round = [chunks[number] for number in random.permutation(len(chunks))]
            self._turn = turn
        return self._round[place]

    def _drawn(self, group: int, count: int, random: np.random.Generator) -> list[int]:
        """`count` photos of a group in the order of a round, each as often as its weight says."""
        if self.weights is None:
            return [int(row) for row in random.permutation(count)]
        # Systematic sampling: steps of one along the weights laid end to end in a random order.
        shuffled = random.permutation(len(self.weights[group]))
        ends = np.cumsum(self.weights[group][shuffled])
        places = (random.random() + np.arange(count)) * ends[-1] / count
        chosen = shuffled[np.searchsorted(ends, places, side="right").clip(max=len(ends) - 1)]
        return [int(row) for row in chosen[random.permutation(count)]]
