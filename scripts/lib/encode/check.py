"""Measure encoded files on the judging photos: decode each, compare, and refuse too great a loss."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.lib.contracts.codecs import Codecs, Level, Shipped, WorstView
from scripts.lib.contracts.compress import Compress
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.console import Progress, UserError
from scripts.lib.core.options import Options, option
from scripts.lib.core.provenance import TRAINING
from scripts.lib.encode import levels
from scripts.lib.encode.codecs import parts
from scripts.lib.splat import pieces
from scripts.lib.splat.pieces import Splat

if TYPE_CHECKING:
    from scripts.lib.measure.evaluate import Views
    from scripts.lib.render.device import Device
    from scripts.lib.render.renderer import Picture


# FLIP takes a second of a core for half a megapixel, ten times what all else does, in each of nine files.
FLIP_VIEWS = 12


@dataclass(frozen=True)
class CheckOptions(Options):
    """Quality of the published files after decoding, at the resolution used in training."""

    max_loss_db: float = option(
        0.5,
        """The run fails if the page's file (SOG) or its streamed form loses more PSNR than this against the
        PLY on the test photos.""",
        0,
        100,
        unit="dB",
    )
    max_mobile_loss_db: float = option(
        1.0, "The same for the file that phones load.", 0, 100, unit="dB"
    )


# Which option limits the loss of a format; the others are only measured.
TARGETS = {"sog": "desktop", "mobile_sog": "mobile"}  # what compress.json calls them
LIMITS = {"sog": "max_loss_db", "lod": "max_loss_db", "mobile_sog": "max_mobile_loss_db"}


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


class Judge:
    """Compares splats with the photos of some views, and with the renders of the trained splat."""

    def __init__(self, trained: Splat, views: Views, device: str) -> None:
        from scripts.lib.measure import evaluate

        self.views, self.device = views, device
        self.photos = [evaluate.photo_of(views, index) for index in views.indices]
        self.original = self._renders(trained)
        self._original_alike = evaluate.image_qualities(self.original, self.photos)
        self.reference = evaluate.mean(self._original_alike, "psnr")  # dB of the PLY

    def _renders(self, splat: Splat) -> list[Picture]:
        from scripts.lib.measure import evaluate

        return list(evaluate.render_views(splat, self.views, self.device))

    def trained(self, splat: Splat, size: int) -> Level:
        """Numbers of the trained splat itself, in a file of so many bytes."""
        return self._numbers(splat, self.original, self._original_alike, size)

    def decoded(self, splat: Splat, size: int) -> Level:
        """Numbers of a decoded file of so many bytes."""
        from scripts.lib.measure import evaluate

        renders = self._renders(splat)
        return self._numbers(splat, renders, evaluate.image_qualities(renders, self.photos), size)

    def _numbers(
        self,
        splat: Splat,
        renders: list[Picture],
        seen: Sequence[Mapping[str, float]],
        size: int,
    ) -> Level:
        from scripts.lib.measure import evaluate

        kept = [evaluate.visible_psnr(*pair) for pair in zip(renders, self.original, strict=True)]
        names = self.views.names
        worst = min(range(len(names)), key=lambda i: seen[i]["psnr"])
        apart = [
            evaluate.flip(renders[i], self.photos[i])
            for i in evaluate.spread(len(names), FLIP_VIEWS)
        ]
        psnr = evaluate.mean(seen, "psnr")
        return Level(
            bytes=size,
            gaussians=len(splat),
            sh_degree=splat.sh_degree,
            psnr=psnr,
            ssim=evaluate.mean(seen, "ssim"),
            flip=sum(apart) / len(apart),
            psnr_to_ply=sum(kept) / len(kept),
            worst_view=WorstView(names[worst], seen[worst]["psnr"], seen[worst]["ssim"]),
            delta_psnr=psnr - self.reference,
        )


def check_codecs(
    ply: Path,
    scene: Path,
    encoded: Sequence[Path],
    options: CheckOptions,
    metrics: Path,
    device: Device,
    compressed: Path | None = None,
) -> Codecs:
    """Measure `encoded` against `ply` and the photos; write and return the metrics.

    `compressed` is compress_splat's own JSON: what was chosen, and its curve of bytes against dB.
    Raises UserError, after writing, when a file of the page loses more than it may.
    """
    from scripts.lib.measure import evaluate

    made = read(Compress, compressed) if compressed else None
    views = evaluate.affordable(evaluate.choose_views(ply, scene, evaluate.Purpose.JUDGE))
    with pieces.opened(ply, metrics) as found:
        judge = Judge(found.splat, views, device.type)
        formats = measured(ply, found.splat, encoded, judge, metrics)
    failed = too_lossy(formats, options, stand_ins(made))
    result = Codecs(
        formats=formats,
        max_loss_db=options.max_loss_db,
        max_mobile_loss_db=options.max_mobile_loss_db,
        passed=not failed,
        held_out=views.held_out,
        split_counts=views.split.counts(),
        views=tuple(views.names),
        flip_views=min(FLIP_VIEWS, len(views.indices)),
        resolution=int(views.scene.sizes.max()),
        device=device.type,
        device_reason=device.reason,
        targets=(made and made.targets) or {},
        rate=(made and made.rate) or (),
    )
    result = stamped(result, options, *TRAINING)
    write(metrics, result)
    if failed:
        refuse(failed[0], formats[failed[0]], options)
    return result


def measured(
    ply: Path, trained: Splat, encoded: Sequence[Path], judge: Judge, beside: Path
) -> dict[str, Shipped]:
    """Numbers of the trained splat and of every file by its format, each with its loss against the PLY.

    Very large files are unpacked beside the file `beside` while they are measured.
    """
    progress = Progress("check_codecs", len(encoded) + 1)
    formats: dict[str, Shipped] = {}
    for done, path in enumerate((ply, *encoded), 1):
        kind, size = format_of(path), path.stat().st_size
        if path == ply:
            formats[kind] = shipped(path, judge.trained(trained, size))
        elif kind == "lod":
            some = tuple(judge.decoded(level.gaussians, level.bytes) for level in levels.read(path))
            if some:  # a small scene has none
                # What a visitor sees in the end is the finest level; the others come before it.
                formats[kind] = replace(shipped(path, some[0]), bytes=size, levels=some)
        else:
            with parts.opened(path, beside) as splat:
                formats[kind] = shipped(path, judge.decoded(splat, size))
        progress.update(done, path.name)
    return formats


def shipped(path: Path, numbers: Level) -> Shipped:
    """The numbers of a file that ships."""
    return Shipped(
        file=path.name,
        bytes=numbers.bytes,
        gaussians=numbers.gaussians,
        sh_degree=numbers.sh_degree,
        psnr=numbers.psnr,
        ssim=numbers.ssim,
        flip=numbers.flip,
        psnr_to_ply=numbers.psnr_to_ply,
        worst_view=numbers.worst_view,
        delta_psnr=numbers.delta_psnr,
    )


def stand_ins(made: Compress | None) -> set[str]:
    """Formats of which only an overview was made, because the whole is streamed: no limit holds for them."""
    targets = (made and made.targets) or {}
    return {
        name for name, target in TARGETS.items() if target in targets and targets[target].overview
    }


def too_lossy(
    formats: Mapping[str, Shipped], options: CheckOptions, but: Collection[str] = ()
) -> list[str]:
    """Formats, `but` for some, that lose more than they may."""
    return [
        name
        for name, option in LIMITS.items()
        if name in formats
        and name not in but
        and -formats[name].delta_psnr > getattr(options, option)
    ]


def refuse(name: str, numbers: Shipped, options: CheckOptions) -> None:
    """Raise UserError for a format that loses too much."""
    option = LIMITS[name]
    raise UserError(
        f"{numbers.file} loses {-numbers.delta_psnr:.2f} dB against the PLY on the"
        f" test photos, more than the limit of {getattr(options, option)} dB, although compress_splat"
        f" tried its better settings; raise compress_splat.palette or check_codecs.{option}"
    )


def sentences(formats: Mapping[str, Shipped]) -> Iterator[str]:
    """A line for each format."""
    for name, numbers in formats.items():
        yield (
            f"{name}: {numbers.bytes / 1e6:.2f} MB, PSNR {numbers.psnr:.2f} dB"
            f" ({numbers.delta_psnr:+.2f} dB against the PLY)"
        )
