"""What the numbers mean in plain language. Pure functions; every threshold says where it comes from.

The reader made the photos and may know nothing of photogrammetry: a verdict is one sentence about
the result, never about the algorithm. A number that is missing gives `UNKNOWN`, not a guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How good a measurement is, from best to worst; `UNKNOWN` takes no part in the comparison."""

    GOOD = "good"
    FAIR = "fair"
    WEAK = "weak"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verdict:
    """One judged measurement: how good, and the sentence that says so."""

    level: Level
    text: str


# Share of the kept photos whose position was found. One lost photo in twenty is a blurred frame;
# one in five means that a part of the scene was photographed without enough overlap.
REGISTERED_GOOD, REGISTERED_FAIR = 0.95, 0.80
# Pixels between where a point is seen and where the model puts it. Sharp, still photos of today's
# cameras give 0.4 to 1.1 (50 phone photos: 0.97); above 2 the lens model or the matches are wrong.
REPROJECTION_GOOD, REPROJECTION_FAIR = 1.2, 2.0
# Degrees between the photos' lines of sight to a point, median over the points. 3 is a step of one twentieth
# of the distance; below 1.5 map_scene stops.
DEPTH_GOOD, DEPTH_FAIR = 3.0, 1.5
# Photos that see the same point. Two rays always meet somewhere, the third one checks them; with
# four and more, one bad match no longer moves the point.
TRACK_GOOD, TRACK_FAIR = 4.0, 3.0
# Metres. A phone's or drone's GPS is accurate to 2-5 m; more means that single positions are wrong.
# Only RTK gets below 0.1 m.
GPS_RTK, GPS_GOOD, GPS_FAIR = 0.1, 4.0, 10.0
SURVEY_GOOD, SURVEY_FAIR = (
    0.1,
    1.0,
)  # error in metres of a surveyed point that was left out of the fit
# dB on views that training never saw. Carefully made benchmark captures reach 27-29; below 21
# the difference is plain to see without comparing.
PSNR_GOOD, PSNR_FAIR = 26.0, 21.0
# Median distance between points and the splat's surface, of the points' distance from the camera. A
# hundredth is less than a flat surface's relief; from a twentieth on, surfaces are seen to slide over each
# other on the way from photo to photo.
SURFACE_GOOD, SURFACE_FAIR = 0.01, 0.05
# dB that a compressed file loses against the trained splat. 0.3 is the spread between two runs of
# the same training, so nobody sees it; 1.0 shows as softer texture.
LOSS_GOOD, LOSS_FAIR = 0.3, 1.0
# Other photos that a photo has verified matches with. Its neighbours on both sides, two deep, make
# four; six means that paths cross. With fewer than three the chain of photos can break anywhere.
OVERLAP_GOOD, OVERLAP_FAIR = 6.0, 3.0
# Photos of one scene. Twenty is one walk around a small subject, with 15-20 degrees between photos;
# below twelve large parts are seen from one side only.
PHOTOS_GOOD, PHOTOS_FAIR = 20, 12

ORDER = (Level.GOOD, Level.FAIR, Level.WEAK)


def worst(levels: Iterable[Level]) -> Level:
    """The worst of some levels; `UNKNOWN` only when none is known."""
    known = [ORDER.index(level) for level in levels if level is not Level.UNKNOWN]
    return ORDER[max(known)] if known else Level.UNKNOWN


def _falling(value: float, good: float, fair: float) -> Level:
    """Level of a number that is better when it is larger."""
    return Level.GOOD if value >= good else Level.FAIR if value >= fair else Level.WEAK


def _rising(value: float, good: float, fair: float) -> Level:
    """Level of a number that is better when it is smaller."""
    return Level.GOOD if value <= good else Level.FAIR if value <= fair else Level.WEAK


NOT_MEASURED = Verdict(Level.UNKNOWN, "Not measured in this run.")


def photo_count(kept: float | None) -> Verdict:
    """Whether there are enough photos to see each part of a place from several sides."""
    if kept is None:
        return NOT_MEASURED
    level = _falling(kept, PHOTOS_GOOD, PHOTOS_FAIR)
    texts = {
        Level.GOOD: "Enough photos to see the scene from many sides.",
        Level.FAIR: "Few photos: parts that only one or two photos show will look soft.",
        Level.WEAK: "Very few photos: expect holes wherever fewer than three photos overlap.",
    }
    return Verdict(level, texts[level])


