"""Stated places: what is read and what is refused."""

from __future__ import annotations

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.core.place import Place, parse_place


def test_what_is_read() -> None:
    assert parse_place(" ") is None
    assert parse_place("-33.8568, 151.2153, 25") == Place(-33.8568, 151.2153, 25)
    assert parse_place("10 190 0") == Place(10, -170, 0)


@pytest.mark.parametrize("text", ["here", "1, 2", "91, 0, 0", "1, 2, 3, 4", "1, 400, 0", "1,2,nan"])
def test_what_is_no_place_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="give latitude, longitude"):
        parse_place(text)
