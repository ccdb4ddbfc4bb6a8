"""Where a scene lies on the globe: by its georeference, or at a point that the sheet states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.georeferencing import georeferencing
from scripts.lib.core.console import UserError
from scripts.lib.core.geo import Sim3
from scripts.lib.core.options import Options, option
from scripts.lib.core.place import Place, parse_place

ENU = "east, north, up"


SEMI_MAJOR = 6_378_137.0  # metres, of the ellipsoid of WGS84
FLATTENING = 1 / 298.257223563
ECCENTRICITY_2 = FLATTENING * (2 - FLATTENING)  # squared


def earth_from_local(place: Place) -> npt.NDArray[np.float64]:
    """4 x 4, from metres east, north, up of a place to Earth-centred ones (EPSG:4978).

    On poles, east is where the longitude says.
    """
    lat, lon = np.radians([place.latitude, place.longitude])
    east = [-np.sin(lon), np.cos(lon), 0.0]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    up = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([east, north, up], axis=1)
    # The radius of curvature east-west; along the axis the ellipsoid is flatter.
    across = SEMI_MAJOR / np.sqrt(1 - ECCENTRICITY_2 * np.sin(lat) ** 2)
    flat = np.array([across, across, across * (1 - ECCENTRICITY_2)])
    matrix[:3, 3] = (flat + place.height) * up
    return matrix


@dataclass(frozen=True)
class PlaceOptions(Options):
    """Where on the globe, and how high."""

    place: str = option(
        "",
        """Put the scene's origin at this point instead of where GPS or surveyed points say: latitude,
        longitude (degrees, WGS84), height above the ellipsoid (metres). Whoever gets the file learns it.""",
    )
    heading: float = option(
        0.0,
        "With place: clockwise angle from north to the scene's Y axis.",
        -360,
        360,
        unit="degrees",
    )
    scale: float = option(
        1.0,
        "With place: metres of one unit of the scene, if it has no metres of its own.",
        most=1e6,
        above=0,
    )
    geoid_height: float = option(
        0.0,
        """Height of the geoid above the ellipsoid at the place, which is added to heights that were measured
        from sea level, as most cameras do. 0: heights are from the ellipsoid.""",
        -150,
        150,
        unit="metres",
    )


@dataclass(frozen=True)
class Placement:
    """How the scene comes to the Earth: first `local_from_scene`, then `earth_from_local`."""

    earth_from_local: npt.NDArray[np.float64]  # 4 x 4, metres east, north, up to EPSG:4978
    local_from_scene: Sim3
    frame: str  # in words
    notes: tuple[str, ...]


def placement(georef: Georef, options: PlaceOptions, may_tell: bool) -> Placement:
    """Where the scene lies. `may_tell`: files may say where on the Earth the photos were taken.

    Raises UserError when it is not known where, or must not be told, and no place is stated.
    """
    stated = parse_place(options.place)
    if stated is not None:
        turn = Rotation.from_euler("z", -options.heading, degrees=True).as_matrix()
        scale = 1.0 if georef.georeferenced else options.scale
        notes: tuple[str, ...] = ("It lies where the sheet says, not where it was measured.",)
        if not georef.georeferenced and options.scale == 1.0:
            notes += ("The scene has no metres of its own: one unit is shown as one metre.",)
        sim3 = Sim3(scale, turn, np.zeros(3))
        return Placement(
            earth_from_local(stated), sim3, "ECEF (EPSG:4978), at a stated point", notes
        )
    if not may_tell:
        raise UserError(
            "these files say where on the Earth the scene is; set bundle_web.coordinates to true,"
            " or place to a point of your choice"
        )
    if not georef.georeferenced or georef.origin is None:
        raise UserError(
            f"the scene is not georeferenced ({georef.reason}); give photos with GPS or surveyed points, or"
            " set place to a point where it should lie"
        )
    if georef.frame != ENU:
        raise UserError(
            f"the axes of the scene are {georef.frame!r}, not {ENU!r}; run map_scene again"
        )
    origin = georef.origin
    height = origin.altitude + options.geoid_height
    place = Place(origin.latitude, origin.longitude, height)
    found = georeferencing(georef)
    how = f", {found.words}" if found else ""
    said = (
        f"Heights are those of the photos or the survey, plus {options.geoid_height:g} m to the ellipsoid."
        if options.geoid_height
        else "Heights count from the ellipsoid; if yours are from sea level, set geoid_height."
    )
    return Placement(
        earth_from_local(place),
        Sim3(1.0, np.eye(3), np.zeros(3)),
        f"ECEF (EPSG:4978){how}",
        (said,),
    )
