"""3D Tiles: every Gaussian comes back from the leaves, levels get coarser, boxes hold, the index is right."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from scripts import export_tiles
from scripts.lib.contracts.deliver import Exported
from scripts.lib.contracts.record import read, write
from scripts.lib.core.console import UserError
from scripts.lib.core.geo import Sim3
from scripts.lib.core.place import Place
from scripts.lib.encode.codecs import spz_glb
from scripts.lib.geo import tiles
from scripts.lib.geo.archive import INDEX
from scripts.lib.geo.placing import Placement, PlaceOptions, earth_from_local, placement
from scripts.lib.geo.tiles import PIXELS, TilesOptions, read_tiles, write_tiles
from scripts.lib.geo.tree import box_of, coarser, plan
from scripts.lib.splat.gaussians import write_ply
from scripts.lib.splat.rotation import Y_UP, rotated
from scripts.lib.train.note import TrainingNote
from tests.unit.geo.test_placing import HERE
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

COUNT = 5000
OPTIONS = TilesOptions(tile_gaussians=1000, sh_degree=1)
SYDNEY = placement(HERE, PlaceOptions(), True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiles")
    write_ply(folder / "splat.ply", make_gaussians(COUNT, bands=8))
    write_tiles(folder / "splat.ply", folder / "tiles.3tz", OPTIONS, SYDNEY)
    return folder


def tileset(folder: Path) -> dict[str, Any]:
    with zipfile.ZipFile(folder / "tiles.3tz") as archive:
        found: dict[str, Any] = json.loads(archive.read("tileset.json"))
    return found


def every(tile: dict[str, Any]) -> list[dict[str, Any]]:
    return [tile, *(below for child in tile.get("children", ()) for below in every(child))]


def test_the_leaves_hold_every_gaussian_where_it_was(made: Path) -> None:
    trained, found = make_gaussians(COUNT, bands=8), read_tiles(made / "tiles.3tz", SYDNEY)
    assert (len(found), found.sh_degree) == (COUNT, 1)
    away, row = cKDTree(found.means).query(trained.means)
    assert away.max() < 1e-3 and len(set(row)) == COUNT
    np.testing.assert_allclose(found.sh0[row], trained.sh0, atol=0.02)
    np.testing.assert_allclose(found.shN[row], trained.shN[:, :3], atol=0.08)


def test_a_turned_and_scaled_scene_comes_back_as_it_was(made: Path, tmp_path: Path) -> None:
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    there = Placement(np.eye(4), Sim3(3.0, turn, np.zeros(3)), "", ())
    write_tiles(made / "splat.ply", tmp_path / "a.3tz", OPTIONS, there)
    found, same = read_tiles(tmp_path / "a.3tz", there), read_tiles(made / "tiles.3tz", SYDNEY)
    np.testing.assert_allclose(found.means.mean(0), same.means.mean(0), atol=1e-3)
    np.testing.assert_allclose(found.shN.std(), same.shN.std(), rtol=0.02)


def test_upper_tiles_are_coarser_and_say_by_how_much(made: Path) -> None:
    root = tileset(made)["root"]
    assert root["refine"] == "REPLACE" and len(root["children"]) == 8
    with zipfile.ZipFile(made / "tiles.3tz") as archive:
        for tile in every(root):
            name = tile["content"]["uri"]
            content = spz_glb.decode(archive.read(name), Path(name))
            assert len(content) <= OPTIONS.tile_gaussians
            for child in tile.get("children", ()):
                assert child["geometricError"] < tile["geometricError"]
            if "children" not in tile:
                assert tile["geometricError"] == 0
            # In the tile's own axes, Z up: the content's are glTF's.
            box, inside = np.array(tile["boundingVolume"]["box"]), rotated(content, Y_UP.T)
            away = np.abs(inside.means - box[:3])
            assert (away <= np.diag(box[3:].reshape(3, 3)) + 1e-3).all()
    # 625 in each of eight leaves become 625 / 5: about as far off as neighbours lie apart.
    spacing = (1 / COUNT) ** (1 / 3)
    assert 0.2 * spacing < root["geometricError"] / PIXELS < 3 * spacing


def test_boxes_of_children_lie_in_that_of_their_parent(made: Path) -> None:
    for tile in every(tileset(made)["root"]):
        outer = np.array(tile["boundingVolume"]["box"])
        for child in tile.get("children", ()):
            inner = np.array(child["boundingVolume"]["box"])
            for side in (-1, 1):
                corner = inner[:3] + side * np.diag(inner[3:].reshape(3, 3))
                assert (np.abs(corner - outer[:3]) <= np.diag(outer[3:].reshape(3, 3)) + 1e-6).all()


def test_the_root_lies_on_the_globe_and_asks_for_its_extensions(made: Path) -> None:
    whole = tileset(made)
    matrix = np.array(whole["root"]["transform"]).reshape(4, 4).T
    np.testing.assert_allclose(matrix, earth_from_local(Place(-33.9, 151.2, 20.0)))
    assert whole["asset"]["version"] == "1.1"
    assert whole["extensionsUsed"] == ["3DTILES_content_gltf"]
    needed = whole["extensions"]["3DTILES_content_gltf"]["extensionsRequired"]
    assert needed == ["KHR_gaussian_splatting", "KHR_gaussian_splatting_compression_spz_2"]
    assert whole["geometricError"] > whole["root"]["geometricError"]


def test_the_archive_ends_with_an_index_that_finds_every_member(made: Path) -> None:
    data = (made / "tiles.3tz").read_bytes()
    with zipfile.ZipFile(made / "tiles.3tz") as archive:
        names = archive.namelist()
        index = archive.read(INDEX)
    assert names[-1] == INDEX and names[-2] == "tileset.json"
    rows = list(struct.iter_unpack("<16sQ", index))
    offsets = dict(rows)
    assert len(rows) == len(names) - 1
    keys = [struct.unpack("<QQ", digest) for digest, _ in rows]
    assert keys == sorted(keys)
    for name in names[:-1]:
        at = offsets[hashlib.md5(name.encode()).digest()]
        assert (
            data[at : at + 4] == b"PK\3\4" and data[at + 30 : at + 30 + len(name)] == name.encode()
        )


def test_the_same_splat_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    write_tiles(made / "splat.ply", tmp_path / "a.3tz", OPTIONS, SYDNEY)
    assert (tmp_path / "a.3tz").read_bytes() == (made / "tiles.3tz").read_bytes()


def test_a_small_splat_is_one_tile_without_error(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", make_gaussians(50))
    told = write_tiles(tmp_path / "a.ply", tmp_path / "tiles.3tz", OPTIONS, SYDNEY)
    root = tileset(tmp_path)["root"]
    assert (told.tiles, told.levels) == (1, 1)
    assert root["geometricError"] == 0 and "children" not in root


def test_what_is_farther_than_the_radius_is_left_out(made: Path, tmp_path: Path) -> None:
    near = TilesOptions(tile_gaussians=1000, radius=0.4)
    told = write_tiles(made / "splat.ply", tmp_path / "tiles.3tz", near, SYDNEY)
    wanted = int((np.linalg.norm(make_gaussians(COUNT).means, axis=1) <= 0.4).sum())
    found = read_tiles(tmp_path / "tiles.3tz", SYDNEY)
    assert told.gaussians == len(found) == wanted
    assert np.linalg.norm(found.means, axis=1).max() < 0.401
    nothing = TilesOptions(radius=1e-6)
    with pytest.raises(UserError, match="no Gaussian lies within export_tiles.radius"):
        write_tiles(made / "splat.ply", tmp_path / "b.3tz", nothing, SYDNEY)


def test_nothing_is_written_where_a_tile_does_not_survive(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = spz_glb.decode
    monkeypatch.setattr(tiles.spz_glb, "decode", lambda *a: rotated(real(*a), Y_UP))
    with pytest.raises(RuntimeError, match="did not survive its own decoder"):
        write_tiles(made / "splat.ply", tmp_path / "a.3tz", OPTIONS, SYDNEY)
    assert list(tmp_path.iterdir()) == []


def test_a_tile_far_from_the_origin_keeps_its_place_to_a_millimetre(tmp_path: Path) -> None:
    some = make_gaussians(200, bands=3)
    there = spz_glb.shifted(some, np.array([3000.0, 80.0, -5000.0]))
    found = spz_glb.decode(spz_glb.encode(there).data, tmp_path)
    order = spz_glb.encode(there).order
    assert np.abs(found.means - there.means[order]).max() < 1.1e-3  # half of it is float32 itself


@pytest.mark.parametrize("damage", ["short", "node", "count"])
def test_a_damaged_tile_is_one_sentence(damage: str) -> None:
    whole = spz_glb.encode(make_gaussians(20)).data
    data = {
        "short": whole[: len(whole) // 2],
        "node": whole.replace(b'"matrix":[1.0,', b'"matrix":[2.0,'),
        "count": whole.replace(b'"count":20', b'"count":21'),
    }[damage]
    with pytest.raises(UserError, match="is not a tile of Gaussians"):
        spz_glb.decode(data, Path("tiles/r.glb"))


def test_the_tree_fills_its_leaves_and_forgets_nobody() -> None:
    means = make_gaussians(3000).means
    means[:5] *= 1e4  # some are very far away, as in every splat
    tree, groups = plan(means, 100)
    counts = np.bincount(groups)
    assert counts.sum() == 3000 and counts.max() <= 100 and counts.min() >= 40
    assert len(tree.children) == 8


def test_coarser_ones_cover_what_the_finer_did() -> None:
    some = make_gaussians(800, bands=3)
    fewer, shift = coarser(some, 8)
    assert len(fewer) == 100 and fewer.sh_degree == 1 and 0 < shift < 0.3
    inner, outer = box_of(some), box_of(fewer)
    assert np.abs(inner.low - outer.low).max() < 0.5 and np.abs(inner.high - outer.high).max() < 0.5


def test_the_program_measures_and_tells_without_saying_where(tmp_path: Path) -> None:
    truth = make_gaussians(1500, bands=3)
    write_scene(tmp_path / "undistorted.zip", truth, make_views(6))
    write_ply(tmp_path / "splat.ply", truth, (TrainingNote(64, 3).comment(),))
    write(tmp_path / "georef.json", HERE)
    arguments = [f"--{name}={tmp_path}/{file}" for name, file in (
        ("ply", "splat.ply"), ("scene", "undistorted.zip"), ("georef", "georef.json"),
        ("output", "tiles.3tz"), ("told", "told.json"))]  # fmt: skip
    options = json.dumps({"tile_gaussians": 1000})
    with pytest.raises(UserError, match="set bundle_web.coordinates"):
        export_tiles.main([*arguments, "--options", options, "--device", "cpu"])
    assert not (tmp_path / "tiles.3tz").exists()
    export_tiles.main([*arguments, "--options", options, "--device", "cpu", "--frame", "earth"])
    (file,) = read(Exported, tmp_path / "told.json").files
    assert file.placed and file.gaussians == 1500 and file.facts["levels"] == 2
    assert file.delta_psnr is not None and file.delta_psnr > -8  # of pictures without any noise
    assert isinstance(file.facts["far_psnr"], float) and file.facts["far_psnr"] > 20
    assert "33.9" not in (tmp_path / "told.json").read_text()
