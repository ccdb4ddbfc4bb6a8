"""A point cloud of a made place, on its surfaces, read back by laspy and by the format's own bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from scripts.lib.core.console import UserError
from scripts.lib.geo.map_frame import map_frame
from scripts.lib.geo.points import Cloud, Points, Thinner, surface_points, write_points
from scripts.lib.geo.seen import cameras_of, photos_of
from tests.unit.geo.places import ROOF, colour_at, height_at, placed, scene, splat, unplaced

FIJI = (-16.8, 179.9999, 10.0)  # metres from the antimeridian
SPACING = 0.12


def made(path: Path, fewest: int = 3, crs: str = "") -> Cloud:
    """The place's cloud in a file."""
    gaussians, cameras = splat(), cameras_of(scene(), range(5))
    frame = map_frame(placed(*FIJI), crs)
    chunks = surface_points(gaussians, cameras, photos_of(gaussians, cameras), fewest)
    middle = frame.project(np.zeros((1, 3)))[0]
    return write_points(path, chunks, frame, frame.metres(SPACING), middle)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cloud]:
    """The place's cloud, compressed."""
    path = tmp_path_factory.mktemp("points") / "points.laz"
    return path, made(path)


def test_points_lie_on_the_surfaces(cloud: tuple[Path, Cloud]) -> None:
    """Within 2 cm of ground or roof (a pixel is 12 cm), in the right colour, and both are covered."""
    import laspy

    path, told = cloud
    las = laspy.read(path)
    assert las.header.point_count == told.count > 5000
    local = map_frame(placed(*FIJI)).unproject(np.asarray(las.xyz))
    away = np.minimum(np.abs(local[:, 0]), np.abs(local[:, 1])) > 0.3
    error = np.abs(local[:, 2] - height_at(local[:, 0], local[:, 1]))
    assert error[away].max() < 0.02
    assert 0.1 < (local[:, 2] > ROOF / 2).mean() < 0.4
    rgb = np.stack([las.red, las.green, las.blue], axis=1) / 65535
    assert np.abs(rgb - colour_at(local[:, 0], local[:, 1]))[away].max() < 0.02
    assert told.count < 1.6 * (2 * 5.76 / SPACING) ** 2


def test_the_file_is_las_1_4(cloud: tuple[Path, Cloud]) -> None:
    """By its bytes: version, point format, WKT bit, and no class for any point."""
    import laspy

    path, told = cloud
    head = path.read_bytes()[:375]
    assert head[:4] == b"LASF"
    assert tuple(head[24:26]) == (1, 4)
    assert head[104] & 0x7F == 7  # the highest bit says that it is compressed
    assert head[104] & 0x80
    assert struct.unpack_from("<H", head, 6)[0] & 0b10000
    assert struct.unpack_from("<Q", head, 247)[0] == told.count
    las = laspy.read(path)
    assert las.header.parse_crs().to_epsg() == 32760
    assert not np.asarray(las.classification).any()
    confidence = las["confidence"]
    assert confidence.dtype == np.float32
    # At least 0.8 opaque, almost three photos of eight, and six pixels of spread against ten.
    assert 0.8 * 2.5 / 8 / 1.6 < confidence.min() <= confidence.max() <= 1
    (extra,) = las.point_format.extra_dimensions
    assert extra.description == "0..1: opacity, photos, sharpness"
    np.testing.assert_allclose(las.header.mins, told.low, atol=1e-3)
    np.testing.assert_allclose(las.header.maxs, told.high, atol=1e-3)


def test_without_compression_on_another_map(tmp_path: Path) -> None:
    """Plain LAS on a map that the user names; one of another continent is refused."""
    import laspy

    with pytest.raises(UserError, match="not made for the place"):
        made(tmp_path / "points.las", crs="EPSG:2225")  # California, feet
    told = made(tmp_path / "points.las", crs="EPSG:3460")  # Fiji 1986, metres
    las = laspy.read(tmp_path / "points.las")
    assert las.header.point_count == told.count
    assert las.header.parse_crs().to_epsg() == 3460


def test_nothing_seen_is_an_error(tmp_path: Path) -> None:
    """One sentence with the option, and no file."""
    with pytest.raises(UserError, match=r"export_points\.min_photos"):
        made(tmp_path / "points.laz", fewest=9)
    assert list(tmp_path.iterdir()) == []


def test_thinning_remembers() -> None:
    """A cell is taken once, in one call or over several, on both sides of the middle."""
    rng = np.random.default_rng(2)
    place = rng.uniform(-3, 3, (5000, 3)) + 1000
    thinner = Thinner(0.5, np.full(3, 1000.0))
    kept = np.concatenate([part[thinner.first(part)] for part in np.split(place, 10)])
    cells = np.floor((place - 1000) / 0.5)
    assert len(kept) == len(np.unique(cells, axis=0))
    np.testing.assert_array_equal(
        np.unique(np.floor((kept - 1000) / 0.5), axis=0), np.unique(cells, axis=0)
    )
    assert len(thinner.first(np.full((1, 3), 1e9))) == 0


def test_no_point_in_some_photo(tmp_path: Path) -> None:
    """A photo that gives no point is passed over."""
    empty = Points(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))
    one = Points(np.ones((1, 3)), np.ones((1, 3)), np.ones(1))
    frame = map_frame(unplaced())
    told = write_points(tmp_path / "a.laz", iter([empty, one, empty]), frame, 1.0, np.zeros(3))
    assert (told.count, told.confidence) == (1, 1.0)
