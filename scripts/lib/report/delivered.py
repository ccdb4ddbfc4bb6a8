"""The files for other programs, out of deliver.json, as the report shows them."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.contracts.deliver import Deliver, Delivered, Fact


@dataclass(frozen=True)
class Row:
    """One file. `loss_db` is positive when the decoded file is worse than the PLY."""

    file: str
    bytes: int
    psnr: float | None
    loss_db: float | None
    frame: str
    checked: str
    facts: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """All files, and a sentence for each that is not there."""

    files: tuple[Row, ...]
    left_out: tuple[str, ...]


def shown(made: Deliver | None) -> Shown | None:
    """The report's part on a scene's files for other programs; None where it delivers none."""
    if made is None:
        return None
    sentences = tuple(f"Not {name}: {why}." for name, why in made.left_out.items())
    return Shown(tuple(map(_row, made.files)), sentences)


def _row(file: Delivered) -> Row:
    facts = ", ".join(
        f"{name.replace('_', ' ')} {_text(fact)}" for name, fact in file.facts.items()
    )
    loss = None if file.delta_psnr is None else -file.delta_psnr
    checked = "; ".join(file.checked)
    return Row(file.file, file.bytes, file.psnr, loss, file.frame, checked, facts, file.notes)


def _text(fact: Fact) -> str:
    return f"{fact:.4g}" if isinstance(fact, float) else str(fact)
