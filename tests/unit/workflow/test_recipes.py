"""What a Dockerfile takes in, and the hash that pins it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.workflow.recipes import base_images, copied_files, instructions, recipe_hash

DOCKERFILE = """\
# A comment
FROM docker.io/library/python:3.11 AS build
COPY locks/a.txt locks/b.txt \\
     # a comment between
     /opt/
RUN echo one \\
    && echo two
FROM build AS other
FROM docker.io/library/debian:12
COPY --from=build /opt/x /opt/x
COPY --chown=1:1 ["page.json", "/opt/page.json"]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "containers" / "web").mkdir(parents=True)
    (root / "locks").mkdir()
    for name in ("locks/a.txt", "locks/b.txt", "page.json", "unused.txt"):
        (root / name).write_text(f"{name}\n")
    dockerfile = root / "containers" / "web" / "Dockerfile"
    dockerfile.write_text(DOCKERFILE.replace('["page.json", "/opt/page.json"]', "page.json /opt/"))
    return root


def recipe(checkout: Path) -> Path:
    return checkout / "containers" / "web" / "Dockerfile"


def test_continuation_lines_and_comments() -> None:
    parsed = list(instructions(DOCKERFILE))
    assert parsed[1][0] == "COPY" and parsed[1][1].split() == [
        "locks/a.txt",
        "locks/b.txt",
        "/opt/",
    ]
    assert [word for word, _ in parsed] == ["FROM", "COPY", "RUN", "FROM", "FROM", "COPY", "COPY"]


def test_copied_files_leave_out_other_stages(checkout: Path) -> None:
    names = [
        path.relative_to(checkout).as_posix() for path in copied_files(checkout, recipe(checkout))
    ]
    assert names == ["locks/a.txt", "locks/b.txt", "page.json"]


def test_bases_leave_out_own_stages(checkout: Path) -> None:
    assert base_images(recipe(checkout)) == [
        "docker.io/library/python:3.11",
        "docker.io/library/debian:12",
    ]


@pytest.mark.parametrize(
    "changed", ["locks/a.txt", "locks/b.txt", "page.json", "containers/web/Dockerfile"]
)
def test_every_part_of_a_recipe_counts(checkout: Path, changed: str) -> None:
    before = recipe_hash(checkout, recipe(checkout))
    with (checkout / changed).open("a") as handle:
        handle.write("# more\n")
    assert recipe_hash(checkout, recipe(checkout)) != before


def test_nothing_else_counts(checkout: Path, tmp_path: Path) -> None:
    """Neither another file, nor a date, nor the folder that the checkout lies in."""
    before = recipe_hash(checkout, recipe(checkout))
    (checkout / "unused.txt").write_text("changed\n")
    (checkout / "page.json").touch()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(checkout, elsewhere)
    assert recipe_hash(checkout, recipe(checkout)) == before
    assert recipe_hash(elsewhere, recipe(elsewhere)) == before


def test_bytes_cannot_move_between_files(checkout: Path) -> None:
    before = recipe_hash(checkout, recipe(checkout))
    a, b = checkout / "locks" / "a.txt", checkout / "locks" / "b.txt"
    b.write_bytes(a.read_bytes()[-1:] + b.read_bytes())
    a.write_bytes(a.read_bytes()[:-1])
    assert recipe_hash(checkout, recipe(checkout)) != before


@pytest.mark.parametrize("source", ["missing.txt", "locks", "locks/*.txt", "locks/$NAME.txt", "."])
def test_a_copy_that_cannot_be_told_is_refused(checkout: Path, source: str) -> None:
    recipe(checkout).write_text(f"FROM python:3.11\nCOPY {source} /opt/\n")
    with pytest.raises(UserError, match="is not one file of the checkout"):
        copied_files(checkout, recipe(checkout))
