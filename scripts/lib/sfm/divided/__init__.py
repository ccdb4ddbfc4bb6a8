"""Large captures mapped in parts: neighbours together, their models joined, all adjusted in the end.

An incremental mapper takes more time for each photo the more it has. Here no part is larger than some hundred
photos; the parts are mapped beside each other, and what they have in common joins them. What follows is the
same as for a small capture: all tracks, the photos left out, one adjustment of everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pycolmap

from scripts.lib.core.console import say
from scripts.lib.sfm.divided.join import Apart, Group, joined_groups
from scripts.lib.sfm.divided.merged import merged_model
from scripts.lib.sfm.divided.parts import LARGEST, Part, divided
from scripts.lib.sfm.divided.submaps import Submap, map_parts
from scripts.lib.sfm.incremental import FIRST_MATCHES, completed, thin_database
from scripts.lib.sfm.matching import verified_matches
from scripts.lib.sfm.options import MapOptions
from scripts.lib.sfm.quiet import heartbeat
from scripts.lib.sfm.thinning import Matches, join

MIN_PHOTOS = 3  # of a model that others do not have


@dataclass(frozen=True)
class Unjoined:
    """Two sets of photos, by name, that were mapped apart and do not fit together, although the matches say
    that so many points (`common`) are the same. The first belongs to the larger model."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    common: int


def divided_models(
    database: Path,
    matches: Matches,
    work: Path,
    options: MapOptions,
    threads: int,
    largest: int = LARGEST,
) -> tuple[list[pycolmap.Reconstruction], list[Unjoined]]:
    """Models of the photos that verified `matches` join, mapped in parts of `largest` photos at most.

    Where parts do not fit together there are several models, and it is told which do not.
    """
    thin = thin_database(database, matches, work)
    mapped = thin or database
    tracks = matches if thin is None else verified_matches(thin)
    with pycolmap.Database.open(mapped) as link:
        images = link.read_all_images()
        frame_of = {image.image_id: image.frame_id for image in images}
        counts = {number: link.num_keypoints_for_image(number) for number in frame_of}
    parts = divided({pair: len(found) for pair, found in tracks.items()}, frame_of, largest)
    say(f"Mapping in {len(parts)} parts of at most {max(len(p.photos) for p in parts)} photos")
    done, what = 0, f"of {len(parts)} parts mapped"

    def count() -> None:
        nonlocal done
        done += 1

    with heartbeat("Mapper", lambda: f", {done} {what}"):
        submaps = map_parts(
            *(mapped, parts, join(counts, tracks), work),
            *(None if thin is None else FIRST_MATCHES, options, threads, count),
        )
        what += ", joining and adjusting them"
        groups, apart = joined_groups(submaps, options.seed)
        with pycolmap.Database.open(mapped) as link:
            cache = pycolmap.DatabaseCache.create(link, pycolmap.DatabaseCacheOptions())
        models = []
        left = set(frame_of)
        for group in groups:
            model = merged_model(cache, submaps, group, parts, left, options, threads)
            if model.num_reg_images() >= MIN_PHOTOS:
                left -= set(model.reg_image_ids())
                models.append(model)
        del cache
        models = completed(models, database, options, threads)
    names = {image.image_id: image.name for image in images}
    return models, told_apart(apart, groups, submaps, parts, names)


def told_apart(
    apart: Sequence[Apart],
    groups: Sequence[Group],
    submaps: Sequence[Submap],
    parts: Sequence[Part],
    names: Mapping[int, str],
) -> list[Unjoined]:
    """What each two groups of models that do not fit together are, the largest first."""
    home = {member: number for number, group in enumerate(groups) for member in group.members}
    found: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for one in apart:
        first, second = sorted((one.first, one.second), key=lambda member: home[member])
        found.setdefault((home[first], home[second]), []).append((first, second, one.common))

    def photos(members: set[int]) -> tuple[str, ...]:
        own = {
            photo
            for member in members
            for photo in submaps[member].poses.keys() & set(parts[submaps[member].part].own)
        }
        return tuple(sorted(names[photo] for photo in own))

    return [
        Unjoined(
            photos({first for first, _, _ in failed}),
            photos({second for _, second, _ in failed}),
            sum(common for _, _, common in failed),
        )
        for _, failed in sorted(found.items())
    ]
