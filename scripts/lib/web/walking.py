"""What the page needs for walking: the numbers of walk.json and the octree of walk.zip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scripts.lib.contracts.record import HandedOn, to_json
from scripts.lib.contracts.walk import Walk
from scripts.lib.core.files import reading_zip
from scripts.lib.core.json_type import Json

WALK = "walk.bin.gz"  # the file of the bundle; of no bytes where nobody can walk
WORDS = ".voxel.bin"


def voxel_words(path: Path | None) -> bytes:
    """The octree in walk.zip, as the voxel format's binary file has it; empty where there is none."""
    if path is None:
        return b""
    with reading_zip(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(WORDS)]
        return archive.read(names[0]) if names else b""


def page_part(walk: HandedOn | None, metres: bool) -> Mapping[str, Json] | None:
    """What the page's script is told; None where nobody can walk. `metres`: the scene's units are."""
    if not isinstance(walk, Walk) or walk.octree is None:
        return None
    return {
        "walker": to_json(walk.walker),
        "octree": to_json(walk.octree),
        "places": [list(place) for place in walk.places],
        "metres": metres,
    }
