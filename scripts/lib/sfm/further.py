"""Further models beside the largest one: groups of photos that are finished too, for pages of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pycolmap

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.pairs import Pairs
from scripts.lib.contracts.photos import Photo, Photos
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.contracts.sfm import Sfm
from scripts.lib.core.console import UserError
from scripts.lib.core.files import add_to_zip, reading_zip, scratch_folder, write_bytes, writing_zip
from scripts.lib.core.provenance import SFM
from scripts.lib.core.up import parse_up
from scripts.lib.sfm.describe import describe
from scripts.lib.sfm.gate import judge_scene
from scripts.lib.sfm.mapping import Attempt
from scripts.lib.sfm.matching import verified_matches, verified_pairs
from scripts.lib.sfm.options import MapOptions
from scripts.lib.sfm.parallax import measure_parallax
from scripts.lib.sfm.unpack import MASKS

MIN_PHOTOS = 5  # of a group that can have a page: fewer photos show too little
MODEL_FILES = ("cameras.bin", "images.bin", "points3D.bin", "rigs.bin", "frames.bin")
ELSEWHERE, CAUSE = "belongs to another group of photos", "photos of other groups"
REPORTS = (Photos.file, Pairs.file, Sfm.file, Georef.file)

Finish = Callable[[Attempt, Sfm, Photos, MapOptions], tuple[pycolmap.Reconstruction, Sfm, Georef]]


def write_further(
    output: Path, best: Attempt, content: Photos, options: MapOptions, finish: Finish
) -> tuple[int, ...]:
    """Finish the further models of `best` and write them to the zip `output`; returns the photos of each.

    `N/sparse/` has the model of number N, from 2 on, and `N/` its sfm.json, georef.json and photos.json,
    in which the photos of other groups are left out. Models that the check before training would refuse
    are not among them. finish: the model of an attempt in its final frame, with the files' contents.
    """
    sizes: list[int] = []
    with scratch_folder(output.parent, "further") as scratch, writing_zip(output) as archive:
        for number in range(1, len(best.models)):
            names = best.names(number)
            if len(names) < max(MIN_PHOTOS, options.min_photos):
                continue
            own = only(content, names)
            attempt = _alone(best, number)
            pairs = verified_pairs(best.database)
            inside = {pair: found for pair, found in pairs.items() if names.issuperset(pair)}
            report = describe(attempt, [attempt], own.used, inside, 0.0)
            judged = judge_scene(stamped(report, options, *SFM), [], options)
            if judged.report.verdict == "refused":
                continue
            model, finished, georef = finish(
                attempt, judged.report, own, replace(options, up=_up(options.up, sorted(names)))
            )
            sizes.append(len(names))
            folder = scratch / str(len(sizes) + 1)
            (folder / "sparse").mkdir(parents=True)
            model.write_binary(folder / "sparse")
            write(folder / Sfm.file, finished)
            write(folder / Georef.file, georef)
            write(folder / Photos.file, own)
            files = [
                *(f"sparse/{name}" for name in MODEL_FILES),
                Sfm.file,
                Georef.file,
                Photos.file,
            ]
            for name in files:
                add_to_zip(archive, f"{folder.name}/{name}", (folder / name).read_bytes())
    return tuple(sizes)


def _alone(best: Attempt, number: int) -> Attempt:
    """One of an attempt's models as if it were all of it."""
    model = best.models[number]
    parallax = measure_parallax(model, verified_matches(best.database))
    return replace(best, models=[model], parallax=parallax, turned=(), unjoined=())


def _up(up: str, names: Sequence[str]) -> str:
    """`map_scene.up`, unless it names photos of other groups."""
    try:
        if given := parse_up(up):
            given.among(names)
    except UserError:
        return "auto"
    return up


def only(content: Photos, names: set[str]) -> Photos:
    """photos.json of a group of photos: the other ones are left out."""
    photos = tuple(
        photo if not photo.kept or photo.file in names else _left_out(photo)
        for photo in content.photos
    )
    kept = sum(photo.kept for photo in photos)
    gone = content.kept - kept
    return replace(
        content,
        photos=photos,
        kept=kept,
        dropped=content.dropped + gone,
        left_out={**content.left_out, CAUSE: gone} if gone else content.left_out,
        gcps=tuple(one for one in content.gcps if one.file in names),
    )


def _left_out(photo: Photo) -> Photo:
    return replace(photo, kept=False, reason=ELSEWHERE, cause=CAUSE)


def take_component(
    archive: Path, number: int, photos: Path, pairs: Path, folder: Path, scene: str
) -> Sfm:
    """Write the files of model `number` of `archive`, and its photos and pairs, into `folder`.

    The names are those of the stages until mapping. Raises UserError when the photos form fewer groups.
    """
    with reading_zip(archive) as found:
        numbers = sorted({int(name.partition("/")[0]) for name in found.namelist()})
        if number not in numbers:
            groups = f"{len(numbers) + 1} groups" if numbers else "one group"
            raise UserError(
                f"the photos of {scene} form {groups} that can have a page, so there is no number "
                f"{number}; set components to {len(numbers) + 1}"
            )
        for name in [*(f"sparse/{name}" for name in MODEL_FILES), *REPORTS]:
            if name != Pairs.file:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_bytes(folder / name, found.read(f"{number}/{name}"))
    names = [photo.file for photo in read(Photos, folder / Photos.file).used]
    _write_photos(photos, names, folder / "photos.zip")
    write(folder / Pairs.file, _pairs_of(read(Pairs, pairs), set(names)))
    return read(Sfm, folder / Sfm.file)


def _write_photos(photos: Path, names: Sequence[str], output: Path) -> None:
    """The named photos and their masks, as they are in `photos`."""
    with reading_zip(photos) as source, writing_zip(output) as archive:
        present = set(source.namelist())
        for name in [*names, *(f"{MASKS}/{name}.png" for name in names)]:
            if name in present:
                add_to_zip(archive, name, source.read(name))


def _pairs_of(pairs: Pairs, names: set[str]) -> Pairs:
    """pairs.json of some of the photos: the verified pairs among them."""
    links = tuple(link for link in pairs.links if link[0] in names and link[1] in names)
    return replace(
        pairs,
        photos=len(names),
        verified=len(links),
        alone=tuple(name for name in pairs.alone if name in names),
        links=links,
    )
