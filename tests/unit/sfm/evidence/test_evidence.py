"""Models that are wrong in a known way are told of, and right ones are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scripts.lib.contracts.georef import Georef
from scripts.lib.sfm.divided import Unjoined
from scripts.lib.sfm.evidence import suspicions
from scripts.lib.sfm.evidence.shifts import find_shift
from scripts.lib.sfm.evidence.sides import two_sides
from scripts.lib.sfm.evidence.tears import find_tears
from scripts.lib.sfm.evidence.views import views_of
from tests.photo_lines import line
from tests.unit.sfm_repeats import (
    Sights,
    bent_model,
    both,
    facade,
    folded_model,
    right_model,
    round_walk,
    seen,
    verified,
)

NOWHERE = Georef(
    georeferenced=False,
    reason="0 registered photos have GPS",
    scale=1.0,
    world_from_sfm=tuple(map(tuple, np.eye(4).tolist())),  # type: ignore[arg-type]
)
APART = 100.0


def photos(count: int) -> list:
    """Lines of photos.json of v001.jpg and so on."""
    return [line(f"v{number + 1:03d}.jpg") for number in range(count)]


@pytest.fixture(scope="module")
def walked() -> tuple:
    """A walk round a house: the place, what its photos see, and their matches."""
    place = round_walk()
    sighted = seen(place, 10)
    return place, sighted, verified(place, sighted)


@pytest.mark.parametrize("unlike", [0.3, 0.6])
def test_two_like_facades_taken_for_one_are_told(unlike: float) -> None:
    """The photos of both groups are named, and nothing else is said."""
    first, second = facade(1, unlike=unlike), facade(2, unlike=unlike, at=APART)
    place = both(first, second)
    sighted = seen(place, 30)
    matches = verified(place, sighted)
    assert any(a <= 8 < b for a, b in matches)  # or there is nothing to mistake
    model = folded_model(first, second, sighted, APART)
    (found,) = suspicions(model, matches, photos(16), NOWHERE)
    assert found.kind == "folded" and found.pairs >= 8 and found.share and found.share > 0.1
    groups = {found.photos, found.others}
    assert groups == {tuple(f"v{n:03d}.jpg" for n in part) for part in (range(1, 9), range(9, 17))}
    assert "v001.jpg to v008.jpg and v009.jpg to v016.jpg are at the same place" in found.sentence


@pytest.mark.parametrize("unlike", [0.3, 0.6])
def test_a_model_that_keeps_like_facades_apart_is_right(unlike: float) -> None:
    """Their matches contradict it, but what stands before them tells that they are two."""
    place = both(facade(1, unlike=unlike), facade(2, unlike=unlike, at=APART))
    sighted = seen(place, 30)
    matches = verified(place, sighted)
    assert any(a <= 8 < b for a, b in matches)
    assert suspicions(right_model(place, sighted), matches, photos(16), NOWHERE) == ()


@pytest.mark.parametrize(("growth", "turn"), [(0.05, 0.0), (0.15, 0.0), (0.0, 6.0), (0.1, 10.0)])
def test_a_round_that_does_not_close_is_told(walked: tuple, growth: float, turn: float) -> None:
    """By its photos on both sides of the gap, and how wide that is: to a third."""
    place, sighted, matches = walked
    (found,) = suspicions(bent_model(place, sighted, growth, turn), matches, photos(24), NOWHERE)
    assert found.kind == "torn"
    sides = sorted([found.photos, found.others])
    assert {"v001.jpg", "v002.jpg"} <= set(sides[0]) and {"v023.jpg", "v024.jpg"} <= set(sides[1])
    gap = 12 * np.hypot(growth, np.radians(turn))
    assert found.distance == pytest.approx(gap, rel=0.35)
    assert "v001.jpg to" in found.sentence and "to v024.jpg" in found.sentence


def test_a_round_that_closes_is_right(walked: tuple) -> None:
    """The true model, and one that is bent by less than its noise."""
    place, sighted, matches = walked
    for model in (right_model(place, sighted), bent_model(place, sighted, 0.005)):
        assert suspicions(model, matches, photos(24), NOWHERE) == ()


def test_matches_without_points_tell_nothing(walked: tuple) -> None:
    """A model without the photos, and photos whose matched features see no point."""
    place, sighted, matches = walked
    views = views_of(bent_model(place, sighted, 0.15))
    blind = [
        replace(v, features=v.features[:0], points=v.points[:0], pixels=v.pixels[:0], xyz=v.xyz[:0])
        for v in views
    ]
    assert find_tears(blind, matches) == [] and find_tears([], matches) == []
    none: Sights = []
    assert suspicions(right_model(replace(place, poses=[]), none), {}, [], NOWHERE) == ()


def _residuals(count: int, scatter: float, off: dict[int, tuple[float, float]]) -> dict:
    random = np.random.default_rng(0)
    noise = random.normal(0, scatter, (count, 2))
    return {f"v{n + 1:03d}.jpg": (*(noise[n] + off.get(n, (0.0, 0.0))), None) for n in range(count)}


ORDER = [f"v{number + 1:03d}.jpg" for number in range(30)]
NO_CLAIM: dict[str, float | None] = dict.fromkeys(ORDER)


@pytest.mark.parametrize("off", [(20.0, 0.0), (0.0, -14.0)])
def test_positions_that_are_off_together_are_told(off: tuple[float, float]) -> None:
    """Eight photos in the middle, among positions that scatter by two metres."""
    told = find_shift(_residuals(30, 2.0, dict.fromkeys(range(10, 18), off)), ORDER, NO_CLAIM)
    assert told is not None and told.photos == ORDER[10:18]
    assert told.metres == pytest.approx(np.hypot(*off), abs=2.0)


def test_positions_that_scatter_are_not_told() -> None:
    """Neither consumer GPS that wanders by some metres, nor single wrong positions, nor a few photos."""
    wandering = {n: (3 * np.sin(n / 4), 4 * np.cos(n / 5)) for n in range(30)}
    assert find_shift(_residuals(30, 2.0, wandering), ORDER, NO_CLAIM) is None
    assert find_shift(_residuals(30, 2.0, {4: (80.0, 0.0)}), ORDER, NO_CLAIM) is None
    assert find_shift(_residuals(30, 9.0, {}), ORDER, NO_CLAIM) is None
    assert find_shift(_residuals(7, 0.1, {5: (80.0, 0.0), 6: (80.0, 0.0)}), ORDER, NO_CLAIM) is None


def test_a_receiver_that_claims_centimetres_is_taken_at_its_word() -> None:
    """Half a metre is much for RTK, and nothing for a phone."""
    residuals = _residuals(30, 0.02, dict.fromkeys(range(20, 30), (0.5, 0.0)))
    told = find_shift(residuals, ORDER, dict.fromkeys(ORDER, 0.03))
    assert told is not None and told.photos == ORDER[20:]
    assert find_shift(residuals, ORDER, dict.fromkeys(ORDER, 5.0)) is None
    assert find_shift(residuals, ORDER, NO_CLAIM) is None


def test_pairs_are_split_into_two_sides() -> None:
    """Each part of the graph by itself, the larger first; a pair within a side is left out."""
    pairs = [(0, 5), (0, 6), (1, 5), (1, 6), (5, 6), (8, 9)]
    first, second = two_sides(pairs)
    assert {tuple(first[0]), tuple(first[1])} == {(0, 1), (5, 6)} and len(first[2]) == 4
    assert first[2] == [(0, 5), (0, 6), (1, 5), (1, 6)]
    assert {tuple(second[0]), tuple(second[1])} == {(8,), (9,)} and second[2] == [(8, 9)]


def test_a_part_that_fits_nowhere_is_named(walked: tuple) -> None:
    """Unless its photos came into the model one by one."""
    place, sighted, matches = walked
    model = right_model(place, sighted)
    order = photos(len(place.poses) + 3)
    names = [photo.file for photo in order]
    inside, outside = tuple(names[:4]), tuple(names[-3:])
    parts = [Unjoined(inside, outside, 40), Unjoined(inside, tuple(names[5:8]), 30)]
    (found,) = suspicions(model, matches, order, NOWHERE, 0, parts)
    assert (found.kind, found.photos, found.others) == ("unjoined", inside, outside)
    assert f"{outside[0]} to {outside[-1]} were mapped apart" in found.sentence
    assert "40 points" in found.sentence
