"""Where one can walk, against a house whose floors, walls and stairs are known exactly."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from scripts.lib.splat import voxels
from scripts.lib.visit import standing, walk
from scripts.lib.visit.walk import Walked, WalkOptions, plan_walk
from scripts.lib.visit.walk_file import HEADER, WORDS, write_walk
from tests.unit.visit import rooms

PATH = Path("house")


@cache
def walked(scale: float = 1.0, metric: bool = True) -> Walked:
    found = plan_walk(rooms.house(scale), rooms.house_scene(PATH, scale), metric, WalkOptions())
    assert found.free is not None and found.low is not None and found.told.octree is not None
    return found


def is_free(found: Walked, x: float, y: float, z: float) -> bool:
    """Whether a walker may be there; places are in metres of the house."""
    assert found.free is not None and found.low is not None and found.told.octree is not None
    place = np.array([x, y, z]) * found.told.walker.unit
    cell = np.floor((place - found.low) / found.told.octree.cell).astype(int)
    inside = ((cell >= 0) & (cell < found.free.shape)).all()
    return bool(inside and found.free[tuple(cell)])


def floor_of(found: Walked, x: float, y: float) -> float | None:
    """The height of the walkable floor there, in metres; None where nobody walks."""
    heights = [z for z in np.arange(-0.5, 3.5, 0.05) if is_free(found, x, y, z)]
    return float(heights[0]) if heights else None


@pytest.mark.parametrize(
    ("x", "y"),
    [(3.0, 2.5), (0.5, 0.5), (5.5, 1.4), (7.5, 2.5), (4.5, 4.3), (5.5, 4.5), rooms.UNSEEN],
    ids=["middle", "corner", "door", "yard", "platform", "its end", "unseen floor"],
)
def test_floors_are_at_their_height(x: float, y: float) -> None:
    found = floor_of(walked(), x, y)
    assert found == pytest.approx(rooms.floor_at(x, y), abs=0.11)


def test_each_step_of_the_stairs_can_be_stood_on() -> None:
    for step in range(rooms.STEPS):
        x = rooms.STAIRS[0] + 0.15 + 0.3 * step
        assert floor_of(walked(), x, 4.3) == pytest.approx(rooms.RISE * (step + 1), abs=0.11)


def test_what_is_solid_stays_solid() -> None:
    found = walked()
    for height in (0.5, 1.0, 1.6):
        for y in np.arange(0.1, 4.9, 0.1):
            assert not is_free(found, 0.0, y, height)
            if not rooms.DOOR[0] - 0.1 < y < rooms.DOOR[1] + 0.1:
                assert not is_free(found, rooms.WIDE, y, height)
        for x in np.arange(0.1, 5.9, 0.1):
            assert not is_free(found, x, 0.0, height) and not is_free(found, x, rooms.DEEP, height)
    assert not is_free(found, 1.5, 1.4, rooms.TABLE[2])
    assert is_free(found, rooms.WIDE, 1.4, 1.0), "the door is open"


def test_nobody_leaves_the_world() -> None:
    """The cells that a walker may be in end below the floor, above the head and beyond the yard."""
    found = walked()
    free = found.free
    assert free is not None
    for axis in range(3):
        edge = np.moveaxis(free, axis, 0)
        assert not edge[0].any() and not edge[-1].any()
    assert not is_free(found, 3.0, 2.5, -0.2) and not is_free(found, 3.0, 2.5, 3.1)
    assert not is_free(found, 3.0, -0.5, 1.0) and not is_free(found, 9.6, 2.5, 1.0)


def test_a_railing_of_thin_bars_stops_a_walker() -> None:
    x, y = rooms.RAILING[0][0], 0.35
    assert not is_free(walked(), x, y, 0.8)
    assert is_free(walked(), x, 1.2, 0.8), "past its end the way is open"


def test_a_table_is_walked_around_and_not_on() -> None:
    cells = [(x, y) for x in np.arange(1.3, 1.8, 0.1) for y in np.arange(1.2, 1.6, 0.1)]
    assert not any(is_free(walked(), x, y, 0.9) for x, y in cells)


def test_a_scene_of_unknown_scale_is_measured_by_its_cameras() -> None:
    metres, other = walked(), walked(0.31, False)
    assert other.told.walker.unit == pytest.approx(0.31, rel=0.1)
    assert other.told.walker.eye == pytest.approx(1.6 * other.told.walker.unit)
    assert other.told.area == pytest.approx(metres.told.area, rel=0.2)
    assert floor_of(other, 4.5, 4.3) == pytest.approx(1.0, abs=0.2)


def test_steps_join_floors_up_to_their_height() -> None:
    body = standing.Body(height=17, step=3, radius=2)
    solid = np.zeros((20, 20, 30), bool)
    solid[:, :, 4] = True
    solid[10:, :, 4:8] = True  # a ledge of three cells
    cells, part = standing.connected(standing.stances(solid, body), body.step)
    assert len(np.unique(part)) == 1 and set(cells[:, 2]) == {5, 8}
    low = replace(body, step=2)
    _, part = standing.connected(standing.stances(solid, low), low.step)
    assert len(np.unique(part)) == 2


def test_places_to_begin_are_on_the_floor_and_away_from_walls() -> None:
    told = walked().told
    assert 10 <= len(told.places) <= walk.PLACES
    for x, y, z in told.places:
        assert z == pytest.approx(rooms.floor_at(x, y), abs=0.11)
        assert 0.3 < y < rooms.DEEP - 0.3


def test_large_scenes_take_larger_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MOST_CELLS", 20_000)
    found = plan_walk(rooms.house(), rooms.house_scene(PATH), True, WalkOptions())
    assert found.told.octree is not None and found.told.octree.cell > 0.15


def test_without_a_floor_nobody_walks(tmp_path: Path) -> None:
    gaussians = rooms.house()
    high = gaussians.take(gaussians.means[:, 2] > 1.7)
    found = plan_walk(high, rooms.house_scene(PATH), True, WalkOptions())
    assert found.told.octree is None and "no floor was found below the cameras" in found.told.reason
    made = write_walk(tmp_path / "walk.zip", found, 0.0)
    assert made.notes == ("Nobody can walk in this scene: no floor was found below the cameras.",)
    assert zipfile.ZipFile(tmp_path / "walk.zip").namelist() == []


def test_the_file_holds_the_cells_with_y_up(tmp_path: Path) -> None:
    found = walked()
    assert found.free is not None and found.told.octree is not None
    made = write_walk(tmp_path / "walk.zip", found, 0.0)
    with zipfile.ZipFile(tmp_path / "walk.zip") as archive:
        solid, header = voxels.decode(archive.read(HEADER), archive.read(WORDS))
    assert made.bytes == (tmp_path / "walk.zip").stat().st_size and not made.placed
    low, cell = header["gridBounds"]["min"], header["voxelResolution"]
    for place in np.random.default_rng(3).uniform([0, 0, 0], [9, 5, 2], (300, 3)):
        x, y, z = place
        at = np.floor((np.array([x, z, -y]) - low) / cell).astype(int)
        assert solid[tuple(at)] != is_free(found, x, y, z)
    assert json.dumps(header["gridBounds"]["min"]) == json.dumps(list(found.told.octree.low))
