"""Photos of cameras that misbehave: `python -m tests.bench.uneven undistorted.zip` prints one JSON line.

The photos trained on are changed as a camera would have: `exposure` (a wave of `--amount` EV over the photos
and a white balance that wanders by a tenth of it), `vignetting` (corners lose `--amount` of their light), or
`blur` (a third of the photos is moved by `--amount`
pixels of those trained on, in any direction). Test photos stay as they are. Three runs for each seed: on the
photos as they were, on the changed ones without the correction, and with what the trainer does by itself.
PSNR in dB of the test photos: as they are, after one gain and offset of each colour for all of them together,
and after one of each photo's own.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from scripts.lib.core.threads import use_threads

Picture = npt.NDArray[np.float32]
AMOUNTS = {"exposure": 1.0, "vignetting": 0.4, "blur": 6.0}
OFF: dict[str, dict[str, Any]] = {
    "exposure": {"exposure": False},
    "vignetting": {"lens_light": False},
    "blur": {"weigh_sharpness": False},
}
ON: dict[str, dict[str, Any]] = {
    "exposure": {"exposure": "auto"},
    "vignetting": {"lens_light": True},
    "blur": {"weigh_sharpness": True},
}
SEED = 17  # of what the cameras do


def linear(stored: Picture) -> Picture:
    """Light (...) of colours as they are stored (IEC 61966-2-1), both in 0..1."""
    return np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)


def encoded(light: Picture) -> Picture:
    """The inverse of `linear`."""
    root = np.maximum(light, 1e-9) ** (1 / 2.4)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * root - 0.055).clip(0, 1)


def exposed(picture: Picture, stops: float, tint: Picture) -> Picture:
    """A picture (H, W, 3) of `stops` EV more light, and of the logarithms `tint` (3,) more of each colour."""
    return encoded(linear(picture) * 2**stops * np.exp(tint))


def vignetted(picture: Picture, amount: float) -> Picture:
    """A picture whose corners have lost `amount` of their light."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    square = (2 * x - width) ** 2 + (2 * y - height) ** 2
    left = 1 - amount * square / (width**2 + height**2)
    return encoded(linear(picture) * left[..., None])


def moved(picture: Picture, pixels: float, angle: float) -> Picture:
    """A picture taken while it moved by so many pixels in the direction `angle` (radians)."""
    steps = np.linspace(-0.5, 0.5, 2 * int(np.ceil(pixels)) + 1) * pixels
    shifts = [(np.sin(angle) * step, np.cos(angle) * step, 0) for step in steps]
    light = linear(picture)
    found = [ndimage.shift(light, shift, order=1, mode="nearest") for shift in shifts]
    return encoded(np.mean(found, axis=0, dtype=np.float32))


def changes(kind: str, amount: float, photos: int, size: int) -> list[Callable[[Picture], Picture]]:
    """What happens to each photo, given at its own size; `size`: pixels of the long side trained on."""
    rng = np.random.default_rng(SEED)
    wander = np.cumsum(rng.normal(size=(photos, 3)), axis=0)
    wander = 0.12 * amount * (wander - wander.mean(axis=0)) / np.abs(wander).max(axis=0)
    stops = amount * np.cos(2.6 * np.pi * np.arange(photos) / photos)

    blurred = rng.permutation(photos) < photos // 3
    angles = rng.uniform(0, np.pi, photos)

    def blur(it: Picture, number: int) -> Picture:
        pixels = amount * max(it.shape[:2]) / size
        return moved(it, pixels, angles[number]) if blurred[number] else it

    def change(number: int) -> Callable[[Picture], Picture]:
        if kind == "vignetting":
            return lambda it: vignetted(it, amount)
        if kind == "blur":
            return lambda it: blur(it, number)
        return lambda it: exposed(it, stops[number], wander[number] * [1, 0, 1])

    return [change(number) for number in range(photos)]


