"""A block in training: what is frozen is drawn and never changes, and growth stays within its region."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.lib.contracts.blocks import Rectangle
from scripts.lib.scene.scene import load_scene
from scripts.lib.scene.split import Split
from scripts.lib.train.block import Block, Region, Sky, clearing_of, cut, raw_in_frame
from scripts.lib.train.cameras import Poses
from scripts.lib.train.frozen import Frozen
from scripts.lib.train.initialise import Frame
from scripts.lib.train.options import TrainOptions, resolve
from scripts.lib.train.parameters import NAMES, Parameters, export
from scripts.lib.train.sky import HALF_WAY
from scripts.lib.train.step import Adjustments, AutogradStep, render
from scripts.lib.train.trainer import Trainer
from scripts.lib.train.views import Stack, load_stacks
from tests.step_plan import plan
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

CPU = torch.device("cpu")
FRAME = Frame(np.array([10.0, -5.0, 2.0]), 4.0)
EAST = Rectangle(0.0, -9.0, 9.0, 9.0)
TRUTH = make_gaussians(120, bands=3)


@pytest.fixture(scope="module")
def scene_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "undistorted.zip"
    write_scene(path, TRUTH, make_views(12))
    return path


def one_photo(scene_zip: Path) -> Stack:
    scene = load_scene(scene_zip)
    return load_stacks(scene, Frame(np.zeros(3), 1.0), [0], CPU)[0]


def test_a_coarse_model_comes_back_from_the_frame_as_it_was() -> None:
    raw = raw_in_frame(TRUTH, FRAME, 1, CPU)
    back = export(raw, torch.tensor(FRAME.centre), FRAME.radius)
    assert np.allclose(back.means, TRUTH.means, atol=1e-5)
    assert np.allclose(back.scales, TRUTH.scales, atol=1e-5)
    assert np.array_equal(back.shN, TRUTH.shN) and np.array_equal(back.sh0, TRUTH.sh0)
    more = raw_in_frame(TRUTH, FRAME, 2, CPU)
    assert more["sh"].shape[1] == 9 and not more["sh"][:, 4:].any()


def test_what_is_cut_in_two_is_drawn_as_the_whole(scene_zip: Path) -> None:
    views = one_photo(scene_zip)
    frame = Frame(np.zeros(3), 1.0)
    block = Block(Split([], [], [], []), EAST, TRUTH, None)
    inside, rest = cut(block, frame, 1, CPU)
    assert 0 < len(rest) < len(TRUTH) and len(rest) + len(inside["means"]) == len(TRUTH)
    assert (inside["means"][:, 0] >= 0).all() and (rest.means[:, 0] < 0).all()
    whole = render(raw_in_frame(TRUTH, frame, 1, CPU), views, 1, False)
    parts = render(inside, views, 1, False, frozen=rest)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5)
    assert not torch.allclose(render(inside, views, 1, False), whole, atol=0.05)


@pytest.mark.parametrize("refined", [False, True])
def test_a_step_changes_as_if_all_were_trained_but_only_its_own(
    scene_zip: Path, refined: bool
) -> None:
    """The gradients of what is trained, and of the camera, are those of a training of everything."""
    views = one_photo(scene_zip)
    raw = raw_in_frame(TRUTH, Frame(np.zeros(3), 1.0), 1, CPU)
    raw["sh"] += 0.1  # or the photo would be met, and nothing would move
    own = 80
    mine = Parameters({name: values[:own] for name, values in raw.items()}, own)
    frozen = Frozen.of({name: values[own:] for name, values in raw.items()})
    before = [value.clone() for value in vars(frozen).values()]
    everyone = Parameters(raw, len(TRUTH))

    def poses() -> Poses | None:
        ones = torch.ones(1)
        return Poses(views.world_to_camera, views.K[:, 0, 0], 2 * ones, CPU) if refined else None

    found = []
    for step, parameters in ((AutogradStep(frozen), mine), (AutogradStep(), everyone)):
        adjust = Adjustments(None, poses())
        norms = torch.zeros(len(parameters))
        told = plan(0, degree=1)
        told = type(told)(**{**vars(told), "opacity_cost": 0, "scale_cost": 0, "camera_rate": 1.0})
        step(parameters, views, told, torch.Generator(), adjust, norms)
        found.append((norms[:own], adjust.poses.first if adjust.poses else None))
    for name in NAMES:
        a, b = mine.first[name], everyone.first[name][:own]
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-3, atol=1e-9)
    if refined:
        (_, first), (_, second) = found
        assert first is not None and second is not None and second.abs().max() > 0
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4 * float(second.abs().max()))
    assert all(torch.equal(a, b) for a, b in zip(before, vars(frozen).values(), strict=True))


def test_a_block_grows_in_its_region_alone(scene_zip: Path) -> None:
    scene = load_scene(scene_zip)
    options = TrainOptions(steps=40, max_gaussians=200, sh_degree=1, test_every=0, sky=False)
    block = Block(Split(list(range(12)), [], [], []), EAST, TRUTH, None)
    trainer = Trainer(scene, resolve(options, "cpu"), block)
    assert trainer.frozen is not None and trainer.region is not None
    before = [value.clone() for value in vars(trainer.frozen).values()]
    begun = len(trainer.parameters)
    assert trainer.region.contains(trainer.parameters["means"]).all()
    while not trainer.finished():
        trainer.advance()
        assert trainer.sh_degree() == 1
    assert all(
        torch.equal(a, b) for a, b in zip(before, vars(trainer.frozen).values(), strict=True)
    )
    made = trainer.gaussians()
    assert len(made) > 20 and begun > len(TRUTH) / 3
    assert (made.means[:, 0] >= 0).all(), "what leaves the region is made transparent"


def test_a_coarse_model_of_too_many_gaussians_starts_with_its_most_opaque(scene_zip: Path) -> None:
    options = TrainOptions(steps=5, max_gaussians=20, test_every=0, sky=False)
    block = Block(Split(list(range(12)), [], [], []), EAST, TRUTH, None)
    trainer = Trainer(load_scene(scene_zip), resolve(options, "cpu"), block)
    inside = TRUTH.opacities[TRUTH.means[:, 0] >= 0]
    assert len(trainer.parameters) == 20
    assert trainer.parameters["opacities"].min() >= np.sort(inside)[-20] - 1e-6


def test_frozen_gaussians_that_no_photo_of_the_block_shows_are_not_drawn(scene_zip: Path) -> None:
    behind = TRUTH.take(np.arange(len(TRUTH)))
    behind.means[:30] = (-50.0, 0, 0)  # west of all cameras, which look inwards from a ring of 2
    scene = load_scene(scene_zip)
    seeing = [i for i in range(12) if scene.centres[i, 0] < -0.5]  # with their backs to them
    block = Block(Split(list(range(len(seeing))), [], [], []), EAST, behind, None)
    options = TrainOptions(steps=5, max_gaussians=99, test_every=0, sky=False)
    trainer = Trainer(scene.take(seeing), resolve(options, "cpu"), block)
    assert trainer.frozen is not None
    centre, radius = trainer.frame.centre, trainer.frame.radius
    west = trainer.frozen.means.numpy() * radius + centre
    assert len(west) and west[:, 0].min() > -2


def test_the_sky_of_a_block_begins_where_that_of_the_coarse_model_does() -> None:
    from scripts.lib.scene.sky import SkyView

    view = SkyView(
        np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), bool), np.eye(3), np.eye(4)
    )  # fmt: skip
    block = Block(Split([], [], [], []), EAST, TRUTH, Sky((30.0, 0.0, 0.0), 40.0))
    clearing = clearing_of(block, [view], FRAME, CPU)
    assert clearing is not None
    # Stray is what lies beyond 1.5 times the sky's distance from the coarse model's own centre.
    places = np.array([[30 + 1.49 * 40 / HALF_WAY, 0, 0], [30 + 1.51 * 40 / HALF_WAY, 0, 0]])
    means = torch.tensor(FRAME.points(places), dtype=torch.float32)
    assert clearing.misplaced(means, torch.ones(2, 3)).tolist() == [False, True]
    assert clearing_of(block, [], FRAME, CPU) is None


def test_a_region_has_no_bounds_in_height() -> None:
    region = Region(EAST, FRAME, CPU)
    places = np.array([[0.1, 0, 1000.0], [-0.1, 0, 0], [9.1, 0, 0]])
    means = torch.tensor(FRAME.points(places), dtype=torch.float32)
    assert region.contains(means).tolist() == [True, False, False]
