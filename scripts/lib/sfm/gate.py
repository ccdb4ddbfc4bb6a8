"""The numbers of a reconstruction, and the gate that stops a scene before it costs a training run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from scripts.lib.console import UserError
from scripts.lib.sfm.mapping import Attempt, MapOptions

NAMES_SHOWN = 12


def describe(
    best: Attempt, attempts: Sequence[Attempt], photos: Sequence[dict[str, Any]], seconds: float
) -> dict[str, Any]:
    """sfm.json's content."""
    model = best.models[0] if best.models else None
    names = {model.image(i).name for i in model.reg_image_ids()} if model else set()
    cameras = [
        {
            "model": camera.model_name,
            "width": int(camera.width),
            "height": int(camera.height),
            "params": [float(value) for value in camera.params],
            "focal_px": float(camera.mean_focal_length()),
            "prior": bool(camera.has_prior_focal_length),
        }
        for camera in (model.cameras.values() if model else [])
    ]
    summary = best.summary()
    return {
        "photos": len(photos),
        "registered": best.registered,
        "models": summary["models"],
        "mapper": best.mapper,
        "reprojection_error_px": summary["reprojection_error_px"],
        "points": summary["points"],
        "track_length": summary["track_length"],
        "focal_px": float(np.mean([c["focal_px"] for c in cameras])) if cameras else None,
        "cameras": cameras,
        "unregistered": [photo["file"] for photo in photos if photo["file"] not in names],
        "attempts": [attempt.summary() for attempt in attempts],
        "seconds": round(seconds, 2),
    }


def require_registered(report: dict[str, Any], options: MapOptions) -> None:
    """Stop with one paragraph when too few photos found their place: how many, which not, what to do.

    Raises UserError.
    """
    total, registered = report["photos"], report["registered"]
    needed = max(options.min_photos, math.ceil(options.min_registered_fraction * total))
    if registered >= needed:
        return
    missing = report["unregistered"]
    more = f" and {len(missing) - NAMES_SHOWN} more" if len(missing) > NAMES_SHOWN else ""
    pieces = [size for size in report["models"][1:] if size >= options.min_photos]
    split = (
        f" The rest fell into {len(pieces)} separate piece{'s' * (len(pieces) > 1)} of "
        f"{', '.join(map(str, pieces))} photos: take photos that join them."
        if pieces
        else ""
    )
    raise UserError(
        f"only {registered} of {total} photos found their place, {needed} are needed. "
        f"Missing: {', '.join(missing[:NAMES_SHOWN])}{more}.{split} "
        "Take more photos between the missing ones and their neighbours, so that each overlaps the "
        "next by two thirds, walking rather than turning on the spot, in focus; or leave the "
        "missing ones out, or lower map_scene.min_registered_fraction to go on with what there is."
    )
