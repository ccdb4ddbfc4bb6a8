"""Which ground a capture from above covers well, thinly or in vain: what to fly over next time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pycolmap
from scipy import ndimage

from scripts.lib.contracts.sfm import Coverage, Ground

ENOUGH = 3  # photos that must see a spot before it is well covered
LOOKING_DOWN = 0.6  # mean downward part of the viewing directions: 37 degrees below the horizon
CELLS = 2500  # of the box around points and cameras, about
REACH = 2.5  # times the median distance from camera to point: beyond it a photo shows too little
SIDES = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
ONE_SIDED = (
    0.3  # share of the cells before a side is named: even ground gives each corner a quarter
)
NAMED = 3  # photos

Cells = npt.NDArray[np.bool_]


def ground_coverage(model: pycolmap.Reconstruction, metric: bool) -> Coverage | None:
    """Shares of the photographed ground: seen by one or two photos (`thin`), or by more but without a
    firm spot (`bare`); None for a capture that does not look down.

    The model is in its final frame, Z up; `metric` when that is also east, north and metres, so that
    sides have names. Each part tells its share (0 to 1), its side ("" when it is all round) and the
    photos that show most of it.
    """
    images = [model.image(number) for number in sorted(model.reg_image_ids())]
    points = np.array([point.xyz for point in model.points3D.values()]).reshape(-1, 3)
    turns = np.array([image.cam_from_world().rotation.matrix() for image in images])
    if len(points) < 3 or turns[:, 2, 2].mean() > -LOOKING_DOWN:
        return None
    centres = np.array([image.projection_center() for image in images])
    middle = np.median(points, axis=0)
    far = REACH * float(np.median(np.linalg.norm(centres - middle, axis=1)))
    # Room beyond the cameras for what their photos show at the rim.
    low = np.minimum(points.min(0), centres.min(0))[:2] - far / REACH
    high = np.maximum(points.max(0), centres.max(0))[:2] + far / REACH
    side = float(np.sqrt(np.prod(high - low) / CELLS))
    shape = tuple(np.ceil((high - low) / side).astype(int))
    index = np.floor((points[:, :2] - low) / side).astype(int)
    spots = np.zeros(shape, int)
    np.add.at(spots, tuple(index.T), 1)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    ground = np.column_stack(
        [(grid.reshape(-1, 2) + 0.5) * side + low, np.full(grid[..., 0].size, middle[2])]
    )
    seen = np.stack([_sees(model, image, ground, far).reshape(shape) for image in images])
    count = seen.sum(axis=0)
    shown = count > 0
    # A cell is firm with a spot in it or beside it: spots are sparse on lawns that are well placed.
    firm = ndimage.binary_dilation(spots > 0, np.ones((3, 3)))
    core = (count >= ENOUGH) & firm
    if not core.any():
        return None
    names = [image.name for image in images]
    return Coverage(
        photographed=float(shown.sum()) * side**2,
        thin=_part(shown & (count < ENOUGH), shown, core, seen, names, metric),
        bare=_part((count >= ENOUGH) & ~firm, shown, core, seen, names, metric),
    )


def _sees(
    model: pycolmap.Reconstruction,
    image: pycolmap.Image,
    ground: npt.NDArray[np.float64],
    far: float,
) -> Cells:
    """Which of the positions (N, 3) lie in a photo's frame and within reach."""
    pose, camera = image.cam_from_world(), model.cameras[image.camera_id]
    local = ground @ pose.rotation.matrix().T + pose.translation
    near = (local[:, 2] > 0) & (np.linalg.norm(local, axis=1) < far)
    inside = np.zeros(len(ground), bool)
    pixels = np.asarray(camera.img_from_cam(local[near])).reshape(-1, 2)
    with np.errstate(invalid="ignore"):
        inside[near] = ((pixels >= 0) & (pixels < [camera.width, camera.height])).all(axis=1)
    return inside


def _part(
    cells: Cells, shown: Cells, core: Cells, seen: Cells, names: list[str], metric: bool
) -> Ground:
    """Share, side and photos of some of the cells."""
    away = np.argwhere(cells) - np.argwhere(core).mean(axis=0)
    sector = np.round(np.degrees(np.arctan2(away[:, 0], away[:, 1])) / 45).astype(int) % len(SIDES)
    told = np.bincount(sector, minlength=len(SIDES))
    most = int(told.argmax())
    side = ""
    chosen = np.ones(len(away), bool)
    if metric and told[most] > ONE_SIDED * len(away):
        side, chosen = SIDES[most], sector == most
    among = seen[(slice(None), *np.argwhere(cells)[chosen].T)].sum(axis=1)
    order = np.argsort(-among, kind="stable")[:NAMED]
    fraction = round(float(cells.sum() / shown.sum()), 4)
    return Ground(fraction, side, tuple(names[i] for i in order if among[i]))