def registration(registered: float | None, kept: float | None) -> Verdict:
    """Whether the position of (nearly) every usable photo was found."""
    if registered is None or not kept:
        return NOT_MEASURED
    level = _falling(registered / kept, REGISTERED_GOOD, REGISTERED_FAIR)
    missing = int(kept - registered)
    if missing <= 0:
        return Verdict(Level.GOOD, "The camera position of every photo was found.")
    lost = f"{missing} photo{'s' if missing > 1 else ''}"
    texts = {
        Level.GOOD: f"Only {lost} could not be registered; the scene does not suffer.",
        Level.FAIR: f"{lost} could not be registered: the scene has less detail there.",
        Level.WEAK: f"{lost} could not be registered: a part of what you photographed is missing.",
    }
    return Verdict(level, texts[level])


def pieces(models: float | None) -> Verdict:
    """Whether the photos hang together as one model or fell apart into several."""
    if models is None:
        return NOT_MEASURED
    if models <= 1:
        return Verdict(Level.GOOD, "All registered photos form one connected group.")
    return Verdict(
        Level.FAIR,
        f"The photos form {int(models)} groups that overlap too little; the largest was used.",
    )


def contradictions(found: float | None) -> Verdict:
    """Whether something that mapping did not use speaks against the model."""
    if found is None:
        return NOT_MEASURED
    if not found:
        return Verdict(Level.GOOD, "Nothing contradicts the camera positions.")
    what = "A part" if found == 1 else f"{int(found)} parts"
    verb = "is" if found == 1 else "are"
    return Verdict(
        Level.WEAK, f"{what} of the scene {verb} probably in the wrong place; see the advice."
    )


def reprojection(error_px: float | None) -> Verdict:
    """How exactly the camera positions explain the photos."""
    if error_px is None:
        return NOT_MEASURED
    level = _rising(error_px, REPROJECTION_GOOD, REPROJECTION_FAIR)
    texts = {
        Level.GOOD: "Camera positions fit the photos to about a pixel.",
        Level.FAIR: "Camera positions fit, but not exactly: there was some blur, movement or zooming.",
        Level.WEAK: "Camera positions fit badly: look for motion blur, moving objects or a changed zoom.",
    }
    return Verdict(level, texts[level])


def depth(angle_deg: float | None, moved: bool | None = None) -> Verdict:
    """Whether the photos show depth: the camera `moved`, and far enough for the angles at a spot."""
    if moved is False:
        return Verdict(
            Level.WEAK,
            "These photos could also come from a camera that only turned on the spot: they contain no depth, "
            "however good the picture looks from there. Walk sideways, one step between photos.",
        )
    if angle_deg is None:
        return NOT_MEASURED
    level = _falling(angle_deg, DEPTH_GOOD, DEPTH_FAIR)
    texts = {
        Level.GOOD: "The photos were taken far enough apart to show depth.",
        Level.FAIR: "The photos were taken close together: depth is only roughly known.",
        Level.WEAK: "The photos were taken from nearly one spot: there is hardly any depth.",
    }
    return Verdict(level, texts[level])


def track_length(photos_per_point: float | None) -> Verdict:
    """How many photos agree on the same spot, which is what overlap means in practice."""
    if photos_per_point is None:
        return NOT_MEASURED
    level = _falling(photos_per_point, TRACK_GOOD, TRACK_FAIR)
    texts = {
        Level.GOOD: "Each point is seen by several photos: good overlap.",
        Level.FAIR: "Most points are seen by only three photos: the overlap is just enough.",
        Level.WEAK: "Most points are seen by only two photos: too little overlap.",
    }
    return Verdict(level, texts[level])


def overlap(neighbours: float | None) -> Verdict:
    """With how many other photos one photo shares enough to be compared, on average."""
    if neighbours is None:
        return NOT_MEASURED
    level = _falling(neighbours, OVERLAP_GOOD, OVERLAP_FAIR)
    texts = {
        Level.GOOD: "Each photo overlaps many others: a stable network.",
        Level.FAIR: "Each photo overlaps only a few others: a chain rather than a network.",
        Level.WEAK: "Most photos overlap only one or two others: the chain can break.",
    }
    return Verdict(level, texts[level])


