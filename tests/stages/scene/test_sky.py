"""The sky: found where it is and nowhere else, put far away, and nothing left hanging before it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.lib.render.device import Device
from scripts.lib.scene import sky as finding
from scripts.lib.scene.scene import load_scene
from scripts.lib.scene.sky import find_sky, sky_directions, sphere
from scripts.lib.splat.gaussians import SH_C0
from scripts.lib.train.initialise import frame_of
from scripts.lib.train.note import read_note
from scripts.lib.train.options import TrainOptions, resolve
from scripts.lib.train.parameters import NAMES
from scripts.lib.train.photos import one_by_one
from scripts.lib.train.run import run
from scripts.lib.train.sky import SHARE, STRAY, Clearing, distance, sky_tensors
from scripts.lib.train.step import render
from scripts.lib.train.trainer import Trainer
from tests.unit.splat_scene import make_gaussians, make_views, write_scene
from tests.unit.street_scene import (
    HALF_WIDTH,
    WALL_HEIGHT,
    photograph,
    sky_colour,
    walk,
    write_street,
)

CPU = torch.device("cpu")
OPTIONS = {"steps": 120, "max_gaussians": 3000, "resolution": 0}


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of a walk along a street under a blue sky."""
    path = tmp_path_factory.mktemp("street") / "undistorted.zip"
    write_street(path, walk())
    return path


# Finding


@pytest.mark.parametrize("roll", [0.0, np.pi / 2, -np.pi / 2, 0.5])
def test_the_sky_of_a_street_is_found(tmp_path: Path, roll: float) -> None:
    """However the camera is held; nothing but the sky, and most of it."""
    views = walk(roll=roll)
    write_street(tmp_path / "street.zip", views)
    found = find_sky(load_scene(tmp_path / "street.zip"), range(len(views)))
    assert len(found) == len(views)
    for view, seen in zip(views, found, strict=True):
        _, truth = photograph(view)
        assert truth.mean() > 0.1
        assert (seen.sky & ~truth).sum() <= 0.01 * seen.sky.sum()
        assert (seen.sky & truth).sum() > 0.85 * truth.sum()


def test_blue_walls_under_a_white_ceiling_are_no_sky(tmp_path: Path) -> None:
    """They have its colours, no points, and reach the upper edge; but they move past who walks by."""
    write_street(tmp_path / "room.zip", walk(), room=True)
    assert find_sky(load_scene(tmp_path / "room.zip"), range(8)) == []


