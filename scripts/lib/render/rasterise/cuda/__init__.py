"""Our rasteriser for NVIDIA GPUs: several views at once, forward and backward, without autograd.

Gaussians become ellipses, are sorted by depth, listed for every tile of 16 x 16 pixels that an ellipse really
touches, and drawn front to back. The way back goes by Gaussian, see draw.cu. Sorting is torch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from scripts.lib.render.cuda.compile import Source
from scripts.lib.render.cuda.launch import Macros, launch
from scripts.lib.render.rasterise.cuda.room import Room
from scripts.lib.render.rasterise.passes import Cameras, Gradients, Shapes

TILE = 16  # as in splat.cuh
WARP = 32
PER = 2  # pixels of a thread that draws
ELLIPSE = 12  # numbers of an ellipse
FOLDER = Path(__file__).parent
SPLAT, TILES = FOLDER / "splat.cuh", FOLDER / "tiles.cuh"
PROJECT = Source(FOLDER / "project.cu", (SPLAT, TILES), ("project", "project_backward"))
LISTS = Source(FOLDER / "lists.cu", (SPLAT, TILES), ("list_tiles", "find_lists"))
DRAW = Source(FOLDER / "draw.cu", (SPLAT,), ("draw", "draw_backward"))
# Types that number tiles.
SHORT, LONG = (("KEY", "short"),), (("KEY", "int"),)
MOST_SHORT = 2**15 - 1  # tiles that keys of 16 bits number; one more stands for what is no tile
# Warps of a block that draws. The way back takes 9.4 KB of shared memory a warp. Where there are 64 KB
# (Turing) or 100 KB (Ada), small blocks leave less of it unused: 6 warps instead of 4, 10 instead of 8.
WARPS, WARPS_OF_LITTLE, LITTLE = 4, 2, 100 * 1024


@dataclass(frozen=True)
class Projection:
    """Ellipses (V, N, 12) of N Gaussians, and how many tiles each touches: (V, N, 2), the number twice."""

    ellipses: Tensor
    touched: Tensor
    order: Tensor  # (V * N,) by view and depth
    ends: Tensor  # (V * N,) tiles touched up to and with each one in that order


@dataclass(frozen=True)
class Drawing:
    """Pictures, and what the way back needs of how they came about."""

    image: Tensor  # (V, H, W, 3) premultiplied
    transmittance: Tensor  # (V, H, W)
    sorted: Tensor
    begins: Tensor
    last: Tensor  # (V, H, W) place in the tile's list of the last Gaussian shown, from 1


class CudaPass:
    """A `passes.Pass` by our kernels. Without a `room` for its lists it waits for the GPU in `draw`."""

    def __init__(
        self, shapes: Shapes, cameras: Cameras, antialiased: bool, room: Room | None = None
    ) -> None:
        self.shapes, self.cameras, self.antialiased, self.room = shapes, cameras, antialiased, room
        self.projection = project(shapes, cameras, antialiased)

    @property
    def seen(self) -> Tensor:
        """See `passes.Pass`."""
        return self.projection.touched

    def draw(self, colours: Tensor) -> Tensor:
        """See `passes.Pass`."""
        self.drawing = draw(self.projection, colours, self.cameras, self.room)
        return self.drawing.image

    def alpha(self) -> Tensor:
        """See `passes.Pass`."""
        return 1 - self.drawing.transmittance

    def backward(self, v_image: Tensor, v_alpha: Tensor | None, *, poses: bool) -> Gradients:
        """See `passes.Pass`."""
        moments, by_colours = draw_backward(
            self.projection, self.drawing, self.cameras, v_image, v_alpha
        )
        return project_backward(
            self.shapes,
            self.cameras,
            self.antialiased,
            self.projection,
            moments,
            by_colours,
            poses=poses,
        )


def project(shapes: Shapes, cameras: Cameras, antialiased: bool) -> Projection:
    """Gaussians as ellipses, sorted by view and depth."""
    count, views = len(shapes.means), len(cameras.world_to_camera)
    device = shapes.means.device
    ellipses = torch.empty((views, count, ELLIPSE), device=device)
    touched = torch.empty((views, count, 2), dtype=torch.int32, device=device)
    keys = torch.empty(views * count, dtype=torch.int32, device=device)
    launch(
        PROJECT, "project", (-(-count // 256), views), 256, *_parts(shapes),
        *_camera(cameras, count), int(antialiased), ellipses, touched, keys,
    )  # fmt: skip
    order = torch.sort(keys, stable=True).indices
    ends = touched.view(-1, 2)[:, 0][order].cumsum(0, dtype=torch.int32)
    return Projection(ellipses, touched, order, ends)


def draw(
    projection: Projection, colours: Tensor, cameras: Cameras, room: Room | None = None
) -> Drawing:
    """Pictures of the ellipses in their colours (V, N, 3), which become part of the projection.

    With a `room` that knows such passes nothing waits for the GPU. Where lists did not fit, pictures are
    wrong, and the room's ledger tells.
    """
    width, height = cameras.size
    views, count = projection.touched.shape[:2]
    device = colours.device
    across, down = -(-width // TILE), -(-height // TILE)
    tiles, total = views * across * down, views * count
    kind = (views, width, height)
    capacity = room.length(kind) if room and count else 0
    if count and not capacity:
        capacity = int(projection.ends[-1])  # waits for the GPU
        capacity = room.learn(kind, capacity) if room else capacity
    dtype, keys_as = (torch.int16, SHORT) if tiles <= MOST_SHORT else (torch.int32, LONG)
    keys = torch.empty(capacity, dtype=dtype, device=device)
    gaussians = torch.empty(capacity, dtype=torch.int32, device=device)
    begins, lengths = torch.zeros((2, tiles), dtype=torch.int32, device=device)
    in_lists = torch.empty_like(gaussians)
    if capacity:
        noted = (room.ledger, room.place(kind)) if room else (None, 0)
        launch(
            LISTS, "list_tiles", (-(-total // 256),), 256, projection.ellipses, projection.touched,
            projection.order, projection.ends, colours, count, total, width, height, capacity, tiles, keys,
            gaussians, macros=keys_as,
        )  # fmt: skip
        keys, order = torch.sort(keys, stable=True)
        launch(
            LISTS, "find_lists", (-(-capacity // 256),), 256, keys, order, gaussians, projection.ends[-1:],
            capacity, tiles, in_lists, begins, lengths, *noted, macros=keys_as,
        )  # fmt: skip
    image = torch.empty((views, height, width, 3), device=device)
    transmittance = torch.empty((views, height, width), device=device)
    last = torch.empty((views, height, width), dtype=torch.int32, device=device)
    warps = warps_on(device)
    launch(
        DRAW, "draw", _blocks(cameras, warps), warps * WARP, projection.ellipses, in_lists, begins,
        lengths, across, down, width, height, image, transmittance, last, macros=drawing_by(warps),
    )  # fmt: skip
    return Drawing(image, transmittance, in_lists, begins, last)


def draw_backward(
    projection: Projection,
    drawing: Drawing,
    cameras: Cameras,
    v_image: Tensor,
    v_alpha: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Moments (V, N, 6), see project.cu, and gradients by the colours (V, N, 3); from those by the image
    (V, H, W, 3) and by its alpha (V, H, W)."""
    width, height = cameras.size
    views, count = projection.touched.shape[:2]
    both = torch.zeros(9 * views * count, device=v_image.device)
    moments = both[: 6 * views * count].view(views, count, 6)
    v_colours = both[6 * views * count :].view(views, count, 3)
    warps = warps_on(v_image.device)
    launch(
        DRAW, "draw_backward", _blocks(cameras, warps), warps * WARP, projection.ellipses, drawing.sorted,
        drawing.begins, -(-width // TILE), -(-height // TILE), width, height, drawing.image,
        drawing.transmittance, drawing.last, v_image, v_alpha, moments, v_colours, macros=drawing_by(warps),
    )  # fmt: skip
    return moments, v_colours


def _blocks(cameras: Cameras, warps: int) -> tuple[int, int, int]:
    """Grid of the kernels that draw: blocks as wide as a tile, one layer a view."""
    width, height = cameras.size
    rows = warps * WARP * PER // TILE
    return -(-width // TILE), -(-height // TILE) * TILE // rows, len(cameras.world_to_camera)


def drawing_by(warps: int) -> Macros:
    """How draw.cu is compiled for blocks of so many warps."""
    return ("PER", PER), ("WARPS", warps)


@cache
def warps_on(device: torch.device) -> int:
    """Warps of a block that draws on `device`."""
    if device.type != "cuda":
        return WARPS
    return warps_for(torch.cuda.get_device_properties(device).shared_memory_per_multiprocessor)


def warps_for(shared: int) -> int:
    """The same where a multiprocessor has so many bytes of shared memory."""
    return WARPS_OF_LITTLE if shared <= LITTLE else WARPS


def project_backward(
    shapes: Shapes,
    cameras: Cameras,
    antialiased: bool,
    projection: Projection,
    moments: Tensor,
    by_colours: Tensor,
    *,
    poses: bool = False,
) -> Gradients:
    """Gradients of what `project` and `draw` were given; by the poses where asked for."""
    count, views = len(shapes.means), len(cameras.world_to_camera)
    by_means, by_quats = torch.empty_like(shapes.means), torch.empty_like(shapes.quats)
    by_scales, by_opacities = torch.empty_like(shapes.scales), torch.empty_like(shapes.opacities)
    by_cameras = torch.zeros((views, 4, 4), device=by_means.device) if poses else None
    launch(
        PROJECT, "project_backward", (-(-count // 128),), 128, *_parts(shapes),
        *_camera(cameras, count), int(antialiased), projection.ellipses, projection.touched, moments,
        by_means, by_quats, by_scales, by_opacities, by_cameras,
    )  # fmt: skip
    return Gradients(by_means, by_quats, by_scales, by_opacities, by_colours, by_cameras)


def _parts(shapes: Shapes) -> tuple[Tensor, ...]:
    return shapes.means, shapes.quats, shapes.scales, shapes.opacities


def _camera(cameras: Cameras, count: int) -> tuple[Tensor | float, ...]:
    """The arguments that both projections take in the same order."""
    width, height = cameras.size
    views = len(cameras.world_to_camera)
    far = min(cameras.far, 3e38)
    return cameras.world_to_camera, cameras.K, count, views, width, height, cameras.near, far
