"""From a scene's own axes onto a map: which projection, which units, and what its heights are above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.georef import Georef, Origin
from scripts.lib.core.console import UserError

Float = npt.NDArray[np.float64]
HEIGHTS = (
    "as GPS or the surveyed points gave them; whether above the ellipsoid or a geoid is not known"
)


@dataclass(frozen=True)
class MapFrame:
    """The map on which files lie.

    wkt: of the projection as OGC WKT 1, None for a local frame, which has no place on the Earth; name: in
    words; unit: name of the map's unit, also of its heights; unit_m: metres in it, None where the scene has
    no scale; heights: what they are above, in words; project: the scene's points (N, 3) to east, north,
    height, and unproject: back; notes: sentences for who opens the files.
    """

    wkt: str | None
    epsg: int | None
    name: str
    unit: str
    unit_m: float | None
    heights: str
    project: Callable[[Float], Float]
    unproject: Callable[[Float], Float]
    notes: tuple[str, ...] = ()

    def turn_at(self, point: Float) -> Float:
        """How the scene's axes turn and stretch on the map around `point` (3,): (3, 3), by differences."""
        steps = np.eye(3)
        ends = self.project(np.concatenate([point + steps, point - steps]))
        found: Float = ((ends[:3] - ends[3:]) / 2).T
        return found

    def metres(self, length_m: float) -> float:
        """A length in metres in the map's unit; unchanged where the scene has no scale."""
        return length_m / (self.unit_m or 1.0)


def map_frame(georef: Georef, crs: str = "") -> MapFrame:
    """The map of a scene: `crs` as anybody writes it (EPSG:2154, WKT), or the UTM zone of its place.

    A scene that is not georeferenced stays in its own frame. Raises UserError when it is asked for a map, or
    when `crs` is none that metres or feet can be measured in, or does not reach the scene.
    """
    if not georef.georeferenced or georef.origin is None:
        if crs:
            raise UserError(
                f"the scene is not georeferenced ({georef.reason}), so it cannot be put into {crs};"
                " leave the option crs empty for a local frame, or give photos with GPS or surveyed points"
            )
        return _local(georef)
    return _on_earth(georef, georef.origin, crs)


def _local(georef: Georef) -> MapFrame:
    """The scene's own axes, of which only up is known."""
    metres = georef.units == "metres"
    unit = "metre" if metres else "unknown"
    note = "The scene is not georeferenced: north is not known, and there is no coordinate system."
    if not metres:
        note += " Its unit has no known length."
    return MapFrame(
        wkt=None,
        epsg=None,
        name="local frame, Z up",
        unit=unit,
        unit_m=1.0 if metres else None,
        heights="above the scene's own ground",
        project=lambda points: np.asarray(points, float),
        unproject=lambda points: np.asarray(points, float),
        notes=(note,),
    )


def _on_earth(georef: Georef, origin: Origin, crs: str) -> MapFrame:
    """East, north, up at the origin, onto the map `crs`."""
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    utm = None if georef.projected is None else f"EPSG:{georef.projected.epsg}"
    wanted = crs.strip() or utm
    if wanted is None:
        raise UserError("georef.json has no UTM zone; run map_scene again, or give the option crs")
    try:
        whole = CRS.from_user_input(wanted)
        flat = _horizontal(whole)
        to_map = Transformer.from_crs("EPSG:4326", flat, always_xy=True)
    except ProjError as error:
        raise UserError(
            f"crs {wanted!r} is no coordinate system that is known ({_short(error)}); write for example"
            f" {utm or 'EPSG:25832'}"
        ) from None
    if not flat.is_projected:
        raise UserError(
            f"crs {wanted!r} ({flat.name}) is not a map projection, so a pixel would have no size in metres;"
            f" give a projected one such as {utm}"
        )
    unit = flat.axis_info[0]
    to_degrees = Transformer.from_pipeline(
        "+proj=pipeline +step +inv +proj=topocentric +ellps=WGS84"
        f" +lon_0={origin.longitude!r} +lat_0={origin.latitude!r} +h_0={origin.altitude!r}"
        " +step +inv +proj=cart +ellps=WGS84 +step +proj=unitconvert +xy_in=rad +xy_out=deg"
    )
    per_metre = 1 / unit.unit_conversion_factor

    def project(points: Float) -> Float:
        x, y, z = np.asarray(points, float).reshape(-1, 3).T
        longitude, latitude, height = to_degrees.transform(x, y, z)
        east, north = to_map.transform(longitude, latitude)
        return np.stack([east, north, np.asarray(height) * per_metre], axis=1)

    def unproject(points: Float) -> Float:
        east, north, height = np.asarray(points, float).reshape(-1, 3).T
        longitude, latitude = to_map.transform(east, north, direction="INVERSE")
        rows = to_degrees.transform(longitude, latitude, height / per_metre, direction="INVERSE")
        return np.stack(rows, axis=1)

    frame = MapFrame(
        wkt=flat.to_wkt("WKT1_GDAL"),
        epsg=flat.to_epsg(),
        name=f"{flat.name} (EPSG:{flat.to_epsg()})" if flat.to_epsg() else flat.name,
        unit=unit.unit_name,
        unit_m=unit.unit_conversion_factor,
        heights=HEIGHTS,
        project=project,
        unproject=unproject,
        notes=_notes(whole, to_map, unit.unit_name, crs),
    )
    _check_reach(frame, wanted, utm)
    return frame


def _horizontal(system: Any) -> Any:
    """The part of a coordinate system that is a map; heights are not transformed."""
    return _horizontal(system.sub_crs_list[0]) if system.is_compound else system.to_2d()


def _notes(system: Any, to_map: Any, unit: str, crs: str) -> tuple[str, ...]:
    """What somebody must know who asked for a coordinate system of his own."""
    notes = [f"Heights are {HEIGHTS}."]
    if system.is_compound or len(system.axis_info) > 2:
        notes.append(f"Heights were not changed to those of {system.name}: only its map is used.")
    if "foot" in unit:
        notes.append(f"Coordinates and heights are in {unit}.")
    if crs and (to_map.accuracy is None or to_map.accuracy < 0 or to_map.accuracy > 1):
        known = (to_map.accuracy or -1) > 0
        how = f"known to {to_map.accuracy:g} m" if known else "not exactly known here"
        notes.append(f"The way from WGS84 to {system.name} is {how}.")
    return tuple(notes)


def _check_reach(frame: MapFrame, wanted: str, utm: str | None) -> None:
    """Raise UserError when the projection is not made for the scene's place."""
    turn = frame.turn_at(np.zeros(3))
    scale = np.sqrt(abs(np.linalg.det(turn[:2, :2]))) * (frame.unit_m or 1.0)
    if not np.isfinite(turn).all() or not 0.9 < scale < 1.1:
        raise UserError(
            f"crs {wanted!r} ({frame.name}) is not made for the place where the scene is"
            + (f": a metre would be {scale:.3g} long" if np.isfinite(scale) else "")
            + (f"; {utm} is" if utm else "")
        )


def _short(error: Exception) -> str:
    """The first line of an error's text."""
    return str(error).strip().splitlines()[0][:120]
