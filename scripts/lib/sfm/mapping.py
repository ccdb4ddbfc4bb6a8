"""Poses and a sparse cloud from matches, by COLMAP's incremental or global mapper."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pycolmap

from scripts.lib.contracts import sfm as told
from scripts.lib.core.files import scratch_folder
from scripts.lib.sfm.adjust import free_adjustment, solve_densely
from scripts.lib.sfm.matching import verified_matches
from scripts.lib.sfm.options import MapOptions
from scripts.lib.sfm.parallax import Parallax, measure_parallax
from scripts.lib.sfm.quiet import heartbeat
from scripts.lib.sfm.rigs import exact_cameras, is_exact
from scripts.lib.sfm.thinning import Matches, thinned, write_thinned

# COLMAP adjusts everything again whenever the model grew by a tenth, up to five times over, and each time to
# convergence. While photos are added, once every half and within a thousandth is enough; what the last
# adjustment leaves is the same (tests/bench/NOTES.md).
GROWTH, SETTLED, LOCAL_ITERATIONS = 1.5, 1e-3, 10
# Pairs of thinned matches are smaller; COLMAP asks the two photos to begin with for 100.
FIRST_MATCHES = 50
# Share of linked photos that thinned tracks must register, else all tracks are tried.
THIN_ENOUGH = 0.9
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
    return order[::-1] if photos >= options.global_mapper_min_photos else order


def run_mapper(
    mapper: str, database: Path, folder: Path, options: MapOptions, threads: int
) -> Attempt:
    """Run one mapper. Points have no colours yet: see `colour_points`."""
    began = time.monotonic()
    pycolmap.set_random_seed(options.seed)
    matches, known = verified_matches(database), _known_focals(database)
    with scratch_folder(folder, "map") as work:
        if mapper == "incremental":
            models = _incremental(database, matches, work, options, threads)
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


def _incremental(
    database: Path, matches: Matches, work: Path, options: MapOptions, threads: int
) -> list[pycolmap.Reconstruction]:
    """Models from some of the tracks where they are many, then adjusted with all of them."""
    added, what = 0, "photos added"

    def count() -> None:
        nonlocal added
        added += 1

    with heartbeat("Incremental mapper", lambda: f", {added} {what}"):
        models: list[pycolmap.Reconstruction] = []
        thin = _thinned(database, matches, work)
        if thin is not None:
            models = _grown(thin, work / "thin", FIRST_MATCHES, options, threads, count)
        linked = {number for pair in matches for number in pair}
        if _largest(models) < THIN_ENOUGH * len(linked):
            added = 0
            whole = _grown(database, work / "whole", None, options, threads, count)
            models = whole if _largest(whole) > _largest(models) else models
        what = "photos added, last adjustment"
        return _completed(models, database, options, threads)


def _largest(models: Sequence[pycolmap.Reconstruction]) -> int:
    return max((int(model.num_reg_images()) for model in models), default=0)


def _thinned(database: Path, matches: Matches, work: Path) -> Path | None:
    """A database with some of the tracks; None where they are few."""
    with pycolmap.Database.open(database) as link:
        numbers = [image.image_id for image in link.read_all_images()]
        keypoints = {number: link.read_keypoints(number) for number in numbers}
    left = thinned({number: len(xy) for number, xy in keypoints.items()}, matches, keypoints)
    if left is None:
        return None
    write_thinned(database, work / "thin.db", left)
    return work / "thin.db"


def _settings(
    options: MapOptions, threads: int, exact: frozenset[int]
) -> pycolmap.IncrementalPipelineOptions:
    """COLMAP's settings; the lenses of the cameras `exact` stay as they are."""
    settings = pycolmap.IncrementalPipelineOptions()
    settings.random_seed = settings.mapper.random_seed = options.seed
    settings.triangulation.random_seed = options.seed
    settings.num_threads = settings.mapper.num_threads = threads
    settings.ba_refine_principal_point = options.refine_principal_point
    settings.extract_colors = False
    settings.ba_refine_sensor_from_rig = False
    settings.constant_cameras = settings.mapper.constant_cameras = set(exact)
    return settings


def _exact(database: Path) -> frozenset[int]:
    with pycolmap.Database.open(database) as link:
        return frozenset(c.camera_id for c in link.read_all_cameras() if is_exact(c))


