"""Verify a finished page: every file's hash, the decoded splat, site.zip and what else lies beside it.

python -m scripts.verify results/yard/web
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.web.verify import problems, what_is_whole


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the web folder of a scene")
    folder = parser.parse_args(argv).folder
    found = problems(folder)
    for problem in found:
        say(problem)
    if found:
        raise UserError(f"{folder} was changed: {len(found)} problem(s), listed above")
    say(what_is_whole(folder))


if __name__ == "__main__":
    run_main(main)
