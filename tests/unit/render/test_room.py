"""Lengths of lists that nobody waits for: they follow what was needed, and lost steps are counted."""

from __future__ import annotations

import torch

from scripts.lib.render.rasterise.cuda.room import BROKEN, DONE, FIRST, LOST, SLOTS, YOUNG, Room

KIND, OTHER = (4, 100, 80), (2, 100, 80)


def noted(room: Room, done: int, *needed: int, lost: bool = False) -> None:
    """What the kernels of some steps would have left."""
    room.ledger[LOST], room.ledger[DONE] = int(lost), done
    room.ledger[FIRST : FIRST + len(needed)] = torch.tensor(needed, dtype=torch.int32)


def test_lists_are_as_long_as_needed_and_some_more() -> None:
    room = Room(torch.device("cpu"))
    assert room.length(KIND) == room.length(OTHER) == 0
    assert room.learn(KIND, 100_000) == room.length(KIND) == 150_000
    assert room.look() == 0  # no step was asked for
    for needed, length in [(120_000, 150_000), (140_000, 175_000), (70_000, 87_500)]:
        room.asked()
        noted(room, 1, needed)
        assert room.look() == 0 and room.length(KIND) == length
        assert not room.ledger.any()
    assert room.length(OTHER) == 0


def test_a_guess_is_soon_looked_at() -> None:
    """Some steps after the last one, and not again."""
    room = Room(torch.device("cpu"))
    steps = []
    for step in range(1, 40):
        if step in (2, 5, 20):
            room.learn((step, 100, 80), 1000)
        room.asked()
        if room.unsure:
            steps.append(step)
            noted(room, 1000)
            room.look()
    assert steps == [4 + YOUNG, 19 + YOUNG]


def test_lost_steps_are_counted_and_get_room() -> None:
    room = Room(torch.device("cpu"))
    room.learn(KIND, 10_000)
    for _ in range(5):
        room.asked()
    noted(room, 3, 20_000, lost=True)
    assert room.look() == 2 and room.length(KIND) == 25_000
    assert room.look() == 0 and not room.ledger.any()


def test_numbers_that_are_not_finite_are_remembered() -> None:
    """Until somebody has mended them."""
    room = Room(torch.device("cpu"))
    for mark, broken in [(0, False), (1, True), (0, True)]:
        room.asked()
        noted(room, 1)
        room.ledger[BROKEN] = mark
        assert room.look() == 0 and room.broken is broken


def test_many_kinds_share_a_place() -> None:
    """With enough for the largest of them."""
    room = Room(torch.device("cpu"))
    kinds = [(1, 100, side) for side in range(2 * SLOTS)]
    assert max(map(room.place, kinds)) == FIRST + SLOTS - 1
    room.learn(kinds[-1], 50_000)
    assert room.learn(kinds[-2], 10_000) == room.length(kinds[-1]) == 75_000
