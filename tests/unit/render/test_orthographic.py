"""Pictures straight down: the same as a camera that is very far up, and exact for one Gaussian."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scripts.lib.render.orthographic import FromAbove, flattened
from scripts.lib.render.rasterise import rasterise
from scripts.lib.render.tile import Tile

EYE = np.eye(3)


def some(count: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Places, quaternions, log scales, logits and colours of Gaussians in a cube of two metres."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(-1, 1, (count, 3))
    quats = rng.normal(size=(count, 4))
    scales = np.log(rng.uniform(0.02, 0.2, (count, 3)))
    return place, quats, scales, rng.normal(1, 1, count), rng.uniform(0, 1, (count, 3))


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_far_camera_sees_the_same(antialiased: bool, backend: str) -> None:
    """From 4 km up, the parallax of two metres is less than a hundredth of a pixel of 5 cm."""
    place, quats, scales, logits, colours = some(60)
    step, size, up = 0.05, 48, 4000.0
    tile = Tile(-1.2, 1.2, step, size, size)
    discs = flattened(place, quats, scales, logits, EYE, antialiased)
    picture, alpha = FromAbove(discs, tile).blend(colours)

    down = np.diag([1.0, -1.0, -1.0, 1.0])
    down[2, 3] = up
    K = np.array([[up / step, 0, size / 2], [0, up / step, size / 2], [0, 0, 1]])
    tensors = [torch.tensor(values) for values in (place, quats, np.exp(scales))]
    dtype = torch.float64 if backend == "reference" else torch.float32
    far, far_alpha = rasterise(
        *(tensor.to(dtype) for tensor in tensors),
        torch.sigmoid(torch.tensor(logits)).to(dtype),
        torch.tensor((colours - 0.5) / 0.28209479177387814)[:, None].to(dtype),
        torch.tensor(down)[None].to(dtype),
        torch.tensor(K)[None].to(dtype),
        (size, size),
        antialiased=antialiased,
        backend=backend,
    )
    assert alpha.max() > 0.9
    assert np.abs(alpha - far_alpha[0, ..., 0].numpy()).max() < 6e-3
    # Those of almost the same height may change places in float32 at 4 km, so a few pixels are left out.
    assert np.quantile(np.abs(picture - far[0].numpy()), 0.99) < 6e-3


def test_one_gaussian_is_its_marginal() -> None:
    """Alpha of a turned Gaussian is its opacity times the marginal with the pixel's blur, anywhere."""
    place, quats, scales, _, _ = some(1, seed=3)
    place += [500_000.0, 5_000_000.0, 300.0]  # of a map
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]) * 3.2808
    step, size = 0.1, 40
    tile = Tile(place[0, 0] - 1.73, place[0, 1] + 2.11, step, size, size)
    discs = flattened(place, quats, scales, np.array([0.0]), turn)
    _, alpha = FromAbove(discs, tile).blend(np.ones((1, 3)))

    from scipy.spatial.transform import Rotation

    axes = turn @ Rotation.from_quat(quats[0], scalar_first=True).as_matrix() * np.exp(scales[0])
    spread = (axes @ axes.T)[:2, :2] + 0.3 * step**2 * np.eye(2)
    columns, rows = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    away = np.stack(
        [tile.east + columns * step - place[0, 0], tile.north - rows * step - place[0, 1]], axis=-1
    )
    power = np.einsum("hwi,ij,hwj->hw", away, np.linalg.inv(spread), away)
    expected = 0.5 * np.exp(-power / 2)
    shown = expected > 1.05 / 255
    assert shown.sum() > 40
    np.testing.assert_allclose(alpha[shown], expected[shown], atol=2e-5)


def test_what_is_higher_covers_what_is_lower() -> None:
    """Two opaque discs over each other, a millimetre apart, under a third that is a kilometre up."""
    place = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1e-3], [50.0, 0.0, 1000.0]])
    quats, scales = np.tile([1.0, 0, 0, 0], (3, 1)), np.full((3, 3), np.log(0.5))
    discs = flattened(place, quats, scales, np.full(3, 12.0), EYE)
    # The middles of pixels of a centimetre lie within 7 mm of the corner that all share.
    tile = Tile(-0.02, 0.02, 0.01, 4, 4)
    picture, _ = FromAbove(discs, tile).blend(np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]))
    assert picture[1, 1] == pytest.approx([0, 1, 0], abs=0.01)


def test_tiles_join() -> None:
    """A picture in one piece is that of its tiles, each drawn from the discs near it alone."""
    place, quats, scales, logits, colours = some(200, seed=5)
    discs = flattened(place, quats, scales, logits, EYE)
    whole, _ = FromAbove(discs, Tile(-1.5, 1.5, 0.05, 60, 60)).blend(colours)
    for left in (0, 30):
        for top in (0, 30):
            tile = Tile(-1.5 + left * 0.05, 1.5 - top * 0.05, 0.05, 30, 30)
            near = discs.near(tile)
            assert 0 < near.sum() < 200
            part, _ = FromAbove(discs.take(near), tile).blend(colours[near])
            np.testing.assert_allclose(whole[top : top + 30, left : left + 30], part, atol=1e-4)


def test_nothing_is_drawn_of_nothing() -> None:
    """A tile without any disc is empty, not an error."""
    place, quats, scales, logits, colours = (values[:0] for values in some(3))
    picture, alpha = FromAbove(
        flattened(place, quats, scales, logits, EYE), Tile(0, 0, 1, 5, 4)
    ).blend(colours)
    assert picture.shape == (4, 5, 3)
    assert alpha.shape == (4, 5)
    assert not picture.any() and not alpha.any()
