"""Checkpoints of a training run: written whole or not at all, the last two kept, keyed by its inputs.

A run's key covers the bytes of its inputs and every setting, and stands in the file's name, so that
a checkpoint of other inputs or options is never continued by mistake.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch

from scripts.lib.console import say
from scripts.lib.files import replacing, sha256

KEPT = 2
LAYOUT = 3  # raise when the content changes meaning: older checkpoints are then left alone
PATTERN = re.compile(r"([0-9a-f]{16})-(\d{8})\.pt")


def run_key(scene: Path, settings: dict[str, object]) -> str:
    """What makes two runs the same: the scene's bytes, every setting, and this module's layout."""
    text = json.dumps([LAYOUT, sha256(scene), settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checkpoints:
    """The checkpoints of the run `key` in a local folder."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = Path(folder), key

    def _own(self) -> list[tuple[int, Path]]:
        """(step, file) of this run, newest first."""
        found = []
        for path in self.folder.glob("*.pt"):
            match = PATTERN.fullmatch(path.name)
            if match and match[1] == self.key:
                found.append((int(match[2]), path))
        return sorted(found, reverse=True)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after `step` steps under its final name, then drop all but the last two."""
        with replacing(self.folder / f"{self.key}-{step:08d}.pt") as temporary:
            torch.save(state, temporary)
        for _, path in self._own()[KEPT:]:
            path.unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """The newest readable state of this run, on the CPU; None when there is none.

        Says in one sentence what it leaves aside: other runs' checkpoints, and damaged ones.
        """
        others = len(list(self.folder.glob("*.pt"))) - len(self._own())
        if others:
            say(
                f"Ignoring {others} checkpoint(s) in {self.folder} made from another scene or with"
                " other options"
            )
        for step, path in self._own():
            try:
                state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            except Exception as error:  # torch raises many kinds on a damaged file
                say(f"Ignoring the damaged checkpoint {path} ({type(error).__name__})")
                continue
            say(f"Continuing after step {step} from {path}")
            return state
        return None

    def clear(self) -> None:
        """Remove this run's checkpoints, and the folder when nothing else is in it."""
        for _, path in self._own():
            path.unlink(missing_ok=True)
        # What a killed process was writing is of no use to anyone.
        for path in self.folder.glob(f".{self.key}-*.part.pt"):
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()
