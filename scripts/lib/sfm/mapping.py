"""Poses and a sparse cloud from matches, by COLMAP's incremental or global mapper, or in parts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pycolmap

from scripts.lib.contracts import sfm as told
from scripts.lib.core.files import scratch_folder
from scripts.lib.sfm.divided import Unjoined, divided_models
from scripts.lib.sfm.incremental import incremental_models
from scripts.lib.sfm.matching import verified_matches
from scripts.lib.sfm.options import MapOptions
from scripts.lib.sfm.parallax import Parallax, measure_parallax
from scripts.lib.sfm.quiet import heartbeat

MIN_POINTS_SEEN = 10  # by a photo that counts as registered
MIN_POINTS = 30  # of a model


@dataclass(frozen=True)
class Attempt:
    """What one mapper made of the matches: its models, largest first.

    `turned` are models without parallax, which a camera that only turned explains as well: they have
    no depth to train on and count for nothing.
    """

    mapper: str
    models: list[pycolmap.Reconstruction]
    seconds: float
    database: Path = Path()
    strategy: str = "as matched"
    verified: int = 0  # verified pairs it had
    parallax: Parallax | None = None  # of the largest model
    turned: Sequence[pycolmap.Reconstruction] = ()
    unjoined: Sequence[Unjoined] = ()  # parts that do not fit together

    @property
    def registered(self) -> int:
        """Photos in the largest model."""
        return int(self.models[0].num_reg_images()) if self.models else 0

    @property
    def turned_photos(self) -> int:
        """Photos in the largest model without parallax."""
        return max((int(model.num_reg_images()) for model in self.turned), default=0)

    def names(self, model: int) -> set[str]:
        """Photos of one of its models; empty when there is no such model."""
        if model >= len(self.models):
            return set()
        found = self.models[model]
        return {found.image(number).name for number in found.reg_image_ids()}

    def summary(self) -> told.Attempt:
        """This attempt as sfm.json lists it."""
        largest = self.models[0] if self.models else None
        error = float(largest.compute_mean_reprojection_error()) if largest else None
        return told.Attempt(
            strategy=self.strategy,
            mapper=self.mapper,
            verified_pairs=self.verified,
            registered=self.registered,
            models=tuple(int(model.num_reg_images()) for model in self.models),
            points=int(largest.num_points3D()) if largest else 0,
            track_length=float(largest.compute_mean_track_length()) if largest else 0.0,
            reprojection_error_px=error,
            parallax=self.parallax.facts() if self.parallax else None,
            turned=self.turned_photos,
            seconds=round(self.seconds, 2),
        )


def mapper_order(options: MapOptions, photos: int) -> list[str]:
    """The mapper to begin with, and the other one when `auto` allows it."""
    if options.mapper != "auto":
        return [options.mapper]
    order = ["incremental", "global"]
    if photos >= options.global_mapper_min_photos:
        order.reverse()
    return ["divided", order[0]] if photos >= options.divided_mapper_min_photos else order


def run_mapper(
    mapper: str, database: Path, folder: Path, options: MapOptions, threads: int
) -> Attempt:
    """Run one mapper. Points have no colours yet: see `colour_points`."""
    began = time.monotonic()
    pycolmap.set_random_seed(options.seed)
    matches, known = verified_matches(database), _known_focals(database)
    unjoined: Sequence[Unjoined] = ()
    with scratch_folder(folder, "map") as work:
        if mapper == "divided":
            models, unjoined = divided_models(database, matches, work, options, threads)
        elif mapper == "incremental":
            models = incremental_models(database, matches, work, options, threads)
        else:
            models = _global(database, folder, work, options, threads)
    kept = [model for model in models if _supported(model)]
    ordered = sorted(kept, key=lambda m: (-m.num_reg_images(), -m.num_points3D()))
    measured = [(model, measure_parallax(model, matches, known)) for model in ordered]
    moved = [(model, parallax) for model, parallax in measured if parallax and parallax.found]
    return Attempt(
        mapper,
        [model for model, _ in moved],
        time.monotonic() - began,
        database,
        parallax=moved[0][1] if moved else None,
        turned=[model for model, parallax in measured if not (parallax and parallax.found)],
        unjoined=unjoined,
    )


def _supported(model: pycolmap.Reconstruction) -> bool:
    """Take out photos that hardly any point supports; whether a model is left.

    The global mapper gives every photo of the view graph a pose, also where the camera only
    turned and not one point could be triangulated.
    """
    while True:
        seen: dict[int, int] = {}
        for number in model.reg_image_ids():
            image = model.image(number)
            # Of a rig all views count together: that of the sky may see nothing.
            seen[image.frame_id] = seen.get(image.frame_id, 0) + image.num_points3D
        weak = {frame for frame, points in seen.items() if points < MIN_POINTS_SEEN}
        if not weak:
            return bool(model.num_reg_images() >= 2 and model.num_points3D() >= MIN_POINTS)
        for frame in weak:  # takes their observations away, which may weaken others
            model.deregister_frame(frame)


def _global(
    database: Path, folder: Path, work: Path, options: MapOptions, threads: int
) -> list[pycolmap.Reconstruction]:
    settings = pycolmap.GlobalPipelineOptions()
    settings.random_seed = options.seed
    settings.num_threads = settings.mapper.num_threads = threads
    settings.mapper.bundle_adjustment.ceres.solver_options.num_threads = threads
    settings.mapper.bundle_adjustment.refine_principal_point = options.refine_principal_point
    settings.mapper.refine_sensor_from_rig = False
    settings.mapper.bundle_adjustment.refine_sensor_from_rig = False
    copy, output = work / "database.db", work / "models"
    shutil.copyfile(database, copy)  # view graph calibration writes to it
    output.mkdir()
    with heartbeat("Global mapper", lambda: ""):
        if not _all_focals_known(copy):
            calibration = pycolmap.ViewGraphCalibrationOptions()
            calibration.random_seed = options.seed
            pycolmap.calibrate_view_graph(copy, calibration)
        return list(pycolmap.global_mapping(copy, folder, output, settings).values())


def _known_focals(database: Path) -> dict[int, float]:
    """Focal lengths in pixels that EXIF tells, by camera."""
    link = pycolmap.Database.open(database)
    cameras = link.read_all_cameras()
    link.close()
    return {c.camera_id: float(c.mean_focal_length()) for c in cameras if c.has_prior_focal_length}


def _all_focals_known(database: Path) -> bool:
    link = pycolmap.Database.open(database)
    known = all(camera.has_prior_focal_length for camera in link.read_all_cameras())
    link.close()
    return known
