"""Cloud-optimised GeoTIFF, written tile by tile: memory does not grow with the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.core.files import replacing, scratch_folder
from scripts.lib.geo.map_frame import MapFrame
from scripts.lib.render.tile import Tile

BLOCK = 512  # pixels of a tile's side, which is also that of the file's own blocks


@dataclass(frozen=True)
class Grid:
    """The pixels of a map: corner on the upper left, `step` the side of a pixel, in map units."""

    east: float
    north: float
    step: float
    width: int
    height: int

    def tiles(self) -> Iterator[tuple[int, int, Tile]]:
        """Column and row of the upper left pixel of each tile, and the tile."""
        for row in range(0, self.height, BLOCK):
            for column in range(0, self.width, BLOCK):
                yield (
                    column,
                    row,
                    Tile(
                        self.east + column * self.step,
                        self.north - row * self.step,
                        self.step,
                        min(BLOCK, self.width - column),
                        min(BLOCK, self.height - row),
                    ),
                )


class Raster:
    """A GeoTIFF that is being written; see `writing`."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def put(
        self,
        column: int,
        row: int,
        bands: npt.NDArray[Any],
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Write a tile (bands, H, W) at its upper left pixel, and which of its pixels (H, W) count."""
        from rasterio.windows import Window

        window = Window(column, row, bands.shape[2], bands.shape[1])
        self._dataset.write(bands, window=window)
        if mask is not None:
            self._dataset.write_mask(mask, window=window)


@contextmanager
def writing(
    path: Path,
    grid: Grid,
    frame: MapFrame,
    bands: Sequence[str],
    dtype: str,
    *,
    nodata: float | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Raster]:
    """A cloud-optimised GeoTIFF at `path` with overviews, there when the block ends without an error.

    Tiles are first written to a plain GeoTIFF beside it. uint8 bands called red, green and blue are a colour
    picture. `nodata` is the value of pixels that have none; without it, masks may be put. Format: OGC 21-026,
    Cloud Optimized GeoTIFF.
    """
    import rasterio
    import rasterio.shutil
    from rasterio.enums import ColorInterp
    from rasterio.transform import from_origin

    colour = tuple(bands) == ("red", "green", "blue")
    with (
        scratch_folder(path.parent, path.name) as folder,
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_NUM_THREADS="ALL_CPUS", GDAL_CACHEMAX=128),
    ):
        plain = folder / "plain.tif"
        with rasterio.open(
            plain,
            "w",
            driver="GTiff",
            width=grid.width,
            height=grid.height,
            count=len(bands),
            dtype=dtype,
            crs=frame.wkt,
            transform=from_origin(grid.east, grid.north, grid.step, grid.step),
            nodata=nodata,
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            compress="deflate",
            predictor=2 if dtype == "uint8" else 3,
            photometric="RGB" if colour else "MINISBLACK",
            bigtiff="IF_SAFER",
        ) as dataset:
            if colour:
                dataset.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
            for number, name in enumerate(bands, 1):
                dataset.set_band_description(number, name)
                if dtype != "uint8" and frame.wkt:
                    dataset.set_band_unit(number, "")
            dataset.update_tags(AREA_OR_POINT="Area", **(tags or {}))
            yield Raster(dataset)
        with replacing(path) as temporary:
            rasterio.shutil.copy(
                plain,
                temporary,
                driver="COG",
                compress="DEFLATE",
                predictor="YES",
                blocksize=BLOCK,
                overview_resampling="AVERAGE",
                bigtiff="IF_SAFER",
            )


def reread(path: Path, grid: Grid, frame: MapFrame) -> str:
    """A sentence on what GDAL finds in a file. Raises RuntimeError when that was not written."""
    import rasterio
    from rasterio.crs import CRS

    with rasterio.open(path) as file:
        where = file.transform
        found = (file.width, file.height, where.a, where.c, where.f)
        wanted = (grid.width, grid.height, grid.step, grid.east, grid.north)
        same = np.allclose(found, wanted, rtol=1e-12)
        crs = CRS.from_wkt(frame.wkt) if frame.wkt else None
        if not same or file.crs != crs or file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") != "COG":
            raise RuntimeError(f"{path} reads back as {found} in {file.crs}, and was {wanted}")
        for _, window in file.block_windows(1):
            file.read(window=window)
        version = rasterio.__gdal_version__
    return f"read back by GDAL {version}: every block, size, place and coordinate system as written"
