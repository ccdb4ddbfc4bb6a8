"""Pictures of a splat in pieces: of each only what a camera may see goes to the rasteriser. Needs torch.

What a picture holds in memory are the Gaussians that it may show, without their harmonics: those are
evaluated piece by piece, as seen from the camera. The pictures are those of `Renderer`, but for rounding.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from scripts.lib.render.rasterise.constants import NEAR
from scripts.lib.render.rasterise.passes import Shapes
from scripts.lib.render.rasterise.reference import ALPHA_MIN, sh_basis
from scripts.lib.render.renderer import Colour, Float, Picture, Renderer
from scripts.lib.splat.gaussians import SH_C0, Gaussians
from scripts.lib.splat.pieces import Box, Pieces, Splat, joined

KEPT_BYTES = 1 << 30  # of pieces that stay in main memory from one picture to the next
KEPT_SHARE = 0.3  # of the free memory of a GPU, for the same
REACH = 3.5  # standard deviations that a Gaussian is drawn to at most
BLUR = 4.0  # pixels that a footprint may be larger than the Gaussian
STEEPEST = 1.5  # of a picture's width or height: rays farther out are drawn as if they were there


def renderer_of(splat: Splat, device: str = "cpu", background: Colour | None = None) -> AnyRenderer:
    """The renderer for a splat that is there as a whole or in pieces."""
    if isinstance(splat, Pieces):
        return PiecesRenderer(splat, device, background)
    return Renderer(splat, device, background)


AnyRenderer: TypeAlias = "Renderer | PiecesRenderer"


def shapes_in_sight(
    splat: Splat, world_to_camera: Float, K: Float, size: npt.ArrayLike
) -> Gaussians:
    """The splat where it is there as a whole; of pieces what a camera may see, without harmonics."""
    if not isinstance(splat, Pieces):
        return splat
    origin = splat.box(0).low
    view = view_of(world_to_camera, K, size, origin, torch.device("cpu"))
    some = [splat.read(0).take(np.zeros(0, np.int64))]
    for number in range(len(splat.counts)):
        if view.may_see_some(splat.box(number), origin):
            part = splat.read(number)
            means = torch.tensor((part.means - origin).astype(np.float32))
            seen = view.may_see(means, torch.tensor(np.exp(part.scales.max(axis=1)))).numpy()
            some.append(part.take(seen))
    return joined([replace(part, shN=part.shN[:, :0]) for part in some])


@dataclass(frozen=True)
class View:
    """A camera, as tensors on the device: world_to_camera's rotation (3, 3) and shift (3,) from the pieces'
    origin, and half spaces (4, 3) that hold the picture's sides; `wide` (4,): by how much a standard
    deviation of one unit reaches across each."""

    turn: torch.Tensor
    shift: torch.Tensor
    sides: torch.Tensor
    wide: torch.Tensor

    def may_see(self, means: torch.Tensor, longest: torch.Tensor) -> torch.Tensor:
        """Which Gaussians (N,) may be in the picture, by their means (N, 3) and longest axes (N,)."""
        local = means @ self.turn.T + self.shift
        inside = (local @ self.sides.T + longest[:, None] * self.wide >= 0).all(1)
        return inside & (local[:, 2] >= 0.99 * NEAR)

    def may_see_some(self, box: Box, origin: Float) -> bool:
        """Whether something in a box may be in the picture: not if all corners are beyond one side."""
        if not (box.low <= box.high).all():
            return False
        corners = np.array(list(product(*zip(box.low, box.high, strict=True)))) - origin
        local = self.turn.new_tensor(corners) @ self.turn.T + self.shift
        inside = local @ self.sides.T + box.longest * self.wide >= 0
        return bool(inside.any(0).all() and (local[:, 2] >= 0).any())


def view_of(
    world_to_camera: npt.ArrayLike,
    K: npt.ArrayLike,
    size: npt.ArrayLike,
    origin: Float,
    device: torch.device,
) -> View:
    """The view of a camera: world_to_camera (4, 4) OpenCV, K (3, 3) pixels, size (width, height)."""
    camera, K = np.array(world_to_camera, np.float64), np.asarray(K, np.float64)
    width, height = (float(side) for side in np.asarray(size))
    sides, wide = [], []
    for axis, (focal, middle, length) in enumerate(
        ((K[0, 0], K[0, 2], width), (K[1, 1], K[1, 2], height))
    ):
        reach = REACH * focal * np.hypot(1, STEEPEST * length / focal)
        for sign, room in ((1, middle), (-1, length - middle)):
            side = np.zeros(3)
            side[axis], side[2] = sign * focal, room + BLUR
            sides.append(side)
            wide.append(reach)

    def tensor(values: npt.ArrayLike) -> torch.Tensor:
        return torch.tensor(np.asarray(values, np.float32), device=device)

    return View(
        tensor(camera[:3, :3]),
        tensor(camera[:3, 3] + camera[:3, :3] @ origin),
        tensor(sides),
        tensor(wide),
    )


@dataclass(frozen=True)
class Held:
    """A piece on the device: what is drawn, its harmonics (N, K, 3), and its Gaussians' longest axes (N,)."""

    shapes: Shapes
    sh: torch.Tensor
    longest: torch.Tensor

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return self.longest.nbytes * 12 + self.sh.nbytes


