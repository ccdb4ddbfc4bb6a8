"""Serve a finished page on this computer and print its address.

python -m scripts.serve results/yard/web
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.core.console import run_main, say
from scripts.lib.web.server import make_server


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="the web folder of a scene")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 shows it to other devices too")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args(argv)
    with make_server(arguments.folder, arguments.host, arguments.port) as server:
        host, port = arguments.host, server.server_address[1]
        say(f"http://{'localhost' if host == '127.0.0.1' else host}:{port}/  (Ctrl-C stops it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped")


if __name__ == "__main__":
    run_main(main)
