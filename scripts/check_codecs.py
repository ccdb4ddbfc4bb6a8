"""Measure the files that ship: decode each, render the held-out views, and refuse too great a loss.

Needs  splat.ply, undistorted.zip, the encoded files
Leaves codecs.json: bytes, PSNR and SSIM against the photos, the loss against the PLY
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.codecs import decode
from scripts.lib.console import Progress, UserError, run_main, say
from scripts.lib.files import write_json
from scripts.lib.gaussians import read_ply
from scripts.lib.options import parse_options
from scripts.lib.threads import use_threads


@dataclass(frozen=True)
class CheckOptions:
    """The `check_codecs` section of the configuration; "auto" takes what training used."""

    max_loss_db: float = 0.5  # of the web page's file (SOG) against the PLY, before the run fails
    device: str = "auto"  # auto, cuda, cpu
    resolution: int | str = "auto"  # long side in pixels; 0: the photos' own size
    holdout: int | str = "auto"  # every n-th photo by name


def format_of(path: Path) -> str:
    """`sog`, `spz`, `compressed_ply` or `ply`: the file's format as codecs.json names it."""
    return "compressed_ply" if path.name.endswith(".compressed.ply") else path.suffix[1:].lower()


def check_codecs(
    ply: Path, scene: Path, encoded: Sequence[Path], options: CheckOptions, metrics: Path
) -> dict[str, Any]:
    """Measure `encoded` against `ply` and the photos; write and return the metrics.

    Raises UserError, after writing, when a SOG loses more than `max_loss_db`.
    """
    from scripts.lib import evaluate
    from scripts.lib.train.device import choose_device

    device = choose_device(options.device)
    views = evaluate.choose_views(ply, scene, options.resolution, options.holdout)
    photos = [evaluate.photo_of(views, index) for index in views.indices]
    original = list(evaluate.render_views(read_ply(ply), views, device))
    progress = Progress("check_codecs", len(encoded) + 1)
    formats: dict[str, dict[str, Any]] = {}
    for done, path in enumerate((ply, *encoded), 1):
        renders = original
        if path != ply:
            renders = list(evaluate.render_views(decode(path), views, device))
        seen = [evaluate.likeness(*pair) for pair in zip(renders, photos, strict=True)]
        kept = [evaluate.likeness(*pair) for pair in zip(renders, original, strict=True)]
        formats[format_of(path)] = {
            "file": path.name,
            "bytes": path.stat().st_size,
            "psnr": evaluate.mean(seen, "psnr"),
            "ssim": evaluate.mean(seen, "ssim"),
            "psnr_to_ply": evaluate.mean(kept, "psnr"),
        }
        progress.update(done, path.name)
    reference = formats["ply"]["psnr"]
    for numbers in formats.values():
        numbers["delta_psnr"] = numbers["psnr"] - reference
    loss = -formats["sog"]["delta_psnr"] if "sog" in formats else 0.0
    result = {
        "formats": formats,
        "max_loss_db": options.max_loss_db,
        "passed": loss <= options.max_loss_db,
        "held_out": views.held_out,
        "views": [views.scene.names[index] for index in views.indices],
        "resolution": int(views.scene.sizes.max()),
    }
    write_json(metrics, result)
    if not result["passed"]:
        raise UserError(
            f"{formats['sog']['file']} loses {loss:.2f} dB against the PLY on the held-out views, more"
            f" than the limit of {options.max_loss_db} dB; raise the quality of compress_splat or"
            " check_codecs.max_loss_db"
        )
    return result


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.check_codecs", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="trained splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--encoded", type=Path, nargs="+", required=True, help="files that ship")
    parser.add_argument("--options", default="{}", help="JSON object, see CheckOptions")
    parser.add_argument("--metrics", type=Path, required=True, help="codecs.json to write")
    args = parser.parse_args(argv)
    use_threads(0)
    options = parse_options(CheckOptions, args.options)
    result = check_codecs(args.ply, args.scene, args.encoded, options, args.metrics)
    for name, numbers in result["formats"].items():
        say(
            f"{name}: {numbers['bytes'] / 1e6:.2f} MB, PSNR {numbers['psnr']:.2f} dB"
            f" ({numbers['delta_psnr']:+.2f} dB against the PLY)"
        )


if __name__ == "__main__":
    run_main(main)
