"""Compress a splat into the files that ship: SOG for the page (desktop and mobile), SPZ, compressed PLY.

Needs  splat.clean.ply, and undistorted.zip to measure losses on its steering views
Leaves splat.sog, splat.mobile.sog, splat.spz, splat.compressed.ply, lod.zip, compress.json
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.core.files import replacing, write_json
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING, provenance
from scripts.lib.core.threads import use_threads
from scripts.lib.encode import formats as compress
from scripts.lib.encode import lod
from scripts.lib.encode.codecs import decode, sog
from scripts.lib.render.arguments import add_compute_arguments
from scripts.lib.splat.gaussians import Gaussians

LONG_SIDE = 480  # pixels of the training views that tell how much each Gaussian is seen
SPZ_BITS = (
    (6, 5),
    (7, 6),
    (8, 8),
)  # of harmonics of degree 1 and above, when the usual ones lose too much
# Factors on the palettes of the levels of detail, and the rounding of their other numbers.
STREAM_TRIES = ((1 / 16, 1), (1 / 4, 1), (1.0, 0), (2.0, 0), (4.0, 0))
TRAINED_VIEWS = 4  # views of the training that are measured beside those that steer


def targets(
    gaussians: Gaussians,
    ply: Path,
    scene_path: Path,
    options: compress.CompressOptions,
    device: str,
    outputs: dict[str, Path],
    spz: Path | None = None,
    stream: Path | None = None,
) -> dict[str, Any]:
    """Write the SOGs of `outputs` ("desktop", "mobile"), each as light as its limit on the loss allows,
    `spz` with as many bits of its harmonics as the desktop's limit takes, and the levels of detail
    `stream` with as large palettes.

    Returns what was chosen, every attempt, and the curve of bytes against dB. The last attempt stands
    even when it is above the limit: check_codecs is the gate, on views that this never looks at.
    """
    from scripts.lib.encode import budget
    from scripts.lib.measure import evaluate, visibility
    from scripts.lib.scene.scene import load_scene

    views = evaluate.choose_views(ply, scene_path, evaluate.Purpose.STEER)
    scene, trained = load_scene(scene_path, LONG_SIDE), views.split.trained
    # Where the scene generalises badly, views it was not trained on hardly notice a loss that is plain to
    # see where it is good: some views of the training are measured too, and the larger loss counts.
    some_trained = evaluate.spread_views(
        dataclasses.replace(views, indices=trained, held_out=False), TRAINED_VIEWS
    )
    sets = [views, some_trained]
    photos = [[evaluate.photo_of(group, index) for index in group.indices] for group in sets]

    def quality(some: Gaussians) -> list[float]:
        """PSNR on the steering views, and on some that were trained on."""
        found = []
        for group, real in zip(sets, photos, strict=True):
            pairs = zip(evaluate.render_views(some, group, device), real, strict=True)
            found.append(evaluate.mean([evaluate.likeness(*pair) for pair in pairs], "psnr"))
        return found

    def loss(measured: list[float]) -> float:
        return max(before - now for before, now in zip(whole, measured, strict=True))

    importance = visibility.measure(gaussians, scene, trained, device).weight
    whole = quality(gaussians)
    front = budget.explore(gaussians, importance, lambda some: loss(quality(some)))
    tried: dict[budget.Try, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:

        def encoded(one: budget.Try) -> dict[str, Any]:
            """Encode one reduction, decode the file, measure it; every one only once."""
            if one not in tried:
                some = budget.reduced(gaussians, importance, one.item.degree, one.item.keep)
                path = (
                    Path(folder)
                    / f"{'_'.join(f'{value:g}' for value in one.as_json().values())}.sog"
                )
                more = compress.with_effort(options, one.effort, len(some))
                numbers = compress.write("sog", path, some, more, one.rounding)
                now = quality(decode(path))
                tried[one] = {
                    **one.as_json(),
                    "gaussians": len(some),
                    "bytes": numbers["bytes"],
                    "seconds": numbers["seconds"],
                    "psnr": now[0],
                    "delta_psnr": now[0] - whole[0],
                    "delta_psnr_trained": now[1] - whole[1],
                    "loss_db": loss(now),
                    "path": path,
                }
            return tried[one]

        # What two ways of saving cost by themselves, to guess which mixture keeps a limit.
        roundings = range(len(sog.ROUNDINGS))
        palette = 0.0
        if gaussians.sh_degree:
            palette = encoded(budget.Try(front[-1], budget.EFFORTS[0]))["loss_db"]
        costs = budget.Costs(
            [max(0.0, loss(quality(sog.rounded(gaussians, number)))) for number in roundings],
            max(0.0, palette),
        )
        found: dict[str, Any] = {}
        limits = {"desktop": options.desktop_loss_db, "mobile": options.mobile_loss_db}
        for target, output in outputs.items():
            budget.search(front, costs, limits[target], lambda one: float(encoded(one)["loss_db"]))
            # A try for another target, or to learn what costs what, may be lighter still.
            able = [entry for entry in tried.values() if entry["loss_db"] <= limits[target]]
            best = (
                min(able, key=lambda entry: entry["bytes"])
                if able
                else min(tried.values(), key=lambda entry: entry["loss_db"])
            )
            with replacing(output) as temporary:
                temporary.write_bytes(best["path"].read_bytes())
            within = best["loss_db"] <= limits[target]
            found[target] = {**best, "limit_db": limits[target], "within_limit": within}
            say(
                f"{target}: {best['gaussians']:,} Gaussians, SH degree {best['sh_degree']},"
                f" {best['bytes']:,} bytes, {best['loss_db']:.2f} dB lost"
                + ("" if within else f", which misses the limit of {limits[target]} dB")
            )
        for item in budget.spread(front, options.rate_points):
            encoded(budget.Try(item))
        if spz is not None:
            found["archive"] = archive(
                gaussians, spz, options, lambda path: loss(quality(decode(path)))
            )
        if stream is not None:
            found["stream"] = streamed(gaussians, stream, options, lambda some: loss(quality(some)))

    def plain(entry: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in entry.items() if key != "path"}

    return {
        "targets": {name: plain(entry) for name, entry in found.items() if entry},
        "rate": sorted((plain(entry) for entry in tried.values()), key=lambda e: e["bytes"]),
        "psnr": whole[0],
        "held_out": views.held_out,
        "measured_on": "steering" if views.split.steering else "trained",
        "views": views.names,
        "views_trained": some_trained.names,
        "split_counts": views.split.counts(),
    }


def first_within(limit_db: float, tries: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The first of `tries` whose loss_db keeps the limit, else the last, and whether it does; {} of none.

    Each try writes the file anew when it is asked for, so that what comes back is what lies there.
    """
    tried: dict[str, Any] = {}
    for entry in tries:
        tried = entry | {"limit_db": limit_db, "within_limit": entry["loss_db"] <= limit_db}
        if tried["within_limit"]:
            break
    return tried


