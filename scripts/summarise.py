"""One table and one index page over every scene of a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import write_bytes
from scripts.lib.report.index import build_index, summary_table
from scripts.lib.report.index_rows import Folders, rows_of, rows_of_others
from scripts.lib.report.inputs import STAGES


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: lists of stage files, each in the order of `--scenes`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="+", required=True, help="names of the scenes")
    for stage in STAGES:
        parser.add_argument(f"--{stage}", type=Path, nargs="*", default=[], help=f"{stage}.json")
    parser.add_argument("--posters", type=Path, nargs="*", default=[], help="poster.jpg")
    parser.add_argument(
        "--benchmarks", type=Path, nargs="*", default=[], help="TSV files as SCENE/RULE.tsv"
    )
    parser.add_argument(
        "--results", type=Path, help="folder of the scenes' folders; default: that of --html"
    )
    parser.add_argument(
        "--others",
        action="store_true",
        help="list finished scenes of other sheets in --results too",
    )
    parser.add_argument("--costs", type=Path, nargs="*", default=[], help="cost.json")
    parser.add_argument("--tsv", type=Path, required=True, help="the table to write")
    parser.add_argument("--html", type=Path, required=True, help="the index to write")
    given = parser.parse_args(argv)
    lists = {kind: getattr(given, kind) for kind in (*STAGES, "posters", "costs")}
    folders = Folders(given.results or given.html.parent, given.html)
    rows = rows_of(given.scenes, lists, given.benchmarks, folders)
    if given.others:
        rows += rows_of_others(given.scenes, folders)
    write_bytes(given.tsv, summary_table([row.record for row in rows]).encode())
    write_bytes(given.html, build_index(rows).encode())
    say(f"Summary of {len(rows)} scene{'s' if len(rows) != 1 else ''}: {given.html}, {given.tsv}")


if __name__ == "__main__":
    run_main(main)
