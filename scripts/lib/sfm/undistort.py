"""Photos without lens distortion and their pinhole cameras, in the layout every trainer reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pycolmap

from scripts.lib.core.console import Progress, UserError
from scripts.lib.core.faults import is_fault
from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.photos.jpeg import strip_metadata
from scripts.lib.sfm.masks import undistort_mask
from scripts.lib.sfm.options import UndistortOptions
from scripts.lib.sfm.quiet import watching
from scripts.lib.sfm.unpack import MASKS, unpacked

NEARLY = 0.02  # sizes that differ by less become one


def undistort(
    photos: Path, sparse: Path, archive: Path, options: UndistortOptions, threads: int
) -> int:
    """Write images/, masks/ and sparse/ (PINHOLE cameras) to the zip `archive`; returns the photo count.

    A photo NAME.jpg with a mask has it as masks/NAME.jpg.png: one bit, black is ignored.

    Raises UserError when `sparse` holds no model with posed photos.
    """
    try:
        model = pycolmap.Reconstruction(sparse)
    except (RuntimeError, ValueError, OSError) as error:
        if is_fault(error):
            raise
        raise UserError(
            f"{sparse} holds no readable model ({error}); run map_scene again"
        ) from None
    names = sorted(model.image(number).name for number in model.reg_image_ids())
    if not names:
        raise UserError(f"{sparse} has no photo with a pose; run map_scene again")
    settings = _settings(model, options)
    with unpacked(photos, archive, names) as folder:
        output = folder / ".undistorted"
        images = output / "images"
        with watching("Undistorting", len(names), lambda: _count(images)):
            pycolmap.undistort_images(
                output,
                sparse,
                folder,
                undistort_options=settings,
                jpeg_quality=options.jpeg_quality,
                num_threads=threads,
            )
        progress = Progress("Packing", len(names))
        with writing_zip(archive) as out:
            for done, name in enumerate(names, 1):
                add_to_zip(out, f"images/{name}", _checked(images / name))
                progress.update(done)
            for part in sorted((output / "sparse").glob("*.bin")):
                add_to_zip(out, f"sparse/{part.name}", part.read_bytes())
            pinholes = pycolmap.Reconstruction(output / "sparse")
            for name, mask in _masks(folder, model, pinholes):
                add_to_zip(out, f"{MASKS}/{name}.png", mask)
    return len(names)


def _settings(
    model: pycolmap.Reconstruction, options: UndistortOptions
) -> pycolmap.UndistortCameraOptions:
    """How photos are undistorted: to one size where they are of one size and their lenses nearly the same.

    Photos with lenses of their own would come out a pixel or two apart, and trainers take photos of one size
    at a time.
    """
    settings = pycolmap.UndistortCameraOptions()
    settings.max_image_size = options.max_side or -1
    used = {model.image(number).camera_id for number in model.reg_image_ids()}
    lenses = [model.cameras[number] for number in used]
    if len({(lens.width, lens.height) for lens in lenses}) == 1 < len(lenses):
        whole = pycolmap.UndistortCameraOptions()
        scales = []
        for lens in lenses:
            pinhole = pycolmap.undistort_camera(whole, lens)
            scales += [pinhole.width / lens.width, pinhole.height / lens.height]
        if max(scales) <= min(scales) * (1 + NEARLY):
            settings.min_scale = settings.max_scale = min(scales)
    return settings


def _masks(
    folder: Path, model: pycolmap.Reconstruction, pinholes: pycolmap.Reconstruction
) -> Iterator[tuple[str, bytes]]:
    """Name and undistorted mask of every posed photo that has one."""
    images = {model.image(number).name: number for number in model.reg_image_ids()}
    for name, number in sorted(images.items()):
        path = folder / MASKS / f"{name}.png"
        if path.exists():
            lens, pinhole = (m.cameras[m.image(number).camera_id] for m in (model, pinholes))
            yield name, undistort_mask(path, lens, pinhole)


def _checked(path: Path) -> bytes:
    """The written JPEG without its metadata: positions and serial numbers must not travel on."""
    if not path.exists():
        raise UserError(f"{path.name} could not be undistorted; run import_photos again")
    return strip_metadata(path.read_bytes())


def _count(folder: Path) -> int | None:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:
        return None
