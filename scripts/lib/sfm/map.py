"""Photos to a model in its final frame: map, judge, place, correct the lenses, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pycolmap

from scripts.lib.contracts.photos import Photo, Photos, Sighting
from scripts.lib.contracts.placing import placing
from scripts.lib.contracts.record import read
from scripts.lib.core.console import say
from scripts.lib.core.files import scratch_folder, write_bytes, write_json
from scripts.lib.core.provenance import SFM, provenance
from scripts.lib.sfm.calibration import switched_off
from scripts.lib.sfm.colours import colour_points
from scripts.lib.sfm.coverage import ground_coverage
from scripts.lib.sfm.describe import describe, tell_finished
from scripts.lib.sfm.features import FeatureOptions
from scripts.lib.sfm.frame import place_calibrated
from scripts.lib.sfm.gate import require_scene
from scripts.lib.sfm.ladder import climbing
from scripts.lib.sfm.mapping import MapOptions
from scripts.lib.sfm.matching import MatchOptions, require_photos_in, verified_pairs
from scripts.lib.sfm.own_lenses import correct_lenses
from scripts.lib.sfm.uncertainty import record_certainty
from scripts.lib.sfm.unpack import unpacked

MODEL_FILES = ("cameras.bin", "images.bin", "points3D.bin", "rigs.bin", "frames.bin")
Json = dict[str, Any]


@dataclass(frozen=True)
class MapFiles:
    """What mapping reads, the first three, and writes."""

    database: Path  # matches.db
    photos: Path  # photos.zip
    photos_report: Path  # photos.json
    sparse: Path  # folder of the model's files
    metrics: Path  # sfm.json
    georef: Path  # georef.json


def map_photos(
    files: MapFiles,
    options: MapOptions,
    features: FeatureOptions,
    matching: MatchOptions,
    threads: int,
) -> tuple[Json, Json]:
    """Map, judge, place and write; returns what sfm.json and georef.json say.

    `features` and `matching` are those of the stages before, for the ladder. Raises UserError, after writing
    sfm.json, when the scene is hopeless.
    """
    content = read(Photos, files.photos_report)
    photos = content.used
    dropped = [photo for photo in content.photos if not photo.kept]
    names = [photo.file for photo in photos]
    require_photos_in(files.database, names, "match_photos")
    began = time.monotonic()
    with (
        unpacked(files.photos, files.metrics, names) as folder,
        climbing(files.database, folder, photos, options, features, matching, threads) as (
            best,
            attempts,
        ),
    ):
        pairs = verified_pairs(best.database)
        report = describe(best, attempts, photos, pairs, time.monotonic() - began)
        report |= provenance(options, *SFM)
        try:
            require_scene(report, dropped, options)
        finally:
            # Snakemake removes outputs of a failed job; by hand, the numbers explain the refusal.
            write_json(files.metrics, report)
        model, georef = placed_model(best.models[0], photos, content.gcps, options, report)
        tell_finished(report, model)
        colour_points(model, folder)
        write_model(model, folder, files.sparse)
    for sentence in filter(None, [*georef["notes"], report["residuals"]["sentence"]]):
        say(f"Note: {sentence}")
    report["coverage"] = ground_coverage(model, placing(georef) is not None)
    write_json(files.metrics, report)
    write_json(files.georef, georef)
    return report, georef


def placed_model(
    model: pycolmap.Reconstruction,
    photos: Sequence[Photo],
    gcps: Sequence[Sighting],
    options: MapOptions,
    report: Json,
) -> tuple[pycolmap.Reconstruction, Json]:
    """The model in its final frame with lenses corrected, and georef.json; `report` takes the findings."""
    placed, report["calibration"] = place_calibrated(
        model,
        photos,
        options.use_gps,
        adjust=options.gps_in_adjustment,
        gcps=gcps,
        seed=options.seed,
        calibration=options.calibration,
    )
    record_certainty(placed.model, report, placed.georef, placed.priors, placed.fitted)
    corrected, report["residuals"] = correct_lenses(
        placed, photos, options.seed, allowed=not switched_off(options.calibration)
    )
    return corrected, placed.georef


def write_model(model: pycolmap.Reconstruction, scratch: Path, sparse: Path) -> None:
    """Write COLMAP's files of the model into `sparse`, each of them whole."""
    with scratch_folder(scratch, "sparse") as written:
        model.write_binary(written)
        for name in MODEL_FILES:
            write_bytes(sparse / name, (written / name).read_bytes())


def summary(report: Json, georef: Json) -> str:
    """How much was mapped and how it is placed, a line for the log."""
    place = placing(georef)
    return (
        f"{report['registered']} of {report['photos']} photos, {report['points']} points, "
        f"{report['reprojection_error_px']:.2f} px; "
        + (f"{place.words}." if place else f"not georeferenced: {georef['reason']}.")
    )
