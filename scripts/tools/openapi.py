"""Write config/aws/openapi.json, the description of the job API, from its routes and their types.

python -m scripts.tools.openapi [--check]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.cloud.openapi import text
from scripts.lib.cloud.routes import DOCUMENT
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.core.files import write_bytes


def is_current(root: Path) -> bool:
    """Whether the description in the checkout `root` is what the types say."""
    path = root / DOCUMENT
    return path.is_file() and path.read_bytes() == text().encode()


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.tools.openapi")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    args = parser.parse_args(argv)
    if is_current(ROOT):
        return
    if args.check:
        raise UserError(f"{DOCUMENT} is out of date; run python -m scripts.tools.openapi")
    write_bytes(ROOT / DOCUMENT, text().encode())
    say(f"{DOCUMENT} written")


if __name__ == "__main__":
    run_main(main)
