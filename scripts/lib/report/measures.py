"""The report's figures: what was measured, the value, whether that is good, and what it means."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.contracts.placing import Placing, placing
from scripts.lib.report import cameras, photos_used, verdicts
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
    """Rows of the figures, from the photos through their positions to the likeness of new views."""
    placed = DASH
    if record.registered is not None and record.kept:
        placed = f"{record.registered} of {record.kept}"
    place = placing(files.georef)
    rmse = DASH
    if record.georeferenced:
        rmse = f"± {decimals(record.rmse_horizontal_m, 2)} m across"
        if record.rmse_vertical_m is not None:
            rmse += f", ± {record.rmse_vertical_m:.2f} m up"
    points, pixels, pairs = files.sfm.points, files.eval.resolution, files.pairs
    neighbours = 2 * pairs.verified / pairs.photos if pairs and pairs.photos else None
    return [
        Measure(
            "Photos used",
            grouped(record.kept),
            verdicts.photo_count(record.kept),
            "Readable photos that the scene was made from.",
        ),
        Measure(
            "Photos placed",
            placed,
            verdicts.registration(record.registered, record.kept),
            "Photos whose camera position was found by comparing them with the others "
            "(“registered”).",
        ),
        Measure(
            "Pieces",
            grouped(record.models),
            verdicts.pieces(record.models),
            "Groups of photos that hang together. One is right.",
        ),
        Measure(
            "Overlap",
            decimals(neighbours, 1),
            verdicts.overlap(neighbours),
            "With how many other photos one photo shares a view, on average (“verified pairs”).",
        ),
        Measure(
            "Fit of the positions",
            decimals(record.reprojection_error_px, 2, "px"),
            verdicts.reprojection(record.reprojection_error_px),
            "How far a spot lies, in the photos, from where the positions say it should "
            "(“reprojection error”).",
        ),
        Measure(
            "Lens",
            *cameras.lens(files.sfm),
            "Which of COLMAP's camera models describes the lens (“self-calibration”).",
        ),
        Measure(
            "Exactness of the positions",
            *cameras.certainty(files.sfm, record.georeferenced is True),
            "Where the middle one of the cameras stood, to within so much"
            + (" " if record.georeferenced else ", in percent of the capture's extent, ")
            + "in 95 of 100 cases (from the “covariance” of the adjustment).",
        ),
        Measure(
            "Depth",
            decimals(record.triangulation_angle_deg, 1, "°"),
            verdicts.depth(record.triangulation_angle_deg, record.moved),
            "The angle between the photos' lines of sight to a spot, the middle of all spots "
            "(“triangulation angle”).",
        ),
        Measure(
            "Photos per spot",
            decimals(record.track_length, 1),
            verdicts.track_length(record.track_length),
            "How many photos see the same spot, on average"
            + (f", over {grouped(points)} spots" if points else "")
            + " (“track length”).",
        ),
        Measure(
            "Scale and place",
            rmse,
            verdicts.georeferencing(
                record.georeferenced,
                record.rmse_horizontal_m,
                files.georef.reason.rstrip(".") if files.georef else "",
                bool(place and place.survey),
            ),
            _placed_by(place) + cameras.place(files.georef),
        ),
        Measure(
            "Likeness of new views",
            decimals(record.psnr, 1, "dB")
            + ("" if record.ssim is None else f", SSIM {record.ssim:.3f}"),
            verdicts.held_out(record.psnr, record.held_out is not False),
            (photos_used.sentence(files) or "Some photos were kept from the training.")
            + " This is how close the scene comes to them (“PSNR”: 3 dB more is half the error)"
            + (f", compared at {pixels} pixels." if pixels else "."),
        ),
    ]


def _placed_by(placed: Placing | None) -> str:
    """What the figures of scale and place say, and how well each surveyed point is met."""
    if placed is None or not placed.survey:
        return "How far the photos' GPS and the camera positions disagree (“RMSE”)."
    said = f"From {placed.points} surveyed points (gcp_list.txt)"
    if not placed.misses:
        return f"{said}; with four or more, each would be checked against the others."
    each = ", ".join(f"{label} {miss:.2f} m" for label, miss in placed.misses)
    return f"{said}: how far each one is missed when it is left out: {each}."
