"""Put a scene's page where visitors find it: a web bucket's prefix, or a folder that a server shows.

Needs  site.zip
Leaves published.json: the page's address, and every file with how long caches may keep it
Names that carry a hash are kept for ever; the page itself, whose address stays the same, is asked for anew
each time. It is put there last, so that a visitor never meets half of a new version. Files of versions before
the last one are removed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.contracts.record import write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.web.publish import PublishOptions, publish


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.publish_web", description=__doc__)
    parser.add_argument("--scene", required=True, help="the scene's name")
    parser.add_argument("--site", type=Path, required=True, help="site.zip")
    parser.add_argument("--options", default="{}", help="config section publish_web as JSON")
    parser.add_argument("--output", type=Path, required=True, help="published.json to write")
    args = parser.parse_args(argv)
    published = publish(args.site, parse_options(PublishOptions, args.options), args.scene)
    write(args.output, published)
    say(f"{args.scene} is published: {published.url}")


if __name__ == "__main__":
    run_main(main)
