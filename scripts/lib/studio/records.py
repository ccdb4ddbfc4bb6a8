"""Files of a run's folder that may not be there."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from scripts.lib.contracts.record import HandedOn, read
from scripts.lib.core.console import UserError

Kind = TypeVar("Kind", bound=HandedOn)


def found(kind: type[Kind], folder: Path) -> Kind | None:
    """The file of this kind in a folder; None when it is not there, or another version's."""
    try:
        return read(kind, folder / kind.file)
    except UserError:
        return None
