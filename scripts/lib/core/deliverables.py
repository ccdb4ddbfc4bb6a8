"""Files for other programs that a scene can deliver: names, who makes them, and which a scene asks for.

To add one, add a line here, a rule in rules/geo.smk and a program; all that lists them reads this table.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.lib.core.console import UserError

ALL = "all"


@dataclass(frozen=True)
class Deliverable:
    """One file for other programs; `file` and `told` are in the scene's folder."""

    rule: str  # that makes it; a rule may make several
    file: str
    meaning: str  # in words, for the report and the manual
    placed: bool = False  # it is of no use without a position on the Earth
    movable: bool = True  # its rule has an option `place`, for a position that is not the true one
    extra: str = ""  # a Python package that is in no image, so that `all` does without

    @property
    def told(self) -> str:
        """The JSON that its rule leaves about it (`contracts.deliver.Exported`)."""
        return f"deliver/{self.rule.removeprefix('export_')}.json"


DELIVERABLES: Mapping[str, Deliverable] = {
    "tiles": Deliverable(
        "export_tiles", "geo/tiles.3tz", "3D Tiles on the globe, for Cesium and ArcGIS", placed=True
    ),
    "glb": Deliverable(
        "export_glb", "scene.glb", "glTF with Gaussians, for three.js and PlayCanvas"
    ),
    "spz3": Deliverable("export_spz3", "scene.spz", "SPZ of version 3, Y up"),
    "spz4": Deliverable("export_spz4", "scene.v4.spz", "SPZ of version 4, Y up, for PlayCanvas"),
    "usd": Deliverable(
        "export_usd", "scene.usdz", "OpenUSD, for Omniverse and Isaac Sim", extra="usd-core"
    ),
    "ply": Deliverable("export_ply", "scene.ply", "PLY in the axes that engines expect"),
    "walk": Deliverable(
        "export_walk",
        "walk.zip",
        "walls and floors: visitors of the page can walk, PlayCanvas collides",
    ),
    "points": Deliverable(
        "export_points", "geo/points.laz", "point cloud (LAZ 1.4)", placed=True, movable=False
    ),
    "ortho": Deliverable(
        "export_ortho", "geo/ortho.tif", "orthophoto (GeoTIFF)", placed=True, movable=False
    ),
    "dsm": Deliverable(
        "export_ortho",
        "geo/dsm.tif",
        "elevation of the surface (GeoTIFF)",
        placed=True,
        movable=False,
    ),
    "trust": Deliverable(
        "export_ortho",
        "geo/trust.tif",
        "how far orthophoto and elevation can be trusted",
        placed=True,
        movable=False,
    ),
}


@dataclass(frozen=True)
class Delivery:
    """What one scene delivers, in the order of the table, and why it does without the rest of `all`."""

    names: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)  # {name: sentence}

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that make the files, each once."""
        return tuple(dict.fromkeys(DELIVERABLES[name].rule for name in self.names))

    @property
    def files(self) -> tuple[str, ...]:
        """The files, in the scene's folder."""
        return tuple(DELIVERABLES[name].file for name in self.names)

    @property
    def told(self) -> tuple[str, ...]:
        """The JSON of each rule, in the scene's folder."""
        return tuple(dict.fromkeys(DELIVERABLES[name].told for name in self.names))


def choose(text: str, places: frozenset[str]) -> Delivery:
    """The delivery that the option `deliver` asks for: names separated by commas or spaces, or `all`.

    `places` are those deliverables that may say where on the Earth the scene is. One that must, and may not,
    is left out of `all`. Raises UserError when it is asked for by its name, and on a name that is not known.
    """
    wanted = [word for word in re.split(r"[,\s]+", text.strip()) if word]
    for word in wanted:
        if word != ALL and word not in DELIVERABLES:
            near = difflib.get_close_matches(word, DELIVERABLES, 1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"known: {', '.join(DELIVERABLES)}, all"
            )
            raise UserError(f"deliver names {word!r}; {hint}")
    left_out: dict[str, str] = {}
    for name, item in DELIVERABLES.items():
        if item.placed and name not in places and (name in wanted or ALL in wanted):
            elsewhere = f" {item.rule}.place to a point of your choice, or" if item.movable else ""
            left_out[name] = (
                f"{item.file} says where on the Earth the scene is; set bundle_web.coordinates to true, or"
                f"{elsewhere} leave {name!r} out of deliver"
            )
            if name in wanted:
                raise UserError(f"deliver names {name!r}, but {left_out[name]}")
    for name, item in DELIVERABLES.items():
        if item.extra and ALL in wanted and name not in wanted:
            left_out[name] = (
                f"{item.file} needs the package {item.extra}; install it and add {name!r} to deliver"
            )
    names = [n for n in DELIVERABLES if (n in wanted or ALL in wanted) and n not in left_out]
    return Delivery(tuple(names), left_out)
