"""Stated places: what is read, what is refused, and the frame on the ellipsoid there, against PROJ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from scripts.lib.core.console import UserError
from scripts.lib.core.geo import enu_from_geodetic
from scripts.lib.core.place import Place, parse_place

TO_EARTH = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


@settings(max_examples=60, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-500, 9000))
def test_the_origin_is_where_proj_puts_it(latitude: float, longitude: float, height: float) -> None:
    found = Place(latitude, longitude, height).earth_from_local()
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
    matrix = place.earth_from_local()
    found = local @ matrix[:3, :3].T + matrix[:3, 3]
    wanted = [TO_EARTH.transform(lon, lat, height) for lat, lon, height in near]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_what_is_read() -> None:
    assert parse_place(" ") is None
    assert parse_place("-33.8568, 151.2153, 25") == Place(-33.8568, 151.2153, 25)
    assert parse_place("10 190 0") == Place(10, -170, 0)


@pytest.mark.parametrize("text", ["here", "1, 2", "91, 0, 0", "1, 2, 3, 4", "1, 400, 0", "1,2,nan"])
def test_what_is_no_place_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="give latitude, longitude"):
        parse_place(text)
