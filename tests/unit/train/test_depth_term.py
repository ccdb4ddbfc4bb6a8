"""The depth term: its value and gradients where they are known, and what it does to a veil."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.lib.scene.known_depths import KnownDepths
from scripts.lib.scene.scene import load_scene
from scripts.lib.train import depth_term
from scripts.lib.train.depth_term import DepthTerm, by_means, features, weight_at
from scripts.lib.train.options import TrainOptions, resolve
from scripts.lib.train.trainer import Trainer
from tests.unit.splat_scene import make_gaussians, make_views, photograph, write_photos, write_scene

CPU = torch.device("cpu")


def known(depths: list[float], sigma: float = 0.0, held_out: bool = False) -> KnownDepths:
    """Points in a row across the middle of a photo."""
    count = len(depths)
    places = np.stack([(np.arange(count) + 0.5) / count, np.full(count, 0.5)], axis=1)
    deep = np.array(depths)
    return KnownDepths(places, deep, sigma * deep, np.full(count, held_out))


def test_its_value_is_the_spread_about_the_point_with_what_is_missing() -> None:
    """Pixels that blend .5 and .3 at two depths, and leave .2 empty."""
    term = DepthTerm([known([2.0]), known([2.0, 4.0])], 2.0, 0, CPU)
    weights, depths = np.array([0.5, 0.3]), np.array([3.0, 5.0])  # world units, as the points
    inverse = 2.0 / depths
    pixel = [float(weights @ inverse), float(weights @ inverse**2), 0.0]
    image = torch.tensor([[pixel, pixel]] * 2)
    for number, points in ((0, [2.0]), (1, [2.0, 4.0])):
        squares = [float(weights @ (d / depths - 1) ** 2 + 0.2) for d in points]
        width = depth_term.WIDTH
        expected = sum(width * math.log1p(s / width**2) for s in squares) / depth_term.FEWEST
        assert float(term.loss(image, torch.tensor([number]))) == pytest.approx(expected, rel=1e-5)


def test_gradients_by_means_are_those_of_autograd() -> None:
    torch.manual_seed(0)
    means = torch.randn(50, 3, dtype=torch.float64).requires_grad_()
    camera = torch.tensor(make_views(3)[1].world_to_camera)
    camera[2, 3] = 1.0  # some behind, where 1 / z is held
    weights = torch.randn(50, 3, dtype=torch.float64)
    made = features(means, camera)
    (wanted,) = torch.autograd.grad((made * weights).sum(), means)
    assert torch.allclose(by_means(made.detach(), weights, camera), wanted)
    assert (wanted == 0).all(dim=1).any() and (wanted != 0).any()


def test_only_points_count_that_training_may_use_and_that_are_known() -> None:
    def points(*some: KnownDepths) -> int:
        return DepthTerm(some, 1.0, 0, CPU).points

    assert points(known([1, 2, 3]), known([4])) == 4
    assert points(known([1, 2, 3], held_out=True)) == 0
    assert points(known([1, 2, 3], sigma=0.06)) == 0
    assert points() == points(known([])) == 0
    many = known([5.0] * 3000)
    assert points(many) == depth_term.MOST
    # Of two points, that which is known to 1 % weighs half.
    half = (
        DepthTerm([known([1.0], 0.01)], 1.0, 0, CPU).table
        / DepthTerm([known([1.0])], 1.0, 0, CPU).table
    )
    assert half[0, 0, 3] == pytest.approx(0.5)


@pytest.mark.parametrize(("photos", "every"), [(1, 4), (2, 4), (4, 2), (8, 1), (64, 1)])
def test_on_average_a_step_has_its_weight(photos: int, every: int) -> None:
    weights = [weight_at(step, photos) for step in range(64)]
    assert np.mean(weights) == pytest.approx(depth_term.WEIGHT)
    assert sum(weight > 0 for weight in weights) == 64 / every


def trained(path: Path, **options: object) -> Trainer:
    made = TrainOptions(steps=8, max_gaussians=400, test_every=0, sky=False, **options)  # type: ignore[arg-type]
    trainer = Trainer(load_scene(path), resolve(made, "cpu"))
    while not trainer.finished():
        trainer.advance()
    return trainer


def test_training_has_it_where_there_are_tracks_and_it_is_wanted(tmp_path: Path) -> None:
    gaussians, views = make_gaussians(300), make_views(6)
    model = write_scene(tmp_path / "plain.zip", gaussians, views)
    photos = [photograph(gaussians, view) for view in views]
    write_photos(tmp_path / "tracked.zip", model, photos, tracked=True)
    plain, off = (
        trained(tmp_path / "plain.zip", depth_term=True),
        trained(tmp_path / "tracked.zip"),
    )
    on = trained(tmp_path / "tracked.zip", depth_term=True)
    assert plain.optimise.depths is None and off.optimise.depths is None
    assert on.optimise.depths is not None and on.optimise.depths.points > 500
    assert not torch.equal(on.parameters["means"], off.parameters["means"])


def test_it_takes_a_veil_away_and_keeps_the_wall() -> None:
    """A solid wall at 4 and a veil at 2, over which the points at 4 decide."""
    from scripts.lib.render.rasterise import rasterise
    from scripts.lib.splat.gaussians import SH_C0

    side = torch.linspace(-1.4, 1.4, 12)
    x, y = torch.meshgrid(side, side, indexing="xy")
    wall = torch.stack([x.ravel(), y.ravel(), torch.full((144,), 4.0)], dim=1)
    means = torch.cat([wall, wall / 2]).requires_grad_()
    opacities = torch.cat([torch.full((144,), 3.0), torch.full((144,), -1.5)]).requires_grad_()
    camera = torch.eye(4)
    K = torch.tensor([[40.0, 0, 16], [0, 40, 16], [0, 0, 1]])
    term = DepthTerm([known([4.0] * 32)], 1.0, 0, CPU)
    optimiser = torch.optim.Adam([means, opacities], 0.05)
    off = []
    for _ in range(100):
        optimiser.zero_grad()
        image, alpha = rasterise(
            means,
            torch.tensor([[1.0, 0, 0, 0]]).repeat(288, 1),
            torch.tensor([[0.12, 0.12, 0.01]]).repeat(288, 1),
            torch.sigmoid(opacities),
            ((features(means, camera)[:, None] - 0.5) / SH_C0).contiguous(),
            camera[None],
            K[None],
            (32, 32),
        )
        term.loss(image[0], torch.tensor([0])).backward()
        optimiser.step()
        off.append(float((image[0, 16, 4:-4, 0] / alpha[0, 16, 4:-4, 0] * 4 - 1).abs().median()))
    assert off[0] > 0.15 and off[-1] < 0.03, "the mean inverse depth is that of the wall"
    assert alpha[0, 16, 4:-4].min() > 0.9