def test_each_test_of_the_sky_is_needed(street: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails one of them is none, whatever the others say."""
    scene = load_scene(street)
    points = np.concatenate([scene.centres[:1] + [[40.0, 0, 20]]] * 5000)
    points = points + np.random.default_rng(0).normal(0, 6, points.shape)
    assert len(find_sky(dataclasses.replace(scene, points=points), range(8))) < 8
    assert find_sky(scene, range(2)) == []  # too few photos to compare
    monkeypatch.setattr(finding, "BLUE", 2.0)
    monkeypatch.setattr(finding, "BRIGHT", 2.0)
    assert find_sky(scene, range(8)) == []


def test_photos_that_look_down_are_not_even_opened(tmp_path: Path) -> None:
    """A flight straight down has no pixel above the horizon."""
    write_scene(tmp_path / "scene.zip", make_gaussians(), make_views())
    scene = load_scene(tmp_path / "scene.zip")
    poses = np.tile(np.eye(4), (len(scene), 1, 1))
    poses[:, :3, :3] = np.diag([1.0, -1.0, -1.0])  # Z of the camera points down
    down = dataclasses.replace(scene, world_to_camera=poses, path=tmp_path / "missing.zip")
    assert find_sky(down, range(len(scene))) == []


def test_masked_parts_are_no_sky(street: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = load_scene(street)

    def hidden(self: object, indices: list[int]) -> list[np.ndarray]:
        return [np.zeros((120, 160), np.uint8)] * len(indices)

    monkeypatch.setattr(type(scene), "masks", hidden)
    assert find_sky(scene, range(8)) == []


# Directions


def test_the_sphere_is_even() -> None:
    directions = sphere(1000)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1)
    products = np.sort(directions @ directions.T, axis=1)[:, -2]
    gaps = np.arccos(products) / np.sqrt(4 * np.pi / 1000)
    assert gaps.min() > 0.7 and gaps.max() < 1.2


@pytest.mark.parametrize("most", [10_000, 200, 20])
def test_directions_cover_the_sky_in_its_colours(street: Path, most: int) -> None:
    views = find_sky(load_scene(street), range(8))
    directions, colours, spacing = sky_directions(views, most)
    assert 0 < len(directions) <= most
    every = sphere(3000)
    shown = np.zeros(len(every), bool)
    for view in views:
        inside, places = view.pixels(every)
        shown[np.flatnonzero(inside)[view.sky[places[:, 0], places[:, 1]]]] = True
    nearest = (every[shown] @ directions.T).max(axis=1)
    assert np.degrees(np.arccos(nearest.clip(-1, 1))).max() < np.degrees(1.5 * spacing)
    inner = (directions @ every[shown].T).max(axis=1) > np.cos(0.5 * spacing)
    errors = np.abs(colours - sky_colour(directions)).max(axis=1)[inner]
    assert np.quantile(errors, 0.9) < 0.03 + spacing


# Training


def test_the_sky_stands_behind_everything(street: Path) -> None:
    """Its Gaussians are a small share, at one distance, as wide as their spacing, and look like the sky."""
    scene = load_scene(street)
    views, frame = find_sky(scene, range(8)), frame_of(scene)
    away = distance(scene, frame)
    tensors = sky_tensors(views, away, 2000, 1, CPU)
    assert len(tensors["means"]) <= SHARE * 2000
    assert torch.allclose(tensors["means"].norm(dim=1), torch.tensor(away).float())
    assert away > 5 * np.linalg.norm(frame.points(scene.points), axis=1).max()
    directions = (tensors["means"] / away).double().numpy()
    colours = 0.5 + SH_C0 * tensors["sh"][:, 0].numpy()
    assert np.abs(colours - sky_colour(directions)).mean() < 0.1


def test_the_splat_tells_cleaning_where_the_sky_begins(street: Path, tmp_path: Path) -> None:
    scene = load_scene(street)
    options = json.dumps(OPTIONS | {"steps": 2})
    outputs = tmp_path / "splat.ply", tmp_path / "train.json", tmp_path / "c"
    metrics = run(street, options, *outputs, Device("cpu", "a test"))
    note = read_note(tmp_path / "splat.ply")
    assert note is not None and note.sky_from is not None
    begins = note.sky_from
    assert metrics.sky_from == begins and metrics.sky_photos == 7
    away = distance(scene, frame_of(scene)) * frame_of(scene).radius
    assert np.linalg.norm(scene.points - scene.centres.mean(axis=0), axis=1).max() < begins < away
    write_street(tmp_path / "room.zip", walk(), room=True)
    room = Trainer(load_scene(tmp_path / "room.zip"), resolve(TrainOptions(**OPTIONS), "cpu"))
    assert room.sky_from is None


def test_what_hangs_in_the_air_is_told_from_walls_and_wires(street: Path) -> None:
    """Only what is nearer than the sky, seen before it, and coloured like it; and what flew off behind it."""
    scene = load_scene(street)
    frame, views = frame_of(scene), find_sky(scene, range(8))
    away = distance(scene, frame)
    clearing = Clearing(views, frame, away, CPU)
    up, ahead = [12.0, 0.0, 6.0], np.array([0.8, 0.0, 0.6])
    blue, brown = sky_colour(np.array([0.93, 0.0, 0.37])), [0.4, 0.2, 0.1]
    world = [up, up, [8.0, HALF_WIDTH, WALL_HEIGHT / 2], [8.0, 0.0, 0.0], [-9.0, 0.0, 7.0]]
    colours = [blue, brown, blue, blue, blue]
    expected = [True, False, False, False, False]  # the last is behind every camera
    means = frame.points(np.array(world))
    means = np.concatenate([means, [ahead * away, ahead * away * (STRAY + 0.1)]])
    colours, expected = [*colours, blue, brown], [*expected, False, True]
    sh0 = (np.array(colours) - 0.5) / SH_C0
    found = clearing.misplaced(torch.tensor(means).float(), torch.tensor(sh0).float())
    assert found.tolist() == expected


def near_share(trainer: Trainer) -> float:
    """How much of what the held-out photos' skies show comes from nearer than a few scenes away."""
    p = dict(trainer.tensors())
    near = (p["means"].norm(dim=1) < 5).float()[:, None, None]
    p["sh"] = (near - 0.5).expand(-1, 1, 3) / SH_C0
    shares = []
    views = one_by_one(trainer.photos.steering, trainer.device)
    for index, view in zip(trainer.split.steering, views, strict=True):
        _, sky = photograph(walk()[index])
        shares.append(render(p, view, 0, antialiased=False)[0].detach().numpy()[sky].mean())
    return float(np.mean(shares))


def test_training_leaves_nothing_before_the_sky(street: Path) -> None:
    """Left to itself it hangs the sky over the street; held-out views show the difference."""
    shares, figures = {}, {}
    for wanted in (True, False):
        trainer = Trainer(load_scene(street), resolve(TrainOptions(**OPTIONS, sky=wanted), "cpu"))
        assert bool(trainer.sky_photos) == wanted
        while not trainer.finished():
            trainer.advance()
        shares[wanted], figures[wanted] = near_share(trainer), trainer.measure()
    print(shares, figures)
    assert shares[True] < 0.1 and shares[False] > 0.5
    assert figures[True] > figures[False] + 0.5


def test_a_run_under_the_sky_goes_on_exactly(street: Path) -> None:
    """The sky is found again, not kept in the checkpoint."""
    settings = resolve(TrainOptions(**OPTIONS), "cpu")
    whole, first = (Trainer(load_scene(street), settings) for _ in range(2))
    for _ in range(30):
        whole.advance()
    for _ in range(15):
        first.advance()
    second = Trainer(load_scene(street), settings)
    second.restore(first.state())
    for _ in range(15):
        second.advance()
    assert second.clearing is not None
    for name in NAMES:
        assert torch.equal(whole.parameters[name], second.parameters[name])


@pytest.mark.parametrize("most", [1, 19, 20, 39, 40, 79, 400])
def test_few_gaussians_show_the_sky_or_leave_it(street: Path, most: int) -> None:
    options = TrainOptions(**OPTIONS | {"max_gaussians": most, "steps": 2})
    trainer = Trainer(load_scene(street), resolve(options, "cpu"))
    away = 0 if trainer.clearing is None else trainer.clearing.away
    far = trainer.parameters["means"].norm(dim=1) > 0.99 * away
    shown = int(far.sum()) if away else 0
    assert (1 <= shown <= max(1, int(SHARE * most))) if most >= 20 else shown == 0
    assert (trainer.sky_from is not None) == (most >= 20) and trainer.sky_photos == 7 * (most >= 20)
    assert 1 <= len(trainer.parameters) <= most
    trainer.advance()


def test_sky_between_all_directions_of_a_coarse_cover(street: Path) -> None:
    """However few are asked for, some of the finer cover stand for it."""
    views = find_sky(load_scene(street), range(8))
    for most in (1, 2, 5, 24, 25):
        directions, colours, spacing = sky_directions(views, most)
        assert 1 <= len(directions) == len(colours) <= most and spacing > 0
    assert len(sky_directions(views, 0)[0]) == 0
