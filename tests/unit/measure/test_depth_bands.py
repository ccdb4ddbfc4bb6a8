"""Quality by depth, and needles, in scenes where both are known."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from scripts import evaluate_splat
from scripts.lib.contracts.eval import DepthBand
from scripts.lib.core.files import read_json
from scripts.lib.measure import depth_bands, visibility
from scripts.lib.measure.evaluate import Views
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.colmap_model import View
from scripts.lib.scene.scene import Scene
from scripts.lib.scene.split import Split
from scripts.lib.splat.gaussians import SH_C0, Gaussians, write_ply
from scripts.lib.train.note import TrainingNote
from tests.unit.splat_scene import HEIGHT, WIDTH, make_gaussians, write_scene

FOCAL = 60.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
DEPTHS = (2.0, 4.0, 8.0)  # of the walls on the left, in the middle and on the right
SKY = 500.0
SKY_ROWS, EMPTY_ROWS = slice(0, 12), slice(40, HEIGHT)


def wall(depth: float, columns: range, rows: range, seed: int) -> Gaussians:
    """A wall of grey spots before a camera at the origin that looks along z, solid in these pixels.

    Not coloured ones: JPEG stores colours at half the resolution.
    """
    x, y = (grid.ravel() + 0.5 for grid in np.meshgrid(columns, rows))
    count = len(x)
    flat = np.stack([x - K[0, 2], y - K[1, 2], np.full(count, FOCAL)], axis=1) / FOCAL
    spots = np.random.default_rng(seed).uniform(0, 1, (count, 1)).repeat(3, axis=1)
    return Gaussians(
        means=(depth * flat).astype(np.float32),
        quats=np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        scales=np.full((count, 3), math.log(0.5 * depth / FOCAL), np.float32),
        opacities=np.full(count, 4, np.float32),
        sh0=((spots - 0.5) / SH_C0).astype(np.float32),
        shN=np.zeros((count, 0, 3), np.float32),
    )


def joined(parts: list[Gaussians]) -> Gaussians:
    fields = [field.name for field in dataclasses.fields(Gaussians) if field.name != "antialiased"]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in fields}
    return Gaussians(**arrays)


def plain(gaussians: Gaussians) -> Gaussians:
    """All of the same grey: detail is lost."""
    return dataclasses.replace(gaussians, sh0=np.zeros_like(gaussians.sh0))


def evaluated(folder: Path, splat: Gaussians, truth: Gaussians, sky_from: float | None) -> Any:
    """eval.json of a splat against photos of `truth`, from cameras almost at one place."""
    views = []
    for number in range(4):
        pose = np.eye(4)
        pose[0, 3] = 0.001 * number
        views.append(View(f"photo_{number}.jpg", WIDTH, HEIGHT, K, pose))
    write_scene(folder / "scene.zip", truth, views)
    split = Split([1, 2], [], [0, 3], []).record([view.name for view in views])
    note = TrainingNote(WIDTH, 4, sky_from=sky_from, split=split)
    write_ply(folder / "splat.ply", splat, (note.comment(),))
    arguments = ["--ply", folder / "splat.ply", "--scene", folder / "scene.zip"]
    arguments += ["--eval", folder / "eval.json", "--renders", folder / "renders.zip"]
    evaluate_splat.main([*map(str, arguments)])
    return read_json(folder / "eval.json")


@pytest.mark.parametrize("blurred", [0, 2])
def test_what_is_blurred_shows_in_its_band_alone(blurred: int, tmp_path: Path) -> None:
    third = WIDTH // 3
    rows = range(SKY_ROWS.stop, EMPTY_ROWS.start)
    sides = [range(third), range(third, 2 * third), range(2 * third, WIDTH)]
    walls = [
        wall(depth, side, rows, seed)
        for seed, (depth, side) in enumerate(zip(DEPTHS, sides, strict=True))
    ]
    sky = wall(SKY, range(WIDTH), range(SKY_ROWS.stop), 9)
    truth = joined([*walls, sky])
    walls[blurred] = plain(walls[blurred])
    result = evaluated(tmp_path, joined([*walls, sky]), truth, sky_from=100.0)
    found = {band["name"]: band for band in result["depth_bands"]}
    assert list(found) == ["near", "middle", "far", "beyond"]
    psnr = [found[name]["psnr"] for name in ("near", "middle", "far")]
    others = [value for number, value in enumerate(psnr) if number != blurred]
    assert psnr[blurred] < 18 < 28 < min(others)
    assert sum(band["share"] for band in found.values()) == pytest.approx(1)
    # The sky above and the nothing below: 20 of 48 rows.
    assert found["beyond"]["share"] == pytest.approx(20 / 48, abs=0.03)
    assert "nearest" not in found["beyond"] and found["beyond"]["psnr"] > 28
    for name in ("near", "middle", "far"):
        assert found[name]["share"] == pytest.approx(28 / 48 / 3, abs=0.03)
    assert found["near"]["nearest"] == pytest.approx(DEPTHS[0], rel=0.01)
    assert found["middle"]["nearest"] < DEPTHS[1] < found["middle"]["farthest"]
    assert found["far"]["nearest"] <= DEPTHS[2] * 1.01
    assert DEPTHS[2] * 0.99 < found["far"]["farthest"] < 100
    whole = 10 ** (-np.array([view["psnr"] for view in result["views"]]) / 10)
    parts = [band["share"] * 10 ** (-band["psnr"] / 10) for band in found.values()]
    assert sum(parts) == pytest.approx(whole.mean(), rel=1e-4), "the bands are the whole picture"


def test_without_a_sky_what_is_far_is_background(tmp_path: Path) -> None:
    truth = joined(
        [wall(2.0, range(32), range(HEIGHT), 0), wall(SKY, range(32, WIDTH), range(HEIGHT), 1)]
    )
    result = evaluated(tmp_path, truth, truth, sky_from=None)
    bands = [band for band in result["depth_bands"] if band["name"] != "beyond"]
    assert bands[-1]["name"] == "far" and bands[-1]["farthest"] == pytest.approx(SKY, rel=0.01)
    assert bands[0]["nearest"] == pytest.approx(2.0, rel=0.01)


def test_the_sky_begins_at_a_distance_from_the_middle_of_the_trained_cameras() -> None:
    rng = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, :3, :3] = Rotation.random(3, random_state=0).as_matrix()
    poses[:, :3, 3] = rng.normal(0, 5, (3, 3))
    views = Views(
        Scene(
            *(Path("none"), ("a", "b", "c"), np.array([[WIDTH, HEIGHT]] * 3), np.stack([K] * 3)),
            *(poses, np.zeros((0, 3)), np.zeros((0, 3), np.uint8)),
        ),
        *([0], True, Split([1, 2], [], [0], []), 20.0),
    )
    depth = rng.uniform(1, 40, (HEIGHT, WIDTH)).astype(np.float32)
    alpha = np.where(rng.uniform(size=depth.shape) < 0.2, 0.4, 0.9)
    found = depth_bands.scene_depth(views, 0, torch.tensor(depth), torch.tensor(alpha))
    y, x = np.indices(depth.shape) + 0.5
    there = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(K).T * depth[..., None]
    world = (there - poses[0, :3, 3]) @ poses[0, :3, :3]
    middle = np.mean([np.linalg.inv(pose)[:3, 3] for pose in poses[1:]], axis=0)
    scene = (np.linalg.norm(world - middle, axis=-1) < 20) & (alpha > 0.5)
    assert 0.1 < scene.mean() < 0.9
    assert np.array_equal(found, np.where(scene, depth, np.inf))


def test_hidden_pixels_do_not_count_and_photos_add_up() -> None:
    depth = np.array([[1.0, 2.0, 3.0], [np.inf, 1.0, 2.0]], np.float32)
    photo, render = np.zeros((2, 2, 3, 3), np.float32)
    render[0, 0], render[0, 1], render[0, 2] = 0.1, 0.2, 0.4
    render[1] = 0.9  # hidden
    photo[1] = np.nan
    first = depth_bands.tally(render, photo, depth)
    found = depth_bands.bands(first + depth_bands.tally(render / 2, photo, depth))
    assert [band.name for band in found] == ["near", "middle", "far"]
    for band, error, away in zip(found, (0.1, 0.2, 0.4), (1, 2, 3), strict=True):
        assert band.psnr == pytest.approx(-10 * math.log10(error**2 * (1 + 0.25) / 2))
        assert band.share == pytest.approx(1 / 3)
        assert band.nearest is not None and band.farthest is not None
        assert 0.99 * away < band.nearest <= away <= band.farthest < 1.01 * away


def test_of_nothing_there_are_no_bands() -> None:
    black = np.zeros((2, 2, 3), np.float32)
    nothing = np.full((2, 2), np.inf, np.float32)
    assert depth_bands.bands(depth_bands.tally(black, black * np.nan, nothing)) == ()
    assert depth_bands.bands(depth_bands.tally(black, black, nothing)) == (
        DepthBand("beyond", 100.0, 1.0),
    )


def test_needles_are_told_by_the_share_of_the_picture_that_they_make() -> None:
    """Of Gaussians apart from each other, each makes as much as the product of the two axes that show."""
    axes = np.array([[1, 0.025, 0.025], [0.5, 0.025, 0.025], [0.1, 0.1, 0.001], [0.2, 0.1, 0.1]])
    K = np.array([[600.0, 0, 320], [0, 600.0, 240], [0, 0, 1]])
    gaussians = dataclasses.replace(
        make_gaussians(4),
        means=np.array([[0, -3, 10], [0, -1, 10], [0, 1, 10], [0, 3, 10]], np.float32),
        quats=np.tile(np.float32([1, 0, 0, 0]), (4, 1)),
        scales=np.log(axes).astype(np.float32),
        opacities=np.full(4, 2, np.float32),
    )
    sizes = np.array([[640, 480]] * 2)
    scene = Scene(
        *(Path("none"), ("a", "b"), sizes, np.stack([K, K]), np.stack([np.eye(4)] * 2)),
        *(np.zeros((0, 3)), np.zeros((0, 3), np.uint8)),
    )
    found = visibility.needles(gaussians, Renderer(gaussians), scene, [0, 1])
    # Pixels, 60 to the unit; a pixel's own width (0.3 square pixels) is part of the picture.
    areas = np.sqrt((60 * axes[:, :2]) ** 2 + 0.3).prod(axis=1)
    assert found.over_30 == pytest.approx(areas[0] / areas.sum(), rel=0.02)
    assert found.over_10 == pytest.approx(areas[:2].sum() / areas.sum(), rel=0.02)
    assert found.views == 2
    none = visibility.needles(gaussians, Renderer(gaussians), scene, [])
    assert none.over_10 == none.over_30 == 0
