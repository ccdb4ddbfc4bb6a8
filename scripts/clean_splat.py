"""Leave out what the cameras never really saw: floaters, haze, needles, near-transparent Gaussians.

Needs  splat.ply, undistorted.zip
Leaves splat.clean.ply, clean.json: counts by reason, PSNR on the steering photos before and after
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.core.files import replacing, write_json
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING, provenance
from scripts.lib.core.threads import use_threads
from scripts.lib.measure.clean import FILTERS, CleanOptions, cropped, suspects
from scripts.lib.render.arguments import add_compute_arguments
from scripts.lib.splat.gaussians import Gaussians, read_ply, write_ply

LONG_SIDE = 480  # pixels of the views that tell what was seen; more shows no more Gaussians


def clean(
    gaussians: Gaussians, ply: Path, scene_path: Path, options: CleanOptions, device: str
) -> tuple[Gaussians, dict[str, Any]]:
    """The Gaussians worth keeping, and the numbers: each filter is tried and kept if it does no harm.

    Raises UserError when filters and crop together leave nothing.
    """
    inside = cropped(gaussians.means.astype(float), options.crop)
    if not inside.any():
        raise UserError(
            f"clean_splat.crop {options.crop!r} leaves no Gaussian of {ply}; the scene reaches from"
            f" {gaussians.means.min(0).round(2).tolist()} to {gaussians.means.max(0).round(2).tolist()}"
        )
    kept = np.ones(len(gaussians), bool)
    result: dict[str, Any] = {"filters": {}}
    if options.enabled:
        kept, result = filtered(gaussians, ply, scene_path, options, device)
    if not (kept & inside).any():
        raise UserError(
            f"clean_splat.crop {options.crop!r} holds {int(inside.sum())} Gaussians of {ply}, all of which"
            " the filters leave out as never really seen; make the crop larger, or set"
            " clean_splat.enabled to false"
        )
    kept &= inside
    counts = {
        "gaussians_before": len(gaussians),
        "gaussians_after": int(kept.sum()),
        "cropped": int((~inside).sum()),
    }
    return gaussians.take(kept), counts | result


def filtered(
    gaussians: Gaussians, ply: Path, scene_path: Path, options: CleanOptions, device: str
) -> tuple[npt.NDArray[np.bool_], dict[str, Any]]:
    """Which Gaussians (N,) stay after each filter that does the steering views no harm, and the numbers.

    Not the views that were trained on: there, a floater that only one of them sees was put to make that
    very photo fit, so leaving it out would always seem to do harm.
    """
    from scripts.lib.measure import evaluate, visibility
    from scripts.lib.scene.scene import load_scene
    from scripts.lib.train.note import read_note

    views = evaluate.choose_views(ply, scene_path, evaluate.Purpose.STEER)
    photos = [evaluate.photo_of(views, index) for index in views.indices]

    def quality(some: Gaussians) -> float:
        pairs = zip(evaluate.render_views(some, views, device), photos, strict=True)
        return float(np.mean([evaluate.likeness(*pair)["psnr"] for pair in pairs]))

    scene, trained = load_scene(scene_path, LONG_SIDE), views.split.trained
    seen = visibility.measure(gaussians, scene, trained, device)
    note = read_note(ply)
    masks = suspects(
        gaussians,
        seen,
        scene.centres[trained],
        scene.points,
        options,
        note.sky_from if note else None,
    )
    before = quality(gaussians)
    kept = np.ones(len(gaussians), bool)
    now, filters = before, {}
    for name in FILTERS:
        trial = kept & ~masks[name]
        count = int((kept & ~trial).sum())
        entry: dict[str, Any] = {"count": count, "applied": False}
        if count and trial.any():
            psnr = quality(gaussians.take(trial))
            entry["psnr"] = psnr
            if psnr >= now - options.max_drop_db:
                kept, now = trial, psnr
                entry["applied"] = True
        filters[name] = entry
    return kept, {
        "psnr_before": before,
        "psnr_after": now,
        "filters": filters,
        "held_out": views.held_out,
        "measured_on": "steering" if views.split.steering else "trained",
        "views": views.names,
        "split_counts": views.split.counts(),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.clean_splat", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="trained splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--options", default="{}", help="JSON object, see CleanOptions")
    parser.add_argument("--output", type=Path, required=True, help="splat.clean.ply to write")
    parser.add_argument("--metrics", type=Path, required=True, help="clean.json to write")
    add_compute_arguments(parser)
    given = parser.parse_args(argv)
    use_threads(given.threads)
    options = parse_options(CleanOptions, given.options)
    began = time.monotonic()
    gaussians = read_ply(given.ply)
    if not options.enabled and not options.crop:
        with replacing(given.output) as temporary:
            shutil.copyfile(given.ply, temporary)
        result: dict[str, Any] = {
            "gaussians_before": len(gaussians),
            "gaussians_after": len(gaussians),
            "filters": {},
        }
    else:
        from scripts.lib.render.device import on_device

        with on_device(given.device, given.gpus) as device:
            kept, result = clean(gaussians, given.ply, given.scene, options, device.type)
        result |= {"device": device.type, "device_reason": device.reason}
        write_ply(given.output, kept, header_of(given.ply))
    result |= {
        "enabled": options.enabled,
        **provenance(options, *TRAINING),
        "seconds": time.monotonic() - began,
    }
    write_json(given.metrics, result)
    out = result["gaussians_before"] - result["gaussians_after"]
    said = ", ".join(
        f"{entry['count']} {name}" for name, entry in result["filters"].items() if entry["applied"]
    )
    say(f"{out} of {result['gaussians_before']} Gaussians left out{': ' + said if said else ''}")
    for name, entry in result["filters"].items():
        if entry["count"] and not entry["applied"] and "psnr" in entry:
            say(
                f"not applied, for it would hurt: {name} ({entry['count']}, to {entry['psnr']:.2f} dB)"
            )


def header_of(ply: Path) -> tuple[str, ...]:
    """The training note of a PLY, to be carried over to one made from it."""
    from scripts.lib.train.note import read_note

    note = read_note(ply)
    return (note.comment(),) if note else ()


if __name__ == "__main__":
    run_main(main)