class PiecesRenderer:
    """`Renderer` of pieces that are read as cameras look at them. Some of them stay for the next picture."""

    def __init__(
        self, pieces: Pieces, device: str = "cpu", background: Colour | None = None
    ) -> None:
        self.pieces, self.device = pieces, torch.device(device)
        self.background = None if background is None else self._tensor(background)
        boxes = [box for box in map(pieces.box, range(len(pieces.counts))) if box.longest]
        self.origin: Float = np.zeros(3)
        if boxes:
            self.origin = np.median([(box.low + box.high) / 2 for box in boxes], axis=0)
        self._held: OrderedDict[int, Held] = OrderedDict()
        self._most = KEPT_BYTES
        if self.device.type == "cuda":
            self._most = int(KEPT_SHARE * torch.cuda.mem_get_info()[0])

    def _tensor(self, values: npt.ArrayLike) -> torch.Tensor:
        return torch.tensor(np.asarray(values, np.float32), device=self.device)

    def picture(
        self, world_to_camera: npt.ArrayLike, K: npt.ArrayLike, size: npt.ArrayLike
    ) -> Picture:
        """As `Renderer.picture`."""
        seen, _ = self._seen(world_to_camera, K, size)
        return seen.picture(world_to_camera, K, size)

    def weights(
        self, world_to_camera: npt.ArrayLike, K: npt.ArrayLike, size: npt.ArrayLike
    ) -> Float:
        """As `Renderer.weights`, in the order of the pieces."""
        seen, numbers = self._seen(world_to_camera, K, size)
        found = np.zeros(len(self.pieces))
        if len(numbers):
            found[numbers] = seen.weights(world_to_camera, K, size)
        return found

    def depth(
        self, world_to_camera: npt.ArrayLike, K: npt.ArrayLike, size: npt.ArrayLike
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `Renderer.depth`."""
        seen, _ = self._seen(world_to_camera, K, size)
        return seen.depth(world_to_camera, K, size)

    @torch.no_grad()
    def _seen(
        self, world_to_camera: npt.ArrayLike, K: npt.ArrayLike, size: npt.ArrayLike
    ) -> tuple[Renderer, npt.NDArray[np.int64]]:
        """A renderer of what a camera may see, coloured as from there, and its numbers in the splat."""
        view = view_of(world_to_camera, K, size, self.origin, self.device)
        centre = -(view.turn.T @ view.shift)
        parts: list[tuple[torch.Tensor, ...]] = []
        numbers = [np.zeros(0, np.int64)]
        starts = self.pieces.starts
        for number in range(len(self.pieces.counts)):
            if not view.may_see_some(self.pieces.box(number), self.origin):
                continue
            piece = self._piece(number)
            shapes = piece.shapes
            seen = view.may_see(shapes.means, piece.longest) & (shapes.opacities >= ALPHA_MIN)
            rows = seen.nonzero()[:, 0]
            means, sh = shapes.means[rows], piece.sh[rows]
            basis = sh_basis(torch.nn.functional.normalize(means - centre, dim=-1), sh.shape[1])
            colours = torch.einsum("nk,nkc->nc", basis, sh).clamp_min(-0.5)
            parts.append(
                (
                    means,
                    shapes.quats[rows],
                    shapes.scales[rows],
                    shapes.opacities[rows],
                    colours[:, None] / SH_C0,
                )
            )
            numbers.append(rows.cpu().numpy() + starts[number])
        empty = [
            self._tensor(np.zeros(shape)) for shape in ((0, 3), (0, 4), (0, 3), (0,), (0, 1, 3))
        ]
        every = [torch.cat(some) for some in zip(*([tuple(empty), *parts]), strict=True)]
        return (
            Renderer.of_tensors(
                Shapes(*every[:4]), every[4], self.origin, self.pieces.antialiased, self.background
            ),
            np.concatenate(numbers),
        )

    def _piece(self, number: int) -> Held:
        """A piece on the device; those that were not used for long make room."""
        found = self._held.pop(number, None)
        if found is None:
            found = self._on_device(self.pieces.read(number))
            free = self._most - found.bytes
            while self._held and sum(held.bytes for held in self._held.values()) > free:
                self._held.popitem(last=False)
        self._held[number] = found
        return found

    def _on_device(self, gaussians: Gaussians) -> Held:
        scales = self._tensor(gaussians.scales).exp()
        shapes = Shapes(
            self._tensor(gaussians.means.astype(np.float64) - self.origin),
            self._tensor(gaussians.quats),
            scales,
            self._tensor(gaussians.opacities).sigmoid(),
        )
        sh = torch.cat([self._tensor(gaussians.sh0)[:, None], self._tensor(gaussians.shN)], dim=1)
        longest = scales.amax(1) if len(scales) else scales[:, 0]
        return Held(shapes, sh, longest)
