"""What changed between two made-up captures: things that came and went are found, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scripts.lib.core.geo import Sim3
from scripts.lib.measure.changes import compare
from scripts.lib.measure.changes.compare import Camera, Exposure, Score, Side, Vote
from scripts.lib.measure.changes.find import cameras_of, places_of, voted
from scripts.lib.measure.changes.looks import looked_at, tinted
from scripts.lib.measure.changes.noise import Noise, difference, own_noise
from scripts.lib.measure.changes.places import find_places, kind_of
from scripts.lib.measure.evaluate import Views
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import Scene
from scripts.lib.scene.split import Split
from scripts.lib.scene.start_view import look_at
from scripts.lib.splat.gaussians import SH_C0, Gaussians
from scripts.lib.splat.rotation import carried

SIZE = np.array([96, 72])
K = np.array([[90.0, 0, 48], [0, 90, 36], [0, 0, 1]])
FRAME = Sim3(0.5, Rotation.from_euler("xyz", [20, 10, 70], degrees=True).as_matrix(), np.ones(3))


def discs(means: np.ndarray, colours: np.ndarray, size: float) -> Gaussians:
    count = len(means)
    return Gaussians(
        means=means.astype(np.float32),
        quats=np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        scales=np.full((count, 3), np.log(size), np.float32),
        opacities=np.full(count, 4.0, np.float32),
        sh0=((colours - 0.5) / SH_C0).astype(np.float32),
        shN=np.zeros((count, 0, 3), np.float32),
    )


def joined(*parts: Gaussians) -> Gaussians:
    names = ("means", "quats", "scales", "opacities", "sh0", "shN")
    return replace(
        parts[0], **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    )


def ground(seed: int) -> Gaussians:
    """A floor of 8 x 8 m in stripes; another seed has its Gaussians elsewhere."""
    side = np.arange(-4, 4, 0.2)
    x, y = (grid.ravel() for grid in np.meshgrid(side, side))
    random = np.random.default_rng(seed)
    means = np.c_[x, y, np.zeros_like(x)] + random.normal(0, 0.02, (len(x), 3))
    stripes = 0.45 + 0.15 * np.sin(1.5 * means[:, :1]) * np.ones(3)
    return discs(means, stripes + random.normal(0, 0.01, stripes.shape), 0.13)


def box(x: float, y: float, colour: tuple[float, float, float]) -> Gaussians:
    """A cube of 80 cm that stands on the floor."""
    side = np.arange(-0.4, 0.41, 0.16)
    means = np.stack(np.meshgrid(side, side, side + 0.4), -1).reshape(-1, 3) + [x, y, 0]
    return discs(means, np.tile(colour, (len(means), 1)), 0.1)


def cameras(count: int, start: float) -> list[Camera]:
    found = []
    for number in range(count):
        turn = 2 * np.pi * (start + number / count)
        eye = np.array([7 * np.cos(turn), 7 * np.sin(turn), 5.0])
        found.append(Camera(f"{number}.jpg", look_at(eye, np.zeros(3)), K, SIZE))
    return found


def side(gaussians: Gaussians, noise: float = 0.01) -> Side:
    count = len(gaussians)
    return Side(Renderer(gaussians), Noise(np.full(count, noise**2), np.full(count, 9)))


RED, BLUE = (0.8, 0.15, 0.1), (0.1, 0.2, 0.7)
NO_CHANGE = Exposure(np.ones(3), np.zeros(3))


@pytest.fixture(scope="module")
def moved() -> tuple[tuple[Side, Side], tuple[Score, Score], list[Camera]]:
    """A red box stands still, a blue one is carried over the floor."""
    still = box(-2, -2, RED)
    sides = (
        side(joined(ground(1), still, box(2, 1.5, BLUE))),
        side(joined(ground(2), still, box(-1.5, 2, BLUE))),
    )
    views = cameras(6, 0.0) + cameras(5, 0.07)
    scores, _ = voted(*sides, views, NO_CHANGE)
    return sides, scores, views


def test_what_was_moved_has_gone_and_has_come(
    moved: tuple[tuple[Side, Side], tuple[Score, Score], list[Camera]],
) -> None:
    sides, scores, views = moved
    found = places_of(sides, scores, views)[:2]
    looks, _ = looked_at(found, sides, scores, views)
    by_kind = {look.kind: place for look, place in zip(looks, found, strict=True)}
    assert set(by_kind) == {"gone", "appeared"}
    assert by_kind["gone"].position == pytest.approx([2, 1.5, 0.4], abs=0.3)
    assert by_kind["appeared"].position == pytest.approx([-1.5, 2, 0.4], abs=0.3)
    assert all(0.5 < place.size < 1.3 for place in found)
    others = places_of(sides, scores, views)[2:]
    assert sum(place.pixels for place in others) < 0.05 * sum(place.pixels for place in found)


def test_the_map_shows_the_things_and_little_else(
    moved: tuple[tuple[Side, Side], tuple[Score, Score], list[Camera]],
) -> None:
    """From a camera that took no part, against where the boxes are."""
    sides, scores, _ = moved
    camera = cameras(1, 0.31)[0]
    share = compare.changed_pixels(*sides, scores, camera).share
    true = np.zeros(share.shape, bool)
    for mine, x, y in ((sides[0], 2, 1.5), (sides[1], -1.5, 2)):
        means = mine.renderer.means.double().numpy() + mine.renderer.origin
        inside = (np.abs(means - [x, y, 0.45]) < 0.45).all(axis=1)
        values = np.repeat(inside[:, None].astype(float), 3, axis=1)
        true |= mine.renderer.blend(values, *camera.arguments)[0][..., 0] > 0.5
    told = share > 0.5
    both = (told & true).sum()
    assert both / true.sum() > 0.8 and both / told.sum() > 0.8
    picture = tinted(np.full((*share.shape, 3), 0.5, np.float32), share)
    assert (picture[told][:, 0] > picture[told][:, 2] + 0.2).all()


def test_nothing_is_found_where_nothing_changed() -> None:
    """Two splats of one place with other Gaussians, the second in other light and in a frame of its own."""
    first = joined(ground(1), box(1, 1, RED))
    second = joined(ground(2), box(1, 1, RED))
    dim = replace(
        second, sh0=(second.sh0 * SH_C0 + 0.5) * 0.8 / SH_C0 - 0.5 / SH_C0 + np.float32(0.03)
    )
    sides = (side(first, 0.02), side(carried(carried(dim, FRAME.inverse()), FRAME), 0.02))
    views = cameras(5, 0.0)
    light = compare.exposure(*sides, views, 0)
    assert light.gain == pytest.approx([1.25] * 3, rel=0.1)
    scores, valid = voted(*sides, views, light)
    assert valid > 0 and places_of(sides, scores, views) == []
    # Without that, all of it would have changed.
    unlit, _ = voted(*sides, views, NO_CHANGE)
    assert places_of(sides, unlit, views)


def test_what_one_capture_has_not_seen_is_not_told() -> None:
    first, second = ground(1), joined(ground(1), box(1, 1, RED))
    unseen = side(first)
    unseen = replace(unseen, noise=replace(unseen.noise, views=np.zeros(len(first), np.int64)))
    scores, valid = voted(unseen, side(second), cameras(4, 0.0), NO_CHANGE)
    assert valid == 0 and all((score.share == 0).all() for score in scores)


def test_a_noisy_splat_tells_less() -> None:
    """The same difference is none where the splat is as far from its own photos."""
    first, second = ground(1), joined(ground(2), box(1, 1, (0.6, 0.6, 0.6)))
    views = cameras(5, 0.0)
    sure, _ = voted(side(first), side(second), views, NO_CHANGE)
    unsure, _ = voted(side(first, 0.3), side(second, 0.3), views, NO_CHANGE)
    assert (sure[1].share > 0.5).sum() > 20 and (unsure[1].share > 0.5).sum() == 0


def test_a_vote_needs_several_views() -> None:
    sides = side(ground(1)), side(joined(ground(1), box(1, 1, RED)))
    scores, _ = voted(*sides, cameras(1, 0.0), NO_CHANGE)
    assert all((score.share == 0).all() for score in scores)
    vote = Vote(sides[1].renderer)
    for _ in range(compare.FEWEST):
        vote.add(compare.compare_view(*sides, cameras(1, 0.0)[0], NO_CHANGE))
    assert vote.score().share.max() == 1


def scene_of(views: list[Camera], path: Path) -> Scene:
    count = len(views)
    return Scene(
        path=path / "none.zip",
        names=tuple(camera.name for camera in views),
        sizes=np.tile(SIZE, (count, 1)),
        K=np.tile(K, (count, 1, 1)),
        world_to_camera=np.array([camera.world_to_camera for camera in views]),
        points=np.zeros((0, 3)),
        colours=np.zeros((0, 3), np.uint8),
    )


def test_noise_is_where_the_photos_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All photos are brighter on the side of the floor where x is positive; a mask hides some of it."""
    gaussians, views = ground(1), cameras(4, 0.0)
    renderer = Renderer(gaussians)
    east = np.repeat((gaussians.means[:, :1] > 0).astype(float), 3, axis=1)
    photos = []
    for camera in views:
        wrong = 0.2 * renderer.blend(east, *camera.arguments)[0]
        photos.append((renderer.picture(*camera.arguments) + wrong).astype(np.float32))
    photos[0][:30] = np.nan
    monkeypatch.setattr(
        "scripts.lib.measure.changes.noise.photo_of", lambda _, index: photos[index]
    )
    held_out = Views(scene_of(views, tmp_path), [0, 1, 2, 3], True, Split([0, 1, 2, 3], [], [], []))
    noise = np.sqrt(own_noise(renderer, held_out).square)
    x = gaussians.means[:, 0]
    assert np.median(noise[x > 1]) == pytest.approx(0.2, abs=0.03)
    assert np.median(noise[x < -1]) < 0.07
    # Photos that training has not seen, and that are further off, raise all of it.
    photos[3] += 0.3
    trained = replace(held_out, split=Split([0, 1, 2], [], [3], []))
    assert np.median(np.sqrt(own_noise(renderer, trained).square)) > 1.5 * np.median(noise)


