"""One scene's report: how good the capture is, what to photograph next time, what ships, what it took."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.report.inputs import OPTIONAL, STAGES, read_stages
from scripts.lib.report.scene_report import ReportOptions, report_scene


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: one argument for each stage's file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", required=True, help="the scene's name")
    for stage in STAGES:
        parser.add_argument(f"--{stage}", type=Path, required=True, help=f"{stage}.json")
    for stage in OPTIONAL:
        parser.add_argument(f"--{stage}", type=Path, nargs="?", help=f"{stage}.json")
    parser.add_argument("--stops", type=Path, help="stops.jpg, the tour's views side by side")
    parser.add_argument("--left-out", type=Path, help="left_out.zip, what training left out")
    parser.add_argument("--contact", type=Path, help="contact.jpg, every photo kept or left out")
    parser.add_argument("--changed", type=Path, nargs="?", help="changes.zip")
    parser.add_argument("--renders", type=Path, required=True, help="renders.zip")
    parser.add_argument("--poster", type=Path, required=True, help="poster.jpg")
    parser.add_argument("--manifest", type=Path, help="the page's manifest.json")
    parser.add_argument("--benchmarks", type=Path, nargs="*", default=[], help="one TSV per rule")
    parser.add_argument("--options", default="{}", help="config section report_scene as JSON")
    parser.add_argument("--output", type=Path, required=True, help="the report.html to write")
    given = parser.parse_args(argv)
    paths = {stage: getattr(given, stage) for stage in (*STAGES, *OPTIONAL, "manifest")}
    files = read_stages(given.scene, paths, given.benchmarks)
    options = parse_options(ReportOptions, given.options)
    sheets = (given.contact, given.stops, given.left_out, given.changed)
    report_scene(files, given.renders, given.poster, options, given.output, *sheets)
    say(f"Report of {given.scene}: {given.output} ({given.output.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    run_main(main)
