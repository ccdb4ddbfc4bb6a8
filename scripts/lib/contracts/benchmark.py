"""What Snakemake measured of a job, or of the jobs of one rule: the tables that its `benchmark:` leaves."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.core.console import UserError


@dataclass(frozen=True)
class Benchmark:
    """What one rule took: wall seconds, and the peak of its resident memory in MiB if known."""

    rule: str
    seconds: float
    memory_mb: float | None


def read_benchmark(path: Path) -> Benchmark:
    """Read the table Snakemake's `benchmark:` leaves; the rule is the file's name up to its first dot.

    Repeated runs are rows and give their mean time and their highest memory. Raises UserError when
    the file is missing or has no column `s`.
    """
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes it first") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a benchmark table ({error}); delete it") from None
    seconds = [value for row in rows if (value := _parse(row.get("s"))) is not None]
    if not seconds:
        raise UserError(
            f"{path} is not a benchmark table of Snakemake (no number in a column 's'); delete it"
        )
    memory = [value for row in rows if (value := _parse(row.get("max_rss"))) is not None]
    return Benchmark(
        path.name.partition(".")[0], sum(seconds) / len(seconds), max(memory, default=None)
    )


def read_benchmarks(paths: Iterable[Path]) -> dict[str, Benchmark]:
    """What each rule took, in the order of `paths`. Raises UserError as `read_benchmark`.

    A rule of several jobs for a scene has tables RULE.1.tsv, RULE.2.tsv ...: their seconds are added up, as
    if one ran after the other, and the highest memory counts.
    """
    found: dict[str, Benchmark] = {}
    for path in paths:
        one = read_benchmark(path)
        if (before := found.get(one.rule)) is not None:
            memory = max(
                (m for m in (before.memory_mb, one.memory_mb) if m is not None), default=None
            )
            one = Benchmark(one.rule, before.seconds + one.seconds, memory)
        found[one.rule] = one
    return found


def _parse(cell: str | None) -> float | None:
    """A cell as a finite number; Snakemake writes `-` or `NA` when it could not measure."""
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
