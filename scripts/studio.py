"""The studio: a page in your browser that takes photos or a video and shows the finished scene.

python -m scripts.studio

It runs on this computer, and only this computer can reach it. With --host a team in one network can use it,
by the address with a token that is printed. Scenes and uploads lie in one folder; a run that was interrupted
goes on when the studio is started again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.core.console import run_main
from scripts.lib.studio.serving import Asked, serve

HOME = Path("~/splatmake")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.studio",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--home", type=Path, default=HOME, help=f"folder of scenes and uploads (default {HOME})")
    add("--host", default="127.0.0.1", help="0.0.0.0 lets others in this network in, by token")
    add("--port", type=int, default=8765, help="0 takes a free one")
    add("--name", action="append", default=[], help="another name by which --host is reached")
    add("--at-once", type=int, choices=range(1, 9), default=1, metavar="N", help="runs at a time")
    add("--cores", default="all", help="processors of a run (default all)")
    add("--detector", default="", metavar="COMMAND", help="finds faces to hide: config/detector.md")
    add("--no-browser", action="store_true", help="only print the address")
    given = parser.parse_args(argv)
    serve(
        Asked(
            home=given.home.expanduser(),
            host=given.host,
            port=given.port,
            names=tuple(given.name),
            at_once=given.at_once,
            cores=given.cores,
            browser=not given.no_browser,
            detector=given.detector,
        )
    )


if __name__ == "__main__":
    run_main(main)
