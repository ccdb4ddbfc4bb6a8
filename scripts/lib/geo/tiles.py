"""A splat as 3D Tiles 1.1 on the globe: written leaf by leaf, coarser levels on the way up to the root.

At no time is more in memory than the means, one node and its children. A node's content replaces nothing but
is replaced by its children's (`REPLACE`): every eight neighbours of a child as one, by their first two
moments, as the levels of detail of the page (`encode.lod`).

The geometric error of a tile is PIXELS times the median distance by which its Gaussians lie from those
that they stand for. CesiumJS refines a tile as soon as its error is PIXELS pixels on the screen
(`maximumScreenSpaceError`), so that a Gaussian is then about one pixel off; `export_tiles` measures the
picture at that distance.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.core.console import Progress, UserError
from scripts.lib.core.files import add_to_zip, scratch_folder
from scripts.lib.core.options import option
from scripts.lib.encode.codecs import compare, spz, spz_glb
from scripts.lib.encode.formats import checked, with_degree
from scripts.lib.geo.archive import writing_archive
from scripts.lib.geo.placing import Placement, PlaceOptions
from scripts.lib.geo.tree import Box, Node, box_of, coarser, plan
from scripts.lib.splat.gaussians import Array, Gaussians
from scripts.lib.splat.pieces import joined
from scripts.lib.splat.rotation import Y_UP, carried, rotated
from scripts.lib.splat.rows import row_file

PIXELS = 16.0  # CesiumJS's maximumScreenSpaceError
ENTRY = "tileset.json"


@dataclass(frozen=True)
class TilesOptions(PlaceOptions):
    """3D Tiles 1.1 for CesiumJS, Cesium for Unreal and Unity, and ArcGIS (geo/tiles.3tz)."""

    tile_gaussians: int = option(
        100_000,
        "Gaussians in one tile at most; viewers stall while they read large ones.",
        1000,
        250_000,
    )
    radius: float = option(
        0.0,
        """Leave out what is farther than this from the middle of the capture, such as the sky, which would
        stand on the globe as a dome; 0: leave out nothing.""",
        0,
        1e6,
        unit="metres",
    )
    sh_degree: int = option(
        1,
        """Degree of the spherical harmonics in all tiles. CesiumJS (1.145) wants one degree for all, and
        stalls with 2 and 3.""",
        0,
        3,
    )


@dataclass
class Written:
    """What was written so far."""

    tiles: int = 0
    largest_bytes: int = 0
    largest_gaussians: int = 0
    gaussians: int = 0  # of the leaves
    levels: int = 0
    root_shift: float = (
        0.0  # metres: median distance of the root's Gaussians from those they stand for
    )
    root_radius: float = 0.0  # metres: half the diagonal of the root's box
    errors: dict[str, float] = field(default_factory=dict)  # the largest of all leaves


@dataclass(frozen=True)
class Made:
    """A node that was written: its Gaussians in local axes, the box of all below, the shift, its JSON."""

    content: Gaussians
    box: Box
    shift: float
    json: dict[str, Any]


def write_tiles(ply: Path, path: Path, options: TilesOptions, place: Placement) -> Written:
    """Write the splat `ply` as a tileset to the archive `path`; every tile is read back and compared.

    Raises UserError when the splat cannot be written so, RuntimeError when what is read back is not what was
    written; `path` then stays as it was.
    """
    source = row_file(ply)
    told = Written()
    with scratch_folder(path.parent, path.stem) as folder, writing_archive(path) as archive:
        tree, groups = planned_leaves(source.means(), options, place)
        source.scattered(groups, folder)
        progress = Progress("export_tiles", int(groups.max()) + 1)
        del groups

        def leaf(number: int) -> Gaussians:
            here = checked(with_degree(source.group(folder, number), options.sh_degree), ply)
            progress.update(number + 1)
            return carried(here, place.local_from_scene)

        def node(planned: Node, depth: int) -> Made:
            told.levels = max(told.levels, depth)
            if planned.leaf is not None:
                content, children, shift = leaf(planned.leaf), [], 0.0
                told.gaussians += len(content)
            else:
                children = [node(child, depth + 1) for child in planned.children]
                total = sum(len(child.content) for child in children)
                run = -(-total // options.tile_gaussians)
                fewer = [coarser(child.content, max(run, 2)) for child in children]
                content = joined([some for some, _ in fewer])
                shift = max(
                    np.hypot(away, child.shift)
                    for (_, away), child in zip(fewer, children, strict=True)
                )
            box = box_of(content)
            for child in children:
                box = box.joined(child.box)
            uri = f"tiles/{planned.name}.glb"
            add_to_zip(archive, uri, _tile(content, path / uri, told))
            tile: dict[str, Any] = {
                "boundingVolume": {"box": box.tiles()},
                "geometricError": PIXELS * float(shift),
                "refine": "REPLACE",
                "content": {"uri": uri},
            }
            if children:
                tile["children"] = [child.json for child in children]
            return Made(content, box, float(shift), tile)

        root = node(tree, 1)
        told.root_shift = root.shift
        told.root_radius = float(np.linalg.norm(root.box.high - root.box.low)) / 2
        text = json.dumps(tileset(root.json, place), separators=(",", ":"), allow_nan=False)
        add_to_zip(archive, ENTRY, text.encode())
    return told


def planned_leaves(
    means: Array, options: TilesOptions, place: Placement
) -> tuple[Node, npt.NDArray[np.int32]]:
    """The tree, and the leaf of each Gaussian (N,), -1 of those left out. Raises UserError when all are."""
    groups = np.full(len(means), -1, np.int32)
    inside = np.ones(len(means), bool)
    if options.radius:
        inside = np.linalg.norm(means, axis=1) * place.local_from_scene.scale <= options.radius
    if not inside.any():
        raise UserError(
            f"no Gaussian lies within export_tiles.radius, {options.radius:g} m of the middle of the capture;"
            " raise it, or set it to 0"
        )
    tree, groups[inside] = plan(means[inside], options.tile_gaussians)
    return tree, groups


def _tile(content: Gaussians, name: Path, told: Written) -> bytes:
    """The bytes of a tile, after reading them back. Raises RuntimeError when they hold something else."""
    turned = rotated(content, Y_UP)
    encoded = spz_glb.encode(turned)
    try:
        found = compare.check(
            spz.clipped(turned)[0].take(encoded.order),
            spz_glb.decode(encoded.data, name),
            encoded.limits,
        )
    except ValueError as error:
        raise RuntimeError(f"{name} did not survive its own decoder: {error}") from None
    for key, value in found.items():
        told.errors[key] = max(value, told.errors.get(key, 0.0))
    told.tiles += 1
    told.largest_bytes = max(told.largest_bytes, len(encoded.data))
    told.largest_gaussians = max(told.largest_gaussians, len(content))
    return encoded.data


def tileset(root: dict[str, Any], place: Placement) -> dict[str, Any]:
    """tileset.json around the root tile."""
    box = np.array(root["boundingVolume"]["box"])
    size = 2 * float(np.linalg.norm([box[3], box[7], box[11]]))
    transform = place.earth_from_local.T.ravel().tolist()
    return {
        "asset": {"version": "1.1", "generator": "splatmake"},
        "extensionsUsed": ["3DTILES_content_gltf"],
        "extensions": {
            "3DTILES_content_gltf": {
                "extensionsUsed": spz_glb.EXTENSIONS,
                "extensionsRequired": spz_glb.EXTENSIONS,
            }
        },
        # The error of showing nothing at all, which is as large as the scene.
        "geometricError": max(size, 2 * root["geometricError"]),
        "root": {"transform": transform, **root},
    }


def read_tileset(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The root tile of an archive."""
    root: dict[str, Any] = json.loads(archive.read(ENTRY))["root"]
    return root


def tiles_of(root: dict[str, Any], leaves: bool) -> Iterator[dict[str, Any]]:
    """Every leaf below a tile, or the tile itself."""
    if not leaves or "children" not in root:
        yield root
        return
    for child in root["children"]:
        yield from tiles_of(child, leaves)


def read_tiles(path: Path, place: Placement, leaves: bool = True) -> Gaussians:
    """What the leaves of an archive hold, or what its root does, in the frame of the scene.

    Raises UserError when a tile is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        some = [
            spz_glb.decode(archive.read(tile["content"]["uri"]), path / tile["content"]["uri"])
            for tile in tiles_of(read_tileset(archive), leaves)
        ]
    sim3 = place.local_from_scene
    return carried(rotated(joined(some), Y_UP.T), sim3.inverse())
