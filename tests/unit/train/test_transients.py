"""What single photos show is found, and nothing where nothing moves."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from scripts.lib.contracts.train import TransientsRecord
from scripts.lib.scene.colmap_model import Sightings
from scripts.lib.scene.scene import load_scene
from scripts.lib.train.mask_pictures import PICTURES, write_masks
from scripts.lib.train.plane_sweep import FEWEST, Support, _median, around, patches, sweep
from scripts.lib.train.transients import (
    BAR,
    FEWEST_SEE,
    MATCHED,
    MOST,
    Transients,
    regions,
    unlike,
)
from tests.unit.train.walls import COUNT, write_wall

CPU = torch.device("cpu")


def looking(path: Path, visited: bool) -> tuple[Transients, dict[int, np.ndarray]]:
    """Transients of the wall's photos, and where visitors stand."""
    where = write_wall(path / "wall.zip", visited)
    return Transients(load_scene(path / "wall.zip"), range(COUNT), None, CPU), where


def test_visitors_are_found_and_the_wall_is_not(tmp_path: Path) -> None:
    """At least seven tenths of their area, at most a fiftieth of the wall's."""
    found, where = looking(tmp_path, True)
    assert found.look(always=False)
    masks = found.surely()
    hit = sum((masks[photo] & there).sum() for photo, there in where.items())
    assert hit > 0.7 * sum(there.sum() for there in where.values())
    empty = [masks[photo].mean() for photo in range(COUNT) if photo not in where]
    assert np.mean(empty) < 0.02


def test_nothing_is_found_where_nothing_moves(tmp_path: Path) -> None:
    """The photos agree; only the first ones are looked at, unless all are asked for."""
    found, _ = looking(tmp_path, False)
    assert not found.look(always=False)
    assert found.share <= BAR / 4
    assert len(found.regions) < COUNT
    assert found.look(always=True)
    assert len(found.regions) == COUNT


def test_what_is_matched_has_not_moved(tmp_path: Path) -> None:
    """Points in what is contradicted speak against leaving it out, unless somebody asks for that."""
    where = write_wall(tmp_path / "wall.zip", True, tracked=True)
    found = Transients(load_scene(tmp_path / "wall.zip"), range(COUNT), None, CPU)
    assert not found.look(always=False)
    assert found.share > BAR
    assert found.matched == pytest.approx(1, abs=0.2)
    assert found.look(always=True)
    for photo, there in where.items():
        seen = found.sightings[found.small.names[photo]]
        x, y = (seen.places * there.shape[::-1]).astype(int).T
        clear = ~ndimage.binary_dilation(there, iterations=3)[y, x]
        free = Sightings(seen.points[clear], seen.places[clear])
        found.sightings[found.small.names[photo]] = free
    assert found.matched is not None and found.matched < MATCHED / 2
    assert found.look(always=False)


def test_few_photos_tell_nothing(tmp_path: Path) -> None:
    """Seven neighbours are asked."""
    write_wall(tmp_path / "wall.zip", True)
    found = Transients(load_scene(tmp_path / "wall.zip"), range(7), None, CPU)
    assert not found.look(always=True)
    assert not found.regions


def test_what_a_splat_shows_comes_back(tmp_path: Path) -> None:
    """A splat without visitors explains the wall, and not them."""
    found, where = looking(tmp_path, True)
    assert found.look(always=False)
    write_wall(tmp_path / "empty.zip", False)
    wall = load_scene(tmp_path / "empty.zip")
    masks = found.unexplained(lambda photo: wall.photos([photo])[0].astype(np.float32) / 255)
    for photo, mask in masks.items():
        there = where.get(photo, np.zeros_like(mask))
        near = np.pad(there, 4)
        shifted = [np.roll(near, (y, x), (0, 1)) for y in range(-4, 5) for x in range(-4, 5)]
        assert not (mask & ~np.any(shifted, axis=0)[4:-4, 4:-4]).any()
        assert not there.any() or (mask & there).sum() > 0.9 * there.sum()
    record = found.record(masks)
    assert record.left_out
    assert set(record.photos) == {wall.names[photo] for photo in where}


