"""A splat in pieces is the splat: the same Gaussians, pictures, weights and decisions as in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.lib.core.console import UserError
from scripts.lib.render.along_rays import depths_along
from scripts.lib.render.pieces import PiecesRenderer, shapes_in_sight, view_of
from scripts.lib.render.renderer import Renderer
from scripts.lib.splat import pieces
from scripts.lib.splat.gaussians import Gaussians, read_ply, write_ply
from tests.unit.splat_scene import make_gaussians, make_views


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every splat is in pieces of at most 40."""
    monkeypatch.setattr(pieces, "WHOLE", 0)
    monkeypatch.setattr(pieces, "PIECE", 40)


def assert_same(one: Gaussians, other: Gaussians) -> None:
    for name, values in one.arrays.items():
        assert np.array_equal(values, other.arrays[name]), name


@pytest.mark.usefixtures("cut")
def test_pieces_hold_every_gaussian_once_and_neighbours_together(tmp_path: Path) -> None:
    made = make_gaussians(300, bands=8)
    write_ply(tmp_path / "splat.ply", made)
    with pieces.opened(tmp_path / "splat.ply", tmp_path / "out") as found:
        splat, rows = found.splat, found.rows
        assert isinstance(splat, pieces.Pieces) and rows is not None
        assert len(splat.counts) == 8 and max(splat.counts) <= 40 and len(splat) == 300
        assert splat.sh_degree == 2
        assert_same(pieces.in_memory(splat), made.take(rows))
        assert sorted(rows) == list(range(300))
        for number, (_, part) in enumerate(splat):
            box = splat.box(number)
            assert (part.means >= box.low).all() and (part.means <= box.high).all()
            assert np.exp(part.scales).max() <= box.longest * (1 + 1e-6)
        kept = np.arange(300) % 3 > 0
        some = splat.take(kept)
        assert_same(pieces.in_memory(some), made.take(rows[kept]))
        # What is left out of one does not move the boxes of the other.
        assert some.box(0) is not splat.box(0) or (splat.box(0).low <= some.box(0).low).all()
        found.write(tmp_path / "some.ply", kept, ("told",))
    in_order = np.zeros(300, bool)
    in_order[rows] = kept
    write_ply(tmp_path / "wanted.ply", made.take(in_order), ("told",))
    assert (tmp_path / "some.ply").read_bytes() == (tmp_path / "wanted.ply").read_bytes()
    assert not list(tmp_path.glob(".out.*")), "the pieces are still there"


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("antialiased", [False, True])
def test_a_picture_of_pieces_is_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, antialiased: bool
) -> None:
    monkeypatch.setattr("scripts.lib.render.pieces.KEPT_BYTES", 20_000)  # some have to go again
    made = make_gaussians(300, bands=15, seed=3)
    far = np.float32([5_000.0, 50_000.0, 300.0])  # as on a map
    made = Gaussians(**made.arrays | {"means": made.means + far}, antialiased=antialiased)
    write_ply(tmp_path / "splat.ply", made)
    made = read_ply(tmp_path / "splat.ply")
    whole = Renderer(made, background=(0.2, 0.3, 0.4))
    with pieces.opened(tmp_path / "splat.ply", tmp_path / "out") as found:
        assert isinstance(found.splat, pieces.Pieces)
        some = PiecesRenderer(found.splat, background=(0.2, 0.3, 0.4))
        for camera in make_views()[:3]:
            K, size = camera.K, (camera.width, camera.height)
            moved = camera.world_to_camera.copy()
            moved[:3, 3] -= moved[:3, :3] @ far.astype(float)
            view = (moved, K, size)
            assert np.abs(whole.picture(*view) - some.picture(*view)).max() < 2e-3
            for one, other in zip(whole.depth(*view), some.depth(*view), strict=True):
                assert (one > 0).any() and np.abs((one - other).numpy()).max() < 0.02
            in_sight = shapes_in_sight(found.splat, *view)
            assert len(in_sight) <= 300 and not in_sight.shN.size
            rays = (moved, K, size, np.array([[32.5, 24.5], [20.5, 20.5]]))
            wanted, along = depths_along(made, *rays), depths_along(in_sight, *rays)
            assert wanted.alpha.min() > 0.5 and np.allclose(along.mean, wanted.mean, rtol=1e-6)
            weights = whole.weights(*view)
            assert weights.max() > 1
            assert np.allclose(some.weights(*view), weights[found.rows], atol=0.05)
        behind = moved.copy()
        behind[:3] = np.diag([-1.0, 1.0, -1.0]) @ moved[:3]  # turned about: nothing is in sight
        assert np.allclose(some.picture(behind, K, size), [0.2, 0.3, 0.4], atol=1e-6)
        assert not some.weights(behind, K, size).any()


def test_what_a_view_leaves_out_is_not_drawn() -> None:
    """Of Gaussians all around the camera, some of them large, every one that has a weight may be seen."""
    random = np.random.default_rng(2)
    made = make_gaussians(3000)
    scales = random.normal(-2.5, 1.0, (3000, 3)).astype(np.float32)
    means = random.normal(0, 4, (3000, 3)).astype(np.float32)
    made = Gaussians(**made.arrays | {"means": means, "scales": scales})
    K, size = np.array([[40.0, 0, 30], [0, 40.0, 25], [0, 0, 1]]), (60, 50)
    renderer = Renderer(made)
    view = view_of(np.eye(4), K, size, np.zeros(3), renderer.device)
    seen = view.may_see(renderer.means, renderer.scales.amax(1)).numpy()
    weights = renderer.weights(np.eye(4), K, size)
    assert not weights[~seen].any()
    assert (~seen).mean() > 0.3, "nothing is left out"


@pytest.mark.usefixtures("cut")
def test_a_ply_that_is_not_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "splat.ply").write_bytes(b"ply\n")
    with (
        pytest.raises(UserError, match="not a readable PLY"),
        pieces.opened(tmp_path / "splat.ply", tmp_path / "out"),
    ):
        pass
