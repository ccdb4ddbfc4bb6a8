"""Plan the visit (start view, tour, limits, map) from the capture cameras and render its poster.

python -m scripts.render_poster --ply splat.ply --scene undistorted.zip --output poster.jpg --view view.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.record import stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import write_bytes
from scripts.lib.core.provenance import TRAINING
from scripts.lib.core.threads import use_threads
from scripts.lib.render.arguments import add_compute_arguments
from scripts.lib.scene.scene import load_scene
from scripts.lib.splat.pieces import opened
from scripts.lib.visit.plan import plan_visit


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.render_poster", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--ply", type=Path, required=True, help="the trained splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--output", type=Path, required=True, help="poster.jpg to write")
    parser.add_argument("--view", type=Path, required=True, help="view.json to write")
    add_compute_arguments(parser)
    arguments = parser.parse_args(argv)
    use_threads(arguments.threads)

    from scripts.lib.render.device import on_device
    from scripts.lib.visit import poster

    with opened(arguments.ply, arguments.output) as found:
        view, visit = plan_visit(found.splat, load_scene(arguments.scene))
        with on_device(arguments.device, arguments.gpus) as device:
            K = view.intrinsics(*poster.SIZE)
            picture = poster.render(found.splat, view.world_to_camera, K, device=device.type)
    data = poster.jpeg(picture)
    write_bytes(arguments.output, data)
    write(arguments.view, stamped(visit, {}, *TRAINING))
    say(f"the visit starts where {view.name} was taken; poster of {len(data) / 1000:.0f} kB")
    if visit.tour:
        stops, seconds = len(visit.tour.stops), visit.tour.times[-1]
        say(f"a tour of {seconds:.0f} s past {stops} views, clear of everything solid")
    else:
        say("no tour: no free path joins two camera positions")


if __name__ == "__main__":
    run_main(main)
