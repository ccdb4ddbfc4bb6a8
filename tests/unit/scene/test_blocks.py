"""A large scene in blocks: cells that share the ground and the work, and photos that see them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from scripts.lib.contracts.blocks import Blocks, Rectangle
from scripts.lib.core.console import UserError
from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.scene.blocks import SEEN, plan_blocks, sight_of, within
from scripts.lib.scene.colmap_model import Model, View, model_members
from scripts.lib.scene.scene import Scene, load_scene

ALONG, ACROSS, HEIGHT, FOCAL, SIDE = 40, 4, 10.0, 100.0, 100
DOWN = np.diag([1.0, -1.0, -1.0])  # a camera that looks straight down, its image's top to the north


def flight(spacing: float = 2.0, dense: int = 0) -> Model:
    """Cameras 10 above a field of points 80 x 8, each seeing 10 x 10 of it; `dense` more at its west."""
    places = [(spacing * x, spacing * y) for x in range(ALONG) for y in range(ACROSS)]
    places += [(0.01 * number, 3.0) for number in range(dense)]
    K = np.array([[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1]])
    views = []
    for number, (x, y) in enumerate(places):
        pose = np.eye(4)
        pose[:3, :3] = DOWN
        pose[:3, 3] = -DOWN @ (x, y, HEIGHT)
        views.append(View(f"{number:04d}.jpg", SIDE, SIDE, K, pose))
    points = np.random.default_rng(0).uniform((0, 0, 0), (80, 8, 0.1), (4000, 3))
    return Model(tuple(views), points, np.zeros((len(points), 3), np.uint8))


def saved(path: Path, model: Model, tracks: dict[int, list[int]] | None = None) -> Scene:
    """The scene of a model. Its points are numbered 7, 14, 21 ...; `tracks`: rows of points by view."""
    members = model_members(model)
    numbered = bytearray(members["sparse/points3D.bin"])
    for row in range(len(model.points)):
        struct.pack_into("<Q", numbered, 8 + row * 51, 7 * (row + 1))
    members["sparse/points3D.bin"] = bytes(numbered)
    if tracks:
        old, empty = members["sparse/images.bin"], struct.pack("<Q", 0)
        parts, at = [old[:8]], 8
        for number, view in enumerate(model.views):
            head = 4 + 7 * 8 + 4 + len(view.name) + 1
            seen = tracks.get(number, [])
            rows = b"".join(struct.pack("<ddq", 50, 50, 7 * (row + 1)) for row in seen)
            parts.append(old[at : at + head] + struct.pack("<Q", len(seen)) + rows)
            at += head + len(empty)
        members["sparse/images.bin"] = b"".join(parts)
    with writing_zip(path) as archive:
        for name, data in members.items():
            add_to_zip(archive, name, data)
    return load_scene(path)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return saved(tmp_path_factory.mktemp("flight") / "undistorted.zip", flight(dense=100))


def owners(plan: Blocks, places: np.ndarray) -> np.ndarray:
    """In how many cells each place lies."""
    return np.sum([within(places, block.cell) for block in plan.blocks], axis=0)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_cells_share_the_ground_and_the_work(scene: Scene, count: int) -> None:
    plan = plan_blocks(scene, count)
    assert [block.number for block in plan.blocks] == list(range(1, count + 1))
    assert plan.seen_by == "frusta" and plan.photos == len(scene)
    places = np.random.default_rng(1).uniform((-30, -20), (110, 30), (5000, 2))
    assert np.array_equal(owners(plan, places), within(places, plan.bounds).astype(int))
    assert within(scene.centres, plan.bounds).all()
    works = [block.work for block in plan.blocks]
    assert sum(works) > 0.99 and max(works) < 1.05 / count and min(works) > 0.9 / count
    assert plan == plan_blocks(scene, count)


def test_blocks_are_small_where_many_photos_look(scene: Scene) -> None:
    west, *_, east = sorted(plan_blocks(scene, 4).blocks, key=lambda block: block.cell.west)
    widths = [block.cell.east - block.cell.west for block in (west, east)]
    assert widths[0] < 0.6 * widths[1]


def test_a_block_has_the_photos_that_see_it_and_no_others(scene: Scene) -> None:
    plan = plan_blocks(scene, 4)
    for block in plan.blocks:
        region, cell = block.region, block.cell
        assert region.west <= cell.west and region.east >= cell.east
        x = scene.centres[:, 0]
        names = np.array(scene.names)
        # A photo sees five to each side: who stands over the region sees half of it or more, who stands
        # farther away than five sees nothing.
        inside = (x >= region.west) & (x < region.east)
        beyond = (x < region.west - 5) | (x > region.east + 5)
        assert set(names[inside]) <= set(block.photos)
        assert not set(names[beyond]) & set(block.photos)
    shared = {name for block in plan.blocks for name in block.photos}
    assert shared == set(scene.names)
    assert sum(len(block.photos) for block in plan.blocks) > len(scene), "borders share photos"


def test_tracks_tell_more_than_frusta(tmp_path: Path) -> None:
    """All photos could see the east, but their tracks are in the west: so is the work."""
    model = flight()
    west = np.flatnonzero(model.points[:, 0] < 20)
    rng = np.random.default_rng(3)
    tracks = {n: rng.choice(west, 30).tolist() for n in range(len(model.views))}
    made = saved(tmp_path / "undistorted.zip", model, tracks)
    sight = sight_of(made)
    assert sight.by == "tracks" and sight.places[:, 0].max() < 20
    assert np.allclose(np.bincount(sight.photos, sight.weights), 1)
    plan = plan_blocks(made, 2)
    assert plan.blocks[0].cell.east < 20 and plan.bounds.east > 78
    # Of its photos, all see both halves; the margin alone makes none of a block.
    assert all(len(block.photos) > SEEN * len(made) for block in plan.blocks)


def test_too_few_photos_are_told_before_any_training(tmp_path: Path) -> None:
    made = saved(tmp_path / "undistorted.zip", flight())
    with pytest.raises(UserError, match=r"160 photos .* too few for 100 blocks; set train_splat"):
        plan_blocks(made, 100)


def test_low_sides_belong_to_a_cell_and_high_sides_do_not() -> None:
    cell = Rectangle(0, 0, 1, 1)
    places = np.array([[0, 0], [1, 0], [0, 1], [0.5, 0.5]])
    assert within(places, cell).tolist() == [True, False, False, True]
