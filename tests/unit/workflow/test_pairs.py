"""Which scene is compared with which, and what the sheet may not say of it."""

from __future__ import annotations

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.workflow.pairs import same_places
from scripts.lib.workflow.sheet import Row


def rows(**same: str) -> dict[str, dict[str, str]]:
    return {
        name: Row({"scene": name, "source": "x", "same_place_as": other}, f"my.tsv, line {line}")
        for line, (name, other) in enumerate(same.items(), 2)
    }


def test_several_captures_of_one_place_have_the_same_first() -> None:
    sheet = rows(may="", june="may", july="may", else_="")
    assert same_places(sheet, sheet, "my.tsv") == {"june": "may", "july": "may"}


@pytest.mark.parametrize(
    ("sheet", "sentence"),
    [
        (
            rows(may="", june="mai"),
            r"my.tsv, line 3 \(scene 'june'\): .*'mai', which is not in my.tsv; did you mean 'may'",
        ),
        (rows(may="", june="june"), "the scene itself"),
        (
            rows(may="", june="may", july="june"),
            "compared with 'may' itself.* write 'may' in both rows",
        ),
        (rows(may="june", june="may"), "leave it empty in one of the two rows"),
    ],
)
def test_one_sentence_for_what_cannot_be(sheet: dict[str, dict[str, str]], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        same_places(sheet, sheet, "my.tsv")


def test_only_must_not_leave_out_the_first() -> None:
    sheet = rows(may="", june="may")
    with pytest.raises(UserError, match="`only` leaves out; add 'may' to only"):
        same_places({"june": sheet["june"]}, sheet, "my.tsv")
    assert same_places({"may": sheet["may"]}, sheet, "my.tsv") == {}
