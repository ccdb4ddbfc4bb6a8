"""What to photograph next time: sentences made from the photos' names, for someone who was there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from scripts.lib.report import verdicts
from scripts.lib.report.verdicts import Level

# A kept photo with less than this share of the capture's median sharpness stands out as soft. The
# measure depends on the subject, so only a wide margin says anything.
SOFT_SHARE = 0.35
# A test view this far below the mean is a weak area, not noise.
WEAK_VIEW_DROP_DB = 3.0
LISTED = 6  # names in one sentence; a longer list is in the table


# Shares of the photographed ground that are worth a sentence. Every flight covers its edge thinly.
THIN_GROUND, BARE_GROUND = 0.2, 0.05


@dataclass(frozen=True)
class Ground:
    """A part of the ground that a capture from above covers badly: its share (0 to 1), the compass side
    where most of it lies ("" when unknown or all round), and the photos that show most of it."""

    share: float
    side: str
    photos: Sequence[str]


@dataclass(frozen=True)
class Capture:
    """What advice is made of. Names are in the order of the capture (sorted by file name)."""

    kept: Sequence[str]
    unregistered: Sequence[str]
    sharpness: dict[str, float]
    views: Sequence[tuple[str, float]]  # test photo, PSNR in dB
    alone: Sequence[str]  # photos that match no other one at all
    gps_outliers: Sequence[str]
    track_length: float | None
    models: int | None
    reprojection_px: float | None
    damaged: Sequence[str]
    thin: Ground | None = None  # seen by one or two photos
    bare: Ground | None = None  # seen by three or more, but without a 3D point
    flown: bool = False  # from the air, over an area larger than a garden


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`, and `a, b, c and 4 more` when there are many."""
    if len(items) > LISTED:
        return f"{', '.join(items[: LISTED - 1])} and {len(items) - LISTED + 1} more"
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def further_groups(further: Sequence[int], scene: str) -> list[str]:
    """How groups of so many photos each, beside the largest, get pages of their own; a sentence or none."""
    if not further:
        return []
    pages = listed([f"{scene}_{number} ({size} photos)" for number, size in enumerate(further, 2)])
    one = len(further) == 1
    return [
        f"This page shows the largest group. {pages} can have {'a page' if one else 'pages'} too: set "
        f"components to {len(further) + 1}, in the configuration or in a column of the sheet. Nothing is "
        "computed again."
    ]


def renamed(sentence: str, shown: Mapping[str, str]) -> str:
    """A sentence with names of photos.zip, with the names that the photographer knows."""
    names = sorted((name for name in shown if name != shown[name]), key=len, reverse=True)
    if not names:
        return sentence
    # Whole names only: IMG_1.jpg is a part of OLD_IMG_1.jpg.
    every = r"(?<![\w.-])(" + "|".join(map(re.escape, names)) + r")(?![\w-])"
    return re.sub(every, lambda match: shown[match[1]], sentence)


def runs(all_names: Sequence[str], chosen: Sequence[str]) -> list[tuple[str, str, int]]:
    """Groups of `chosen` that follow each other in `all_names`: (first, last, how many)."""
    wanted, groups, current = set(chosen), [], list[str]()
    for name in [*all_names, ""]:
        if name in wanted:
            current.append(name)
        elif current:
            groups.append((current[0], current[-1], len(current)))
            current = []
    return groups


def span(first: str, last: str, length: int) -> str:
    """A group of photos in words."""
    return first if length == 1 else f"{first} to {last} ({length} photos)"


def neighbours(all_names: Sequence[str], first: str, last: str) -> str:
    """Where a group sits in the capture, by the photos around it; empty when it is everything."""
    before = all_names.index(first) - 1
    after = all_names.index(last) + 1
    left = all_names[before] if before >= 0 else ""
    right = all_names[after] if after < len(all_names) else ""
    if left and right:
        return f"between {left} and {right}"
    return f"after {left}" if left else f"before {right}" if right else ""


def unregistered(capture: Capture) -> list[str]:
    """Sentences on photos that could not be registered, by runs of neighbours."""
    sentences = []
    groups = runs(capture.kept, capture.unregistered)
    for first, last, length in groups[:LISTED]:
        where = neighbours(capture.kept, first, last)
        pronoun = "It shows" if length == 1 else "They show"
        sentences.append(
            f"{span(first, last, length)} could not be registered. {pronoun} too little of what the "
            f"other photos show. Take three or four more photos there{f' ({where})' if where else ''}, "
            "a step or two apart; each should show at least two thirds of what the one before shows."
        )
    if len(groups) > LISTED:
        sentences.append(
            f"{len(groups) - LISTED} more groups could not be registered; they are listed below."
        )
    return sentences


