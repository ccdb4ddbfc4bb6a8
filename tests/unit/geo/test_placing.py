"""Where tiles lie: by the georeference, at a stated point, or refused in one sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from scripts.lib.contracts.georef import Georef, Origin
from scripts.lib.core.console import UserError
from scripts.lib.core.geo import enu_from_geodetic
from scripts.lib.core.place import Place
from scripts.lib.geo.placing import PlaceOptions, earth_from_local, placement

TO_EARTH = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
HERE = Georef(
    georeferenced=True, reason="GPS", scale=1.0, world_from_sfm=EYE, frame="east, north, up",
    units="metres", origin=Origin(-33.9, 151.2, 20.0), rmse_horizontal_m=0.4,
)  # fmt: skip
NOWHERE = Georef(georeferenced=False, reason="no photo has GPS", scale=1.0, world_from_sfm=EYE)


def test_by_the_georeference_with_the_heights_said() -> None:
    found = placement(HERE, PlaceOptions(), True)
    np.testing.assert_allclose(found.earth_from_local, earth_from_local(Place(-33.9, 151.2, 20.0)))
    assert (
        "by GPS to 0.40 m" in found.frame and "Heights count from the ellipsoid" in found.notes[0]
    )
    raised = placement(HERE, PlaceOptions(geoid_height=22.5), True)
    np.testing.assert_allclose(raised.earth_from_local, earth_from_local(Place(-33.9, 151.2, 42.5)))
    assert "plus 22.5 m" in raised.notes[0]


def test_at_a_stated_point_turned_and_scaled() -> None:
    options = PlaceOptions(place="10, 20, 30", heading=90.0, scale=2.0)
    found = placement(NOWHERE, options, False)
    np.testing.assert_allclose(found.earth_from_local, earth_from_local(Place(10, 20, 30)))
    # The scene's Y axis points east.
    np.testing.assert_allclose(found.local_from_scene.apply([[0, 1, 0]]), [[2, 0, 0]], atol=1e-12)
    assert "at a stated point" in found.frame


def test_a_stated_point_keeps_the_metres_of_a_georeferenced_scene() -> None:
    found = placement(HERE, PlaceOptions(place="10, 20, 30", scale=2.0), False)
    assert found.local_from_scene.scale == 1.0


def test_refused_in_one_sentence() -> None:
    with pytest.raises(UserError, match="not georeferenced .no photo has GPS.; .*set place"):
        placement(NOWHERE, PlaceOptions(), True)
    with pytest.raises(UserError, match="set bundle_web.coordinates to true"):
        placement(HERE, PlaceOptions(), False)
    with pytest.raises(UserError, match="'Z up', not 'east, north, up'"):
        placement(replace(HERE, frame="Z up"), PlaceOptions(), True)


@settings(max_examples=60, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-500, 9000))
def test_the_origin_is_where_proj_puts_it(latitude: float, longitude: float, height: float) -> None:
    found = earth_from_local(Place(latitude, longitude, height))
    wanted = TO_EARTH.transform(longitude, latitude, height)
    np.testing.assert_allclose(found[:3, 3], wanted, atol=1e-6)
    np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(found[:3, :3]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [(46.8, 8.2), (-33.9, 151.2), (64.1, 179.9999), (-16.8, -179.9999), (0, 0)],
)
def test_east_north_and_up_are_those_of_the_georeference(latitude: float, longitude: float) -> None:
    """On both halves of the globe and on both sides of the antimeridian, across which a scene may reach."""
    place = Place(latitude, longitude, 30.0)
    near = [(latitude + dy, (longitude + dx + 180) % 360 - 180, 30 + h) for dx, dy, h in
            ((2e-4, 0, 0), (0, 3e-4, 0), (-2e-4, -1e-4, 12))]  # fmt: skip
    local = enu_from_geodetic(near, (latitude, longitude, 30.0))
    matrix = earth_from_local(place)
    found = local @ matrix[:3, :3].T + matrix[:3, 3]
    wanted = [TO_EARTH.transform(lon, lat, height) for lat, lon, height in near]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
