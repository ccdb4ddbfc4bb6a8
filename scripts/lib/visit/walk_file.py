"""walk.zip: the walkable part in the voxel format, read back, and what is told of it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from scripts.lib.contracts.deliver import Delivered
from scripts.lib.core.deliverables import DELIVERABLES
from scripts.lib.core.files import add_to_zip, reading_zip, sha256, writing_zip
from scripts.lib.splat import voxels
from scripts.lib.visit.walk import Walked, y_up

HEADER, WORDS = "scene.voxel.json", "scene.voxel.bin"


def write_walk(path: Path, walked: Walked, began: float) -> Delivered:
    """Write the two files of the voxel format to the zip `path`, none where nobody can walk; and tell of it.

    `began`: when the work started, by time.monotonic. Raises RuntimeError when what is read back is not what
    was found.
    """
    with writing_zip(path) as archive:
        if walked.told.octree is not None:
            add_to_zip(archive, HEADER, walked.header)
            add_to_zip(archive, WORDS, walked.words)
    if walked.free is not None:
        with reading_zip(path) as archive:
            solid, _ = voxels.decode(archive.read(HEADER), archive.read(WORDS))
        free = y_up(walked.free)
        if not np.array_equal(~solid[tuple(slice(0, size) for size in free.shape)], free):
            raise RuntimeError(f"{path} did not survive its own decoder")
    told = walked.told
    return Delivered(
        name="walk",
        file=DELIVERABLES["walk"].file,
        bytes=path.stat().st_size,
        sha256=sha256(path),
        seconds=time.monotonic() - began,
        frame="X east, Y up, Z south",
        placed=False,
        checked=("read back: every cell is as it was found",) if told.octree else (),
        notes=(f"Nobody can walk in this scene: {told.reason}.",) if told.reason else (),
        facts={
            "area_m2": told.area,
            "cell": told.octree.cell if told.octree else None,
            "eye": told.walker.eye,
            "step": told.walker.step,
        },
    )


def sentence(walked: Walked) -> str:
    """A line for the log."""
    told = walked.told
    if told.octree is None:
        return f"Nobody can walk in this scene: {told.reason}"
    return f"{told.area:.0f} square metres to walk on, in cells of {told.octree.cell:.2g}"
