"""Which Gaussians of a trained splat are rubbish: reasons as masks, and a crop asked for by the user.

Every reason is a suspicion, not a verdict: `filtered` measures what leaving them out does to views
that training never saw, and keeps a filter only when it does no harm.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.clean import Clean, Filter
from scripts.lib.core.activations import sigmoid
from scripts.lib.core.console import UserError
from scripts.lib.core.crop import parse_crop
from scripts.lib.core.files import replacing
from scripts.lib.core.options import Options, option
from scripts.lib.scene.start_view import core_of
from scripts.lib.splat.gaussians import Gaussians, open_ply
from scripts.lib.splat.pieces import Splat, opened, parts_of
from scripts.lib.train.note import read_note

if TYPE_CHECKING:
    from scripts.lib.measure.visibility import Visibility

Mask = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float64]

LONG_SIDE = 480  # pixels of the views that tell what was seen; more shows no more Gaussians
FILTERS = ("transparent", "unseen", "far", "needle", "sheet")
NEEDLE_RATIO = 40.0  # longest axis against the middle one
NEEDLE_LENGTH = 0.02  # of the capture's reach, from which a needle is seen as one
SHEET_WIDTH = 0.5  # middle axis, as a share of the reach, of a wall of fog


@dataclass(frozen=True)
class CleanOptions(Options):
    """Remove floaters and haze that no camera really saw. A filter is applied only if the quality on the
    validation photos does not suffer.
    """

    enabled: bool = option(True, "Whether filters are used; the crop is made in any case.")
    min_opacity: float = option(0.01, "Filter transparent: Gaussians below this opacity.", 0, 1)
    min_views: int = option(
        2,
        "Filter unseen: Gaussians that are visible in fewer training views than this.",
        0,
        100_000,
    )
    far: float = option(
        4.0,
        "Filter far: Gaussians farther from the centre than this many times the size of the capture.",
        most=1_000_000,
        above=0,
    )
    max_drop_db: float = option(
        0.02,
        "A filter is not applied if it lowers the PSNR on the validation photos by more than this.",
        0,
        100,
        unit="dB",
    )
    crop: dict[str, Any] = option(
        {},
        """Keep only this part of the scene, in its units: {box: [[x, y, z], [x, y, z]]} or {sphere: [x, y, z,
        radius]}. In the sheet, write it as JSON. The page with ?edit shows positions.""",
    )


def reach_of(centres: Float, points: Float) -> tuple[Float, float]:
    """The middle (3,) of what was photographed, and how far cameras (V, 3) and core points reach."""
    core = core_of(points)
    middle = np.median(core, axis=0)
    every = np.vstack([core, centres])
    return middle, float(np.linalg.norm(every - middle, axis=1).max())


def suspects(
    gaussians: Gaussians,
    visibility: Visibility,
    centres: Float,
    points: Float,
    options: CleanOptions,
    sky_from: float | None = None,
) -> dict[str, Mask]:
    """For each of FILTERS the Gaussians (N,) it would leave out.

    `visibility` over the training views, V = centres (V, 3); points (P, 3) of the sparse model. What stands
    farther than `sky_from` from the cameras' middle, world units, is the sky, far on purpose; None: no sky.
    """
    return _suspects(
        gaussians, visibility.views, reach_of(centres, points), centres, options, sky_from
    )


def _suspects(
    gaussians: Gaussians,
    seen_in: npt.NDArray[np.int64],
    around: tuple[Float, float],
    centres: Float,
    options: CleanOptions,
    sky_from: float | None,
) -> dict[str, Mask]:
    """`suspects` by the number of views (N,) that saw each and what `reach_of` found."""
    middle, reach = around
    sigma = np.sort(np.exp(gaussians.scales.astype(np.float64)), axis=1)
    away = np.linalg.norm(gaussians.means - middle, axis=1)
    from_cameras = np.linalg.norm(gaussians.means - centres.mean(axis=0), axis=1)
    return {
        "transparent": sigmoid(gaussians.opacities) < options.min_opacity,
        "unseen": seen_in < min(options.min_views, len(centres)),
        "far": (away > options.far * reach)
        & (from_cameras < (np.inf if sky_from is None else sky_from)),
        "needle": (sigma[:, 2] > NEEDLE_RATIO * sigma[:, 1])
        & (sigma[:, 2] > NEEDLE_LENGTH * reach),
        "sheet": (sigma[:, 1] > SHEET_WIDTH * reach) & (away < options.far * reach),
    }


def cropped(means: Float, crop: dict[str, Any]) -> Mask:
    """Which means (N, 3) lie inside the crop; no crop keeps all. Raises UserError as `parse_crop` does."""
    kind, values = parse_crop(crop)
    if not kind:
        return np.ones(len(means), bool)
    if kind == "box":
        low, high = np.array(values[:3]), np.array(values[3:])
        inside: Mask = np.all((means >= low) & (means <= high), axis=1)
        return inside
    away: Float = np.linalg.norm(means - np.array(values[:3]), axis=1)
    return away <= values[3]


def clean(
    splat: Splat, ply: Path, scene_path: Path, options: CleanOptions, device: str
) -> tuple[Mask, Clean]:
    """Which Gaussians (N,) are worth keeping, and the numbers: each filter is tried and kept if it does no
    harm.

    Raises UserError when filters and crop together leave nothing.
    """
    inside = inside_crop(splat, ply, options)
    kept = np.ones(len(splat), bool)
    result = None
    if options.enabled:
        kept, result = filtered(splat, ply, scene_path, options, device)
    if not (kept & inside).any():
        raise UserError(
            f"clean_splat.crop {options.crop!r} holds {int(inside.sum())} Gaussians of {ply}, all of "
            "which the filters would remove because no camera really saw them; make the crop larger, "
            "or set"
            " clean_splat.enabled to false"
        )
    kept &= inside
    made = replace(
        result or unchanged(len(splat)),
        gaussians_after=int(kept.sum()),
        cropped=int((~inside).sum()),
    )
    return kept, made


def inside_crop(splat: Splat, ply: Path, options: CleanOptions) -> Mask:
    """Which Gaussians (N,) lie inside the crop. Raises UserError when none does."""
    inside = np.ones(len(splat), bool)
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for rows, part in parts_of(splat):
        inside[rows] = cropped(part.means.astype(float), options.crop)
        low, high = np.minimum(low, part.means.min(0)), np.maximum(high, part.means.max(0))
    if not inside.any():
        raise UserError(
            f"clean_splat.crop {options.crop!r} leaves no Gaussian of {ply}; the scene reaches from"
            f" {low.round(2).tolist()} to {high.round(2).tolist()}"
        )
    return inside


def unchanged(count: int) -> Clean:
    """The numbers of a splat of which nothing was left out yet."""
    return Clean(gaussians_before=count, gaussians_after=count, filters={})


def filtered(
    splat: Splat, ply: Path, scene_path: Path, options: CleanOptions, device: str
) -> tuple[Mask, Clean]:
    """Which Gaussians (N,) stay after each filter that does the steering views no harm, and the numbers.

    Not the views that were trained on: there, a floater that only one of them sees was put to make that
    very photo fit, so leaving it out would always seem to do harm.
    """
    from scripts.lib.measure import evaluate

    views = evaluate.choose_views(ply, scene_path, evaluate.Purpose.STEER)
    views = evaluate.affordable(views)
    photos = [evaluate.photo_of(views, index) for index in views.indices]

    def quality(some: Splat) -> float:
        pairs = zip(evaluate.render_views(some, views, device), photos, strict=True)
        return float(np.mean([evaluate.visible_psnr(*pair) for pair in pairs]))

    masks = suspects_of(splat, ply, scene_path, views.split.trained, options, device)
    kept, numbers = tried(splat, masks, quality, options.max_drop_db)
    return kept, replace(
        numbers,
        held_out=views.held_out,
        measured_on="steering" if views.split.steering else "trained",
        views=tuple(views.names),
        split_counts=views.split.counts(),
    )


def suspects_of(
    splat: Splat,
    ply: Path,
    scene_path: Path,
    trained: list[int],
    options: CleanOptions,
    device: str,
) -> dict[str, Mask]:
    """`suspects` of a splat, by what the `trained` views of its scene see."""
    from scripts.lib.measure import visibility
    from scripts.lib.scene.scene import load_scene

    scene, note = load_scene(scene_path, LONG_SIDE), read_note(ply)
    seen = visibility.measure(splat, scene, trained, device)
    sky_from, centres = note.sky_from if note else None, scene.centres[trained]
    around, masks = reach_of(centres, scene.points), list[dict[str, Mask]]()
    for rows, part in parts_of(splat):
        masks.append(_suspects(part, seen.views[rows], around, centres, options, sky_from))
    return {name: np.concatenate([mask[name] for mask in masks]) for name in FILTERS}


def tried(
    splat: Splat,
    masks: Mapping[str, Mask],
    quality: Callable[[Splat], float],
    max_drop_db: float,
) -> tuple[Mask, Clean]:
    """Who stays (N,), and the numbers: a filter is kept if `quality` falls by at most `max_drop_db`."""
    before = now = quality(splat)
    kept, filters = np.ones(len(splat), bool), dict[str, Filter]()
    for name in FILTERS:
        trial = kept & ~masks[name]
        count = int((kept & ~trial).sum())
        filters[name] = Filter(count, applied=False)
        if count and trial.any():
            psnr = quality(splat.take(trial))
            harmless = psnr >= now - max_drop_db
            filters[name] = Filter(count, harmless, psnr)
            if harmless:
                kept, now = trial, psnr
    numbers = replace(unchanged(len(splat)), filters=filters)
    return kept, replace(numbers, psnr_before=before, psnr_after=now)


def clean_splat(
    ply: Path,
    scene: Path,
    options: CleanOptions,
    output: Path,
    device: str = "auto",
    gpus: int = 0,
) -> Clean:
    """Write the splat worth keeping of `ply` to `output`, with its training note; the numbers of clean.json.

    Views are rendered on `device` as `on_device` takes it, with `gpus` that a scheduler gave. With nothing to
    do the file is copied. A splat of very many Gaussians is read in pieces. Raises UserError when nothing
    would be left.
    """
    if not options.enabled and not options.crop:
        rows, _ = open_ply(ply)
        with replacing(output) as temporary:
            shutil.copyfile(ply, temporary)
        return unchanged(len(rows))
    from scripts.lib.render.device import on_device

    with opened(ply, output) as found:
        with on_device(device, gpus) as used:
            kept, result = clean(found.splat, ply, scene, options, used.type)
        note = read_note(ply)
        found.write(output, kept, (note.comment(),) if note else ())
    return replace(result, device=used.type, device_reason=used.reason)


def sentences(result: Clean) -> list[str]:
    """What was left out, and which filters were not applied, from the numbers of clean.json."""
    filters = result.filters.items()
    out = result.gaussians_before - result.gaussians_after
    said = ", ".join(f"{entry.count} {name}" for name, entry in filters if entry.applied)
    return [
        f"{out} of {result.gaussians_before} Gaussians removed{': ' + said if said else ''}"
    ] + [
        f"not applied, because quality would suffer: {name} ({entry.count}, to {entry.psnr:.2f} dB)"
        for name, entry in filters
        if entry.count and not entry.applied and entry.psnr is not None
    ]
