"""One scene's report: how good the capture is, what to photograph next time, what ships, what it took."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import reading_zip, write_bytes
from scripts.lib.core.options import parse_options
from scripts.lib.report.inputs import StageFiles, read_benchmark, read_object
from scripts.lib.report.page import Pictures, build_report, worst_first
from scripts.lib.report.pictures import file_uri, view_uris
from scripts.lib.report.values import text


@dataclass(frozen=True)
class ReportOptions:
    """Config section `report_scene`."""

    max_views: int = 12  # judged views shown as pictures, the worst ones; the rest as figures
    picture_side: int = 640  # pixels of the longer side; three of them stand side by side


OPTIONAL = ("features", "pairs", "undistort", "clean", "compress", "view", "tour", "cost")
CONTACT_SIDE = 1600  # pixels of the contact sheet's longer side


def report_scene(
    files: StageFiles,
    renders: Path,
    poster: Path,
    options: ReportOptions,
    output: Path,
    contact: Path | None = None,
    stops: Path | None = None,
) -> None:
    """Write the report of one scene to `output`; `contact` is the sheet of all photos, `stops` the strip
    of the tour's views, if there are such.

    Raises UserError on a missing or damaged input.
    """
    with reading_zip(renders) as archive:
        shown = [text(view["name"]) for view in worst_first(files)[: options.max_views]]
        views = {name: view_uris(archive, name, options.picture_side) for name in shown}
    sheet = file_uri(contact, CONTACT_SIDE) if contact else ""
    strip = file_uri(stops, CONTACT_SIDE) if stops else ""
    pictures = Pictures(file_uri(poster, 2 * options.picture_side), views, sheet, strip)
    write_bytes(output, build_report(files, pictures).encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: one argument for each stage's file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", required=True, help="the scene's name")
    for stage in ("photos", "sfm", "georef", "train", "eval", "codecs"):
        parser.add_argument(f"--{stage}", type=Path, required=True, help=f"{stage}.json")
    for stage in OPTIONAL:
        parser.add_argument(f"--{stage}", type=Path, help=f"{stage}.json")
    parser.add_argument("--stops", type=Path, help="stops.jpg, the tour's views side by side")
    parser.add_argument("--contact", type=Path, help="contact.jpg, every photo kept or left out")
    parser.add_argument("--renders", type=Path, required=True, help="renders.zip")
    parser.add_argument("--poster", type=Path, required=True, help="poster.jpg")
    parser.add_argument("--manifest", type=Path, help="the page's manifest.json")
    parser.add_argument("--benchmarks", type=Path, nargs="*", default=[], help="one TSV per rule")
    parser.add_argument("--options", default="{}", help="config section report_scene as JSON")
    parser.add_argument("--output", type=Path, required=True, help="the report.html to write")
    given = parser.parse_args(argv)
    files = StageFiles(
        scene=given.scene,
        photos=read_object(given.photos),
        sfm=read_object(given.sfm),
        georef=read_object(given.georef),
        train=read_object(given.train),
        eval=read_object(given.eval),
        codecs=read_object(given.codecs),
        manifest=read_object(given.manifest),
        **{stage: read_object(getattr(given, stage)) for stage in OPTIONAL},
        benchmarks=tuple(read_benchmark(path) for path in given.benchmarks),
    )
    options = parse_options(ReportOptions, given.options)
    sheets = (given.contact, given.stops)
    report_scene(files, given.renders, given.poster, options, given.output, *sheets)
    say(f"Report of {given.scene}: {given.output} ({given.output.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    run_main(main)
