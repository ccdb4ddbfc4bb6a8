"""Make the page that compares two captures of one place, in one file.

Needs  of both scenes a .sog and photos.json; view.json of the reference, registration.json, changes.json/.zip
Leaves compare.html
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import write_bytes
from scripts.lib.core.options import parse_options
from scripts.lib.web.bundle import WebOptions
from scripts.lib.web.compare import CaptureParts, compare_page
from scripts.lib.web.node import node_modules


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add = parser.add_argument
    for whose in ("reference", "own"):
        add(f"--{whose}-name", required=True, help="the scene's name")
        add(f"--{whose}-sog", type=Path, required=True, help="the splat that is shown")
        add(f"--{whose}-photos", type=Path, required=True, help="photos.json")
        add(f"--{whose}-web", default="{}", help="options of bundle_web")
    add("--view", type=Path, required=True, help="view.json of the reference")
    add("--registration", type=Path, required=True, help="registration.json")
    add("--changes", type=Path, required=True, help="changes.json")
    add("--pictures", type=Path, required=True, help="changes.zip")
    add("--output", type=Path, required=True, help="compare.html to write")
    args = parser.parse_args(argv)
    reference, own = (
        CaptureParts(
            scene=getattr(args, f"{whose}_name"),
            sog=getattr(args, f"{whose}_sog"),
            photos=getattr(args, f"{whose}_photos"),
            options=parse_options(WebOptions, getattr(args, f"{whose}_web")),
        )
        for whose in ("reference", "own")
    )
    page = compare_page(
        reference, own, args.view, args.registration, args.changes, args.pictures, node_modules()
    )
    write_bytes(args.output, page)
    say(f"{args.output}: {len(page) / 1e6:.1f} MB; it opens with a double click")


if __name__ == "__main__":
    run_main(main)
