"""Find where visitors of the page can walk, and write its walls and floors for collisions.

Needs  splat.clean.ply, undistorted.zip, georef.json
Leaves walk.zip (PlayCanvas' voxel format), walk.json, deliver/walk.json
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.deliver import Exported
from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.threads import use_threads

PACKAGES = ("numpy", "scipy")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.export_walk", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="the splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--georef", type=Path, required=True, help="georef.json")
    parser.add_argument(
        "--options", default="{}", help="JSON object, see scripts/lib/visit/walk.py"
    )
    parser.add_argument("--output", type=Path, required=True, help="walk.zip to write")
    parser.add_argument("--walk", type=Path, required=True, help="walk.json to write")
    parser.add_argument("--told", type=Path, required=True, help="what is told of it, as JSON")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    given = parser.parse_args(argv)
    use_threads(given.threads)

    from scripts.lib.scene.scene import load_scene
    from scripts.lib.splat.gaussians import read_ply
    from scripts.lib.visit.walk import WalkOptions, plan_walk
    from scripts.lib.visit.walk_file import sentence, write_walk

    options = parse_options(WalkOptions, given.options)
    metric = read(Georef, given.georef).metric
    began = time.monotonic()
    walked = plan_walk(read_ply(given.ply), load_scene(given.scene), metric, options)
    made = write_walk(given.output, walked, began)
    write(given.walk, stamped(walked.told, options, *PACKAGES))
    write(given.told, stamped(Exported(files=(made,), device="cpu"), options, *PACKAGES))
    say(sentence(walked))


if __name__ == "__main__":
    run_main(main)
