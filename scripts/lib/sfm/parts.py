"""Features and matches of a large scene in parts, gathered into the databases that one job would leave.

Every part numbers all photos of the scene in the same way, so gathering only copies rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pycolmap

from scripts.lib.contracts.features import Features
from scripts.lib.contracts.pairs import ChosenPairs, MatchedPart, Pairs
from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import UserError
from scripts.lib.core.files import replacing, scratch_folder
from scripts.lib.sfm import pairs
from scripts.lib.sfm.features import extract_some, require_features, write_images
from scripts.lib.sfm.gpu import device_name
from scripts.lib.sfm.match_run import choose, report_pairs
from scripts.lib.sfm.matching import match_pairs, not_compared, require_photos_in, verified_pairs
from scripts.lib.sfm.options import FeatureOptions, MatchOptions
from scripts.lib.sfm.rigs import of_one_frame
from scripts.lib.sfm.rows import OF_PAIRS, OF_PHOTOS, copy_photos, copy_rows, new_database
from scripts.lib.sfm.unpack import unpacked

Thing = TypeVar("Thing")


def part_of(things: Sequence[Thing], number: int, parts: int) -> Sequence[Thing]:
    """The things of part `number`, from 1, of `parts` of equal size, one more or less."""
    begin, end = ((number + step) * len(things) // parts for step in (-1, 0))
    return things[begin:end]


def extract_part(
    archive: Path,
    photos: Sequence[Photo],
    number: int,
    parts: int,
    database: Path,
    options: FeatureOptions,
    threads: int,
) -> Features:
    """Write features of one part of the photos to a new database; returns their counts.

    archive: photos.zip, of which only the part's photos are unpacked.
    """
    some = part_of(photos, number, parts)
    names = [photo.file for photo in some]
    with unpacked(archive, database, names) as folder, replacing(database) as made:
        counts = extract_some(photos, some, folder, made, options, threads)
    return Features(photos=len(some), features=counts, device=device_name())


def gather_features(
    photos: Sequence[Photo],
    databases: Sequence[Path],
    told: Sequence[Features],
    database: Path,
    options: FeatureOptions,
) -> Features:
    """One database of all photos from those of the parts, in their order; returns features.json's content.

    Raises UserError when the parts are not those of the photos, or no photo has features.
    """
    counts = {name: count for part in told for name, count in part.features.items()}
    if list(counts) != [photo.file for photo in photos]:
        raise UserError(
            f"the parts beside {databases[0]} are not those of photos.json; run extract_part again"
        )
    require_features(photos, counts)
    with replacing(database) as made:
        write_images(photos, made, options)
        for part in databases:
            copy_rows(part, made, OF_PHOTOS)
    devices = sorted({part.device for part in told})
    return Features(photos=len(counts), features=counts, device=" and ".join(devices))


def plan_pairs(
    features: Path, photos: Sequence[Photo], options: MatchOptions, parts: int
) -> ChosenPairs:
    """The pairs of the scene, divided into parts of about equal size.

    Those of the same two panoramas are in one part, because they are verified together. Raises UserError
    when `features` is no database of these photos.
    """
    chosen = choose(features, photos, options)
    frame = dict(zip((photo.file for photo in photos), of_one_frame(photos), strict=True))

    def places(pair: tuple[str, str]) -> tuple[str, ...]:
        return tuple("/".join(place) if (place := frame[name]) else name for name in pair)

    together: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for pair in sorted(chosen.pairs):
        together.setdefault(tuple(sorted(places(pair))), []).append(pair)
    groups = [together[key] for key in sorted(together)]
    divided = [part_of(groups, number, parts) for number in range(1, parts + 1)]
    return ChosenPairs(
        strategy=chosen.strategy,
        reason=chosen.reason,
        chosen_by=chosen.by,
        parts=tuple(tuple(pair for group in part for pair in group) for part in divided),
    )


def match_part(
    features: Path,
    chosen: ChosenPairs,
    number: int,
    database: Path,
    options: MatchOptions,
    threads: int,
) -> MatchedPart:
    """Match the pairs of one part; write them to a new database that has no features.

    Raises UserError when there is no such part.
    """
    if not 1 <= number <= len(chosen.parts):
        raise UserError(f"{ChosenPairs.file} has no part {number}; run plan_pairs again")
    mine = chosen.parts[number - 1]
    names = sorted({name for pair in mine for name in pair})
    if names:
        require_photos_in(features, names, "gather_features")
    with scratch_folder(database.parent, f"part{number}") as folder:
        work = folder / "work.db"
        new_database(work)
        copy_photos(features, work)
        copy_rows(features, work, OF_PHOTOS, _numbers(work, names))
        device = match_pairs(work, mine, options, threads)
        verified = len(verified_pairs(work))
        with replacing(database) as made:
            new_database(made)
            copy_photos(features, made)
            copy_rows(work, made, OF_PAIRS)
    return MatchedPart(part=number, pairs=len(mine), verified=verified, device=device)


def gather_matches(
    features: Path,
    photos: Sequence[Photo],
    chosen: ChosenPairs,
    databases: Sequence[Path],
    told: Sequence[MatchedPart],
    database: Path,
    options: MatchOptions,
) -> Pairs:
    """The features' database with the matches of all parts; returns pairs.json's content.

    Raises UserError when the parts lack some of the chosen pairs, or no two photos see the same thing.
    """
    every = sorted(pair for part in chosen.parts for pair in part)
    one = pairs.Pairs(chosen.strategy, chosen.reason, every, dict(chosen.chosen_by))
    with replacing(database) as made:
        shutil.copyfile(features, made)
        for part in databases:
            copy_rows(part, made, OF_PAIRS)
        if not_compared(made, every):
            raise UserError(
                f"{databases[0].parent} lacks pairs of {ChosenPairs.file}; run match_part again"
            )
        devices = " and ".join(sorted({part.device for part in told}))
        return report_pairs(made, photos, one, options, devices)


def _numbers(database: Path, names: Sequence[str]) -> list[int]:
    """Numbers of the images with these names."""
    link = pycolmap.Database.open(database)
    ids = {image.name: image.image_id for image in link.read_all_images()}
    link.close()
    return [ids[name] for name in names]