def test_difference_in_a_window_leaves_hidden_pixels_out() -> None:
    a, b = np.zeros((20, 20, 3), np.float32), np.zeros((20, 20, 3), np.float32)
    b[:, 10:] = 0.4
    b[0] = np.nan
    found = difference(a, b)
    assert np.isnan(found[0]).all() and np.isfinite(found[1:]).all()
    assert found[10, 2] == 0 and found[10, 17] == pytest.approx(0.16, rel=1e-5)


def pixel(camera: Camera, point: np.ndarray) -> np.ndarray:
    local = camera.world_to_camera[:3, :3] @ point + camera.world_to_camera[:3, 3]
    return (camera.K @ local)[:2] / local[2]


def test_cameras_of_a_capture_come_into_the_common_frame(tmp_path: Path) -> None:
    """A point of the capture's own frame is seen at the same pixel."""
    own = cameras(3, 0.0)
    split = Split([0, 1, 2], [], [], [])
    views = Views(scene_of(own, tmp_path), [0, 1, 2], False, split)
    point = np.array([0.3, -0.5, 0.8])
    there = FRAME.apply(point[None])[0]
    for old, new in zip(own, cameras_of(views, FRAME, 3), strict=True):
        assert pixel(old, point) == pytest.approx(pixel(new, there), abs=1e-9)


def test_places_are_apart_and_the_largest_comes_first() -> None:
    random = np.random.default_rng(0)
    first = random.uniform(0, 0.5, (40, 3))
    second = np.concatenate([random.uniform(3, 3.8, (90, 3)), random.uniform(0, 0.5, (35, 3))])
    scores = (
        Score(np.ones(40), np.ones(40)),
        Score(np.ones(125), np.r_[np.full(90, 2.0), np.ones(35)]),
    )
    one, two = find_places((first, second), scores, 0.3)
    assert two.pixels == 75 and two.position.max() < 0.5
    assert one.position == pytest.approx([3.4] * 3, abs=0.15) and one.pixels == 180
    none = [Score(np.zeros(len(score.share)), score.pixels) for score in scores]
    assert find_places((first, second), none, 0.3) == []


def test_what_is_in_front_tells_what_happened() -> None:
    assert kind_of(80, 10, 100) == "appeared" and kind_of(5, 60, 100) == "gone"
    assert kind_of(40, 40, 100) == "changed"  # one thing in place of another
    assert kind_of(10, 0, 100) == "changed"  # paint on a wall
