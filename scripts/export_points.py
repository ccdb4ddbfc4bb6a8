"""Write the splat's surfaces as a point cloud on a map, and read it back.

Needs  splat.clean.ply, undistorted.zip, georef.json
Leaves geo/points.laz, and deliver/points.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING
from scripts.lib.core.threads import use_threads
from scripts.lib.geo.survey import PointsOptions, export_points, prepared, sentences
from scripts.lib.render.arguments import add_compute_arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.export_points", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="the splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--georef", type=Path, required=True, help="georef.json")
    parser.add_argument(
        "--options", default="{}", help="JSON object, see scripts/lib/geo/survey.py"
    )
    parser.add_argument("--output", type=Path, required=True, help="points.laz to write")
    parser.add_argument("--told", type=Path, required=True, help="what is told of it, as JSON")
    add_compute_arguments(parser)
    given = parser.parse_args(argv)
    use_threads(given.threads)
    options, georef = parse_options(PointsOptions, given.options), read(Georef, given.georef)

    from scripts.lib.render.device import on_device

    with on_device(given.device, given.gpus) as device:
        survey = prepared(given.ply, given.scene, georef, options.crs, device.type)
        made = export_points(survey, options, given.output)
    write(given.told, stamped(made, options, *TRAINING))
    for sentence in sentences(made):
        say(sentence)


if __name__ == "__main__":
    run_main(main)
