"""The map of a scene, against pyproj's own ways and the places of real control."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.lib.core.console import UserError
from scripts.lib.core.geo import enu_from_geodetic, utm_epsg
from scripts.lib.geo.map_frame import map_frame
from tests.unit.geo.places import placed, unplaced

PLACES = {
    "Duluth": (46.84266, -91.994, 149.3),
    "Cape Town": (-33.9249, 18.4241, 40.0),
    "Fiji, east of the antimeridian": (-16.8, -179.9999, 10.0),
    "Fiji, west of the antimeridian": (-16.8, 179.9999, 10.0),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_points_land_where_pyproj_has_them(place: tuple[float, float, float]) -> None:
    """Points up to 300 m away, given as degrees, are in the scene's UTM zone to a tenth of a millimetre,
    on whichever side of the equator and of longitude 180 they lie."""
    from pyproj import Transformer

    rng = np.random.default_rng(1)
    degrees = np.array(place) + rng.uniform(-1, 1, (20, 3)) * [2.7e-3, 2.7e-3, 50]
    points = enu_from_geodetic([tuple(row) for row in degrees], place)
    frame = map_frame(placed(*place))
    found = frame.project(points)
    assert frame.epsg == utm_epsg(*place[:2])[0]
    assert (frame.epsg >= 32700) == (place[0] < 0)
    direct = Transformer.from_crs("EPSG:4326", f"EPSG:{frame.epsg}", always_xy=True)
    expected = np.array(direct.transform(degrees[:, 1], degrees[:, 0]))
    np.testing.assert_allclose(found[:, :2].T, expected, atol=1e-4)
    np.testing.assert_allclose(found[:, 2], degrees[:, 2], atol=1e-4)
    np.testing.assert_allclose(frame.unproject(found), points, atol=1e-4)


def test_the_turn_is_that_of_the_map() -> None:
    """Away from a zone's middle, grid north is not north: the turn is the convergence, the scale its own."""
    frame = map_frame(placed(*PLACES["Duluth"]))
    turn = frame.turn_at(np.zeros(3))
    from pyproj import Proj

    factors = Proj("EPSG:32615").get_factors(PLACES["Duluth"][1], PLACES["Duluth"][0])
    # The direction of true north on the grid, counted clockwise from grid north.
    angle = np.degrees(np.arctan2(turn[0, 1], turn[1, 1]))
    assert abs(angle) > 0.5
    assert angle == pytest.approx(-factors.meridian_convergence, abs=1e-3)
    above_sea = 1 - PLACES["Duluth"][2] / 6.37e6  # a metre up there is shorter on the ellipsoid
    scale = factors.meridional_scale * above_sea
    assert np.linalg.norm(turn[:2, 0]) == pytest.approx(scale, abs=2e-6)
    assert turn[2] == pytest.approx([0, 0, 1], abs=1e-5)


def test_feet() -> None:
    """Minnesota North in US survey feet: distances and heights are in feet, and the file says so."""
    frame = map_frame(placed(*PLACES["Duluth"]), "EPSG:26849")
    metric = map_frame(placed(*PLACES["Duluth"]), "EPSG:26991")
    assert frame.unit == "US survey foot"
    feet = np.diff(frame.project(np.array([[0.0, 0, 0], [30.0, 0, 3.0]])), axis=0)[0]
    metres = np.diff(metric.project(np.array([[0.0, 0, 0], [30.0, 0, 3.0]])), axis=0)[0]
    np.testing.assert_allclose(feet, metres * 3937 / 1200, rtol=1e-6)
    assert feet[2] == pytest.approx(3 * 3937 / 1200, abs=1e-3)
    assert any("US survey foot" in note for note in frame.notes)
    assert frame.metres(1.0) == pytest.approx(3937 / 1200)


def test_a_compound_system_gives_its_map() -> None:
    """Heights are not changed to another datum, and that is said."""
    frame = map_frame(placed(*PLACES["Duluth"]), "EPSG:26915+5703")
    assert frame.epsg == 26915
    assert any("not changed" in note for note in frame.notes)


@pytest.mark.parametrize(
    ("crs", "told"),
    [
        ("EPSG:4326", "not a map projection"),
        ("EPSG:999999", "no coordinate system"),
        ("pudding", "no coordinate system"),
        ("EPSG:27700", "not made for the place"),  # Britain
        ("EPSG:3857", "not made for the place"),  # a metre is 1.46 long there
    ],
)
def test_systems_that_cannot_be(crs: str, told: str) -> None:
    """One sentence that names the system and one that can be."""
    with pytest.raises(UserError, match=told) as error:
        map_frame(placed(*PLACES["Duluth"]), crs)
    assert crs in str(error.value) and "EPSG:32615" in str(error.value)


def test_without_georeference() -> None:
    """The scene's own frame, and what it is not; a map for it is refused."""
    frame = map_frame(unplaced())
    assert frame.wkt is None and frame.unit_m is None
    assert "no known length" in frame.notes[0]
    np.testing.assert_array_equal(frame.project(np.ones((2, 3))), np.ones((2, 3)))
    assert map_frame(unplaced("metres")).unit == "metre"
    with pytest.raises(UserError, match="not georeferenced .no photo has GPS."):
        map_frame(unplaced(), "EPSG:25832")
