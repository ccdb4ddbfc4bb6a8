"""Camera poses and a sparse cloud in their final frame, with a gate for hopeless scenes.

Needs: matches.db, photos.zip, photos.json.
Leaves: sparse/{cameras,images,points3D,rigs,frames}.bin, sfm.json, georef.json
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.placing import placing
from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import read_json, scratch_folder, write_bytes, write_json
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import SFM, provenance
from scripts.lib.core.threads import use_threads
from scripts.lib.photos.record import read_report
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


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, map, judge, place, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", type=Path, required=True, help="matches.db")
    parser.add_argument("--photos", type=Path, required=True, help="photos.zip")
    parser.add_argument("--photos-report", type=Path, required=True, help="photos.json")
    parser.add_argument("--options", default="{}", help="JSON object, see MapOptions")
    parser.add_argument(
        "--features", default="{}", help="options of extract_features, for the ladder"
    )
    parser.add_argument("--matching", default="{}", help="options of match_photos, for the ladder")
    parser.add_argument("--sparse", type=Path, required=True, help="folder for the model's files")
    parser.add_argument("--metrics", type=Path, required=True, help="sfm.json to write")
    parser.add_argument("--georef", type=Path, required=True, help="georef.json to write")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    args = parser.parse_args(argv)
    threads = use_threads(args.threads)
    options = parse_options(MapOptions, args.options)
    features = parse_options(FeatureOptions, args.features)
    matching = parse_options(MatchOptions, args.matching)
    photos = read_report(args.photos_report)
    content = read_json(args.photos_report)
    dropped = [line for line in content["photos"] if not line["kept"]]
    require_photos_in(args.database, [photo["file"] for photo in photos], "match_photos")
    began = time.monotonic()
    with (
        unpacked(args.photos, args.metrics, [photo["file"] for photo in photos]) as folder,
        climbing(*(args.database, folder, photos, options, features, matching, threads)) as (
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
            write_json(args.metrics, report)
        placed, report["calibration"] = place_calibrated(
            best.models[0],
            photos,
            options.use_gps,
            adjust=options.gps_in_adjustment,
            gcps=content.get("gcps") or [],
            seed=options.seed,
            calibration=options.calibration,
        )
        georef = placed.georef
        record_certainty(placed.model, report, georef, placed.priors, placed.fitted)
        model, report["residuals"] = correct_lenses(
            placed, photos, options.seed, allowed=not switched_off(options.calibration)
        )
        tell_finished(report, model)
        colour_points(model, folder)
        with scratch_folder(folder, "sparse") as written:
            model.write_binary(written)
            for name in MODEL_FILES:
                write_bytes(args.sparse / name, (written / name).read_bytes())
    for sentence in filter(None, [*georef["notes"], report["residuals"]["sentence"]]):
        say(f"Note: {sentence}")
    place = placing(georef)
    report["coverage"] = ground_coverage(model, place is not None)
    write_json(args.metrics, report)
    write_json(args.georef, georef)
    say(
        f"{report['registered']} of {report['photos']} photos, {report['points']} points, "
        f"{report['reprojection_error_px']:.2f} px; "
        + (f"{place.words}." if place else f"not georeferenced: {georef['reason']}.")
    )


if __name__ == "__main__":
    run_main(main)
