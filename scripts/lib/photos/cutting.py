"""The kept panoramas of an import become their flat views: a rig whose cameras stand at one place."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import PurePosixPath

from PIL import Image

from scripts.lib.contracts.photos import Photo, RigView, Sighting
from scripts.lib.core.console import Progress
from scripts.lib.core.rig_names import view_name
from scripts.lib.core.threads import threads as available_threads
from scripts.lib.photos.decode import Picture
from scripts.lib.photos.faces import (
    FACES,
    cut_faces,
    face_quaternion,
    face_side,
    nadir_mask,
    on_face,
)
from scripts.lib.photos.lens_rigs import find_rigs
from scripts.lib.photos.masks import combine, encode_mask, hidden_share
from scripts.lib.photos.options import ImportOptions
from scripts.lib.photos.prepare import Context, Item, finish

VIEW = " view "  # between the name of a panorama and that of its view
NADIR = "nadir"  # what hides the place below the camera, in Photo.mask_source
CUTTING_BYTES = 40  # for each pixel of a panorama, while it is cut; measured
QUALITY = 95


def cut_panoramas(items: Sequence[Item], context: Context) -> list[Item]:
    """The items with the views of each kept panorama in its place; they must have their names."""
    spheres = [item for item in items if item.photo.kept and item.panorama]
    progress = Progress("Cutting panoramas", max(len(spheres), 1))

    def cut(item: Item) -> list[Item]:
        width, height = item.photo.size
        with context.room.hold(CUTTING_BYTES * width * height):
            return _views(item, context)

    found: dict[str, list[Item]] = {}
    with ThreadPoolExecutor(context.threads or available_threads()) as pool:
        for done, (item, views) in enumerate(zip(spheres, pool.map(cut, spheres), strict=True), 1):
            found[item.photo.file] = views
            progress.update(done)
    every: list[Item] = []
    for item in items:
        every += found.get(item.photo.file, [item]) if item.photo.kept else [item]
    return every


def with_rigs(items: Sequence[Item], options: ImportOptions) -> list[Item]:
    """The items, of which those that a rig of several cameras took tell so."""
    flat = [
        item
        for item in items
        if item.photo.kept and item.photo.kind == "photo" and not item.panorama
    ]
    tags = {item.photo.original: item.traits.rig for item in flat if item.traits.rig is not None}
    rigs = find_rigs({item.photo.original: item.photo.time for item in flat}, options.rig, tags)
    return [
        replace(item, photo=replace(item.photo, rig=rigs[item.photo.original]))
        if item.photo.kept and item.photo.original in rigs
        else item
        for item in items
    ]


def sightings_on_faces(
    gcps: Sequence[Sighting], items: Sequence[Item], options: ImportOptions
) -> list[Sighting]:
    """Sightings of surveyed points in panoramas as those of the views that will show them."""
    width = {item.photo.file: item.photo.width or 0 for item in items if item.panorama}
    moved = []
    for seen in gcps:
        if seen.file in width:
            side = face_side(width[seen.file], options.max_side)
            face, x, y = on_face(seen.x, seen.y, width[seen.file], side)
            seen = replace(seen, file=view_name(PurePosixPath(seen.file).stem, face), x=x, y=y)
        moved.append(seen)
    return moved


def _views(item: Item, context: Context) -> list[Item]:
    photo, options = item.photo, context.options
    assert item.jpeg is not None and photo.width is not None
    side = face_side(photo.width, options.max_side)
    with Image.open(item.jpeg) as image:
        faces = cut_faces(image.convert("RGB"), side)
    hidden: dict[str, Image.Image] = {}
    if item.mask is not None:
        with Image.open(io.BytesIO(item.mask)) as drawn:
            hidden = cut_faces(drawn.convert("L"), side)
    item.jpeg.unlink()
    views = []
    for face in FACES:
        below = nadir_mask(face, side, options.panorama_nadir)
        mask = combine(hidden.get(face), below)
        sources = [photo.mask_source] * (face in hidden) + [NADIR] * (below is not None)
        view = replace(
            _described(photo, face, side),
            mask_source=" and ".join(filter(None, sources)) if mask is not None else None,
            masked=round(hidden_share(mask), 4) if mask is not None else None,
        )
        views.append(_packed(view, faces[face], mask, context))
    return views


def _described(photo: Photo, face: str, side: int) -> Photo:
    """What is known of a view: the panorama's place and time, and a lens that is exact."""
    file = view_name(PurePosixPath(photo.file).stem, face)
    pose = (*face_quaternion(face), 0.0, 0.0, 0.0)
    return replace(
        photo,
        file=file,
        original=f"{photo.original}{VIEW}{face}",
        rig=RigView(f"panorama {side}", photo.original, face, True, pose),
        mask=None,
        body=None,
        focal_mm=None,
        focal_35mm=None,
        yaw=None,
        pitch=None,
        roll=None,
    )


def _packed(photo: Photo, face: Image.Image, mask: Image.Image | None, context: Context) -> Item:
    buffer = io.BytesIO()
    face.save(buffer, "JPEG", quality=max(QUALITY, context.options.jpeg_quality), subsampling=0)
    changes = [*filter(None, [photo.changed]), "cut from a panorama"]
    picture = Picture(face, mask, Image.Exif(), "", 1, face.size, False, changes)
    made = finish(photo, buffer.getvalue(), picture, mask, context, 1.0)
    told = replace(
        made.photo,
        mask=f"masks/{photo.file}.png" if mask is not None else None,
        focal_px=face.width / 2,
        focal_mm=None,
        focal_35mm=None,
        focal_source="cut from a panorama",
    )
    return replace(made, photo=told, mask=encode_mask(mask) if mask is not None else None)
