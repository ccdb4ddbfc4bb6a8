"""The rules that lead to a result, read off the workflow itself, so that nobody lists them a second time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from scripts.lib.contracts.step import Step

UNNAMED = "files"  # what outputs without a name are called together
SCENE = re.compile(
    r"^(.*)/\{scene[^}]*\}/"
)  # what is before the scene's folder; a pattern may follow the name
CONSTRAINT = re.compile(r"\{(\w+),[^}]*\}")  # a wildcard with a pattern


class Files(Protocol):
    """Snakemake's list of inputs or outputs; a name stands for one file or several, and some have none."""

    def __iter__(self) -> Iterator[Any]:
        """Every file, or the function that gives it."""
        ...

    def items(self) -> Iterable[tuple[str, Any]]:
        """The names with their file or files."""
        ...


class Rule(Protocol):
    """What is read of Snakemake's rules."""

    name: str
    docstring: str | None

    @property
    def input(self) -> Files:
        """What it reads."""
        ...

    @property
    def output(self) -> Files:
        """What it leaves."""
        ...


Given = Mapping[str, tuple[str, ...]]


def steps_to(
    rules: Iterable[Rule], target: str, results: str, given: Given | None = None
) -> tuple[Step, ...]:
    """The rule `target` and those whose files it needs, directly or not, in the order of `rules`.

    `results` is the results folder. Files outside a scene's folder there, such as benchmarks, are left out.
    `given` has the files of inputs that functions give, by the inputs' names; of others they are not known.
    """
    known = {rule.name: _step(rule, results, given or {}) for rule in rules}
    makers = {file: step.name for step in known.values() for file in step.written}
    waiting, needed = [target], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            read = (file for files in known[name].inputs.values() for file in files)
            waiting += [makers[file] for file in read if file in makers]
    return tuple(step for step in known.values() if step.name in needed)


def spread(steps: Iterable[Step], wildcard: str, values: Iterable[object]) -> tuple[Step, ...]:
    """The same steps, with the files of rules that run once for each value of `wildcard` named for each."""
    mark, each = f"{{{wildcard}}}", list(values)

    def named(files: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        return {
            name: tuple(
                file.replace(mark, str(value))
                for file in some
                for value in (each if mark in file else each[:1])
            )
            for name, some in files.items()
        }

    return tuple(
        replace(one, inputs=named(one.inputs), outputs=named(one.outputs)) for one in steps
    )


def _step(rule: Rule, results: str, given: Given) -> Step:
    words = (rule.docstring or "").split()
    read = _named(rule.input, results)
    known = {name: files or given.get(name, files) for name, files in read.items()}
    empty = {name for name in given if not known.get(name)}
    inputs = {name: files for name, files in known.items() if name not in empty}
    return Step(rule.name, " ".join(words), inputs, _named(rule.output, results))


def _named(files: Files, results: str) -> Mapping[str, tuple[str, ...]]:
    """{name: files in the scene's folder}; a name that is given by a function has none."""
    named = {
        name: [value] if isinstance(value, str) or callable(value) else list(value)
        for name, value in files.items()
    }
    listed = [value for values in named.values() for value in values]
    named[UNNAMED] = [value for value in files if value not in listed]
    found = {
        name: tuple(file for value in values if (file := _in_scene(value, results)))
        for name, values in named.items()
    }
    return {name: found[name] for name in named if found[name] or any(map(callable, named[name]))}


def _in_scene(value: Any, results: str) -> str:
    """`results/{scene}/web/index.html` -> `web/index.html`, wherever results are stored; else empty."""
    found = None if callable(value) else SCENE.match(str(value))
    if found is None or not f"/{found[1]}".endswith(f"/{results}"):
        return ""
    return CONSTRAINT.sub(r"{\1}", str(value)[found.end() :])
