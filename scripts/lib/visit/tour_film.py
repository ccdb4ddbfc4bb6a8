"""The guided tour as a film, and a strip of its stops, with our own renderer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.view import View, read_view
from scripts.lib.core.console import Progress
from scripts.lib.core.files import write_bytes
from scripts.lib.core.options import Options, option
from scripts.lib.scene import start_view
from scripts.lib.splat.pieces import opened
from scripts.lib.visit import tour
from scripts.lib.visit.film import writing_film

SIZES = {"cpu": (640, 12), "cuda": (1280, 30)}  # width in pixels and frames a second
STOP_SIDE = 320  # pixels across each picture of the strip
SWAY_SECONDS, SWAY_DEGREES = 8.0, 8.0  # of the film of a scene without a tour


@dataclass(frozen=True)
class TourOptions(Options):
    """The guided tour as a film; "auto" takes what the device can do in about a minute."""

    width: Literal["auto"] | int = option(
        "auto", "Width of the film; the format is 16:9.", 64, 3840, unit="pixels"
    )
    fps: Literal["auto"] | int = option("auto", "Frames per second.", 1, 60)
    crf: int = option(
        23,
        "Constant quality of x264, from 0 (best quality, large file) to 51 (poor quality, small file).",
        0,
        51,
    )


def sway(view: View) -> tour.Tour:
    """A slow look to both sides of the start view, for a scene without a tour."""
    times = np.linspace(0, SWAY_SECONDS, 33)
    angle = np.radians(SWAY_DEGREES) * np.sin(2 * np.pi * times / SWAY_SECONDS)
    position, target = np.array(view.position, float), np.array(view.target, float)
    away = position - target
    turned = np.column_stack(
        [
            np.cos(angle) * away[0] - np.sin(angle) * away[1],
            np.sin(angle) * away[0] + np.cos(angle) * away[1],
            np.full(len(times), away[2]),
        ]
    )
    # The visitor turns the head, so that nothing solid can be in the way.
    return tour.Tour(
        times=times,
        position=np.tile(position, (len(times), 1)),
        target=position - turned,
        fov=np.full(len(times), view.fov),
        stops=((view.name, 0.0),),
    )


def tour_of(view: View) -> tour.Tour:
    """The tour of view.json, or the sway."""
    return sway(view) if view.tour is None else tour.from_keyframes(view.tour)


def film_tour(
    ply: Path, view_path: Path, options: TourOptions, film: Path, strip: Path, device: str
) -> int:
    """Write film and strip; returns the number of frames."""
    from scripts.lib.render.pieces import renderer_of
    from scripts.lib.visit.poster import BACKGROUND

    with opened(ply, film) as found:
        renderer = renderer_of(found.splat, device, BACKGROUND)
        return _film(renderer.picture, tour_of(read_view(view_path)), options, film, strip, device)


def _film(
    render: Callable[..., npt.NDArray[np.float32]],
    flight: tour.Tour,
    options: TourOptions,
    film: Path,
    strip: Path,
    device: str,
) -> int:
    """`film_tour` along a flight; `render` makes a picture of a pose, K and a size."""
    from scripts.lib.visit.poster import jpeg

    automatic = SIZES[device]
    width = automatic[0] if options.width == "auto" else int(options.width)
    fps = automatic[1] if options.fps == "auto" else int(options.fps)
    size = (width // 2 * 2, width * 9 // 32 * 2)

    def picture(at: float, size: tuple[int, int]) -> npt.NDArray[np.float32]:
        position, target, fov = (values[0] for values in flight.poses(at))
        pose = start_view.look_at(position, target)
        return render(pose, start_view.intrinsics(float(fov), *size), size)

    moments = np.arange(0, flight.duration, 1 / fps)
    progress = Progress("render_tour", len(moments))
    with writing_film(film, size, fps, options.crf) as out:
        for done, at in enumerate(moments, 1):
            out.add(picture(float(at), size))
            progress.update(done)
    small = (STOP_SIDE, STOP_SIDE * 9 // 16)
    stops = [picture(at, small) for _, at in flight.stops[: max(1, len(flight.stops) - 1)]]
    write_bytes(strip, jpeg(np.concatenate(stops, axis=1)))
    return len(moments)
