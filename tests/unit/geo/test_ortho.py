"""Orthophoto, elevation and trust of a made place, read back without the library that wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.lib.core.console import UserError
from scripts.lib.geo import raster
from scripts.lib.geo.map_frame import MapFrame, map_frame
from scripts.lib.geo.ortho import Drawn, colours_from_above, draw, grid_of, on_map
from scripts.lib.geo.seen import cameras_of, photos_of
from tests.unit.geo.places import HALF, ROOF, colour_at, height_at, placed, scene, splat, unplaced

STEP = 0.06
CAPE_TOWN = (-33.9249, 18.4241, 40.0)


def made(folder: Path, frame: MapFrame, fewest: int = 3) -> Drawn:
    """The three files of the place."""
    gaussians, cameras = splat(), cameras_of(scene(), range(5))
    found = photos_of(gaussians, cameras)
    discs = on_map(gaussians, frame)
    grid = grid_of(discs, found, fewest, frame.metres(STEP), 16384)
    files = tuple(folder / f"{name}.tif" for name in ("ortho", "dsm", "trust"))
    colours = colours_from_above(gaussians)
    return draw(discs, colours, found, cameras, grid, frame, fewest, files)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Drawn]:
    """In the scene's own frame, where the truth is simplest, in several tiles of 64 pixels."""
    folder = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raster, "BLOCK", 64)
        return folder, made(folder, map_frame(unplaced("metres")))


