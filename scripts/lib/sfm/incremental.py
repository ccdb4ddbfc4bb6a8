"""COLMAP's incremental mapper: grown with some of the tracks, completed and adjusted with all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pycolmap

from scripts.lib.sfm.adjust import free_adjustment, solve_by_size
from scripts.lib.sfm.options import MapOptions
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


def incremental_models(
    database: Path, matches: Matches, work: Path, options: MapOptions, threads: int
) -> list[pycolmap.Reconstruction]:
    """Models from some of the tracks where they are many, then adjusted with all of them."""
    added, what = 0, "photos added"

    def count() -> None:
        nonlocal added
        added += 1

    with heartbeat("Incremental mapper", lambda: f", {added} {what}"):
        models: list[pycolmap.Reconstruction] = []
        thin = thin_database(database, matches, work)
        if thin is not None:
            models = grown(thin, work / "thin", FIRST_MATCHES, options, threads, count)
        linked = {number for pair in matches for number in pair}
        if _largest(models) < THIN_ENOUGH * len(linked):
            added = 0
            whole = grown(database, work / "whole", None, options, threads, count)
            models = whole if _largest(whole) > _largest(models) else models
        what = "photos added, last adjustment"
        return completed(models, database, options, threads)


def _largest(models: Sequence[pycolmap.Reconstruction]) -> int:
    return max((int(model.num_reg_images()) for model in models), default=0)


def thin_database(database: Path, matches: Matches, work: Path) -> Path | None:
    """A database with some of the tracks; None where they are few."""
    with pycolmap.Database.open(database) as link:
        numbers = [image.image_id for image in link.read_all_images()]
        # Only the places, of which scale and turn of each feature are twice as much again.
        keypoints = {number: link.read_keypoints(number)[:, :2].copy() for number in numbers}
    left = thinned({number: len(xy) for number, xy in keypoints.items()}, matches, keypoints)
    if left is None:
        return None
    write_thinned(database, work / "thin.db", left)
    return work / "thin.db"


def pipeline_settings(
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


def known_cameras(database: Path) -> frozenset[int]:
    """Cameras of a database whose lens is known exactly."""
    with pycolmap.Database.open(database) as link:
        return frozenset(c.camera_id for c in link.read_all_cameras() if is_exact(c))


def grown(
    database: Path,
    output: Path,
    first_matches: int | None,
    options: MapOptions,
    threads: int,
    count: Callable[[], None],
    photos: Collection[int] | None = None,
) -> list[pycolmap.Reconstruction]:
    """Models by COLMAP's pipeline, every photo adjusted roughly; `count` is called for every photo.

    first_matches: that a pair needs to begin with; None: COLMAP's own number. photos: COLMAP's numbers of
    the only ones to map. The models are left in folders of `output`, too.
    """
    settings = pipeline_settings(options, threads, known_cameras(database))
    settings.min_model_size = 3
    settings.ba_local_max_refinements = settings.ba_global_max_refinements = 1
    settings.ba_local_max_num_iterations = LOCAL_ITERATIONS
    settings.ba_local_function_tolerance = settings.ba_global_function_tolerance = SETTLED
    settings.ba_global_frames_ratio = settings.ba_global_points_ratio = GROWTH
    if first_matches is not None:
        settings.mapper.init_min_num_inliers = first_matches
    if photos is not None:
        with pycolmap.Database.open(database) as link:
            names = {image.image_id: image.name for image in link.read_all_images()}
        settings.image_names = [names[number] for number in photos]
    output.mkdir(exist_ok=True)
    # No photo is opened: colours come later.
    found = pycolmap.incremental_mapping(
        database, output, output, settings, next_image_callback=count
    )
    return list(found.values())


def completed(
    models: Sequence[pycolmap.Reconstruction], database: Path, options: MapOptions, threads: int
) -> list[pycolmap.Reconstruction]:
    """The models with all tracks of their photos, adjusted; the largest with all photos it can register."""
    settings = pipeline_settings(options, threads, known_cameras(database))
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
    settings = pipeline_settings(options, threads, exact_cameras(model))
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
    solve_by_size(adjustment, mapper.reconstruction)
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