def test_a_poor_splat_hides_nothing_elsewhere(tmp_path: Path) -> None:
    """A black one differs everywhere; only what neighbours contradict goes."""
    found, where = looking(tmp_path, True)
    assert found.look(always=False)
    black = np.zeros((*found.small.sizes[0][::-1], 3), np.float32)
    masks = found.unexplained(lambda photo: black)
    assert all(mask.mean() <= MOST for mask in masks.values())
    assert all(not mask.any() for photo, mask in masks.items() if photo not in where)


def test_water_is_not_left_out() -> None:
    """Where neighbours agree with nobody, nothing is said."""
    random = torch.Generator().manual_seed(0)
    others = torch.rand(7, 4, 40, 60, generator=random)
    others[:, 3] = 1
    photo = torch.rand(3, 40, 60, generator=random)
    views = torch.eye(3, 4).repeat(7, 1, 1)
    views[:, 0, 3] = torch.arange(7)
    found = regions(sweep(photo, others, views, 1 / torch.linspace(0.2, 2, 20)))
    assert not found.surely.any()
    assert not found.possibly.any()


@pytest.mark.parametrize("seen", [FEWEST - 1, FEWEST_SEE - 1, 7])
def test_few_neighbours_contradict_nothing(seen: int) -> None:
    """The same contradiction counts from four neighbours on."""
    flat = torch.ones(20, 20)
    found = regions(Support(flat, flat * 0, flat * 0, flat * seen))
    assert bool(found.surely.all()) == (seen >= FEWEST_SEE)


def test_the_median_of_seven() -> None:
    """The exchanges leave it in the middle, whatever the order."""
    values = torch.rand(7, 500, generator=torch.Generator().manual_seed(3))
    assert torch.equal(_median(values), values.median(dim=0).values)


def test_half_a_pixel_does_not_matter() -> None:
    """A picture that is shifted by up to half a pixel is the same; by three it is not."""
    x = torch.arange(60.0)

    def stripes(shift: float) -> torch.Tensor:
        return (0.5 + 0.4 * torch.sin((x + shift) * 0.5)).expand(3, 40, 60)

    inside = slice(3, -3)
    assert unlike(stripes(0), stripes(0.5))[:, inside].max() < 0.01
    assert unlike(stripes(0), stripes(3))[:, inside].min() > 0.1
    assert (around(stripes(0)) >= stripes(0)).all()


def test_patches_are_means() -> None:
    """Of five by five pixels, the border repeated."""
    values = torch.zeros(1, 9, 9)
    values[0, 4, 4] = 25
    found = patches(values)[0]
    assert torch.allclose(found[2:7, 2:7], torch.ones(5, 5))
    assert found.sum() == pytest.approx(25)


def test_masks_are_left_for_people_to_see(tmp_path: Path) -> None:
    """As the scene's masks are, of every photo; and pictures of those of which most was left out."""
    write_wall(tmp_path / "wall.zip", True)
    scene = load_scene(tmp_path / "wall.zip")
    masks = {at: np.full((30, 40), 255, np.uint8) for at in range(PICTURES + 1)}
    for at, mask in masks.items():
        mask[: 30 - at] = 0
    shares = {scene.names[at]: 1 - at / 30 for at in masks}
    write_masks(
        tmp_path / "some.zip", scene.hiding(masks), TransientsRecord(True, 0.1, 0.1, shares)
    )
    with zipfile.ZipFile(tmp_path / "some.zip") as archive:
        assert len(archive.namelist()) == 2 * PICTURES + 1
        assert f"pictures/{scene.names[PICTURES]}.jpg" not in archive.namelist()
        with Image.open(archive.open(f"masks/{scene.names[3]}.png")) as mask:
            assert np.array_equal(np.asarray(mask), masks[3])
    write_masks(tmp_path / "none.zip", scene, TransientsRecord(False, 0.01))
    write_masks(tmp_path / "never.zip", scene, None)
    for name in ("none", "never"):
        assert zipfile.ZipFile(tmp_path / f"{name}.zip").namelist() == []
