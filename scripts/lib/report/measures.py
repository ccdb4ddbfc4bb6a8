"""The report's figures: what was measured, the value, whether that is good, and what it means."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.contracts.georeferencing import Georeferencing, georeferencing
from scripts.lib.photos.wording import captures
from scripts.lib.report import cameras, photos_used, surfaces, verdicts
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.summary import Summary
from scripts.lib.report.values import DASH, decimals, grouped
from scripts.lib.report.verdicts import Verdict


@dataclass(frozen=True)
class Measure:
    """A row of the figures: what was measured, the value, the verdict, what it means."""

    name: str
    value: str
    verdict: Verdict
    meaning: str


def measures(record: Summary, files: StageFiles) -> list[Measure]:
    """Rows of the figures, from the photos and their positions to the quality of new views."""
    registered = DASH
    if record.registered is not None and record.kept:
        registered = f"{record.registered} of {record.kept}"
    found = georeferencing(files.georef)
    rmse = DASH
    if record.georeferenced:
        rmse = f"± {decimals(record.rmse_horizontal_m, 2)} m horizontally"
        if record.rmse_vertical_m is not None:
            rmse += f", ± {record.rmse_vertical_m:.2f} m vertically"
    points, pixels, pairs = files.sfm.points, files.eval.resolution, files.pairs
    neighbours = 2 * pairs.verified / pairs.photos if pairs and pairs.photos else None
    used = grouped(record.kept)
    if record.panoramas and files.photos:
        used = captures(files.photos.used)
    return [
        Measure(
            "Photos used",
            used,
            verdicts.photo_count(record.kept),
            "Readable photos that the scene was made from.",
        ),
        Measure(
            "Photos registered",
            registered,
            verdicts.registration(record.registered, record.kept),
            "Photos whose camera position and direction were found by comparing them with the others.",
        ),
        Measure(
            "Groups",
            grouped(record.models),
            verdicts.pieces(record.models),
            "Groups of photos that are connected by overlap. There should be one.",
        ),
        Measure(
            "Overlap",
            decimals(neighbours, 1),
            verdicts.overlap(neighbours),
            "How many other photos one photo overlaps, on average (“verified pairs”).",
        ),
        Measure(
            "Fit of the positions",
            decimals(record.reprojection_error_px, 2, "px"),
            verdicts.reprojection(record.reprojection_error_px),
            "Distance between a point in the photos and where the model puts it, on average "
            "(“reprojection error”).",
        ),
        Measure(
            "Contradictions",
            "none" if record.suspicious == 0 else grouped(record.suspicious),
            verdicts.contradictions(record.suspicious),
            "Parts of the model against which something speaks that was not used to compute it: photos at "
            "the same place that show different things, matches that do not fit, and GPS.",
        ),
        Measure(
            "Lens",
            *cameras.lens(files.sfm),
            "Which of COLMAP's camera models describes the lens (“self-calibration”).",
        ),
        Measure(
            "Accuracy of the positions",
            *cameras.certainty(files.sfm, record.georeferenced is True),
            "The error of a typical camera position"
            + (" " if record.georeferenced else ", in percent of the size of the capture, ")
            + "is smaller than this in 95 of 100 cases (from the “covariance” of the adjustment).",
        ),
        Measure(
            "Depth",
            decimals(record.triangulation_angle_deg, 1, "°"),
            verdicts.depth(record.triangulation_angle_deg, record.moved),
            "The angle between two lines of sight to the same point, median of all points "
            "(“triangulation angle”).",
        ),
        Measure(
            "Photos per point",
            decimals(record.track_length, 1),
            verdicts.track_length(record.track_length),
            "How many photos see the same point, on average"
            + (f", for {grouped(points)} points" if points else "")
            + " (“track length”).",
        ),
        Measure(
            "Scale and position",
            rmse,
            verdicts.georeferencing(
                record.georeferenced,
                record.rmse_horizontal_m,
                files.georef.reason.rstrip(".") if files.georef else "",
                bool(found and found.survey),
                files.georef.scale_from if files.georef else None,
            ),
            _position_source(found) + cameras.position(files.georef),
        ),
        Measure(
            "Quality of new views",
            decimals(record.psnr, 1, "dB")
            + ("" if record.ssim is None else f", SSIM {record.ssim:.3f}"),
            verdicts.held_out(record.quality, record.held_out is not False),
            (photos_used.sentence(files) or _views_of(record))
            + " The rendered views are compared with them (“PSNR”: 3 dB more is half the error)"
            + (f", at {pixels} pixels." if pixels else ".")
            + _exposed(record)
            + _visited(files),
        ),
        *_surfaces(files, record.georeferenced is True),
    ]


def _surfaces(files: StageFiles, metres: bool) -> list[Measure]:
    """The row on depth; none where it was not measured."""
    errors = files.eval.depth_errors
    if errors is None:
        return []
    return [
        Measure(
            "Place of the surfaces",
            surfaces.value(errors),
            surfaces.verdict(errors),
            surfaces.meaning(errors, metres),
        )
    ]


def _exposed(record: Summary) -> str:
    """How good the views are apart from how bright the photos came out, where that was corrected."""
    if record.psnr_exposure_fitted is None:
        return ""
    return (
        f" With the brightness and tint of each photo fitted, {record.psnr_exposure_fitted:.1f} dB: by this"
        " the views are judged, because the photos' own brightness was corrected in training."
    )


def _visited(files: StageFiles) -> str:
    """That test photos show what training left out, where it left anything out."""
    found = files.train.transients
    if found is None or not found.left_out:
        return ""
    return (
        f" Test photos are compared as they are, with people and things that moved: {found.share:.0%} of the"
        " photos' area was left out of training, and lowers this figure without being wrong in the scene."
    )


def _views_of(record: Summary) -> str:
    """Which photos the views are of, where the stages do not say how many were used for what."""
    if record.held_out is False:
        return "These photos were used for training."
    return "Some photos were not used for training."


def _position_source(found: Georeferencing | None) -> str:
    """What the figures of scale and position mean, and the error of each surveyed point."""
    if found is None or not found.survey:
        return "Difference between the GPS positions and the camera positions (“RMSE”)."
    said = f"From {found.points} surveyed points (gcp_list.txt)"
    if not found.misses:
        return f"{said}; with at least four, each could be checked against the others."
    each = ", ".join(f"{label} {miss:.2f} m" for label, miss in found.misses)
    return f"{said}. Error of each point when it is left out of the fit: {each}."