def copy(source: Path, target: Path, change: dict[str, Callable[[Picture], Picture]]) -> None:
    """Write the scene `source` to `target` with those photos changed that `change` names."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if wanted := change.get(member.removeprefix("images/")):
                with Image.open(io.BytesIO(data)) as image:
                    picture = np.asarray(image.convert("RGB"), np.float32) / np.float32(255)
                buffer = io.BytesIO()
                stored = (wanted(picture) * 255 + 0.5).astype(np.uint8)
                Image.fromarray(stored).save(buffer, "JPEG", quality=97)
                data = buffer.getvalue()
            new.writestr(member, data)


def fitted_together(renders: list[Picture], photos: list[Picture]) -> list[Picture]:
    """The renders with the one gain and offset of each colour that bring them all nearest to the photos."""
    made, real = (np.concatenate([it.reshape(-1, 3) for it in some]) for some in (renders, photos))
    fits = [np.polyfit(made[:, colour], real[:, colour], 1) for colour in range(3)]
    gain, offset = np.transpose(fits)
    return [(it * gain + offset).clip(0, 1).astype(np.float32) for it in renders]


def run(path: Path, size: int, options: dict[str, Any]) -> dict[str, Any]:
    """Train on `path`, and judge on its test photos."""
    from scripts.lib.measure.evaluate import exposed_as
    from scripts.lib.measure.metrics import psnr
    from scripts.lib.render.renderer import Renderer
    from scripts.lib.scene.scene import load_scene
    from scripts.lib.scene.split import split_scene
    from scripts.lib.train.loop import train
    from scripts.lib.train.options import Capture, TrainOptions, resolve

    scene = load_scene(path, size)
    split = split_scene(scene, TrainOptions.test_every)
    settings = resolve(TrainOptions(**options), "cpu", Capture.of(scene.sizes[split.trained]))
    began = time.process_time()
    outcome = train(scene, settings, None, 0)
    spent = time.process_time() - began
    renderer = Renderer(outcome.gaussians, "cpu")
    cameras = [(scene.world_to_camera[i], scene.K[i], scene.sizes[i]) for i in split.judged]
    renders = [renderer.picture(*it).clip(0, 1) for it in cameras]
    photos = [np.asarray(it, np.float32) / np.float32(255) for it in scene.photos(split.judged)]
    together = fitted_together(renders, photos)
    each = [exposed_as(a, b) for a, b in zip(renders, photos, strict=True)]
    tried = {"as_they_are": renders, "one_fit": together, "each_fitted": each}
    found = {
        name: round(float(np.mean([psnr(a, b) for a, b in zip(made, photos, strict=True)])), 3)
        for name, made in tried.items()
    }
    exposure = outcome.metrics.exposure
    told = (
        {} if exposure is None else {"corrected": exposure.corrected, "rms": round(exposure.rms, 4)}
    )
    return found | told | {"gaussians": len(outcome.gaussians), "cpu_s": round(spent, 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path, help="undistorted.zip")
    parser.add_argument("--kind", choices=AMOUNTS, default="exposure")
    parser.add_argument("--amount", type=float, help="EV, share, or pixels")
    parser.add_argument("--size", type=int, default=320, help="long side in pixels")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--gaussians", type=int, default=12_000, help="at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", nargs="+", default=["clean", "uncorrected", "corrected"])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    use_threads(args.threads)

    from scripts.lib.scene.scene import load_scene
    from scripts.lib.scene.split import split_scene

    amount = AMOUNTS[args.kind] if args.amount is None else args.amount
    scene = load_scene(args.scene)
    split = split_scene(scene, 8)
    kept = {*split.judged, *split.steering}
    every = changes(args.kind, amount, len(scene), args.size)
    change = {scene.names[i]: every[i] for i in range(len(scene)) if i not in kept}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in args.runs}
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder) / "changed.zip"
        if {*args.runs} - {"clean", "clean_off"}:
            copy(args.scene, changed, change)
        for seed in args.seeds:
            common = {"steps": args.steps, "resolution": args.size, "seed": seed}
            common |= {"max_gaussians": args.gaussians}
            for name in args.runs:
                path = args.scene if name.startswith("clean") else changed
                switch = (OFF if name in ("uncorrected", "clean_off") else ON)[args.kind]
                rows[name].append(run(path, args.size, common | switch) | {"seed": seed})
    keys = ("as_they_are", "one_fit", "each_fitted")
    means = {
        name: {key: round(float(np.mean([row[key] for row in found])), 3) for key in keys}
        for name, found in rows.items()
    }
    told = {"bench": "uneven", "kind": args.kind, "amount": amount, "size": args.size}
    print(json.dumps(told | {"steps": args.steps, "mean": means, "runs": rows}))


if __name__ == "__main__":
    main()
