"""Which pairs are compared, and that the reason is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.geo import enu_from_geodetic
from scripts.lib.sfm.pairs import choose_pairs, is_ordered, sequential_pairs, spatial_pairs
from tests.unit.sfm_scene import entry

LIMITS = {"exhaustive_limit": 10, "neighbours": 4, "overlap": 3}


def located(count: int) -> list[Photo]:
    """Photos on a line eastwards, 10 m apart, with unordered names."""
    names = [f"{(number * 7919) % 1000:03d}x.jpg" for number in range(count)]
    return [
        entry(name, latitude=50.0, longitude=14.0 + number * 0.00014)
        for number, name in enumerate(names)
    ]


def unordered(count: int) -> list[Photo]:
    return [entry(f"{(number * 7919) % 1000:03d}_{number % 3}x.jpg") for number in range(count)]


def test_a_small_set_is_compared_whole() -> None:
    chosen = choose_pairs(unordered(6), "auto", **LIMITS)
    assert chosen.strategy == "exhaustive" and len(chosen.pairs) == 15
    assert "6 photos" in chosen.reason


def test_gps_gives_neighbours_in_space() -> None:
    photos = located(40)
    chosen = choose_pairs(photos, "auto", **LIMITS)
    assert chosen.strategy == "spatial" and "40 of 40" in chosen.reason
    place = {photo.file: number for number, photo in enumerate(photos)}
    assert {abs(place[a] - place[b]) for a, b in chosen.pairs} <= {1, 2, 3, 4}
    assert all((photos[i].file, photos[i + 1].file) in chosen.pairs for i in range(39))


def test_a_walk_is_compared_in_order_with_loops() -> None:
    photos = [entry(f"IMG_{number:04d}.jpg") for number in range(40)]
    chosen = choose_pairs(photos, "auto", **LIMITS)
    assert chosen.strategy == "sequential"
    assert ("IMG_0000.jpg", "IMG_0003.jpg") in chosen.pairs
    assert ("IMG_0000.jpg", "IMG_0039.jpg") in chosen.pairs  # the loop's ends meet
    assert len(chosen.pairs) < 40 * 39 / 2 / 2


def test_spatial_without_gps_falls_back() -> None:
    chosen = choose_pairs(unordered(5), "spatial", **LIMITS)
    assert chosen.strategy == "exhaustive" and "GPS" in chosen.reason


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["a1.jpg", "a2.jpg", "a4.jpg"], True),
        (["a1.jpg", "b2.jpg", "a3.jpg"], False),
        (["a1.jpg", "a9.jpg", "a200.jpg", "a5000.jpg"], False),
        (["x.jpg", "y.jpg"], False),
    ],
)
def test_order_by_name(names: list[str], ordered: bool) -> None:
    assert is_ordered([entry(name) for name in names]) is ordered


def test_order_by_time() -> None:
    times = [f"2024-01-01T10:00:{second:02d}" for second in range(10)]
    assert is_ordered(
        [entry(f"{n}", time=time) for n, time in zip("qwertyuiop", times, strict=True)]
    )
    times[3], times[7] = times[7], times[3]
    assert not is_ordered([entry(n, time=t) for n, t in zip("qwertyuiop", times, strict=True)])


@given(st.integers(2, 60), st.integers(1, 12))
@settings(deadline=None)
def test_sequential_pairs_are_sound(count: int, overlap: int) -> None:
    pairs = sequential_pairs(count, overlap)
    assert len(set(pairs)) == len(pairs)
    assert all(0 <= a < b < count for a, b in pairs)
    assert {(i, i + 1) for i in range(count - 1)} <= set(pairs)


@given(
    st.lists(
        st.tuples(st.floats(49.99, 50.01), st.floats(13.99, 14.01)) | st.none(),
        min_size=3,
        max_size=25,
    ).filter(lambda places: sum(place is not None for place in places) >= 2)
)
@settings(deadline=None, max_examples=40)
def test_spatial_pairs_are_sound(places: list[tuple[float, float] | None]) -> None:
    photos = [
        entry(f"{n}.jpg", latitude=place and place[0], longitude=place and place[1])
        for n, place in enumerate(places)
    ]
    pairs = spatial_pairs(photos, 4)
    assert len(set(pairs)) == len(pairs)
    assert all(0 <= a < b < len(photos) for a, b in pairs)
    assert {i for pair in pairs for i in pair} == set(range(len(photos)))


def test_spatial_pairs_are_the_nearest_and_from_one_spot_the_next() -> None:
    dice = np.random.default_rng(3)
    places = 50.0 + dice.uniform(0, 0.01, (200, 2))
    photos = [
        entry(f"{n}.jpg", latitude=float(a), longitude=float(b)) for n, (a, b) in enumerate(places)
    ]
    metres = enu_from_geodetic([(a, b, 0.0) for a, b in places.tolist()], (*places[0], 0.0))[:, :2]
    far = np.linalg.norm(metres[:, None] - metres, axis=2)
    near = np.argsort(far, axis=1)[:, 1:6]
    assert spatial_pairs(photos, 5) == sorted(
        {(min(i, j), max(i, j)) for i, row in enumerate(near.tolist()) for j in row}
    )
    still = [entry(f"{n}.jpg", latitude=50.0, longitude=14.0) for n in range(100)]
    assert {b - a for a, b in spatial_pairs(still, 4)} <= {1, 2, 3, 4}
