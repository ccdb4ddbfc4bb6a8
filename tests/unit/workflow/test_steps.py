"""The rules that lead to a result, read off rules as Snakemake keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from scripts.lib.contracts.step import Step
from scripts.lib.workflow.steps import spread, steps_to


class Listed(list[Any]):
    """A list of files of which some have names, as Snakemake has it."""

    def __init__(self, *unnamed: Any, **named: Any) -> None:
        super().__init__(unnamed)
        self.named = named
        for value in named.values():
            self.extend(value if isinstance(value, list) else [value])

    def items(self) -> Iterator[tuple[str, Any]]:
        """The names with their file or files."""
        yield from self.named.items()


@dataclass
class Rule:
    """As much of a rule as is read."""

    name: str
    docstring: str | None
    input: Listed
    output: Listed


# Snakemake keeps the pattern of a wildcard in outputs, and the place of storage before the path.
MADE = "{place}out/{{scene,[A-Za-z0-9][A-Za-z0-9_-]*}}/{name}"
READ = "{place}out/{{scene}}/{name}"


def rules(place: str) -> list[Rule]:
    def made(name: str) -> str:
        return MADE.format(place=place, name=name)

    def read(name: str) -> str:
        return READ.format(place=place, name=name)

    table = f"{place}out/benchmarks/{{scene}}/take.tsv"
    return [
        Rule(
            "take", "Take the\n    photos.", Listed(source=lambda w: w), Listed(zip=made("a.zip"))
        ),
        Rule("other", None, Listed(zip=read("a.zip")), Listed(made("film.mp4"))),
        Rule(
            "make",
            "Make.",
            Listed(zip=read("a.zip"), times=[table]),
            Listed(made("sub/b.bin"), parts=[made("c.bin"), made("d.bin")]),
        ),
        Rule(
            "show",
            "Show.",
            Listed(all=[read("sub/b.bin"), read("d.bin")]),
            Listed(made("web/1.html"), made("web/2.html")),
        ),
        Rule("send", "Send.", Listed(told=lambda w: w), Listed(made("sent.json"))),
        Rule("sum", "Sum up.", Listed(pages=["out/yard/web/1.html"]), Listed("out/index.html")),
    ]


@pytest.mark.parametrize("place", ["", ".snakemake/storage/s3/bucket/runs/one/"])
def test_the_steps_of_a_page(place: str) -> None:
    assert steps_to(rules(place), "show", "out") == (
        Step("take", "Take the photos.", {"source": ()}, {"zip": ("a.zip",)}),
        Step(
            "make",
            "Make.",
            {"zip": ("a.zip",)},
            {"parts": ("c.bin", "d.bin"), "files": ("sub/b.bin",)},
        ),
        Step(
            "show",
            "Show.",
            {"all": ("sub/b.bin", "d.bin")},
            {"files": ("web/1.html", "web/2.html")},
        ),
    )


def test_what_a_function_gives_is_followed_where_it_is_known() -> None:
    """Without files there is no such input: it is not the scene's source that then has no files."""
    found = steps_to(rules(""), "send", "out", {"told": ("d.bin",)})
    assert [step.name for step in found] == ["take", "make", "send"]
    assert found[-1].inputs == {"told": ("d.bin",)}
    (alone,) = steps_to(rules(""), "send", "out", {"told": ()})
    assert alone.inputs == {}
    assert found[0].inputs == {"source": ()}


def test_a_rule_that_runs_once_for_each_part_names_the_files_of_all() -> None:
    part = "out/{scene}/parts/{part,[1-9][0-9]*}.bin"
    found = steps_to(
        [
            Rule("cut", "Cut.", Listed(whole="out/{scene}/a.zip"), Listed(part)),
            Rule(
                "join",
                "Join.",
                Listed(parts=lambda w: w, times=lambda w: w),
                Listed("out/{scene}/b"),
            ),
        ],
        "join",
        "out",
        {"parts": ("parts/{part}.bin",), "times": ()},
    )
    assert [step.name for step in found] == ["cut", "join"]
    cut, join = spread(found, "part", (1, 2))
    assert cut == Step(
        "cut", "Cut.", {"whole": ("a.zip",)}, {"files": ("parts/1.bin", "parts/2.bin")}
    )
    assert join.inputs == {"parts": ("parts/1.bin", "parts/2.bin")}
    assert join.outputs == {"files": ("b",)}
