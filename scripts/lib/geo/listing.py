"""deliver.json, put together from what each export tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.lib.contracts.deliver import Deliver, Exported
from scripts.lib.contracts.record import read
from scripts.lib.core.console import UserError


def listed(told: Sequence[Path], names: Sequence[str], left_out: Mapping[str, str]) -> Deliver:
    """All files named, in that order, and why others of `all` are not there.

    A rule may make more than was asked for (the orthophoto comes with the elevation); that is not listed.
    Raises UserError when an export does not tell of a file that is named.
    """
    known = {made.name: made for path in told for made in read(Exported, path).files}
    for name in names:
        if name not in known:
            raise UserError(
                f"no export tells of {name!r}; delete {told[0].parent} and run this again"
            )
    return Deliver(files=tuple(known[name] for name in names), left_out=dict(left_out))


def sentences(made: Deliver) -> list[str]:
    """A line for each file, and one for each that was left out."""
    lines = []
    for file in made.files:
        loss = "" if file.delta_psnr is None else f", {file.delta_psnr:+.2f} dB against the PLY"
        lines.append(f"{file.file}: {file.bytes / 1e6:.2f} MB{loss}; {file.frame}")
    return [*lines, *(f"not {name}: {why}" for name, why in made.left_out.items())]
