"""A point cloud of a splat's surfaces, as its photos see them, in LAS 1.4 or LAZ. Needs torch.

Each photo's view is rendered with depths. A pixel becomes a point where the view is opaque, where what it
shows lies at one depth, and where enough photos saw that. Points closer to an earlier one than the spacing
are left out. Photo by photo, points go to the file, so memory holds one view and the cells that are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.core.console import UserError
from scripts.lib.core.files import replacing
from scripts.lib.geo.map_frame import MapFrame
from scripts.lib.geo.seen import Cameras
from scripts.lib.geo.surface import BLURRED, ENOUGH
from scripts.lib.render.renderer import Renderer
from scripts.lib.splat.gaussians import Gaussians

Float = npt.NDArray[np.float64]
# Pixels' width along the ray within which the depths of a pixel are one surface. On the sample, 3, 6 and 10
# give 68, 229 and 444 thousand points that are off by 2.7, 3.9 and 5.5 cm (median); a pixel is 4.4 cm.
ONE_DEPTH = 6.0
OPAQUE = 0.8  # alpha from which a pixel shows a surface; the rest shows what lies behind it
BEYOND = 1.25  # times its reach: what is farther away for a photo counts as being there
RESOLUTION = 0.001  # metres of a step of the file's whole numbers
REACH_CELLS = 2**20  # cells on each side of the middle that a cell's number has room for
EXTRA = "confidence"
MEANING = "0..1: opacity, photos, sharpness"  # a file has 32 characters for it


@dataclass(frozen=True)
class Points:
    """P points on the map: place (P, 3), colour (P, 3) in 0..1, confidence (P,) in 0..1."""

    place: Float
    colour: Float
    confidence: Float

    def take(self, index: npt.NDArray[np.generic]) -> Points:
        """The points at `index`, in that order."""
        return Points(self.place[index], self.colour[index], self.confidence[index])


@dataclass(frozen=True)
class Cloud:
    """What was written: how many points, between which corners of the map, and their mean confidence."""

    count: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    confidence: float


def surface_points(
    gaussians: Gaussians,
    cameras: Cameras,
    photos_of: npt.NDArray[np.int64],
    fewest: int,
    device: str = "cpu",
) -> Iterator[Points]:
    """Points in the scene's own frame, a photo at a time, of surfaces that `fewest` photos saw.

    photos_of (N,): how many saw each Gaussian.
    """
    scene, renderer = cameras.scene, Renderer(gaussians, device)
    for index, reach in zip(cameras.indices, cameras.reach, strict=True):
        pose, K, size = scene.world_to_camera[index], scene.K[index], scene.sizes[index]
        farthest = BEYOND * reach
        near = np.clip((gaussians.means @ pose[2, :3] + pose[2, 3]) / farthest, 0, 1)
        values = np.stack([near, near**2, photos_of], axis=1)
        blend, alpha = renderer.blend(values, pose, K, size)
        mean, square, photos = (blend / np.maximum(alpha, 1e-6)[..., None]).transpose(2, 0, 1)
        depth = mean * farthest
        spread = np.sqrt(np.maximum(square - mean**2, 0)) * farthest
        good = (alpha >= OPAQUE) & (photos >= fewest - 0.5) & (depth > 0) & (depth <= reach)
        blurred = spread / np.maximum(depth / K[0, 0], 1e-12)  # pixels
        good &= blurred <= ONE_DEPTH
        rows, columns = np.nonzero(good)
        pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
        local = (np.linalg.inv(K) @ pixels * depth[good]).T
        # The picture is over black.
        picture = renderer.picture(pose, K, size)[good] / alpha[good][:, None]
        yield Points(
            (local - pose[:3, 3]) @ pose[:3, :3],
            np.minimum(picture, 1),
            (np.minimum(alpha, 1) * np.minimum(photos / ENOUGH, 1) / (1 + blurred / BLURRED))[good],
        )


class Thinner:
    """Leaves one point in a cubic cell of a side of `spacing`, over all points that it was ever given."""

    def __init__(self, spacing: float, middle: Float) -> None:
        self.spacing, self.middle = spacing, middle
        self.taken = np.zeros(0, np.int64)

    def first(self, place: Float) -> npt.NDArray[np.int64]:
        """Which of the points (P, 3) are the first in their cell; those too far for a number are left out."""
        cells = np.floor((place - self.middle) / self.spacing)
        inside = np.flatnonzero((np.abs(cells) < REACH_CELLS).all(axis=1))
        x, y, z = cells[inside].astype(np.int64).T + REACH_CELLS
        keys, index = np.unique((x << 42) | (y << 21) | z, return_index=True)
        at = np.searchsorted(self.taken, keys)
        known = np.zeros(len(keys), bool)
        if len(self.taken):
            known = self.taken[np.minimum(at, len(self.taken) - 1)] == keys
        self.taken = np.insert(self.taken, at[~known], keys[~known])
        found: npt.NDArray[np.int64] = np.sort(inside[index[~known]])
        return found


def write_points(
    path: Path,
    chunks: Iterator[Points],
    frame: MapFrame,
    spacing: float,
    middle: Float,
    told: Callable[[int, str], None] = lambda done, note: None,
) -> Cloud:
    """Write points of the scene's frame as LAS 1.4, compressed if `path` ends with .laz, streamed.

    `spacing` in map units; `middle` (3,), of the map, is where whole numbers count from. Point format 7 with
    16 bit colour and the extra dimension `confidence`; nothing is classified. `told` gets how many
    chunks are done, and the points so far in words.
    Format: ASPRS LAS 1.4 R15. Raises UserError when there is no point.
    """
    import laspy

    thinner, count, weight = Thinner(spacing, middle), 0, 0.0
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    with replacing(path) as temporary:
        header = _header(frame, middle)
        compress = path.suffix.lower() == ".laz"
        with (
            open(temporary, "wb") as stream,
            laspy.open(
                stream, mode="w", header=header, do_compress=compress, closefd=False
            ) as writer,
        ):
            for number, points in enumerate(chunks, 1):
                placed = Points(frame.project(points.place), points.colour, points.confidence)
                some = placed.take(thinner.first(placed.place))
                if not len(some.place):
                    continue
                writer.write_points(_record(header, some))
                count += len(some.place)
                weight += float(some.confidence.sum())
                low, high = np.minimum(low, some.place.min(0)), np.maximum(high, some.place.max(0))
                told(number, f"{count} points")
        if not count:
            raise UserError(
                "no surface was seen closely enough by enough photos, so there are no points to write; set"
                " export_points.min_photos lower, or train with more photos"
            )
    return Cloud(count, tuple(low.tolist()), tuple(high.tolist()), weight / count)


def _header(frame: MapFrame, middle: Float) -> Any:
    """A header of LAS 1.4 for points around `middle`."""
    import laspy
    from laspy.vlrs.known import WktCoordinateSystemVlr

    header = laspy.LasHeader(point_format=7, version="1.4")
    header.offsets = np.floor(middle)
    header.scales = np.full(3, frame.metres(RESOLUTION) if frame.unit_m else RESOLUTION)
    header.generating_software = "splatmake"
    header.system_identifier = "EXTRACTION"  # of the format's list: made from other data
    header.add_extra_dim(laspy.ExtraBytesParams(EXTRA, np.float32, description=MEANING))
    if frame.wkt:
        header.vlrs.append(WktCoordinateSystemVlr(frame.wkt))
    header.global_encoding.wkt = True  # the format asks for it from point format 6 on
    return header


def _record(header: Any, points: Points) -> Any:
    """The points as the file holds them."""
    import laspy

    record = laspy.ScaleAwarePointRecord.zeros(len(points.place), header=header)
    record.x, record.y, record.z = points.place.T
    for number, name in enumerate(("red", "green", "blue")):
        record[name] = np.rint(points.colour[:, number] * 65535).astype(np.uint16)
    record[EXTRA] = points.confidence.astype(np.float32)
    record["return_number"] = record["number_of_returns"] = np.ones(len(points.place), np.uint8)
    return record


def reread(path: Path, cloud: Cloud, frame: MapFrame) -> str:
    """A sentence on what laspy finds in a file. Raises RuntimeError when that was not written."""
    import laspy

    count, low, high = 0, np.full(3, np.inf), np.full(3, -np.inf)
    with laspy.open(path) as file:
        step = file.header.scales
        for chunk in file.chunk_iterator(1_000_000):
            xyz = np.stack([np.asarray(chunk[axis]) for axis in "xyz"], axis=1)
            count += len(xyz)
            low, high = np.minimum(low, xyz.min(0)), np.maximum(high, xyz.max(0))
    if (
        count != cloud.count
        or (np.abs(low - cloud.low) > step).any()
        or (np.abs(high - cloud.high) > step).any()
    ):
        raise RuntimeError(f"{path} reads back as {count} points, and {cloud.count} were written")
    return f"read back by laspy {laspy.__version__}: every point, within {step[0]:.4g} {frame.unit}"
