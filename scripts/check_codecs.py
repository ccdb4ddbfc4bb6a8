"""Measure the files that ship: decode each, compare it with the judging photos, refuse too great a loss.

Needs  splat.ply, undistorted.zip, the encoded files
Leaves codecs.json: bytes, PSNR, SSIM and FLIP against the photos, the loss against the PLY, the worst view
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.lib.core.console import Progress, UserError, run_main, say
from scripts.lib.core.files import read_json, write_json
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING, provenance
from scripts.lib.core.threads import use_threads
from scripts.lib.encode import lod
from scripts.lib.encode.codecs import decode
from scripts.lib.render.arguments import add_compute_arguments
from scripts.lib.splat.gaussians import Gaussians, read_ply

if TYPE_CHECKING:
    from scripts.lib.render.device import Device


@dataclass(frozen=True)
class CheckOptions:
    """The `check_codecs` section of the configuration; "auto" takes what training used."""

    # Of the web page's file (SOG), and of its streamed form, against the PLY, before the run fails.
    max_loss_db: float = 0.5
    max_mobile_loss_db: float = 1.0  # the same for the file that phones load
    resolution: int | str = "auto"  # long side in pixels; 0: the photos' own size


def format_of(path: Path) -> str:
    """The format as codecs.json names it: `sog`, `mobile_sog`, `lod`, `spz`, `compressed_ply`, `ply`."""
    for ending, name in (
        (".compressed.ply", "compressed_ply"),
        (".mobile.sog", "mobile_sog"),
        (".zip", "lod"),
    ):
        if path.name.endswith(ending):
            return name
    return path.suffix[1:].lower()


def check_codecs(
    ply: Path,
    scene: Path,
    encoded: Sequence[Path],
    options: CheckOptions,
    metrics: Path,
    device: Device,
    compressed: Path | None = None,
) -> dict[str, Any]:
    """Measure `encoded` against `ply` and the photos; write and return the metrics.

    `compressed` is compress_splat's own JSON: what was chosen, and its curve of bytes against dB.
    Raises UserError, after writing, when a file of the page loses more than it may.
    """
    from scripts.lib.measure import evaluate

    views = evaluate.choose_views(ply, scene, evaluate.Purpose.JUDGE, options.resolution)
    photos = [evaluate.photo_of(views, index) for index in views.indices]
    names = views.names
    original = list(evaluate.render_views(read_ply(ply), views, device.type))
    progress = Progress("check_codecs", len(encoded) + 1)
    formats: dict[str, dict[str, Any]] = {}

    def measured(gaussians: Gaussians, renders: list[Any]) -> dict[str, Any]:
        seen = [evaluate.likeness(*pair) for pair in zip(renders, photos, strict=True)]
        kept = [evaluate.likeness(*pair) for pair in zip(renders, original, strict=True)]
        worst = min(range(len(names)), key=lambda i: seen[i]["psnr"])
        apart = [evaluate.flip(*pair) for pair in zip(renders, photos, strict=True)]
        return {
            "gaussians": len(gaussians),
            "sh_degree": gaussians.sh_degree,
            "psnr": evaluate.mean(seen, "psnr"),
            "ssim": evaluate.mean(seen, "ssim"),
            "flip": sum(apart) / len(apart),
            "psnr_to_ply": evaluate.mean(kept, "psnr"),
            "worst_view": {"name": names[worst], **seen[worst]},
        }

    def shown(gaussians: Gaussians) -> dict[str, Any]:
        return measured(gaussians, list(evaluate.render_views(gaussians, views, device.type)))

    for done, path in enumerate((ply, *encoded), 1):
        kind = format_of(path)
        facts = {"file": path.name, "bytes": path.stat().st_size}
        if path == ply:
            formats[kind] = {**facts, **measured(read_ply(ply), original)}
        elif kind == "lod":
            levels = [{"bytes": level.bytes, **shown(level.gaussians)} for level in lod.read(path)]
            if levels:  # a small scene has none
                # What a visitor sees in the end is the finest level; the others come before it.
                formats[kind] = {**levels[0], **facts, "levels": levels}
        else:
            formats[kind] = {**facts, **shown(decode(path))}
        progress.update(done, path.name)
    reference = formats["ply"]["psnr"]
    for numbers in (*formats.values(), *formats.get("lod", {}).get("levels", [])):
        numbers["delta_psnr"] = numbers["psnr"] - reference
    limits = {
        "sog": options.max_loss_db,
        "lod": options.max_loss_db,
        "mobile_sog": options.max_mobile_loss_db,
    }
    failed = [
        name
        for name, limit in limits.items()
        if name in formats and -formats[name]["delta_psnr"] > limit
    ]
    made = read_json(compressed) if compressed else {}
    result = {
        "formats": formats,
        "max_loss_db": options.max_loss_db,
        "max_mobile_loss_db": options.max_mobile_loss_db,
        "passed": not failed,
        "held_out": views.held_out,
        "split_counts": views.split.counts(),
        "views": names,
        "resolution": int(views.scene.sizes.max()),
        "device": device.type,
        "device_reason": device.reason,
        "targets": made.get("targets", {}),
        "rate": made.get("rate", []),
        **provenance(options, *TRAINING),
    }
    write_json(metrics, result)
    if failed:
        name = failed[0]
        option = "max_mobile_loss_db" if name == "mobile_sog" else "max_loss_db"
        raise UserError(
            f"{formats[name]['file']} loses {-formats[name]['delta_psnr']:.2f} dB against the PLY on the"
            f" photos that judge, more than the limit of {limits[name]} dB, although compress_splat tried"
            f" its better settings; raise compress_splat.palette or check_codecs.{option}"
        )
    return result


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.check_codecs", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="trained splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--encoded", type=Path, nargs="+", required=True, help="files that ship")
    parser.add_argument("--compressed", type=Path, help="compress.json, to take its choices over")
    parser.add_argument("--options", default="{}", help="JSON object, see CheckOptions")
    parser.add_argument("--metrics", type=Path, required=True, help="codecs.json to write")
    add_compute_arguments(parser)
    args = parser.parse_args(argv)
    use_threads(args.threads)
    options = parse_options(CheckOptions, args.options)

    from scripts.lib.render.device import on_device

    with on_device(args.device, args.gpus) as device:
        result = check_codecs(
            args.ply,
            args.scene,
            args.encoded,
            options,
            args.metrics,
            device,
            args.compressed,
        )
    for name, numbers in result["formats"].items():
        say(
            f"{name}: {numbers['bytes'] / 1e6:.2f} MB, PSNR {numbers['psnr']:.2f} dB"
            f" ({numbers['delta_psnr']:+.2f} dB against the PLY)"
        )


if __name__ == "__main__":
    run_main(main)
