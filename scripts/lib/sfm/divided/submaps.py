"""Parts mapped one by one, by several processes: each leaves small models of its own."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap

from scripts.lib.core.console import UserError
from scripts.lib.core.geo import Array
from scripts.lib.core.threads import cores, threads_of_children
from scripts.lib.sfm.divided.parts import Part
from scripts.lib.sfm.incremental import grown
from scripts.lib.sfm.options import MapOptions
from scripts.lib.sfm.tables import Rows, tables
from scripts.lib.sfm.thinning import TABLES, Joined

PAIR = 2147483647  # COLMAP's number of a pair of images: this times the first, and the second


@dataclass(frozen=True)
class Submap:
    """A model of one part, in a frame of its own.

    poses: of its photos. cameras: parameters of its lenses, and how many of its photos have them. tracks:
    numbers (P,) of the tracks that it has a point of, ascending, with their places `xyz` (P, 3). reach: how
    far its photos see, the median.
    """

    part: int
    poses: dict[int, pycolmap.Rigid3d]
    cameras: dict[int, tuple[Array, int]]
    tracks: Rows
    xyz: Array
    reach: float


@dataclass(frozen=True)
class _Task:
    database: Path
    photos: tuple[int, ...]
    output: Path
    first_matches: int | None
    options: MapOptions
    threads: int


def map_parts(
    database: Path,
    parts: Sequence[Part],
    joined: Joined,
    work: Path,
    first_matches: int | None,
    options: MapOptions,
    threads: int,
    done: Callable[[], None] = lambda: None,
) -> list[Submap]:
    """The models of all parts, in their order; of a part that falls apart there are several.

    database: what the parts are mapped from; joined: its tracks. work: folder for their files. first_matches:
    that a pair needs to begin with; None: COLMAP's own number. done: called after each part. Raises UserError
    when a process was killed.
    """
    count = threads if threads > 0 else cores()
    workers = min(count, len(parts))
    tasks = [
        _Task(
            database,
            part.photos,
            work / f"part{number}",
            first_matches,
            options,
            max(count // max(workers, 1), 1),
        )
        for number, part in enumerate(parts)
    ]
    if workers < 2:
        for task in tasks:
            _map(task)
            done()
    else:
        _map_beside_each_other(tasks, workers, done)
    return [
        submap
        for number, task in enumerate(tasks)
        for folder in sorted(path for path in task.output.iterdir() if path.is_dir())
        if (submap := read_submap(pycolmap.Reconstruction(folder), number, joined)) is not None
    ]


def _map_beside_each_other(tasks: Sequence[_Task], workers: int, done: Callable[[], None]) -> None:
    # Started, not forked: the threads of COLMAP and of BLAS do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        with threads_of_children(tasks[0].threads):
            # The largest first, so that none is left to run alone in the end.
            order = sorted(tasks, key=lambda task: -len(task.photos))
            found: list[Future[None]] = [pool.submit(_map, task) for task in order]
        try:
            for future in as_completed(found):
                future.result()
                done()
        except BrokenProcessPool as error:
            raise UserError(
                "a process that maps a part of the photos was ended from outside, probably because memory "
                f"ran out: {workers} of them ran beside each other; give map_scene fewer threads, or "
                "more memory"
            ) from error
        finally:
            for future in found:
                future.cancel()


def _map(task: _Task) -> None:
    """Map one part; its models are in folders of `output` then."""
    task.output.mkdir()
    part = task.output / "part.db"
    write_part(task.database, part, task.photos)
    pycolmap.set_random_seed(task.options.seed)
    grown(part, task.output, task.first_matches, task.options, task.threads, _nothing, task.photos)
    part.unlink()


def _nothing() -> None:
    """Nobody counts the photos of a part."""


def write_part(database: Path, output: Path, photos: Sequence[int]) -> None:
    """Write a database of what `database` says of some photos, and of the pairs among them.

    It lists the cameras and names of all photos.
    """
    pycolmap.Database.open(output).close()
    with closing(sqlite3.connect(output)) as link:
        link.execute("ATTACH ? AS whole", (str(database),))
        link.execute("CREATE TEMP TABLE part (image INTEGER PRIMARY KEY)")
        link.executemany("INSERT INTO part VALUES (?)", [(number,) for number in photos])
        inside = "IN (SELECT image FROM part)"
        for table in TABLES:
            where = f"WHERE image_id {inside}" if table == "keypoints" else ""
            link.execute(f"INSERT INTO main.{table} SELECT * FROM whole.{table} {where}")
        link.execute(
            "INSERT INTO main.two_view_geometries SELECT * FROM whole.two_view_geometries "
            f"WHERE pair_id / {PAIR} {inside} AND pair_id % {PAIR} {inside}"
        )
        link.commit()


def read_submap(model: pycolmap.Reconstruction, part: int, joined: Joined) -> Submap | None:
    """What joining needs to know of a part's model; None where it has no points.

    joined: the tracks of the database that the model was mapped from.
    """
    found = tables(model)
    if not len(found.points):
        return None
    row = {number: place for place, number in enumerate(joined.numbers)}
    track = np.full(len(found.points), -1)
    distances = []
    for number in sorted(model.reg_image_ids()):
        points = np.searchsorted(found.points, found.seen[number])
        of_feature = joined.node_track[joined.first[row[number]] + found.features[number]]
        track[points] = np.maximum(track[points], of_feature)
        centre = model.image(number).projection_center()
        distances.append(np.linalg.norm(found.xyz[points] - centre, axis=1))
    # COLMAP may make two points of a track; the one that more photos see counts.
    order = np.lexsort((-found.lengths, track))
    order = order[track[order] >= 0]
    tracks, once = np.unique(track[order], return_index=True)
    cameras: dict[int, tuple[Array, int]] = {}
    for number in model.reg_image_ids():
        camera = model.image(number).camera_id
        _, used = cameras.get(camera, (None, 0))
        cameras[camera] = np.array(model.cameras[camera].params), used + 1
    return Submap(
        part,
        {number: model.image(number).cam_from_world() for number in sorted(model.reg_image_ids())},
        cameras,
        tracks,
        found.xyz[order][once],
        float(np.median(np.concatenate(distances))),
    )
