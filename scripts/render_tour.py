"""Render the guided tour as a film, and a strip of its stops, with our own renderer.

Needs  splat.clean.ply, view.json
Leaves tour.mp4 (H.264, yuv420p), stops.jpg, tour.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.record import stamped, write
from scripts.lib.contracts.tour import Film
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING
from scripts.lib.core.threads import use_threads
from scripts.lib.render.arguments import add_compute_arguments
from scripts.lib.visit.tour_film import TourOptions, film_tour


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.render_tour", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="the splat")
    parser.add_argument("--view", type=Path, required=True, help="view.json, from render_poster")
    parser.add_argument("--options", default="{}", help="JSON object, see TourOptions")
    parser.add_argument("--film", type=Path, required=True, help="tour.mp4 to write")
    parser.add_argument("--stops", type=Path, required=True, help="stops.jpg to write")
    add_compute_arguments(parser)
    parser.add_argument("--metrics", type=Path, help="tour.json to write")
    given = parser.parse_args(argv)
    use_threads(given.threads)
    options = parse_options(TourOptions, given.options)

    from scripts.lib.render.device import on_device

    with on_device(given.device, given.gpus) as device:
        frames = film_tour(given.ply, given.view, options, given.film, given.stops, device.type)
    if given.metrics:
        made = Film(frames=frames, bytes=given.film.stat().st_size)
        write(given.metrics, stamped(made, options, *TRAINING, "av"))
    say(f"{given.film}: {frames} frames, {given.film.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_main(main)