def archive(
    gaussians: Gaussians,
    path: Path,
    options: compress.CompressOptions,
    loss_of: Callable[[Path], float],
) -> dict[str, Any]:
    """Write the SPZ: the reference encoder's few bits of harmonics where they do, else more of them."""
    bits = (options.spz_sh1_bits, options.spz_sh_rest_bits)
    ladder = [bits] + [more for more in SPZ_BITS if more > bits and gaussians.sh_degree]

    def written(first: int, rest: int) -> dict[str, Any]:
        more = dataclasses.replace(options, spz_sh1_bits=first, spz_sh_rest_bits=rest)
        return {
            "bytes": compress.write("spz", path, gaussians, more)["bytes"],
            "gaussians": len(gaussians),
            "sh_degree": gaussians.sh_degree,
            "sh_bits": [first, rest],
            "loss_db": loss_of(path),
        }

    return first_within(options.desktop_loss_db, (written(*pair) for pair in ladder))


def streamed(
    gaussians: Gaussians,
    path: Path,
    options: compress.CompressOptions,
    loss_of: Callable[[Gaussians], float],
) -> dict[str, Any]:
    """Write the levels of detail with palettes large enough for the finest one; {} for a small scene."""

    def tries() -> Iterator[dict[str, Any]]:
        for effort, rounding in STREAM_TRIES:
            more = compress.with_effort(options, effort, min(len(gaussians), lod.PART))
            numbers = compress.write_lod(path, gaussians, more, rounding)
            levels = lod.read(path)
            if not levels:
                return
            yield {
                **numbers,
                "gaussians": len(levels[0].gaussians),
                "sh_degree": gaussians.sh_degree,
                "effort": effort,
                "rounding": rounding,
                "loss_db": loss_of(levels[0].gaussians),
            }

    return first_within(options.desktop_loss_db, tries())


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: one input, any of the outputs, numbers as JSON."""
    parser = argparse.ArgumentParser(prog="python -m scripts.compress_splat", description=__doc__)
    parser.add_argument(
        "--ply", type=Path, required=True, help="the splat: a PLY, or any format read"
    )
    parser.add_argument(
        "--scene", type=Path, help="undistorted.zip: the SOGs fit its steering views"
    )
    parser.add_argument("--options", default="{}", help="config section compress_splat as JSON")
    parser.add_argument("--sog", type=Path, help="SOG to write")
    parser.add_argument("--mobile", type=Path, help="SOG for phones to write; needs --scene")
    parser.add_argument("--spz", type=Path, help="SPZ to write")
    parser.add_argument("--compressed-ply", type=Path, help="compressed PLY to write")
    parser.add_argument("--lod", type=Path, help="zip of the streamed form to write")
    parser.add_argument(
        "--metrics", type=Path, help="JSON to write: bytes, seconds, errors, choices"
    )
    add_compute_arguments(parser)
    given = parser.parse_args(argv)
    use_threads(given.threads)
    options = parse_options(compress.CompressOptions, given.options)
    outputs = {name: getattr(given, name) for name in compress.FORMATS if getattr(given, name)}
    if not outputs and not given.mobile:
        raise UserError("no output was named; give --sog, --spz or --compressed-ply")
    if given.mobile and not given.scene:
        raise UserError("--mobile is chosen by measured loss; give --scene undistorted.zip too")
    began = time.monotonic()
    gaussians = compress.checked(decode(given.ply), given.ply)
    source_degree = gaussians.sh_degree
    gaussians = compress.with_degree(gaussians, options.sh_degree)
    say(f"{given.ply}: {len(gaussians):,} Gaussians, SH degree {gaussians.sh_degree}")
    measured: dict[str, Any] = {}
    if given.scene:
        from scripts.lib.render.device import on_device

        wanted = {"desktop": outputs.pop("sog", None), "mobile": given.mobile}
        with on_device(given.device, given.gpus) as device:
            measured = targets(
                gaussians,
                given.ply,
                given.scene,
                options,
                device.type,
                {name: path for name, path in wanted.items() if path},
                outputs.pop("spz", None),
                given.lod,
            )
        measured |= {"device": device.type, "device_reason": device.reason}
    formats = {
        name: compress.write(name, path, gaussians, options) for name, path in outputs.items()
    }
    if given.lod and not given.scene:
        measured["lod"] = compress.write_lod(given.lod, gaussians, options)
    if given.metrics:
        write_json(
            given.metrics,
            {
                "gaussians": len(gaussians),
                "sh_degree": gaussians.sh_degree,
                "source_sh_degree": source_degree,
                "source_bytes": given.ply.stat().st_size if given.ply.is_file() else None,
                "formats": formats,
                **measured,
                "seconds": time.monotonic() - began,
                **provenance(options, *TRAINING, "pillow"),
            },
        )


if __name__ == "__main__":
    run_main(main)
