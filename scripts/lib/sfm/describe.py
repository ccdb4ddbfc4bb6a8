"""The numbers of a reconstruction: sfm.json, down to every photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pycolmap

from scripts.lib.contracts import sfm as told
from scripts.lib.contracts.photos import Photo
from scripts.lib.contracts.sfm import Sfm
from scripts.lib.sfm.mapping import Attempt
from scripts.lib.sfm.matching import Verified
from scripts.lib.sfm.parallax import median_angle
from scripts.lib.sfm.projection import seen_by

NEIGHBOURS = 5  # of a photo, by matches

NamePair = tuple[str, str]


def describe(
    best: Attempt,
    attempts: Sequence[Attempt],
    photos: Sequence[Photo],
    pairs: Mapping[NamePair, Verified],
    seconds: float,
) -> Sfm:
    """sfm.json's content, of a model in any frame: nothing in it depends on the frame."""
    model = best.models[0] if best.models else None
    names = best.names(0)
    summary = best.summary()
    parts = components(best)
    kinds = [pair.kind for pair in pairs.values()]
    linked = {name for pair in pairs for name in pair}
    files = [photo.file for photo in photos]
    focal, cameras = describe_cameras(model)
    return Sfm(
        photos=len(photos),
        registered=best.registered,
        models=summary.models,
        mapper=best.mapper,
        reprojection_error_px=summary.reprojection_error_px,
        points=summary.points,
        track_length=summary.track_length,
        tracks=_tracks(model),
        triangulation_angle_deg=median_angle(model),
        parallax=best.parallax.facts() if best.parallax else None,
        # Photos that a camera which only turned explains: no attempt's model of them counts.
        turned=max(attempt.turned_photos for attempt in attempts),
        focal_px=focal,
        cameras=cameras,
        unregistered=tuple(name for name in files if name not in names),
        alone=tuple(name for name in files if name not in linked),
        components=parts,
        pair_kinds={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        per_photo=_per_photo(model, files, parts, pairs),
        attempts=tuple(attempt.summary() for attempt in attempts),
        seconds=round(seconds, 2),
    )


def describe_cameras(
    model: pycolmap.Reconstruction | None,
) -> tuple[float | None, tuple[told.Camera, ...]]:
    """The mean focal length in pixels, and the lenses."""
    cameras = tuple(
        told.Camera(
            model=camera.model_name,
            width=int(camera.width),
            height=int(camera.height),
            params=tuple(float(value) for value in camera.params),
            focal_px=float(camera.mean_focal_length()),
            prior=bool(camera.has_prior_focal_length),
        )
        for camera in (model.cameras.values() if model else [])
    )
    focal = float(np.mean([camera.focal_px for camera in cameras])) if cameras else None
    return focal, cameras


def finished(report: Sfm, model: pycolmap.Reconstruction) -> Sfm:
    """The report up to date with the model that is written: its lenses and its fit.

    Lenses and positions were adjusted after the mapper's model was described.
    """
    model.update_point_3d_errors()
    missed = _residuals(model)
    focal, cameras = describe_cameras(model)
    return replace(
        report,
        reprojection_error_px=float(model.compute_mean_reprojection_error()),
        focal_px=focal,
        cameras=cameras,
        per_photo=tuple(
            replace(line, residual_px=missed.get(line.file)) if line.registered else line
            for line in report.per_photo
        ),
    )


def components(attempt: Attempt) -> tuple[told.Component, ...]:
    """The attempt's models as groups of photos, largest first; a photo in two belongs to the larger."""
    taken: set[str] = set()
    found = []
    for number, model in enumerate(attempt.models):
        names = sorted(attempt.names(number) - taken)
        taken.update(names)
        if len(names) >= 2:
            found.append(told.Component(len(names), int(model.num_points3D()), tuple(names)))
    return tuple(found)


def _tracks(model: pycolmap.Reconstruction | None) -> told.TrackLengths | None:
    if model is None or not model.num_points3D():
        return None
    lengths = np.array([point.track.length() for point in model.points3D.values()])
    return told.TrackLengths(
        mean=round(float(lengths.mean()), 3),
        median=float(np.median(lengths)),
        longest=int(lengths.max()),
        seen_twice_only=round(float((lengths == 2).mean()), 4),
    )


def _per_photo(
    model: pycolmap.Reconstruction | None,
    files: Sequence[str],
    parts: Sequence[told.Component],
    pairs: Mapping[NamePair, Verified],
) -> tuple[told.PhotoReport, ...]:
    """For every photo: registered or not, what it sees, how well that fits, and whom it overlaps most."""
    beside: dict[str, list[tuple[int, str]]] = {name: [] for name in files}
    for (a, b), pair in pairs.items():
        if a in beside and b in beside:
            beside[a].append((pair.inliers, b))
            beside[b].append((pair.inliers, a))
    component = {name: n for n, part in enumerate(parts) for name in part.photos}
    images = {model.image(i).name: model.image(i) for i in model.reg_image_ids()} if model else {}
    missed = _residuals(model) if model else {}
    lines = []
    for name in files:
        image = images.get(name)
        near = sorted(beside[name], key=lambda link: (-link[0], link[1]))[:NEIGHBOURS]
        lines.append(
            told.PhotoReport(
                file=name,
                registered=image is not None,
                component=component.get(name),
                links=len(beside[name]),
                neighbours=tuple(told.Neighbour(other, count) for count, other in near),
                points=None if image is None else int(image.num_points3D),
                residual_px=None if image is None else missed.get(name),
            )
        )
    return tuple(lines)


def _residuals(model: pycolmap.Reconstruction) -> dict[str, float]:
    """By photo, the mean distance in pixels between its points as seen and as the model has them."""
    seen = seen_by(model)
    good = np.isfinite(seen.projected).all(axis=1)
    distance = np.linalg.norm(seen.residual[good], axis=1)
    photo = seen.photo[good]
    sums = np.bincount(photo, distance, len(seen.images))
    counts = np.bincount(photo, minlength=len(seen.images))
    return {
        model.image(number).name: round(float(total / count), 3)
        for number, total, count in zip(seen.images, sums, counts, strict=True)
        if count
    }
