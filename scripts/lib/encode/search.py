"""The lightest file for each target that keeps its limit, found by writing files and measuring them.

`budget` says what to try next; here it is written, decoded and measured. Needs torch, once it measures.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.core.console import say
from scripts.lib.core.files import replacing
from scripts.lib.encode import budget, formats, lod
from scripts.lib.encode.codecs import decode, sog
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


@dataclass(frozen=True)
class Quality:
    """Mean PSNR in dB on the steering views, and on some that were trained on."""

    steering: float
    trained: float

    def lost(self, now: Quality) -> float:
        """The dB by which `now` is worse, on the views where it is more so."""
        return max(self.steering - now.steering, self.trained - now.trained)


class Meter:
    """Measures splats against one whole splat, on views that steer and on some that were trained on.

    Where the scene generalises badly, views it was not trained on hardly notice a loss that is plain to see
    where it is good: so some views of the training are measured too, and the larger loss counts.
    """

    def __init__(self, gaussians: Gaussians, ply: Path, scene_path: Path, device: str) -> None:
        from scripts.lib.measure import evaluate, visibility
        from scripts.lib.scene.scene import load_scene

        self.device = device
        self.views = evaluate.choose_views(ply, scene_path, evaluate.Purpose.STEER)
        scene, trained = load_scene(scene_path, LONG_SIDE), self.views.split.trained
        self.trained = evaluate.spread_views(
            dataclasses.replace(self.views, indices=trained, held_out=False), TRAINED_VIEWS
        )
        self._photos = [
            [evaluate.photo_of(views, index) for index in views.indices]
            for views in (self.views, self.trained)
        ]
        # How much each Gaussian (N,) is seen.
        self.importance: npt.NDArray[np.float64] = visibility.measure(
            gaussians, scene, trained, device
        ).weight
        self.whole = self.quality(gaussians)

    def quality(self, some: Gaussians) -> Quality:
        """How like the photos a splat looks."""
        from scripts.lib.measure import evaluate

        found = []
        for views, photos in zip((self.views, self.trained), self._photos, strict=True):
            pairs = zip(evaluate.render_views(some, views, self.device), photos, strict=True)
            found.append(evaluate.mean([evaluate.likeness(*pair) for pair in pairs], "psnr"))
        return Quality(*found)

    def loss(self, some: Gaussians) -> float:
        """The dB that a splat loses against the whole one."""
        return self.whole.lost(self.quality(some))

    def as_json(self) -> dict[str, Any]:
        """What was measured on, for compress.json."""
        return {
            "psnr": self.whole.steering,
            "held_out": self.views.held_out,
            "measured_on": "steering" if self.views.split.steering else "trained",
            "views": self.views.names,
            "views_trained": self.trained.names,
            "split_counts": self.views.split.counts(),
        }


@dataclass(frozen=True)
class Attempt:
    """A SOG that was written, decoded and measured."""

    of: budget.Try
    path: Path
    gaussians: int
    bytes: int
    seconds: float
    quality: Quality
    loss_db: float

    def as_json(self, whole: Quality) -> dict[str, Any]:
        """What it is and how far it is from the `whole` splat, for compress.json."""
        return {
            **self.of.as_json(),
            "gaussians": self.gaussians,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "psnr": self.quality.steering,
            "delta_psnr": self.quality.steering - whole.steering,
            "delta_psnr_trained": self.quality.trained - whole.trained,
            "loss_db": self.loss_db,
        }


class Attempts:
    """Every SOG tried for a splat, in `folder`; each is encoded and measured only once."""

    def __init__(
        self, gaussians: Gaussians, meter: Meter, options: formats.CompressOptions, folder: Path
    ) -> None:
        self.gaussians, self.meter, self.options, self.folder = gaussians, meter, options, folder
        self.tried: dict[budget.Try, Attempt] = {}

    def made(self, one: budget.Try) -> Attempt:
        """One reduction encoded, its file decoded and measured."""
        if one not in self.tried:
            self.tried[one] = self._make(one)
        return self.tried[one]

    def _make(self, one: budget.Try) -> Attempt:
        some = budget.reduced(self.gaussians, self.meter.importance, one.item.degree, one.item.keep)
        name = "_".join(f"{value:g}" for value in one.as_json().values())
        path = self.folder / f"{name}.sog"
        more = formats.with_effort(self.options, one.effort, len(some))
        numbers = formats.write("sog", path, some, more, one.rounding)
        now = self.meter.quality(decode(path))
        loss = self.meter.whole.lost(now)
        return Attempt(one, path, len(some), numbers["bytes"], numbers["seconds"], now, loss)

    def costs(self, front: list[budget.Reduction]) -> budget.Costs:
        """What two ways of saving cost by themselves, to guess which mixture keeps a limit."""
        palette = 0.0
        if self.gaussians.sh_degree:
            palette = self.made(budget.Try(front[-1], budget.EFFORTS[0])).loss_db
        rounding = [
            max(0.0, self.meter.loss(sog.rounded(self.gaussians, number)))
            for number in range(len(sog.ROUNDINGS))
        ]
        return budget.Costs(rounding, max(0.0, palette))

    def best(self, limit_db: float) -> Attempt:
        """The lightest that keeps the limit, else the one that loses least.

        A try for another target, or to learn what costs what, may be lighter than those for this one.
        """
        able = [attempt for attempt in self.tried.values() if attempt.loss_db <= limit_db]
        if able:
            return min(able, key=lambda attempt: attempt.bytes)
        return min(self.tried.values(), key=lambda attempt: attempt.loss_db)

    def fit(
        self,
        target: str,
        output: Path,
        limit_db: float,
        front: list[budget.Reduction],
        costs: budget.Costs,
    ) -> dict[str, Any]:
        """Write the lightest file that keeps the limit to `output`; what it is, for compress.json."""
        budget.search(front, costs, limit_db, lambda one: float(self.made(one).loss_db))
        best = self.best(limit_db)
        with replacing(output) as temporary:
            temporary.write_bytes(best.path.read_bytes())
        within = best.loss_db <= limit_db
        say(
            f"{target}: {best.gaussians:,} Gaussians, SH degree {best.of.item.degree},"
            f" {best.bytes:,} bytes, {best.loss_db:.2f} dB lost"
            + ("" if within else f", which misses the limit of {limit_db} dB")
        )
        whole = self.meter.whole
        return {**best.as_json(whole), "limit_db": limit_db, "within_limit": within}

    def rate(self) -> list[dict[str, Any]]:
        """Every attempt, lightest first: the curve of bytes against dB."""
        every = sorted(self.tried.values(), key=lambda attempt: attempt.bytes)
        return [attempt.as_json(self.meter.whole) for attempt in every]


def targets(
    gaussians: Gaussians,
    ply: Path,
    scene_path: Path,
    options: formats.CompressOptions,
    device: str,
    files: formats.Files,
) -> dict[str, Any]:
    """Write the SOGs of `files`, each as light as its limit on the loss allows, the SPZ with as many bits of
    its harmonics as the desktop's limit takes, and the levels of detail with as large palettes.

    Returns what was chosen, every attempt, and the curve of bytes against dB. The last attempt stands
    even when it is above the limit: check_codecs is the gate, on views that this never looks at.
    """
    meter = Meter(gaussians, ply, scene_path, device)
    front = budget.explore(gaussians, meter.importance, meter.loss)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        attempts = Attempts(gaussians, meter, options, Path(folder))
        costs = attempts.costs(front)
        for target, output, limit_db in (
            ("desktop", files.sog, options.desktop_loss_db),
            ("mobile", files.mobile, options.mobile_loss_db),
        ):
            if output is not None:
                found[target] = attempts.fit(target, output, limit_db, front, costs)
        for item in budget.spread(front, options.rate_points):
            attempts.made(budget.Try(item))
    if files.spz is not None:
        found["archive"] = archive(
            gaussians, files.spz, options, lambda path: meter.loss(decode(path))
        )
    if files.lod is not None:
        found["stream"] = streamed(gaussians, files.lod, options, meter.loss)
    chosen = {name: entry for name, entry in found.items() if entry}
    return {"targets": chosen, "rate": attempts.rate(), **meter.as_json()}


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
    options: formats.CompressOptions,
    loss_of: Callable[[Path], float],
) -> dict[str, Any]:
    """Write the SPZ: the reference encoder's few bits of harmonics where they do, else more of them."""
    bits = (options.spz_sh1_bits, options.spz_sh_rest_bits)
    ladder = [bits] + [more for more in SPZ_BITS if more > bits and gaussians.sh_degree]

    def written(first: int, rest: int) -> dict[str, Any]:
        more = dataclasses.replace(options, spz_sh1_bits=first, spz_sh_rest_bits=rest)
        return {
            "bytes": formats.write("spz", path, gaussians, more)["bytes"],
            "gaussians": len(gaussians),
            "sh_degree": gaussians.sh_degree,
            "sh_bits": [first, rest],
            "loss_db": loss_of(path),
        }

    return first_within(options.desktop_loss_db, (written(*pair) for pair in ladder))


def streamed(
    gaussians: Gaussians,
    path: Path,
    options: formats.CompressOptions,
    loss_of: Callable[[Gaussians], float],
) -> dict[str, Any]:
    """Write the levels of detail with palettes large enough for the finest one; {} for a small scene."""

    def tries() -> Iterator[dict[str, Any]]:
        for effort, rounding in STREAM_TRIES:
            more = formats.with_effort(options, effort, min(len(gaussians), lod.PART))
            numbers = formats.write_lod(path, gaussians, more, rounding)
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
