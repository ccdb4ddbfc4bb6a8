"""The lines of the index: every scene of a run, and finished ones of other sheets in the same folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.core.console import UserError, say
from scripts.lib.report.formats import read_rate
from scripts.lib.report.index import Row
from scripts.lib.report.inputs import read_stages
from scripts.lib.report.pictures import file_uri
from scripts.lib.report.summary import summarise

THUMBNAIL_SIDE = 320  # pixels
NEEDED = ("sfm", "train", "eval", "codecs")  # what the workflow hands over for each scene
PathsOf = dict[str, Path]  # a scene's files by kind: names of stages, `posters`, `costs`


def by_scene(scenes: Sequence[str], given: Mapping[str, Sequence[Path]]) -> list[PathsOf]:
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


def other_scenes(results: Path, scenes: Sequence[str]) -> list[str]:
    """Scenes that another sheet built in the folder `results`: those with every file that a line needs."""
    return sorted(
        path.name
        for path in (results.iterdir() if results.is_dir() else ())
        if path.name not in scenes and all((path / f"{stage}.json").is_file() for stage in NEEDED)
    )


def files_of(results: Path, scene: str) -> tuple[PathsOf, list[Path]]:
    """The files of a scene as the workflow lays them out: {kind: path}, and its benchmarks."""
    names = {stage: f"{stage}.json" for stage in NEEDED} | {
        "posters": "poster.jpg",
        "costs": "cost.json",
    }
    paths = {kind: results / scene / name for kind, name in names.items()}
    there = {kind: path for kind, path in paths.items() if path.is_file()}
    return there, sorted((results / "benchmarks" / scene).glob("*.tsv"))


def row_of(scene: str, paths: PathsOf, benchmarks: Sequence[Path], folder: str) -> Row:
    """A scene's line; `folder` is where its files are from the index. Raises UserError on a damaged file.

    Of the benchmarks those count whose folder is named like the scene, as the workflow lays them out.
    """
    own = [path for path in benchmarks if path.parent.name == scene]
    files = read_stages(scene, {**paths, "cost": paths.get("costs")}, own)
    poster = paths.get("posters")
    thumbnail = file_uri(poster, THUMBNAIL_SIDE) if poster else ""
    return Row(summarise(files), folder, thumbnail, tuple(read_rate(files.codecs)))


@dataclass(frozen=True)
class Folders:
    """Where scenes have their folders, and where the index stands."""

    results: Path
    index: Path

    def folder_of(self, scene: str) -> str:
        """A scene's folder as the index links to it."""
        return Path(os.path.relpath(self.results / scene, self.index.parent)).as_posix()


def rows_of(
    scenes: Sequence[str],
    given: Mapping[str, Sequence[Path]],
    benchmarks: Sequence[Path],
    folders: Folders,
) -> list[Row]:
    """The lines of a run's scenes; `given` holds files of each kind in the order of `scenes`."""
    return [
        row_of(scene, paths, benchmarks, folders.folder_of(scene))
        for scene, paths in zip(scenes, by_scene(scenes, given), strict=True)
    ]


def rows_of_others(scenes: Sequence[str], folders: Folders) -> Iterator[Row]:
    """The lines of finished scenes of other sheets; a line on the console says which are listed and "
    "which cannot be."""
    for scene in other_scenes(folders.results, scenes):
        where = f"Scene {scene} of another sheet in {folders.results}"
        try:
            row = row_of(scene, *files_of(folders.results, scene), folders.folder_of(scene))
        except UserError as error:
            say(f"{where} is not listed: {error}")
        else:
            say(f"{where} is listed as well")
            yield row
