"""What surveyors open, out of a finished scene: options, files, and what is told of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scripts.lib.contracts.deliver import Delivered, Exported, Fact
from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.georeferencing import georeferencing
from scripts.lib.core.console import Progress
from scripts.lib.core.deliverables import DELIVERABLES
from scripts.lib.core.files import sha256
from scripts.lib.core.options import Options, option
from scripts.lib.geo.map_frame import MapFrame, map_frame

if TYPE_CHECKING:
    import numpy.typing as npt

    from scripts.lib.geo.ortho import Drawn
    from scripts.lib.geo.seen import Cameras
    from scripts.lib.splat.gaussians import Gaussians

CRS = """Coordinate system of the map, such as EPSG:2154, or as WKT. It must be a projected one; heights
    then have its unit, but are not changed to another datum. Empty: the UTM zone (WGS84) of the scene."""
PHOTOS = (
    "How many of the training photos must have seen a surface closely enough for it to be trusted."
)
MAPS = ("ortho", "dsm", "trust")


@dataclass(frozen=True)
class PointsOptions(Options):
    """A point cloud of the surfaces of the splat as LAZ 1.4, with colour and a confidence: opacity,
    times photos / 8 up to 1, halved where depths spread over ten pixels. Points have no class.
    """

    crs: str = option("", CRS)
    spacing: float = option(
        0.0,
        "Distance between points; 0: what a pixel of the training photos usually measures in the scene.",
        0,
        1000,
        unit="m",
    )
    min_photos: int = option(3, PHOTOS, 1, 1000)


@dataclass(frozen=True)
class OrthoOptions(Options):
    """Orthophoto, elevation (DSM) and trust as cloud-optimised GeoTIFF, drawn from the splat straight down.

    What is not trusted is masked in the orthophoto and has no height. trust.tif tells of each pixel:
    confidence (opacity, times photos / 8 up to 1, halved where heights spread over ten pixels), photos that
    saw it, and the spread of its heights (standard deviation).
    """

    crs: str = option("", CRS)
    pixel: float = option(
        0.0,
        """Side of a pixel on the ground; 0: what a pixel of the training photos usually measures in the
        scene.""",
        0,
        1000,
        unit="m",
    )
    max_side: int = option(
        16384,
        "Maximum of the pictures' longer side. A larger area gets larger pixels.",
        64,
        200_000,
        unit="pixels",
    )
    min_photos: int = option(3, PHOTOS, 1, 1000)


@dataclass(frozen=True)
class Survey:
    """A scene ready to be drawn on a map; `pixel` is what a photo's pixel usually measures, map units."""

    gaussians: Gaussians
    cameras: Cameras
    photos: npt.NDArray[np.int64]  # that saw each Gaussian
    frame: MapFrame
    georef: Georef
    pixel: float
    device: str


def prepared(ply: Path, scene: Path, georef: Georef, crs: str, device: str) -> Survey:
    """The splat `ply` without its sky, with what the photos of `scene` that it was trained on saw of it.

    Raises UserError when the map `crs` cannot be, or the splat was trained on other photos.
    """
    from scripts.lib.geo.seen import cameras_of, photos_of, pixel_size
    from scripts.lib.measure.evaluate import Purpose, choose_views
    from scripts.lib.splat.gaussians import read_ply

    frame = map_frame(georef, crs)
    views = choose_views(ply, scene, Purpose.STEER)
    trained = views.split.trained
    gaussians = read_ply(ply)
    if views.sky_from is not None:
        middle = views.scene.centres[trained].mean(axis=0)
        away = np.linalg.norm(gaussians.means - middle, axis=1)
        gaussians = gaussians.take(away < views.sky_from)
    cameras = cameras_of(views.scene, trained)
    pixel = frame.metres(pixel_size(views.scene, trained))
    return Survey(
        gaussians, cameras, photos_of(gaussians, cameras, device), frame, georef, pixel, device
    )


