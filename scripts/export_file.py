"""Write the splat in a format that engines and editors open, read it back and measure it.

Needs  splat.clean.ply, undistorted.zip
Leaves scene.glb, scene.spz, scene.v4.spz, scene.usdz or scene.ply, and deliver/KIND.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.deliver import Exported
from scripts.lib.contracts.record import stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING
from scripts.lib.core.threads import use_threads
from scripts.lib.geo.judging import Judge
from scripts.lib.geo.kit import OPTIONS, export_file, sentence
from scripts.lib.render.arguments import add_compute_arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.export_file", description=__doc__)
    parser.add_argument("--kind", choices=list(OPTIONS), required=True, help="the format")
    parser.add_argument("--ply", type=Path, required=True, help="the splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--options", default="{}", help="JSON object, see scripts/lib/geo/kit.py")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    parser.add_argument("--told", type=Path, required=True, help="what is told of it, as JSON")
    add_compute_arguments(parser)
    given = parser.parse_args(argv)
    use_threads(given.threads)
    options = parse_options(OPTIONS[given.kind], given.options)

    from scripts.lib.render.device import on_device

    with on_device(given.device, given.gpus) as device:
        judge = Judge(given.ply, given.scene, device.type)
        made = export_file(given.kind, given.ply, given.output, options, judge)
    told = Exported(files=(made,), held_out=judge.views.held_out, device=device.type)
    write(given.told, stamped(told, options, *TRAINING))
    say(sentence(made))


if __name__ == "__main__":
    run_main(main)
