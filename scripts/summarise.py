"""One table and one index page over every scene of a run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.core.files import write_bytes
from scripts.lib.report.formats import read_rate
from scripts.lib.report.index import Row, build_index, summary_table
from scripts.lib.report.inputs import Benchmark, StageFiles, read_benchmark, read_object
from scripts.lib.report.pictures import file_uri
from scripts.lib.report.summary import summarise

THUMBNAIL_SIDE = 320  # pixels
STAGES = ("photos", "sfm", "georef", "train", "eval", "codecs")
NEEDED = ("sfm", "train", "eval", "codecs")  # what the workflow hands over for each scene


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


def other_scenes(results: Path, scenes: Sequence[str]) -> list[str]:
    """Scenes that another sheet built in the folder `results`: those with every file that a line needs."""
    return sorted(
        path.name
        for path in (results.iterdir() if results.is_dir() else ())
        if path.name not in scenes and all((path / f"{stage}.json").is_file() for stage in NEEDED)
    )


def files_of(results: Path, scene: str) -> tuple[dict[str, Path], list[Path]]:
    """The files of a scene as the workflow lays them out: {kind: path}, and its benchmarks."""
    names = {stage: f"{stage}.json" for stage in NEEDED} | {
        "posters": "poster.jpg",
        "costs": "cost.json",
    }
    paths = {kind: results / scene / name for kind, name in names.items()}
    there = {kind: path for kind, path in paths.items() if path.is_file()}
    return there, sorted((results / "benchmarks" / scene).glob("*.tsv"))


def row_of(scene: str, paths: dict[str, Path], benchmarks: Sequence[Path], folder: str) -> Row:
    """A scene's line; `folder` is where its files are from the index. Raises UserError on a damaged file."""
    files = StageFiles(
        scene=scene,
        **{stage: read_object(paths.get(stage)) for stage in STAGES},
        cost=read_object(paths.get("costs")),
        pairs={},
        manifest={},
        benchmarks=benchmarks_of(scene, benchmarks),
    )
    poster = paths.get("posters")
    thumbnail = file_uri(poster, THUMBNAIL_SIDE) if poster else ""
    return Row(summarise(files), folder, thumbnail, tuple(read_rate(files.codecs)))


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
    lists = {stage: getattr(given, stage) for stage in (*STAGES, "posters", "costs")}
    results = given.results or given.html.parent

    def folder_of(scene: str) -> str:
        return Path(os.path.relpath(results / scene, given.html.parent)).as_posix()

    rows = [
        row_of(scene, paths, given.benchmarks, folder_of(scene))
        for scene, paths in zip(given.scenes, by_scene(given.scenes, lists), strict=True)
    ]
    for scene in other_scenes(results, given.scenes) if given.others else ():
        try:
            rows.append(row_of(scene, *files_of(results, scene), folder_of(scene)))
            say(f"{scene}, which is in {results} from another sheet, is listed too")
        except UserError as error:
            say(f"{scene}, which is in {results} from another sheet, is not listed: {error}")
    write_bytes(given.tsv, summary_table([row.record for row in rows]).encode())
    write_bytes(given.html, build_index(rows).encode())
    say(f"Summary of {len(rows)} scene{'s' if len(rows) != 1 else ''}: {given.html}, {given.tsv}")


if __name__ == "__main__":
    run_main(main)
