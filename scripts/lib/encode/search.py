"""The lightest file for each target that keeps its limit, found by writing files and measuring them.

`budget` says what to try next; here it is written, decoded and measured. Needs torch, once it measures.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.lib.contracts.compress import Compress, Target, Tried
from scripts.lib.core.console import say
from scripts.lib.core.files import replacing
from scripts.lib.core.threads import threads
from scripts.lib.encode import budget, formats, levels, lod
from scripts.lib.encode.codecs import decode, sog
from scripts.lib.encode.meter import Measured, Meter
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.splat.pieces import Splat

SPZ_BITS = (
    (6, 5),
    (7, 6),
    (8, 8),
)  # of harmonics of degree 1 and above, when the usual ones lose too much
# Factors on the palettes of the levels of detail, and the rounding of their other numbers.
STREAM_TRIES = ((1 / 16, 1), (1 / 4, 1), (1.0, 0), (2.0, 0), (4.0, 0))
RATE_POINTS = 5  # files for the curve of bytes against dB, beside those that the search tries
TOGETHER = 2_000_000  # Gaussians in all that are encoded side by side, some kB of memory each


@dataclass(frozen=True)
class Written:
    """A SOG of a try: its file, Gaussians, bytes and the seconds that encoding took."""

    path: Path
    gaussians: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Attempt:
    """A SOG that was written, decoded and measured."""

    of: budget.Try
    written: Written
    measured: Measured

    def told(self) -> Tried:
        """What it is and how far it is from the whole splat, for compress.json."""
        now, whole = self.measured.quality, self.measured.whole
        return Tried(
            sh_degree=self.of.item.degree,
            keep=self.of.item.keep,
            effort=self.of.effort,
            rounding=self.of.rounding,
            gaussians=self.written.gaussians,
            bytes=self.written.bytes,
            seconds=self.written.seconds,
            psnr=now.steering,
            delta_psnr=now.steering - whole.steering,
            delta_psnr_trained=now.trained - whole.trained,
            loss_db=self.measured.loss_db,
        )


class Attempts:
    """Every SOG tried for a splat, in `folder`; each is encoded and measured only once."""

    def __init__(
        self, gaussians: Gaussians, meter: Meter, encoding: formats.Encoding, folder: Path
    ) -> None:
        self.gaussians, self.meter, self.encoding, self.folder = gaussians, meter, encoding, folder
        self.tried: dict[budget.Try, Attempt] = {}

    def made(self, one: budget.Try) -> Attempt:
        """One reduction encoded, its file decoded and measured."""
        if one not in self.tried:
            self._measure(one, self._write(one))
        return self.tried[one]

    def make(self, several: Sequence[budget.Try]) -> None:
        """Make several attempts, encoded side by side where they are small."""
        new = [one for one in dict.fromkeys(several) if one not in self.tried]
        workers = max(1, min(threads(), TOGETHER // len(self.gaussians)))
        with ThreadPoolExecutor(workers) as pool:
            for one, written in zip(new, pool.map(self._write, new), strict=True):
                self._measure(one, written)

    def _write(self, one: budget.Try) -> Written:
        some = budget.reduced(self.gaussians, self.meter.importance, one.item.degree, one.item.keep)
        path = self.folder / f"{one.name}.sog"
        more = formats.with_effort(self.encoding, one.effort, len(some))
        numbers = formats.write("sog", path, some, more, one.rounding)
        return Written(path, len(some), numbers.bytes, numbers.seconds)

    def _measure(self, one: budget.Try, written: Written) -> None:
        self.tried[one] = Attempt(one, written, self.meter.compared(decode(written.path)))

    def costs(self, front: list[budget.Reduction]) -> budget.Costs:
        """What two ways of saving cost by themselves, to guess which mixture keeps a limit."""
        palette = 0.0
        if self.gaussians.sh_degree:
            palette = self.made(smallest_palette(front)).measured.loss_db
        rounding = [
            max(0.0, self.meter.compared(sog.rounded(self.gaussians, number)).loss_db)
            for number in range(len(sog.ROUNDINGS))
        ]
        return budget.Costs(rounding, max(0.0, palette))

    def best(self, limit_db: float) -> Attempt:
        """The lightest that keeps the limit on all views, else the one that loses least; measured on all.

        A try for another target, or to learn what costs what, may be lighter than those for this one.
        """
        able = [one for one in self.tried.values() if one.measured.loss_db <= limit_db]
        for attempt in sorted(able, key=lambda one: one.written.bytes):
            full = self._on_all(attempt)
            if full.measured.loss_db <= limit_db:
                return full
        return self._on_all(min(self.tried.values(), key=lambda one: one.measured.loss_db))

    def _on_all(self, attempt: Attempt) -> Attempt:
        if self.meter.all_compared:
            return attempt
        measured = self.meter.full(decode(attempt.written.path))
        return dataclasses.replace(attempt, measured=measured)

    def fit(
        self,
        target: str,
        output: Path,
        limit_db: float,
        front: list[budget.Reduction],
        costs: budget.Costs,
        most_bytes: int = 0,
    ) -> Target:
        """Write the lightest file that keeps the limit to `output`; what it is, for compress.json.

        Where that is larger than `most_bytes` (0: no matter), the one within them that loses least.
        """
        richer = formats.richer_efforts(self.encoding, budget.RICHER, len(self.gaussians))
        budget.search(front, costs, limit_db, lambda one: self.made(one).measured.loss_db, richer)
        best = self.best(limit_db)
        if most_bytes and best.written.bytes > most_bytes:
            best = self.within(most_bytes, front, costs)
        with replacing(output) as temporary:
            temporary.write_bytes(best.written.path.read_bytes())
        lost = best.measured.loss_db
        say(
            f"{target}: {best.written.gaussians:,} Gaussians, SH degree {best.of.item.degree},"
            f" {best.written.bytes:,} bytes, {lost:.2f} dB lost"
            + ("" if lost <= limit_db else f", which is more than the limit of {limit_db} dB")
        )
        fits = best.written.bytes <= most_bytes if most_bytes else None
        if fits is False:
            say(f"{target}: no file is smaller than {most_bytes:,} bytes; this is the smallest")
        return Target(
            **dataclasses.asdict(best.told()),
            limit_db=limit_db,
            within_limit=lost <= limit_db,
            max_bytes=most_bytes or None,
            within_bytes=fits,
        )

    def within(
        self, most_bytes: int, front: list[budget.Reduction], costs: budget.Costs
    ) -> Attempt:
        """The file of at most so many bytes that loses least, else the smallest; measured on all views."""
        count = len(self.gaussians)
        known = [one.written.bytes / (one.of.weight() * count) for one in self.tried.values()]
        budget.search_bytes(
            front,
            costs,
            count,
            most_bytes,
            lambda one: self.made(one).written.bytes,
            float(np.median(known)),
        )
        small = [one for one in self.tried.values() if one.written.bytes <= most_bytes]
        if small:
            return self._on_all(min(small, key=lambda one: one.measured.loss_db))
        return self._on_all(min(self.tried.values(), key=lambda one: one.written.bytes))

    def rate(self) -> tuple[Tried, ...]:
        """Every attempt, lightest first: the curve of bytes against dB."""
        every = sorted(self.tried.values(), key=lambda attempt: attempt.written.bytes)
        return tuple(attempt.told() for attempt in every)


def smallest_palette(front: list[budget.Reduction]) -> budget.Try:
    """The try that tells what a small palette costs."""
    return budget.Try(front[-1], budget.EFFORTS[0])


def targets(
    gaussians: Gaussians,
    ply: Path,
    scene_path: Path,
    options: formats.CompressOptions,
    device: str,
    files: formats.Files,
    made: Compress,
) -> Compress:
    """Write the SOGs of `files`, each as light as its limit on the loss allows, the SPZ with as many bits of
    its harmonics as the desktop's limit takes, and the levels of detail with as large palettes.

    Returns `made` with what was chosen, every attempt, and the curve of bytes against dB. The last attempt
    stands even when it is above the limit: check_codecs is the gate, on views that this never looks at.
    """
    meter, encoding = Meter(gaussians, ply, scene_path, device), formats.Encoding.of(options)
    limit = options.desktop_loss_db
    front = budget.explore(gaussians, meter.importance, lambda some: meter.compared(some).loss_db)
    found: dict[str, Target | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        attempts = Attempts(gaussians, meter, encoding, Path(folder))
        # Those that are tried whatever comes out, first.
        known = [budget.Try(item) for item in budget.spread(front, RATE_POINTS)]
        attempts.make([smallest_palette(front), *known] if gaussians.sh_degree else known)
        costs = attempts.costs(front)
        most = round(1e6 * options.mobile_max_mb)
        for target, output, limit_db, most_bytes in (
            ("desktop", files.sog, options.desktop_loss_db, 0),
            ("mobile", files.mobile, options.mobile_loss_db, most),
        ):
            if output is not None:
                found[target] = attempts.fit(target, output, limit_db, front, costs, most_bytes)
    if files.spz is not None:
        found["archive"] = archive(
            gaussians, files.spz, encoding, limit, lambda path: meter.loss(decode(path))
        )
    if files.lod is not None:
        found["stream"] = streamed(
            gaussians, files.lod, encoding, limit, meter.loss, costs.rounding
        )
    chosen = {name: entry for name, entry in found.items() if entry}
    return dataclasses.replace(meter.told_to(made), targets=chosen, rate=attempts.rate())


def first_within(tries: Iterable[Target]) -> Target | None:
    """The first of `tries` that keeps its limit, else the last; None of none.

    Each try writes the file anew when it is asked for, so that what comes back is what lies there.
    """
    tried = None
    for tried in tries:
        if tried.within_limit:
            break
    return tried


def archive(
    gaussians: Gaussians,
    path: Path,
    encoding: formats.Encoding,
    limit_db: float,
    loss_of: Callable[[Path], float],
) -> Target | None:
    """Write the SPZ: the reference encoder's few bits of harmonics where they do, else more of them."""
    settings_tried = [encoding.sh_bits, *(SPZ_BITS if gaussians.sh_degree else ())]

    def written(first: int, rest: int) -> Target:
        more = dataclasses.replace(encoding, sh_bits=(first, rest))
        size = formats.write("spz", path, gaussians, more).bytes
        loss = loss_of(path)
        return Target(
            bytes=size,
            gaussians=len(gaussians),
            sh_degree=gaussians.sh_degree,
            sh_bits=(first, rest),
            loss_db=loss,
            limit_db=limit_db,
            within_limit=loss <= limit_db,
        )

    return first_within(written(*pair) for pair in settings_tried)