def export_points(survey: Survey, options: PointsOptions, path: Path) -> Exported:
    """Write the point cloud and read it back. Raises UserError when there are no points."""
    from scripts.lib.geo.points import reread, surface_points, write_points

    began, frame = time.monotonic(), survey.frame
    spacing = frame.metres(options.spacing) or survey.pixel
    progress = Progress("export_points", len(survey.cameras.indices))
    middle = frame.project(np.median(survey.gaussians.means.astype(float), axis=0)[None])[0]
    chunks = surface_points(
        survey.gaussians, survey.cameras, survey.photos, options.min_photos, survey.device
    )
    cloud = write_points(path, chunks, frame, spacing, middle, progress.update)
    checked = reread(path, cloud, frame)
    facts: dict[str, Fact] = {
        "points": cloud.count,
        f"spacing_{_unit(frame)}": spacing,
        "mean_confidence": cloud.confidence,
    }
    made = _delivered("points", path, survey, time.monotonic() - began, (checked,), facts)
    return Exported(files=(made,), device=survey.device)


def export_ortho(survey: Survey, options: OrthoOptions, paths: tuple[Path, Path, Path]) -> Exported:
    """Write orthophoto, elevation and trust, and read them back. Raises UserError if nothing is seen."""
    from scripts.lib.geo.ortho import colours_from_above, draw, grid_of, on_map
    from scripts.lib.geo.raster import reread

    began, frame = time.monotonic(), survey.frame
    discs = on_map(survey.gaussians, frame)
    pixel = frame.metres(options.pixel) or survey.pixel
    covered = survey.cameras.covering(survey.gaussians.means.astype(float))
    photos = np.minimum(survey.photos, covered)
    grid = grid_of(discs, photos, options.min_photos, pixel, options.max_side)
    tags = {"HEIGHTS": frame.heights, "UNIT": frame.unit, "ACCURACY": accuracy(survey.georef)}
    drawn = draw(
        discs,
        colours_from_above(survey.gaussians),
        survey.photos,
        survey.cameras,
        grid,
        frame,
        options.min_photos,
        paths,
        survey.device,
        tags,
    )
    seconds = (time.monotonic() - began) / len(paths)
    facts = _facts(drawn, frame)
    made = tuple(
        _delivered(name, path, survey, seconds, (reread(path, grid, frame),), facts)
        for name, path in zip(MAPS, paths, strict=True)
    )
    return Exported(files=made, device=survey.device)


def accuracy(georef: Georef) -> str:
    """How well the scene lies on the Earth, in words, by its check points where it has some."""
    found = georeferencing(georef)
    if found is None:
        return "not georeferenced"
    checked = georef.gcp is not None and georef.gcp.check_rmse_horizontal_m is not None
    return found.words + (" (each surveyed point checked without itself)" if checked else "")


def _facts(drawn: Drawn, frame: MapFrame) -> dict[str, Fact]:
    unit, grid = _unit(frame), drawn.grid
    return {
        "size": f"{grid.width} x {grid.height}",
        f"pixel_{unit}": grid.step,
        f"trusted_area_{unit}2": drawn.trusted_area,
        "trusted_share": drawn.trusted_share,
        f"lowest_{unit}": drawn.lowest,
        f"highest_{unit}": drawn.highest,
        f"height_spread_{unit}": drawn.spread,
    }


def _delivered(
    name: str,
    path: Path,
    survey: Survey,
    seconds: float,
    checked: tuple[str, ...],
    facts: dict[str, Fact],
) -> Delivered:
    frame, found = survey.frame, georeferencing(survey.georef)
    if found is not None:
        facts = facts | {"rmse_horizontal_m": found.horizontal, "rmse_vertical_m": found.vertical}
    told = accuracy(survey.georef)
    return Delivered(
        name=name,
        file=DELIVERABLES[name].file,
        bytes=path.stat().st_size,
        sha256=sha256(path),
        seconds=seconds,
        frame=f"{frame.name}; unit: {frame.unit}",
        placed=frame.wkt is not None,
        checked=checked,
        notes=(*frame.notes, f"Accuracy: {told}."),
        facts=facts,
    )


def _unit(frame: MapFrame) -> str:
    """The map's unit as it ends the name of a number."""
    if frame.unit_m is None:
        return "units"
    return "m" if frame.unit_m == 1 else "ft"


def sentences(made: Exported) -> list[str]:
    """A line for each file, for the log, and what everybody must know once."""
    lines = [f"{file.file}: {file.bytes / 1e6:.2f} MB; {file.frame}" for file in made.files]
    return [*lines, *made.files[0].notes]
