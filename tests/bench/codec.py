"""What a SOG of a splat without photos loses: python -m tests.bench.codec FILE [--noise-db 30].

Views from a ring about the splat stand in for held-out photos: its own renders plus noise of that PSNR, as
far as a trained splat usually is from its photos. Prints a JSON line for each rounding and palette.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripts.lib.encode import formats as compress
from scripts.lib.encode.budget import EFFORTS
from scripts.lib.encode.codecs import decode, sog
from scripts.lib.measure.metrics import psnr
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.start_view import intrinsics, look_at
from scripts.lib.splat.gaussians import Gaussians, write_ply
from scripts.lib.visit.poster import BACKGROUND

VIEWS, SIZE, FOV = 12, (480, 480), 45.0


def pictures(gaussians: Gaussians, like: Gaussians) -> list[np.ndarray]:
    """Renders of `gaussians` from a ring about the middle of `like`, filling the picture."""
    middle = np.median(like.means, axis=0).astype(float)
    radius = float(np.quantile(np.linalg.norm(like.means - middle, axis=1), 0.98))
    away = radius / math.sin(math.radians(FOV / 2))
    renderer, found = Renderer(gaussians, background=BACKGROUND), []
    for number, angle in enumerate(np.linspace(0, 2 * np.pi, VIEWS, endpoint=False)):
        rise = 0.3 * (-1) ** number
        place = middle + away * np.array([np.cos(angle), np.sin(angle), rise])
        found.append(renderer.picture(look_at(place, middle), intrinsics(FOV, *SIZE), SIZE))
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--noise-db", type=float, default=30.0)
    args = parser.parse_args(argv)
    gaussians = decode(args.file)
    whole = pictures(gaussians, gaussians)
    random = np.random.default_rng(0)
    noise = [random.normal(0, 10 ** (-args.noise_db / 20), image.shape) for image in whole]
    encoding = compress.Encoding.of(compress.CompressOptions())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        write_ply(path.with_suffix(".ply"), gaussians)
        ply = path.with_suffix(".ply").stat().st_size
        for rounding in range(len(sog.ROUNDINGS)):
            for effort in EFFORTS:
                more = compress.with_effort(encoding, effort, len(gaussians))
                target = path.with_suffix(".sog")
                size = compress.write("sog", target, gaussians, more, rounding).bytes
                again = pictures(decode(target), gaussians)
                kept = np.mean([psnr(a, b) for a, b in zip(again, whole, strict=True)])
                lost = [
                    psnr(b, b + n) - psnr(a, b + n)
                    for a, b, n in zip(again, whole, noise, strict=True)
                ]
                print(
                    json.dumps(
                        {
                            "rounding": rounding,
                            "effort": effort,
                            "bytes": size,
                            "ply_over_sog": round(ply / size, 2),
                            "psnr_to_ply": round(float(kept), 2),
                            "loss_db": round(float(np.mean(lost)), 3),
                        }
                    ),
                    flush=True,
                )


if __name__ == "__main__":
    main()