def weak_views(capture: Capture) -> list[str]:
    """A sentence on the test views that came out clearly worse than the rest."""
    if not capture.views:
        return []
    mean = sum(value for _, value in capture.views) / len(capture.views)
    weak = sorted(
        (value, name)
        for name, value in capture.views
        if value < verdicts.PSNR_FAIR or value < mean - WEAK_VIEW_DROP_DB
    )
    if not weak:
        return []
    if len(weak) > len(capture.views) / 2:
        return [
            "Most test views are weak, so the problem is not one single area. Take about twice as many "
            "photos, from two or three heights and with a fixed exposure. Avoid wind, people walking by "
            "and changing light."
        ]
    found = listed([f"{name} ({value:.1f} dB)" for value, name in weak])
    spot, one = ("that area", "it") if len(weak) == 1 else ("each of these areas", "them")
    return [
        f"The scene is weakest around {found}. Photograph {spot} again, from closer and from at least "
        f"three directions, so that every part of {one} is visible in several photos."
    ]


def ground(capture: Capture) -> list[str]:
    """Sentences on ground at the edge and on ground without 3D points, by compass and photos."""
    found = []
    thin, bare = capture.thin, capture.bare
    if thin is not None and thin.share > THIN_GROUND:
        edge = f"most of it along the {thin.side}ern edge" if thin.side else "all along the edge"
        reach = "on that side" if thin.side else "on every side"
        found.append(
            f"{100 * thin.share:.0f} % of the ground is visible in only one or two photos, "
            f"{edge}{shown_by(thin)}: the scene is incomplete there. Next time take one more row of photos "
            f"outside the area that you need, {reach}."
        )
    if bare is not None and bare.share > BARE_GROUND:
        where = f", most of it in the {bare.side}" if bare.side else ""
        found.append(
            f"{100 * bare.share:.0f} % of the ground is visible in at least three photos, but no 3D point "
            f"could be found on it{where}{shown_by(bare)}: trees, grass and water look different in each "
            "photo. Photograph that area from higher up, with 80 % overlap and on a day without wind, or "
            "leave it out of the scene."
        )
    return found


def shown_by(part: Ground) -> str:
    """The photos of a part of the ground, in brackets."""
    return f" (see {listed(part.photos)})" if part.photos else ""


def advise(capture: Capture) -> list[str]:
    """Advice for the next visit, most useful first. Empty when nothing is weak."""
    found = unregistered(capture)
    if capture.alone:
        one = len(capture.alone) == 1
        found.append(
            f"{listed(capture.alone)} {'matches' if one else 'match'} no other photo. Such photos are often "
            "blurred, show only a bare wall, water or sky, or were taken somewhere else. Leave them out, "
            "or keep something with texture in the picture."
        )
    if capture.models is not None and capture.models > 1:
        found.append(
            f"The photos form {capture.models} groups that overlap too little. When you move on, or "
            "change height or zoom, keep taking photos on the way: they connect the groups."
        )
    if verdicts.photo_count(len(capture.kept)).level in (Level.FAIR, Level.WEAK):
        how = (
            "Fly parallel lines with 80 % overlap along the line and 65 % between lines, and fly once "
            "around the area with a tilted camera"
            if capture.flown
            else "Walk around once at eye level and once with the camera higher, one photo every two steps"
        )
        found.append(
            f"{len(capture.kept)} photos are not many. {how}: {2 * verdicts.PHOTOS_GOOD} photos or more "
            "make a clear difference."
        )
    if verdicts.track_length(capture.track_length).level in (Level.FAIR, Level.WEAK):
        found.append(
            "Neighbouring photos overlap too little. Take them closer together, so that each photo "
            "shows at least two thirds of what the one before shows, and step sideways instead of "
            "turning on the spot."
        )
    if verdicts.reprojection(capture.reprojection_px).level is Level.WEAK:
        found.append(
            "Camera positions fit badly. Do not change zoom or focus, hold the camera still for each "
            "photo, and leave out photos in which people or cars fill the picture."
        )
    found += ground(capture)
    found += weak_views(capture)
    if soft := soft_photos(capture.sharpness):
        found.append(
            f"{listed(soft)} {'is' if len(soft) == 1 else 'are'} much less sharp than the rest. Hold the "
            "camera still or use a shorter exposure, and delete blurred photos before the next run."
        )
    if capture.gps_outliers:
        found.append(
            f"The GPS position of {listed(capture.gps_outliers)} contradicts the others and was "
            "not used. Wait a minute under open sky before you take the first photo."
        )
    if capture.damaged:
        found.append(
            f"{listed(capture.damaged)} could not be read. Copy the "
            f"file{'s' if len(capture.damaged) > 1 else ''} from the memory card again."
        )
    return found


def soft_photos(sharpness: dict[str, float]) -> list[str]:
    """Names of photos far less sharp than the capture's median, softest first."""
    if len(sharpness) < 5:  # too few to know what is usual here
        return []
    limit = SOFT_SHARE * median(sharpness.values())
    return sorted((name for name, value in sharpness.items() if value < limit), key=sharpness.get)  # type: ignore[arg-type]
