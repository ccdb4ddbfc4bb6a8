"""Who may import what: the table of rooms in ARCHITECTURE.md, held against every file."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

LIB = ROOT / "scripts" / "lib"
FOR_ALL = {"core", "contracts"}
LARGE = {"torch", "cuda", "gsplat", "pycolmap", "boto3", "botocore", "numba", "snakemake"}
FILES = sorted(path for path in LIB.rglob("*.py") if path.parent != LIB)
PROGRAMS = sorted((ROOT / "scripts").glob("*.py"))
CODE = {".py", ".smk", ".js", ".css", ".html", ".j2"}
LINES = 350  # of a file at most: more is more than one subject


@dataclass(frozen=True)
class Room:
    """A row of the table."""

    may_import: set[str]
    needs: set[str]


def room_text() -> str:
    """What stands below the heading "Rooms": a picture and a table."""
    return (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("\n## Rooms\n", 1)[1]


def rooms() -> dict[str, Room]:
    """The table below the heading "Rooms", in its order."""
    rows = [
        line.strip("|").split("|") for line in room_text().splitlines() if line.startswith("| ")
    ]
    return {
        name.strip(): Room(words(imports), words(needs)) for name, _, imports, needs in rows[1:]
    }


def words(cell: str) -> set[str]:
    return {word.strip() for word in cell.split(",")} - {""}


ROOMS = rooms()


def imported(path: Path) -> set[str]:
    """Dotted names of everything that a file imports, at any depth of its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def rooms_of(names: set[str]) -> set[str]:
    return {name.split(".")[2] for name in names if name.startswith("scripts.lib.")}


def large(names: set[str]) -> set[str]:
    found = {name.split(".")[0] for name in names} & LARGE
    return {"boto3" if name == "botocore" else name for name in found}


def test_every_room_has_its_row_and_no_module_stands_outside() -> None:
    # By their files: folders that git left behind hold bytecode at most.
    assert {path.relative_to(LIB).parts[0] for path in FILES} == set(ROOMS)
    assert [path.name for path in LIB.glob("*.py")] == ["__init__.py"]


def reached(arrows: dict[str, set[str]], start: str) -> set[str]:
    """Every room that `start` leads to, directly or by others."""
    return set().union(*({one} | reached(arrows, one) for one in arrows.get(start, set())))


def test_the_picture_shows_what_the_table_says() -> None:
    drawn: dict[str, set[str]] = {}
    for user, used in re.findall(r"^    (\w+) --> (\w+)$", room_text(), re.MULTILINE):
        drawn.setdefault(user, set()).add(used)
    table = {name: room.may_import for name, room in ROOMS.items()}
    assert {n: reached(drawn, n) for n in ROOMS} == {n: reached(table, n) for n in ROOMS}
    # No arrow that follows from others.
    for name, used in drawn.items():
        assert not any(one in reached(drawn, other) for one in used for other in used), name


def test_nobody_may_import_a_room_below() -> None:
    order = list(ROOMS)
    for number, (name, room) in enumerate(ROOMS.items()):
        assert room.may_import <= set(order[:number]), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIB)))
def test_a_room_keeps_to_its_row(path: Path) -> None:
    name = path.relative_to(LIB).parts[0]
    room, names = ROOMS[name], imported(path)
    assert rooms_of(names) - {name} - FOR_ALL <= room.may_import
    assert large(names) <= room.needs
    assert not any(other.startswith("scripts.tools") for other in names)


def test_the_table_allows_no_more_than_is_used() -> None:
    for name, room in ROOMS.items():
        names = set().union(*(imported(path) for path in (LIB / name).rglob("*.py")))
        assert room.may_import == rooms_of(names) - {name} - FOR_ALL, name
        assert room.needs == large(names), name


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_programs_use_the_library_alone(path: Path) -> None:
    """And never each other, nor the large libraries by themselves."""
    names = imported(path)
    ours = {name for name in names if name.startswith("scripts.")}
    assert all(name.startswith("scripts.lib.") for name in ours)
    assert not large(names) & {"snakemake", "boto3", "pycolmap"}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_programs_are_doors(path: Path) -> None:
    """They parse, call a room and write; what is longer does a room's work."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


def test_finished_splats_are_shown_by_one_renderer() -> None:
    """Besides it only the optimiser's steps rasterise: raw parameters, for gradients; and `orthographic`,
    what no camera shows. `along_rays` takes the constants alone; `pieces` hands its tensors to `renderer`."""
    using = {
        path.relative_to(LIB).as_posix()
        for path in FILES
        if any(name.startswith("scripts.lib.render.rasterise") for name in imported(path))
    }
    own = {name for name in using if not name.startswith("render/rasterise/")}
    drawing = {"render/renderer.py", "render/orthographic.py", "train/fused.py", "train/step.py"}
    assert own == drawing | {"render/along_rays.py", "render/pieces.py"}


def test_no_file_is_long() -> None:
    folders = [ROOT / name for name in ("scripts", "rules", "envs", "containers")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in CODE]
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / "Snakefile", *files)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LINES
    }
    assert len(files) > 300 and not long
