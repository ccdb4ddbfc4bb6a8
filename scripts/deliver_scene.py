"""List a scene's files for other programs, out of what each export rule tells.

Needs  deliver/*.json
Leaves deliver.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.record import write
from scripts.lib.core.console import run_main, say
from scripts.lib.geo.listing import listed, sentences


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.deliver_scene", description=__doc__)
    parser.add_argument("--told", type=Path, nargs="+", required=True, help="JSON of each export")
    parser.add_argument("--names", required=True, help="what the scene delivers, by commas")
    parser.add_argument(
        "--left-out", default="{}", help="JSON object: what of `all` is not, and why"
    )
    parser.add_argument("--output", type=Path, required=True, help="deliver.json to write")
    given = parser.parse_args(argv)
    made = listed(given.told, given.names.split(","), json.loads(given.left_out))
    write(given.output, made)
    for sentence in sentences(made):
        say(sentence)


if __name__ == "__main__":
    run_main(main)