def georeferencing(
    georeferenced: bool | None,
    rmse_m: float | None,
    reason: str = "",
    survey: bool = False,
    scale_from: str | None = None,
) -> Verdict:
    """Whether distances in the scene are metres, and how well GPS, or a `survey`, agrees with it.

    `reason` is what map_scene says about why the scene is not georeferenced; `scale_from` told the metres
    all the same.
    """
    if georeferenced is None:
        return NOT_MEASURED
    if not georeferenced and scale_from:
        return Verdict(
            Level.UNKNOWN,
            f"In metres, from {scale_from}; nothing checks that, and the scene has no place on the Earth: "
            f"{reason or 'the photos carry no usable GPS'}.",
        )
    if not georeferenced:
        return Verdict(
            Level.UNKNOWN,
            f"Not in metres: {reason or 'the photos carry no usable GPS'}."
            " This does not affect the picture.",
        )
    if rmse_m is None:
        source = "survey" if survey else "GPS"
        return Verdict(Level.UNKNOWN, f"In metres; the accuracy of the {source} is not recorded.")
    if survey:
        level = _rising(rmse_m, SURVEY_GOOD, SURVEY_FAIR)
        texts = {
            Level.GOOD: "In metres: the surveyed points fit to within ten centimetres.",
            Level.FAIR: "Roughly in metres: check the surveyed point with the largest error.",
            Level.WEAK: "Do not measure: the surveyed points contradict each other or the photos."
            " Check their coordinates, and where they were clicked in the photos.",
        }
        return Verdict(level, texts[level])
    if rmse_m <= GPS_RTK:
        return Verdict(Level.GOOD, "In metres, accurate to a few centimetres: survey-grade GPS.")
    level = _rising(rmse_m, GPS_GOOD, GPS_FAIR)
    texts = {
        Level.GOOD: "In metres: GPS and photos agree as well as GPS allows.",
        Level.FAIR: "Roughly in metres: the GPS positions are inaccurate. Do not measure to the centimetre.",
        Level.WEAK: "Do not measure: the GPS positions contradict the photos.",
    }
    return Verdict(level, texts[level])


def held_out(psnr_db: float | None, unseen: bool = True) -> Verdict:
    """How close the scene comes to photos that it was not trained on.

    With `unseen` false the photos were trained on, and the number is too good: never better than fair.
    """
    if psnr_db is None:
        return NOT_MEASURED
    level = _falling(psnr_db, PSNR_GOOD, PSNR_FAIR)
    if not unseen and level is not Level.WEAK:
        return Verdict(
            Level.FAIR,
            "Measured on photos that were used for training: new views are worse than this.",
        )
    texts = {
        Level.GOOD: "New views look like the photos; differences show only side by side.",
        Level.FAIR: "New views are recognisable and mostly clean, but soft in weak areas.",
        Level.WEAK: "New views clearly differ from the photos: blur, haze or ghost shapes.",
    }
    return Verdict(level, texts[level])


def surfaces(error: float) -> Verdict:
    """Whether surfaces stand where the photos' points are; `error` is a share of the distance."""
    level = _rising(error, SURFACE_GOOD, SURFACE_FAIR)
    texts = {
        Level.GOOD: "Surfaces stand where they are: distances can be measured.",
        Level.FAIR: "Surfaces stand roughly where they are: measured distances are rough, too.",
        Level.WEAK: "Surfaces are not where they should be: the scene looks right only from near the photos.",
    }
    return Verdict(level, texts[level])


def format_loss(loss_db: float | None) -> Verdict:
    """What a compressed file loses against the trained splat, `loss_db` positive when it is worse."""
    if loss_db is None:
        return NOT_MEASURED
    level = _rising(loss_db, LOSS_GOOD, LOSS_FAIR)
    texts = {
        Level.GOOD: "no visible loss",
        Level.FAIR: "slightly softer",
        Level.WEAK: "visibly worse",
    }
    return Verdict(level, texts[level])


def overall(
    registered: Verdict, seen: Verdict, others: Iterable[Verdict], shown: Verdict = NOT_MEASURED
) -> Verdict:
    """The headline: registered photos, depth `shown` and the picture decide, the rest can only make it fair.

    So a handful of photos, or a slightly blurred set, that still came out well is not called weak.
    """
    minor = worst(verdict.level for verdict in others)
    level = worst([registered.level, seen.level, shown.level])
    if level is Level.UNKNOWN:
        level = minor
    elif level is Level.GOOD and minor is Level.WEAK:
        level = Level.FAIR
    texts = {
        Level.GOOD: "Good capture",
        Level.FAIR: "Usable capture with weak spots",
        Level.WEAK: "Weak capture",
        Level.UNKNOWN: "Capture not judged",
    }
    return Verdict(level, texts[level])