def pixels(path: Path, drawn: Drawn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture as Pillow reads it, and the east and north of its pixels' middles in metres."""
    with Image.open(path) as image:
        values = np.asarray(image)
    grid = drawn.grid
    columns, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    return values, grid.east + columns * grid.step, grid.north - rows * grid.step


def test_heights_are_true_up_to_the_edges(local: tuple[Path, Drawn]) -> None:
    """Within a millimetre off the step; and at the step either roof or ground, not the mean of both."""
    folder, drawn = local
    height, east, north = pixels(folder / "dsm.tif", drawn)
    known = height != -9999
    inner = (np.abs(east) < 3.9) & (np.abs(north) < 4.2)  # what three frames show of the roof
    # Beside the roof, it hides the ground from some cameras.
    assert known[inner].mean() > 0.98
    away = np.minimum(np.abs(east), np.abs(north)) > 0.3
    truth = height_at(east, north)
    assert np.abs(height - truth)[known & away].max() < 1e-3
    between = known & inner & (height > 0.1) & (height < ROOF - 0.1)
    assert between.sum() < 0.002 * inner.sum()


def test_the_picture_is_the_place(local: tuple[Path, Drawn]) -> None:
    """North is up, east is to the right, and colours are those of the ground within two of 255."""
    folder, drawn = local
    rgb, east, north = pixels(folder / "ortho.tif", drawn)
    away = (
        (np.minimum(np.abs(east), np.abs(north)) > 0.3) & (np.abs(east) < 5) & (np.abs(north) < 5)
    )
    assert np.abs(rgb - colour_at(east, north) * 255)[away].max() < 2.5


def test_what_few_photos_saw_is_not_trusted(local: tuple[Path, Drawn]) -> None:
    """East of what three frames cover there is no height; the photos are counted there all the same."""
    import rasterio

    folder, drawn = local
    with rasterio.open(folder / "trust.tif") as file:
        assert file.descriptions == ("confidence", "photos", "height_spread")
        confidence, photos, spread = file.read()
    with rasterio.open(folder / "ortho.tif") as file:
        mask = file.dataset_mask() > 0
    height, east, north = pixels(folder / "dsm.tif", drawn)
    np.testing.assert_array_equal(mask, height != -9999)
    # Each frame is 5.76 m to both sides of its camera on the ground, 4.32 m on the roof. The cameras are at
    # -1, -1/3, 1/3 and 1.
    ground = np.abs(north + 3) < 1.5
    assert set(np.unique(np.rint(photos[ground & (np.abs(east) < 2)]))) == {4.0}
    assert photos[ground & (east > -4.6) & (east < -4)].min() > 4.5  # the fifth camera too
    assert not mask[ground & (east > 5.5)].any()
    assert mask[ground & (np.abs(east) < 4)].all()
    assert not mask[(north > 1) & (east > 4.7)].any()
    assert confidence[ground & (np.abs(east) < 2)] == pytest.approx(0.5, abs=0.02)
    flat = ground & (np.abs(east) < 2)
    assert spread[flat].max() < 0.01


def test_the_file_says_where_it_lies(tmp_path: Path) -> None:
    """South of the equator, by the TIFF's own tags: pixel size, corner and EPSG code; and it is a COG."""
    import rasterio

    frame = map_frame(placed(*CAPE_TOWN))
    drawn = made(tmp_path, frame)
    with Image.open(tmp_path / "ortho.tif") as image:
        tags = dict(image.tag_v2)
        assert image.size == (drawn.grid.width, drawn.grid.height)
    assert tags[33550][:2] == (STEP, STEP)  # ModelPixelScale
    assert tags[33922][:5] == (0, 0, 0, drawn.grid.east, drawn.grid.north)  # ModelTiepoint
    keys = np.array(tags[34735]).reshape(-1, 4)
    assert 32734 in keys[keys[:, 0] == 3072, 3]  # ProjectedCSTypeGeoKey
    corner = frame.unproject(np.array([[drawn.grid.east, drawn.grid.north, 40.0]]))[0]
    assert np.abs(corner[:2]).max() < HALF + 0.3
    assert drawn.lowest == pytest.approx(CAPE_TOWN[2], abs=2e-3)
    assert drawn.highest == pytest.approx(CAPE_TOWN[2] + ROOF, abs=2e-3)
    for name in ("ortho", "dsm", "trust"):
        with rasterio.open(tmp_path / f"{name}.tif") as file:
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert file.crs.to_epsg() == 32734


def test_overviews_of_a_large_picture(tmp_path: Path) -> None:
    """Each half as large as the one before, down to a single block; masked pixels do not bleed into them."""
    import rasterio

    grid = raster.Grid(0.0, 0.0, 1.0, 1500, 1100)
    frame = map_frame(unplaced())
    path = tmp_path / "large.tif"
    with raster.writing(path, grid, frame, ("height",), "float32", nodata=-9999) as file:
        for column, row, tile in grid.tiles():
            band = np.full((1, tile.height, tile.width), 7.0, np.float32)
            band[0, ::2] = -9999
            file.put(column, row, band)
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2, 4]
        assert file.crs is None
        small = file.read(1, out_shape=(275, 375))
    assert set(np.unique(small)) == {7.0}


def test_the_size_is_bounded() -> None:
    """A side of more than the most pixels makes each pixel larger; nothing seen is an error that says so."""
    discs = on_map(splat(), map_frame(unplaced()))
    photos = np.full(len(discs), 4)
    fine = grid_of(discs, photos, 3, 0.05, 16384)
    assert fine.step == 0.05
    assert max(fine.width, fine.height) == pytest.approx(2 * HALF / 0.05, abs=3)
    coarse = grid_of(discs, photos, 3, 0.05, 100)
    assert max(coarse.width, coarse.height) <= 100
    assert coarse.step == 0.13
    assert abs(coarse.east / coarse.step - round(coarse.east / coarse.step)) < 1e-9
    with pytest.raises(UserError, match="no surface was seen by 5 photos"):
        grid_of(discs, photos, 5, 0.05, 100)


def test_a_failed_file_leaves_nothing(tmp_path: Path) -> None:
    """An error on the way leaves neither half a file nor parts of one."""
    grid, frame = raster.Grid(0.0, 0.0, 1.0, 5, 5), map_frame(unplaced())
    writing = raster.writing(tmp_path / "a.tif", grid, frame, ("height",), "float32")
    with pytest.raises(RuntimeError, match="stop"), writing:
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []
