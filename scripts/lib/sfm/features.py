"""Cameras grouped by what took the photos, and SIFT features of every photo, in one COLMAP database."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import Progress, UserError, say
from scripts.lib.sfm import quiet  # noqa: F401  (keeps COLMAP quiet)
from scripts.lib.sfm.gpu import device
from scripts.lib.sfm.grey import read_grey, read_shown
from scripts.lib.sfm.options import FeatureOptions
from scripts.lib.sfm.rigs import in_panorama, write_rigs
from scripts.lib.sfm.sift import Features, Settings, sift
from scripts.lib.sfm.sift.pyramid import Workspace
from scripts.lib.sfm.unpack import MASKS

# COLMAP's own guess where EXIF tells nothing: the focal length is 1.2 times the longer side.
DEFAULT_FOCAL_FACTOR = 1.2
# Phones write the focal length of the focus distance: it breathes by less than this at one zoom.
SAME_FOCAL = 0.01
MOSTLY_HIDDEN = 0.9  # share of a photo under its mask
DOUBLED_UP_TO = 1200  # pixels of the longer side


def camera_groups(photos: Sequence[Photo], share: bool = True) -> dict[tuple[Any, ...], list[str]]:
    """Names of the photos that one set of intrinsics describes, by (camera, body, size, focal length).

    Zoom lenses and mixed sizes separate; focal lengths within one percent of the shortest of their
    group count as one. Where a focal length in millimetres is all that EXIF tells (a camera whose sensor
    is not known), it tells zooms apart as well. Photos without any focal length stay together. Each
    camera of a rig has its own lens. Lenses that came with poses count instead of EXIF; photos without a pose
    join those of their camera and zoom, if these have one lens.
    """
    order = {photo.file: number for number, photo in enumerate(photos)}
    groups: dict[tuple[Any, ...], list[str]] = {}
    came: dict[tuple[Any, ...], set[tuple[Any, ...]]] = {}

    def shortest_first(photo: Photo) -> tuple[bool, float, int]:
        return photo.brought is None, _told_focal(photo)[1] or 0.0, order[photo.file]

    for photo in sorted(photos, key=shortest_first):
        unit, focal = _told_focal(photo)
        sensor = (photo.rig.rig, photo.rig.sensor) if photo.rig else None
        key = (photo.camera, photo.body, *photo.size, unit, sensor)
        near = (k for k in groups if k[:6] == key and _one_focal(k[6], focal))
        found = next(near, (*key, focal)) if share else (*key, focal, photo.file)
        alike = came.setdefault((*key[:4], sensor, photo.focal_mm), set())
        if photo.brought is not None:
            alike.add(found)
        elif share and len(alike) == 1:
            found = next(iter(alike))
        groups.setdefault(found, []).append(photo.file)
    ordered = {key: sorted(names, key=order.__getitem__) for key, names in groups.items()}
    return dict(sorted(ordered.items(), key=lambda group: order[group[1][0]]))


def _told_focal(photo: Photo) -> tuple[str, float | None]:
    """What tells the photo's zoom, and its unit."""
    if photo.brought is not None:
        return photo.brought.model, photo.brought.params[0]
    if photo.focal_px:
        return "px", photo.focal_px
    return ("mm", photo.focal_mm) if photo.focal_mm else ("", None)


def _one_focal(shortest: float | None, focal: float | None) -> bool:
    if shortest is None or focal is None:
        return shortest is focal
    return focal <= shortest * (1 + SAME_FOCAL)


def extract_features(
    photos: Sequence[Photo],
    folder: Path,
    database: Path,
    options: FeatureOptions,
    threads: int,
) -> dict[str, int]:
    """Fill a new `database` with cameras, images and SIFT features; returns features per photo.

    Raises UserError when no photo has features.
    """
    counts = extract_some(photos, photos, folder, database, options, threads)
    require_features(photos, counts)
    return counts


def extract_some(
    photos: Sequence[Photo],
    some: Sequence[Photo],
    folder: Path,
    database: Path,
    options: FeatureOptions,
    threads: int,
) -> dict[str, int]:
    """Fill a new `database` with cameras and images of all photos, and SIFT features of some of them; returns
    features of each of these. Only they need to be in `folder`."""
    ids = write_images(photos, database, options)
    if device() == pycolmap.Device.cpu:
        _by_us(some, folder, database, ids, options, threads)
    else:
        _by_colmap(some, folder, database, options, threads)
    link = pycolmap.Database.open(database)
    counts = {p.file: int(link.num_keypoints_for_image(ids[p.file])) for p in some}
    link.close()
    return counts


def require_features(photos: Sequence[Photo], counts: Mapping[str, int]) -> None:
    """Say which photos have no features. Raises UserError when none has any."""
    bare = [name for name, count in counts.items() if count == 0]
    if len(bare) == len(counts):
        raise UserError(_nothing_found(photos))
    if bare:
        say(f"No features in {', '.join(bare[:12])}")


def _by_us(
    photos: Sequence[Photo],
    folder: Path,
    database: Path,
    ids: dict[str, int],
    options: FeatureOptions,
    threads: int,
) -> None:
    """Features of all photos by our own SIFT, photos side by side, written in their order."""
    memory = threading.local()

    def features_of(photo: Photo) -> Features:
        if not hasattr(memory, "work"):
            memory.work = Workspace()
        return photo_features(photo, folder, options, memory.work)

    progress = Progress("Features", len(photos))
    link = pycolmap.Database.open(database)
    try:
        with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
            for done, (name, found) in enumerate(
                _in_order(pool, features_of, photos, 2 * threads), 1
            ):
                link.write_keypoints(ids[name], affine(found.keypoints))
                link.write_descriptors(
                    ids[name],
                    pycolmap.FeatureDescriptors(
                        pycolmap.FeatureExtractorType.SIFT, found.descriptors
                    ),
                )
                progress.update(done)
    finally:
        link.close()


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[Photo], Features],
    photos: Sequence[Photo],
    ahead: int,
) -> Iterator[tuple[str, Features]]:
    """What `work` makes of each photo, in their order, at most `ahead` begun that nobody took."""
    waiting: deque[tuple[str, Future[Features]]] = deque()
    try:
        for photo in photos:
            waiting.append((photo.file, pool.submit(work, photo)))
            if len(waiting) > ahead:
                name, future = waiting.popleft()
                yield name, future.result()
        while waiting:
            name, future = waiting.popleft()
            yield name, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def photo_features(
    photo: Photo, folder: Path, options: FeatureOptions, work: Workspace
) -> Features:
    """Our SIFT features of one photo, keypoints in its own pixels; none where its mask is black."""
    picture, (width, height) = read_grey(folder / photo.file, options.max_side)
    mask = folder / MASKS / f"{photo.file}.png"
    settings = Settings(
        first_octave=first_octave(photo, options),
        most=options.max_features,
        directions=options.max_orientations,
        contrast=options.peak_threshold,
    )
    found = sift(picture, settings, read_shown(mask) if mask.exists() else None, work)
    found.keypoints[:, 0] *= width / picture.shape[1]
    found.keypoints[:, 1] *= height / picture.shape[0]
    found.keypoints[:, 2] *= np.sqrt(width * height / picture.size)
    return found


def affine(keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
    """COLMAP's keypoints (N, 6), x, y and the shape a11, a12, a21, a22, from x, y, sigma and angle (N, 4)."""
    x, y, sigma, angle = keypoints.T
    across, down = sigma * np.cos(angle), sigma * np.sin(angle)
    return np.stack([x, y, across, -down, down, across], axis=1)


def _by_colmap(
    photos: Sequence[Photo],
    folder: Path,
    database: Path,
    options: FeatureOptions,
    threads: int,
) -> None:
    """Features of all photos by COLMAP, which has a SIFT for GPUs."""
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.num_threads = threads
    extraction.max_image_size = options.max_side or -1
    extraction.sift.max_num_features = options.max_features
    extraction.sift.max_num_orientations = options.max_orientations
    extraction.sift.peak_threshold = options.peak_threshold
    progress, done = Progress("Features", len(photos)), 0
    for octave, masked, names in _portions(photos, folder, options, threads):
        extraction.sift.first_octave = octave
        reader = pycolmap.ImageReaderOptions()
        if masked:
            reader.mask_path = folder / MASKS
        pycolmap.extract_features(
            database,
            folder,
            image_names=names,
            reader_options=reader,
            extraction_options=extraction,
            device=device(),
        )
        done += len(names)
        progress.update(done)


def _nothing_found(photos: Sequence[Photo]) -> str:
    """Why no photo has a feature: masks that hide it all, or nothing to see."""
    hidden = [float(photo.masked or 0.0) for photo in photos]
    if sum(share >= MOSTLY_HIDDEN for share in hidden) > len(photos) / 2:
        return (
            f"the masks hide all that could be matched ({100 * min(hidden):.0f} to {100 * max(hidden):.0f} % "
            "of the photos): black (0) hides and white (255) shows, so invert them, scale them to "
            "255, or leave them out"
        )
    where = ", or the parts that their masks leave," if any(hidden) else ""
    return f"no photo has any texture to match: are they{where} blank, black or out of focus?"


def first_octave(photo: Photo, options: FeatureOptions) -> int:
    """The octave SIFT starts at: small photos are doubled first, larger ones have detail enough.

    Measured: on photos of 1024 px, octave 0 loses three quarters of the features and the model
    with them; on photos of 1600 px it costs a third of the time and no photo.
    """
    if options.first_octave != "auto":
        return int(options.first_octave)
    return -1 if max(photo.size) <= DOUBLED_UP_TO else 0


def _portions(
    photos: Sequence[Photo], folder: Path, options: FeatureOptions, threads: int
) -> Iterator[tuple[int, bool, list[str]]]:
    """Photos in portions of one octave, all with a mask or all without, to tell the progress.

    COLMAP takes no features from photos without a mask as soon as it is told of a folder of masks.

    Progress cannot be read from the database meanwhile: a second SQLite library that looks into one
    which COLMAP is writing (its own copy of SQLite) breaks both.
    """
    size = 4 * threads
    alike: dict[tuple[int, bool], list[str]] = {}
    for photo in photos:
        masked = (folder / MASKS / f"{photo.file}.png").exists()
        alike.setdefault((first_octave(photo, options), masked), []).append(photo.file)
    for (octave, masked), names in sorted(alike.items()):
        for begin in range(0, len(names), size):
            yield octave, masked, names[begin : begin + size]


def write_images(
    photos: Sequence[Photo], database: Path, options: FeatureOptions
) -> dict[str, int]:
    """Write cameras, rigs, frames and images in the order of the report; returns image ids by name.

    Written before extraction, because COLMAP numbers images as its threads finish them, and
    numbering decides ties further on. So the same photos give the same numbers, whatever the threads; the
    model is the same to the last digit only for the same device, since SIFT on a GPU finds other features,
    and not for certain even then: Ceres adds up in the order in which its threads finish.
    """
    by_name = {photo.file: photo for photo in photos}
    camera_of: dict[str, tuple[int, int]] = {}
    link = pycolmap.Database.open(database)
    alone = [photo for photo in photos if not in_panorama(photo)]
    for names in camera_groups(alone, options.share_intrinsics).values():
        photo = by_name[names[0]]
        focals = [focal for n in names if (focal := by_name[n].focal_px)]
        focal = sum(focals) / len(focals) if focals else None
        width, height = photo.size
        camera = pycolmap.Camera.create_from_model_name(
            0,
            options.camera_model,
            focal or DEFAULT_FOCAL_FACTOR * max(width, height),
            width,
            height,
        )
        camera.has_prior_focal_length = focal is not None
        camera.camera_id = link.write_camera(camera)
        rig = pycolmap.Rig()
        rig.add_ref_sensor(camera.sensor_id)
        rig_id = link.write_rig(rig)
        camera_of.update(dict.fromkeys(names, (camera.camera_id, rig_id)))
    camera_of.update(write_rigs(link, photos))
    ids = {}
    frames: dict[tuple[int, str], pycolmap.Frame] = {}
    for photo in photos:
        camera_id, rig_id = camera_of[photo.file]
        image = pycolmap.Image(name=photo.file, camera_id=camera_id)
        image.image_id = link.write_image(image)
        ids[photo.file] = image.image_id
        one = photo.rig.frame if photo.rig and in_panorama(photo) else photo.file
        frame = frames.setdefault((rig_id, one), pycolmap.Frame())
        frame.rig_id = rig_id
        frame.add_data_id(image.data_id)
        if not in_panorama(photo):
            link.write_frame(frames.pop((rig_id, one)))
    for frame in frames.values():  # of panoramas, with all their views
        link.write_frame(frame)
    link.close()
    return ids
