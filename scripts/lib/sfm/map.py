"""Photos to a model in its final frame: map, judge, align, correct the lenses, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pycolmap

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.georeferencing import georeferencing
from scripts.lib.contracts.photos import Photo, Photos, Sighting
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.contracts.sfm import Residuals, Sfm
from scripts.lib.core.console import say
from scripts.lib.core.files import scratch_folder, write_bytes
from scripts.lib.core.provenance import SFM
from scripts.lib.core.threads import threads
from scripts.lib.core.up import parse_up
from scripts.lib.sfm.brought_scale import brought_unit, scale_note
from scripts.lib.sfm.calibration import switched_off
from scripts.lib.sfm.colours import colour_points
from scripts.lib.sfm.coverage import ground_coverage
from scripts.lib.sfm.describe import describe, finished
from scripts.lib.sfm.evidence import suspicions
from scripts.lib.sfm.frame import Aligned, align_calibrated
from scripts.lib.sfm.free_frame import Unit
from scripts.lib.sfm.further import MODEL_FILES, write_further
from scripts.lib.sfm.gate import further_note, judge_scene, require_scene
from scripts.lib.sfm.lens_rigs import with_lens_rigs
from scripts.lib.sfm.mapping import Attempt
from scripts.lib.sfm.matching import require_photos_in, verified_matches, verified_pairs
from scripts.lib.sfm.options import FeatureOptions, MapOptions, MatchOptions
from scripts.lib.sfm.own_lenses import correct_lenses
from scripts.lib.sfm.placed_model import placed_attempt
from scripts.lib.sfm.retries import best_attempt
from scripts.lib.sfm.rigs import has_rigs, placed_once
from scripts.lib.sfm.uncertainty import Certain, how_certain
from scripts.lib.sfm.unpack import unpacked


@dataclass(frozen=True)
class MapFiles:
    """What mapping reads, the first three, and writes."""

    database: Path  # matches.db
    photos: Path  # photos.zip
    photos_report: Path  # photos.json
    sparse: Path  # folder of the model's files
    metrics: Path  # sfm.json
    georef: Path  # georef.json
    further: Path  # components.zip, of the models beside the largest one


def map_photos(
    files: MapFiles,
    options: MapOptions,
    features: FeatureOptions,
    matching: MatchOptions,
    threads: int,
) -> tuple[Sfm, Georef]:
    """Map, judge, align and write; returns what sfm.json and georef.json say.

    `features` and `matching` are those of the stages before, for the retries. Raises UserError, after writing
    sfm.json, when the scene is hopeless.
    """
    content = read(Photos, files.photos_report)
    photos = content.used
    dropped = [photo for photo in content.photos if not photo.kept]
    names = [photo.file for photo in photos]
    require_photos_in(files.database, names, "match_photos")
    if given := parse_up(options.up):
        given.among(names)  # a name that is not there is told before the work
    began = time.monotonic()
    points = content.brought.points if content.brought else ()
    placed = any(photo.brought for photo in photos)
    tried = partial(placed_attempt, points=points) if placed else best_attempt
    with (
        unpacked(files.photos, files.metrics, names) as folder,
        tried(files.database, folder, photos, options, features, matching, threads) as (
            best,
            attempts,
        ),
    ):
        pairs = verified_pairs(best.database)
        report = describe(best, attempts, photos, pairs, time.monotonic() - began)
        judgement = judge_scene(stamped(report, options, *SFM), dropped, options)
        # Snakemake removes outputs of a failed job; by hand, the numbers explain the refusal.
        write(files.metrics, judgement.report)
        require_scene(judgement)

        def finish(
            attempt: Attempt, report: Sfm, content: Photos, options: MapOptions
        ) -> tuple[pycolmap.Reconstruction, Sfm, Georef]:
            return finished_model(attempt, report, content, options, folder)

        model, report, georef = finish(best, judgement.report, content, options)
        write_model(model, folder, files.sparse)
        said = [*georef.notes, report.residuals.sentence if report.residuals else ""]
        said += [one.sentence for one in report.suspicious or ()]
        further = write_further(files.further, best, content, options, finish)
    for sentence in filter(None, [*said, further_note(further)]):
        say(f"Note: {sentence}")
    report = replace(report, further=further)
    write(files.metrics, report)
    write(files.georef, georef)
    return report, georef


def finished_model(
    attempt: Attempt, report: Sfm, content: Photos, options: MapOptions, folder: Path
) -> tuple[pycolmap.Reconstruction, Sfm, Georef]:
    """The largest model of an attempt in its final frame, and its sfm.json and georef.json.

    report: what is known of it before; content: photos.json; folder: has the photos.
    """
    photos = content.used
    model = with_lens_rigs(attempt.models[0], photos)
    brought = content.brought if attempt.mapper == "none" else None
    aligned, certain, residuals = aligned_model(
        model, photos, content.gcps, options, brought_unit(brought)
    )
    report = finished(report, aligned.model)
    colour_points(aligned.model, folder)
    matches = verified_matches(attempt.database)
    suspicious = suspicions(
        aligned.model, matches, photos, aligned.georef, options.seed, attempt.unjoined
    )
    georef = aligned.georef
    if note := scale_note(georef, brought):
        georef = replace(georef, notes=(*georef.notes, note))
    report = replace(
        report,
        calibration=certain.calibration,
        certainty=certain.cameras,
        residuals=residuals,
        coverage=ground_coverage(aligned.model, georeferencing(georef) is not None),
        suspicious=suspicious,
    )
    return aligned.model, report, georef


def aligned_model(
    model: pycolmap.Reconstruction,
    photos: Sequence[Photo],
    gcps: Sequence[Sighting],
    options: MapOptions,
    unit: Unit | None = None,
) -> tuple[Aligned, Certain, Residuals]:
    """The model in its final frame with lenses corrected, how certain it is, and what its residuals show.

    `unit` is that of the given model, where it is known.
    """
    aligned, calibration = align_calibrated(
        model,
        placed_once(photos),
        options.use_gps,
        adjust=options.gps_in_adjustment,
        gcps=gcps,
        seed=options.seed,
        calibration=options.calibration,
        up=parse_up(options.up),
        unit=unit,
    )
    with ThreadPoolExecutor(min(2, threads())) as pool:
        # Beside each other: both look at the same model, and the work is in numpy and compiled code.
        asked = pool.submit(how_certain, aligned.model, calibration, aligned.priors, aligned.fitted)
        looked = pool.submit(
            correct_lenses,
            aligned,
            photos,
            options.seed,
            # A lens of its own for each photo would take the rigs apart.
            allowed=not switched_off(options.calibration) and not has_rigs(aligned.model),
        )
        certain, (corrected, residuals) = asked.result(), looked.result()
    georef = replace(corrected.georef, certainty=certain.frame)
    return replace(corrected, georef=georef), certain, residuals


def write_model(model: pycolmap.Reconstruction, scratch: Path, sparse: Path) -> None:
    """Write COLMAP's files of the model into `sparse`, each of them whole."""
    with scratch_folder(scratch, "sparse") as written:
        model.write_binary(written)
        for name in MODEL_FILES:
            write_bytes(sparse / name, (written / name).read_bytes())


def summary(report: Sfm, georef: Georef) -> str:
    """How much was mapped and how it is georeferenced, a line for the log."""
    found = georeferencing(georef)
    return (
        f"{report.registered} of {report.photos} photos, {report.points} points, "
        f"{report.reprojection_error_px:.2f} px; "
        + (f"{found.words}." if found else f"not georeferenced: {georef.reason}")
        + ("" if found else f"; in metres by {georef.scale_from}." if georef.metric else ".")
    )
