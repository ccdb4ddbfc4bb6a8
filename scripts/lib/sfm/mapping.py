"""Poses and a sparse cloud from matches: one mapper, and the other when too little comes out."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pycolmap

from scripts.lib.console import UserError, say
from scripts.lib.sfm.quiet import heartbeat

MAPPERS = ("auto", "incremental", "global")


@dataclass(frozen=True)
class MapOptions:
    """Config section `map_scene`."""

    mapper: str = "auto"
    global_from: int = 150  # photos; `auto` takes the global mapper from here on
    retry_below: float = 0.9  # fraction of photos registered under which the other mapper is tried
    min_registered_fraction: float = 0.6
    min_photos: int = 3
    use_gps: bool = True
    refine_principal_point: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Attempt:
    """What one mapper made of the matches: its models, largest first."""

    mapper: str
    models: list[pycolmap.Reconstruction]
    seconds: float

    @property
    def registered(self) -> int:
        """Photos in the largest model."""
        return int(self.models[0].num_reg_images()) if self.models else 0

    def summary(self) -> dict[str, Any]:
        """This attempt as sfm.json lists it."""
        largest = self.models[0] if self.models else None
        return {
            "mapper": self.mapper,
            "registered": self.registered,
            "models": [int(model.num_reg_images()) for model in self.models],
            "points": int(largest.num_points3D()) if largest else 0,
            "track_length": float(largest.compute_mean_track_length()) if largest else 0.0,
            "reprojection_error_px": (
                float(largest.compute_mean_reprojection_error()) if largest else None
            ),
            "seconds": round(self.seconds, 2),
        }


def map_photos(
    database: Path, folder: Path, options: MapOptions, threads: int
) -> tuple[Attempt, list[Attempt]]:
    """Run the mapper, and the other one when it registers too few; returns (the best, all attempts).

    Best is the most photos in one model, then the longest tracks: two models of one place are
    never merged, and the largest is always chosen by this rule, not by COLMAP's numbering.
    Raises UserError for an unknown mapper.
    """
    if options.mapper not in MAPPERS:
        raise UserError(f"mapper {options.mapper!r} is unknown; choose from {', '.join(MAPPERS)}")
    count = _image_count(database)
    order = ["incremental", "global"]
    if options.mapper == "global" or (options.mapper == "auto" and count >= options.global_from):
        order.reverse()
    if options.mapper != "auto":
        order = order[:1]
    attempts: list[Attempt] = []
    for mapper in order:
        attempt = run_mapper(mapper, database, folder, options, threads)
        attempts.append(attempt)
        say(f"{mapper} mapper: {attempt.registered} of {count} photos in one model")
        if attempt.registered >= options.retry_below * count:
            break
    best = max(attempts, key=lambda a: (a.registered, a.summary()["track_length"]))
    return best, attempts


def run_mapper(
    mapper: str, database: Path, folder: Path, options: MapOptions, threads: int
) -> Attempt:
    """Run one mapper on a copy of the database (view graph calibration writes to it)."""
    began = time.monotonic()
    pycolmap.set_random_seed(options.seed)
    with tempfile.TemporaryDirectory(prefix=".map.", dir=folder.parent) as work:
        copy = Path(work) / "database.db"
        shutil.copyfile(database, copy)
        run: Callable[..., dict[int, pycolmap.Reconstruction]]
        run = _incremental if mapper == "incremental" else _global
        models = run(copy, folder, Path(work) / "models", options, threads)
    ordered = sorted(models.values(), key=lambda m: (-m.num_reg_images(), -m.num_points3D()))
    return Attempt(mapper, ordered, time.monotonic() - began)


def _incremental(
    database: Path, folder: Path, output: Path, options: MapOptions, threads: int
) -> dict[int, pycolmap.Reconstruction]:
    settings = pycolmap.IncrementalPipelineOptions()
    settings.random_seed = options.seed
    settings.num_threads = threads
    settings.min_model_size = 3
    settings.ba_refine_principal_point = options.refine_principal_point
    output.mkdir()
    added = 0

    def count() -> None:
        nonlocal added
        added += 1

    with heartbeat("Incremental mapper", lambda: f", {added} photos added"):
        return dict(
            pycolmap.incremental_mapping(
                database, folder, output, settings, next_image_callback=count
            )
        )


def _global(
    database: Path, folder: Path, output: Path, options: MapOptions, threads: int
) -> dict[int, pycolmap.Reconstruction]:
    settings = pycolmap.GlobalPipelineOptions()
    settings.random_seed = options.seed
    settings.num_threads = threads
    settings.mapper.bundle_adjustment.refine_principal_point = options.refine_principal_point
    output.mkdir()
    with heartbeat("Global mapper", lambda: ""):
        if not _all_focals_known(database):
            calibration = pycolmap.ViewGraphCalibrationOptions()
            calibration.random_seed = options.seed
            pycolmap.calibrate_view_graph(database, calibration)
        return dict(pycolmap.global_mapping(database, folder, output, settings))


def _image_count(database: Path) -> int:
    link = pycolmap.Database.open(database)
    count = int(link.num_images())
    link.close()
    return count


def _all_focals_known(database: Path) -> bool:
    link = pycolmap.Database.open(database)
    known = all(camera.has_prior_focal_length for camera in link.read_all_cameras())
    link.close()
    return known
