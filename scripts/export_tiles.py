"""Write the splat as 3D Tiles on the globe, read them back and measure them.

Needs  splat.clean.ply, undistorted.zip, georef.json
Leaves geo/tiles.3tz, deliver/tiles.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.deliver import Exported
from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING
from scripts.lib.core.threads import use_threads
from scripts.lib.geo.judging import Judge
from scripts.lib.geo.kit import sentence
from scripts.lib.geo.placing import placement
from scripts.lib.geo.tiles import TilesOptions
from scripts.lib.geo.tiles_told import export_tiles
from scripts.lib.render.arguments import add_compute_arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.export_tiles", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="the splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--georef", type=Path, required=True, help="georef.json")
    parser.add_argument("--frame", choices=["earth", "local"], default="local", help="may it tell?")
    parser.add_argument("--options", default="{}", help="JSON object, see TilesOptions")
    parser.add_argument("--output", type=Path, required=True, help="tiles.3tz to write")
    parser.add_argument("--told", type=Path, required=True, help="what is told of it, as JSON")
    add_compute_arguments(parser)
    given = parser.parse_args(argv)
    use_threads(given.threads)
    options = parse_options(TilesOptions, given.options)
    place = placement(read(Georef, given.georef), options, given.frame == "earth")

    from scripts.lib.render.device import on_device

    with on_device(given.device, given.gpus) as device:
        judge = Judge(given.ply, given.scene, device.type)
        made = export_tiles(given.ply, given.output, options, place, judge)
    told = Exported(files=(made,), held_out=judge.views.held_out, device=device.type)
    write(given.told, stamped(told, options, *TRAINING, "pyproj"))
    say(sentence(made))


if __name__ == "__main__":
    run_main(main)