def streamed(
    splat: Splat,
    path: Path,
    encoding: formats.Encoding,
    limit_db: float,
    loss_of: Callable[[Splat], float],
    rounding_db: Sequence[float],
    tries: Sequence[tuple[float, int]] = STREAM_TRIES,
) -> Target | None:
    """Write the levels of detail with palettes large enough for the finest one; None for a small scene.

    rounding_db: what each rounding loses by itself. Tries that it alone makes miss the limit are left out.
    """
    part = min(len(splat), lod.PART)
    richer = formats.richer_efforts(encoding, [effort for effort, _ in tries], part)
    settings_tried = [
        (effort, rounding)
        for effort, rounding in tries
        if (effort <= 1 or effort in richer)
        and (rounding == 0 or rounding_db[rounding] <= limit_db)
    ]

    def made() -> Iterator[Target]:
        for effort, rounding in settings_tried:
            more = formats.with_effort(encoding, effort, part)
            numbers = formats.write_lod(path, splat, more, rounding)
            found = levels.read(path)
            if not found:
                return
            loss = loss_of(found[0].gaussians)
            yield Target(
                files=numbers.files,
                bytes=numbers.bytes,
                gaussians=len(found[0].gaussians),
                sh_degree=splat.sh_degree,
                effort=effort,
                rounding=rounding,
                loss_db=loss,
                limit_db=limit_db,
                within_limit=loss <= limit_db,
            )

    return first_within(made())
