"""Where tiles lie: by the georeference, at a stated point, or refused in one sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scripts.lib.contracts.georef import Georef, Origin
from scripts.lib.core.console import UserError
from scripts.lib.core.place import Place
from scripts.lib.geo.placing import PlaceOptions, placement

EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
HERE = Georef(
    georeferenced=True, reason="GPS", scale=1.0, world_from_sfm=EYE, frame="east, north, up",
    units="metres", origin=Origin(-33.9, 151.2, 20.0), rmse_horizontal_m=0.4,
)  # fmt: skip
NOWHERE = Georef(georeferenced=False, reason="no photo has GPS", scale=1.0, world_from_sfm=EYE)


def test_by_the_georeference_with_the_heights_said() -> None:
    found = placement(HERE, PlaceOptions(), True)
    np.testing.assert_allclose(found.earth_from_local, Place(-33.9, 151.2, 20.0).earth_from_local())
    assert (
        "by GPS to 0.40 m" in found.frame and "Heights count from the ellipsoid" in found.notes[0]
    )
    raised = placement(HERE, PlaceOptions(geoid_height=22.5), True)
    np.testing.assert_allclose(
        raised.earth_from_local, Place(-33.9, 151.2, 42.5).earth_from_local()
    )
    assert "plus 22.5 m" in raised.notes[0]


def test_at_a_stated_point_turned_and_scaled() -> None:
    options = PlaceOptions(place="10, 20, 30", heading=90.0, scale=2.0)
    found = placement(NOWHERE, options, False)
    np.testing.assert_allclose(found.earth_from_local, Place(10, 20, 30).earth_from_local())
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
