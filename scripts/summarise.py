"""One table and one index page over every scene of a run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.console import UserError, run_main, say
from scripts.lib.files import write_bytes
from scripts.lib.report.formats import read_rate
from scripts.lib.report.index import Row, build_index, summary_table
from scripts.lib.report.inputs import Benchmark, StageFiles, read_benchmark, read_object
from scripts.lib.report.pictures import file_uri
from scripts.lib.report.summary import summarise

THUMBNAIL_SIDE = 320  # pixels
STAGES = ("photos", "sfm", "georef", "train", "eval", "codecs")


def by_scene(scenes: Sequence[str], given: dict[str, list[Path]]) -> list[dict[str, Path]]:
    """For each scene its file of every kind. Raises UserError when a list has another length."""
    for kind, paths in given.items():
        if paths and len(paths) != len(scenes):
            raise UserError(
                f"--{kind} lists {len(paths)} files for {len(scenes)} scenes; give one for each,"
                " in the order of --scenes"
            )
    return [
        {kind: paths[index] for kind, paths in given.items() if paths}
        for index in range(len(scenes))
    ]


def benchmarks_of(scene: str, paths: Sequence[Path]) -> tuple[Benchmark, ...]:
    """Benchmarks whose folder is named like the scene, as the workflow lays them out."""
    return tuple(read_benchmark(path) for path in paths if path.parent.name == scene)


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
    parser.add_argument("--costs", type=Path, nargs="*", default=[], help="cost.json")
    parser.add_argument("--tsv", type=Path, required=True, help="the table to write")
    parser.add_argument("--html", type=Path, required=True, help="the index to write")
    given = parser.parse_args(argv)
    lists = {stage: getattr(given, stage) for stage in (*STAGES, "posters", "costs")}
    results = given.results or given.html.parent
    rows = []
    for scene, paths in zip(given.scenes, by_scene(given.scenes, lists), strict=True):
        files = StageFiles(
            scene=scene,
            **{stage: read_object(paths.get(stage)) for stage in STAGES},
            cost=read_object(paths.get("costs")),
            pairs={},
            manifest={},
            benchmarks=benchmarks_of(scene, given.benchmarks),
        )
        poster = paths.get("posters")
        thumbnail = file_uri(poster, THUMBNAIL_SIDE) if poster else ""
        folder = Path(os.path.relpath(results / scene, given.html.parent)).as_posix()
        rows.append(Row(summarise(files), folder, thumbnail, tuple(read_rate(files.codecs))))
    write_bytes(given.tsv, summary_table([row.record for row in rows]).encode())
    write_bytes(given.html, build_index(rows).encode())
    say(f"Summary of {len(rows)} scene{'s' if len(rows) != 1 else ''}: {given.html}, {given.tsv}")


if __name__ == "__main__":
    run_main(main)
