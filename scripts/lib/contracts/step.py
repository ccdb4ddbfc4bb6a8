"""One rule of the workflow as others see it: what it does, what it reads, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from scripts.lib.core.console import UserError


@dataclass(frozen=True)
class Step:
    """A rule by its name, with its docstring; files by the names of the rule's inputs and outputs.

    Files are named as in the scene's folder (`web/index.html`). An input without files is the scene's source.
    """

    name: str
    description: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]

    @property
    def written(self) -> tuple[str, ...]:
        """Every file that the rule leaves, in its order."""
        return tuple(name for files in self.outputs.values() for name in files)


def steps_to_json(steps: tuple[Step, ...]) -> str:
    """Steps as text, for a command line."""
    return json.dumps([asdict(step) for step in steps], separators=(",", ":"))


def steps_from_json(text: str) -> tuple[Step, ...]:
    """The steps of such a text. Raises UserError when it is none."""
    try:
        return tuple(
            Step(
                item["name"],
                item["description"],
                *(
                    {name: tuple(files) for name, files in item[key].items()}
                    for key in ("inputs", "outputs")
                ),
            )
            for item in json.loads(text)
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"--steps is not a list of the workflow's rules ({type(error).__name__}: {error}); leave "
            "it out, and the RO-Crate describes only the page"
        ) from None
