"""Find what changed between two captures of one place, by their splats from the same cameras.

Needs  of both scenes splat.ply, splat.clean.ply, undistorted.zip; registration.json
Leaves changes.json, and changes.zip (before, after and a map of each place)
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.contracts.registration import Registration
from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING
from scripts.lib.core.threads import use_threads
from scripts.lib.measure.changes.find import ChangesOptions, SplatFiles, find_changes, sentence
from scripts.lib.render.arguments import add_compute_arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.find_changes", description=__doc__)
    for whose in ("reference", "own"):
        parser.add_argument(f"--{whose}-trained", type=Path, required=True, help="splat.ply")
        parser.add_argument(f"--{whose}-ply", type=Path, required=True, help="splat.clean.ply")
        parser.add_argument(f"--{whose}-scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--registration", type=Path, required=True, help="registration.json")
    parser.add_argument("--options", default="{}", help="JSON object, see ChangesOptions")
    parser.add_argument("--output", type=Path, required=True, help="changes.json to write")
    parser.add_argument("--pictures", type=Path, required=True, help="changes.zip to write")
    add_compute_arguments(parser)
    args = parser.parse_args(argv)
    use_threads(args.threads)
    options = parse_options(ChangesOptions, args.options)
    joined = read(Registration, args.registration)
    reference = SplatFiles(args.reference_trained, args.reference_ply, args.reference_scene)
    own = SplatFiles(args.own_trained, args.own_ply, args.own_scene)

    from scripts.lib.render.device import on_device

    with on_device(args.device, args.gpus) as device:
        found, pictures = find_changes(reference, own, joined, options, device.type)
    with writing_zip(args.pictures) as archive:
        for name, data in pictures.items():
            add_to_zip(archive, name, data)
    write(args.output, stamped(found, options, *TRAINING))
    say(sentence(found))


if __name__ == "__main__":
    run_main(main)
