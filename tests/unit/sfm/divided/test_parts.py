"""Captures divided into parts of neighbours."""

from __future__ import annotations

import numpy as np

from scripts.lib.sfm.divided.parts import Part, divided


def grid(side: int, first: int = 1) -> dict[tuple[int, int], int]:
    """Matches between photos in a square: many with the next ones, fewer across a corner."""
    links = {}
    for row in range(side):
        for column in range(side):
            here = first + side * row + column
            for down, right, count in ((0, 1, 80), (1, 0, 80), (1, 1, 30)):
                if row + down < side and column + right < side:
                    links[here, here + side * down + right] = count
    return links


def each_alone(links: dict[tuple[int, int], int]) -> dict[int, int]:
    return {photo: photo for pair in links for photo in pair}


def owners(parts: list[Part]) -> list[int]:
    return sorted(photo for part in parts for photo in part.own)


def test_every_photo_is_in_one_part_of_neighbours() -> None:
    links = grid(20)
    parts = divided(links, each_alone(links), largest=60)
    assert owners(parts) == list(range(1, 401))
    assert all(18 <= len(part.own) <= 60 for part in parts)
    assert parts == divided(links, each_alone(links), largest=60)
    for part in parts:
        # A part is about as wide as high, not a thin strip.
        rows, columns = np.divmod(np.array(part.own) - 1, 20)
        assert max(np.ptp(rows), np.ptp(columns)) <= 13
        assert 5 <= len(part.around) <= len(part.own) // 2
        assert not set(part.own) & set(part.around)
        linked = {b for a, b in links if a in part.own} | {a for a, b in links if b in part.own}
        assert set(part.around) <= linked
        assert part.photos == tuple(sorted((*part.own, *part.around)))


def test_a_weak_bridge_is_where_it_is_cut() -> None:
    links = {**grid(6), **grid(5, first=37), (36, 37): 15}
    parts = divided(links, each_alone(links), largest=40)
    assert [part.own for part in parts] == [tuple(range(1, 37)), tuple(range(37, 62))]
    assert [part.around for part in parts] == [(37,), (36,)]


def test_places_without_common_matches_share_no_part() -> None:
    links = {**grid(4), **grid(4, first=101)}
    parts = divided(links, each_alone(links), largest=100)
    assert [len(part.own) for part in parts] == [16, 16]
    assert all(not part.around for part in parts)


def test_photos_of_one_frame_stay_together() -> None:
    """Six views of each panorama: pairs within a frame do not count, and frames are not divided."""
    links = {(a, b): count for (a, b), count in grid(8).items()}
    frame_of = {photo: (photo - 1) // 4 for photo in range(1, 65)}
    parts = divided(links, frame_of, largest=24)
    assert owners(parts) == list(range(1, 65))
    for part in parts:
        assert len(part.own) <= 24
        for photos in (part.own, part.around):
            frames = [frame_of[photo] for photo in photos]
            assert all(frames.count(frame) == 4 for frame in frames)
