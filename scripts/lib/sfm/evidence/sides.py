"""Pairs of photos that do not go together, as two groups of photos."""

from __future__ import annotations

from collections.abc import Sequence

Pair = tuple[int, int]


def two_sides(pairs: Sequence[Pair]) -> list[tuple[list[int], list[int], list[Pair]]]:
    """For each connected part of the graph of `pairs` its two sides and its pairs, most pairs first.

    The first photo of the part with most pairs begins; each next one joins the side with which it has fewer.
    """
    linked: dict[int, set[int]] = {}
    for a, b in pairs:
        linked.setdefault(a, set()).add(b)
        linked.setdefault(b, set()).add(a)
    parts = []
    left = set(linked)
    while left:
        start = max(sorted(left), key=lambda photo: len(linked[photo]))
        sides: tuple[set[int], set[int]] = ({start}, set())
        waiting = sorted(linked[start])
        while waiting:
            # Whoever has most pairs with photos that stand already is the surest.
            waiting.sort(key=lambda photo: -len(linked[photo] & (sides[0] | sides[1])))
            photo = waiting.pop(0)
            with_first, with_second = (len(linked[photo] & side) for side in sides)
            sides[0 if with_first < with_second else 1].add(photo)
            new = linked[photo] - sides[0] - sides[1] - set(waiting)
            waiting += sorted(new)
        members = sides[0] | sides[1]
        _settle(sides, linked)
        left -= members
        across = [(a, b) for a, b in pairs if (a in sides[0]) != (b in sides[0]) and a in members]
        parts.append((sorted(sides[0]), sorted(sides[1]), across))
    return sorted(parts, key=lambda part: -len(part[2]))


def _settle(sides: tuple[set[int], set[int]], linked: dict[int, set[int]]) -> None:
    """Move photos that have more pairs within their side than across, until there are none."""
    while True:
        for own, other in (sides, sides[::-1]):
            wrong = [p for p in sorted(own) if len(linked[p] & own) > len(linked[p] & other)]
            if wrong:  # one at a time: each move adds pairs across, so this ends
                own.remove(wrong[0])
                other.add(wrong[0])
                break
        else:
            return
