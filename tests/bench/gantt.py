"""When each job of a finished run worked, as a picture and one JSON line.

    python -m tests.bench.gantt WORKING_DIRECTORY [--picture gantt.png]

Read from what Snakemake records of each job (`.snakemake/metadata`), so it works after any run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WIDTH = 9.0  # inches
ROW = 0.28


@dataclass(frozen=True)
class Job:
    """One job: its rule, and when it began and ended, in seconds since the first one began."""

    rule: str
    begin: float
    end: float


def jobs(home: Path) -> list[Job]:
    """The jobs of the run in `home` in the order in which they began; SystemExit when there are none."""
    # One record for each output; those of one job share their log, and their times differ by fractions.
    spans: dict[tuple[str, ...], tuple[float, float]] = {}
    for path in (home / ".snakemake" / "metadata").rglob("*"):
        if path.is_file():
            record = json.loads(path.read_text())
            if record.get("starttime") is not None and record.get("endtime") is not None:
                key = (str(record["rule"]), *(record.get("log") or [path.name]))
                begin, end = spans.get(key, (float("inf"), 0.0))
                spans[key] = (
                    min(begin, float(record["starttime"])),
                    max(end, float(record["endtime"])),
                )
    if not spans:
        raise SystemExit(f"{home} has no record of a finished run")
    first = min(begin for begin, _ in spans.values())
    found = [Job(key[0], begin - first, end - first) for key, (begin, end) in spans.items()]
    return sorted(found, key=lambda job: (job.begin, job.end))


def draw(found: Sequence[Job], picture: Path) -> None:
    """One bar for each job, with its seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 0.8 + ROW * len(found)), layout="constrained")
    axes = figure.add_subplot()
    for row, job in enumerate(found):
        axes.barh(row, job.end - job.begin, left=job.begin, color="#3f7f5f")
        axes.text(job.end, row, f" {job.end - job.begin:.1f} s", va="center", fontsize=8)
    axes.set_yticks(range(len(found)), [job.rule for job in found], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("seconds since the first job began")
    axes.set_xlim(0, 1.1 * max(job.end for job in found))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path, help="where snakemake was run")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    args = parser.parse_args(argv)
    found = jobs(args.home)
    if args.picture:
        draw(found, args.picture)
    print(
        json.dumps(
            {
                "seconds": round(max(job.end for job in found), 1),
                "jobs": [
                    {"rule": job.rule, "begin": round(job.begin, 1), "end": round(job.end, 1)}
                    for job in found
                ],
            }
        )
    )


if __name__ == "__main__":
    main()