def _grown(
    database: Path,
    output: Path,
    first_matches: int | None,
    options: MapOptions,
    threads: int,
    count: Callable[[], None],
) -> list[pycolmap.Reconstruction]:
    """Models by COLMAP's pipeline, every photo adjusted roughly; `count` is called for every photo."""
    settings = _settings(options, threads, _exact(database))
    settings.min_model_size = 3
    settings.ba_local_max_refinements = settings.ba_global_max_refinements = 1
    settings.ba_local_max_num_iterations = LOCAL_ITERATIONS
    settings.ba_local_function_tolerance = settings.ba_global_function_tolerance = SETTLED
    settings.ba_global_frames_ratio = settings.ba_global_points_ratio = GROWTH
    if first_matches is not None:
        settings.mapper.init_min_num_inliers = first_matches
    output.mkdir()
    # No photo is opened: colours come later.
    found = pycolmap.incremental_mapping(
        database, output, output, settings, next_image_callback=count
    )
    return list(found.values())


def _completed(
    models: Sequence[pycolmap.Reconstruction], database: Path, options: MapOptions, threads: int
) -> list[pycolmap.Reconstruction]:
    """The models with all tracks of their photos, adjusted; the largest with all photos it can register."""
    settings = _settings(options, threads, _exact(database))
    with pycolmap.Database.open(database) as link:
        cache = pycolmap.DatabaseCache.create(link, pycolmap.DatabaseCacheOptions())
    largest = max(models, key=lambda model: model.num_reg_images(), default=None)
    for model in models:
        # The slow bends of a long capture need many steps, which cost a third with the tracks it grew with.
        free_adjustment(model, options.refine_principal_point, frozenset())
        mapper = pycolmap.IncrementalMapper(cache)
        mapper.begin_reconstruction(model)
        for number in sorted(model.reg_image_ids()):
            mapper.triangulate_image(settings.triangulation, number)
        # A small model beside it would grow over the photos of the largest, a second time.
        if model is largest:
            _add_rest(mapper, settings)
        _adjust_all(mapper, settings)
        mapper.end_reconstruction(False)
        model.update_point_3d_errors()
    return list(models)


def complete_placed(
    model: pycolmap.Reconstruction,
    cache: pycolmap.DatabaseCache,
    options: MapOptions,
    threads: int,
) -> float:
    """Triangulate a model that has poses and no points, add the rest of the photos, and adjust everything.

    Returns the mean reprojection error before the adjustment, in pixels.
    """
    settings = _settings(options, threads, exact_cameras(model))
    mapper = pycolmap.IncrementalMapper(cache)
    mapper.begin_reconstruction(model)
    for number in sorted(model.reg_image_ids()):
        mapper.triangulate_image(settings.triangulation, number)
    model.update_point_3d_errors()
    before = float(model.compute_mean_reprojection_error())
    _adjust_all(mapper, settings)
    _add_rest(mapper, settings)
    _adjust_all(mapper, settings)
    mapper.end_reconstruction(False)
    model.update_point_3d_errors()
    return before


def _adjust_all(
    mapper: pycolmap.IncrementalMapper, settings: pycolmap.IncrementalPipelineOptions
) -> None:
    """One adjustment of all tracks.

    COLMAP repeats it, because wrong observations bend it before they are known. Here the poses are good
    enough to tell most of them beforehand, and a robust loss takes the weight from the rest.
    """
    adjustment = settings.get_global_bundle_adjustment()
    adjustment.ceres.loss_function_type = pycolmap.LossFunctionType.SOFT_L1
    adjustment.ceres.solver_options.function_tolerance = SETTLED
    mapper.complete_and_merge_tracks(settings.triangulation)
    mapper.retriangulate(settings.triangulation)
    mapper.filter_points(settings.mapper)
    solve_densely(adjustment, mapper.reconstruction)
    mapper.adjust_global_bundle(settings.mapper, adjustment)
    mapper.complete_and_merge_tracks(settings.triangulation)
    mapper.filter_points(settings.mapper)
    mapper.filter_frames(settings.mapper)


def _add_rest(
    mapper: pycolmap.IncrementalMapper, settings: pycolmap.IncrementalPipelineOptions
) -> None:
    """Register photos that thinned tracks left out."""
    while True:
        for number in mapper.find_next_images(settings.mapper, False):
            if mapper.register_next_image(settings.mapper, number):
                break
        else:
            return
        mapper.triangulate_image(settings.triangulation, number)
        mapper.iterative_local_refinement(
            settings.ba_local_max_refinements,
            settings.ba_local_max_refinement_change,
            settings.mapper,
            settings.get_local_bundle_adjustment(),
            settings.triangulation,
            number,
        )


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
