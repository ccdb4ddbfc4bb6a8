"""Runs on AWS by the job API: photos there, a page back. Set SPLATMAKE_API to the stack's output Api.

Who you are is told by the token in SPLATMAKE_TOKEN, or else by your AWS credentials. An interrupted upload
goes on when the same command is given again.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from scripts.lib.cloud.client import commands
from scripts.lib.cloud.client.api import Api
from scripts.lib.cloud.client.auth import ADDRESS, checked_address, prover
from scripts.lib.core.console import run_main


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    main = argparse.ArgumentParser(prog="python -m scripts.jobs", description=__doc__)
    main.add_argument(
        "--api", default=os.environ.get(ADDRESS, ""), help=f"its address (or {ADDRESS})"
    )
    add = main.add_subparsers(dest="command", required=True).add_parser
    submit = add("submit", help="upload archives of photos or videos, and start a run of them")
    submit.add_argument(
        "files", type=Path, nargs="+", help="a .zip of photos or a video for each scene"
    )
    submit.add_argument("--scene", action="append", default=[], help="a name; else after the file")
    retry = add("retry", help="let an ended run go on, with other options if you like")
    for one in (submit, retry):
        one.add_argument(
            "--options", type=commands.read_json, help="sections of config.yaml as JSON"
        )
        one.add_argument("--email", help="who is told when the run has ended")
        one.add_argument("--webhook", help="https:// address that is told, too")
        one.add_argument("--wait", action="store_true", help="until the run has ended")
    status = add("status", help="how far a run is")
    status.add_argument("--wait", action="store_true", help="until it has ended")
    add("list", help="your runs, the newest first").add_argument("--state", help="only these")
    delete = add("delete", help="stop a run; or delete an upload, by its s3:// address")
    delete.add_argument("--data", action="store_true", help="also delete what the run made")
    download = add("download", help="fetch a run's results")
    download.add_argument("--to", type=Path, default=Path("results"), help="folder")
    download.add_argument("--all", action="store_true", help="all files, and the logs")
    for one in (retry, status, delete, download):
        one.add_argument("job", help="its id, as submit and list print it")
    return main


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    args = parser().parse_args(argv)
    commands.run(Api(checked_address(args.api), prover(args.api, os.environ)), args)


if __name__ == "__main__":
    run_main(main)
