"""Photos from a folder or .zip to upright, checked JPEGs in one stored zip, with a report on every file.

Needs: a folder (searched recursively), a .zip, or a video.
Leaves: photos.zip (NAME.jpg, and masks/NAME.jpg.png where a photo has a mask), photos.json, contact.jpg
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.record import stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.free_memory import free_memory
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import PHOTOS
from scripts.lib.core.threads import use_threads
from scripts.lib.photos.importing import import_photos
from scripts.lib.photos.options import ImportOptions
from scripts.lib.photos.room import SHARE
from scripts.lib.photos.wording import captures


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, import, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, help="folder or .zip of photos, or a video")
    parser.add_argument(
        "--name", help="what to call the source, when it was fetched from elsewhere"
    )
    parser.add_argument("--options", default="{}", help="JSON object, see ImportOptions")
    parser.add_argument("--photos", type=Path, required=True, help="zip to write")
    parser.add_argument("--report", type=Path, required=True, help="JSON to write")
    parser.add_argument("--contact", type=Path, help="contact sheet (JPEG) to write")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    args = parser.parse_args(argv)
    threads = use_threads(args.threads)
    options = parse_options(ImportOptions, args.options)
    memory = int(SHARE * free_memory())
    report = import_photos(
        args.source, options, args.photos, args.contact, threads, args.name, memory
    )
    write(args.report, stamped(report, options, *PHOTOS))
    lost = f"; {report.unusable} are not usable" if report.unusable else ""
    if any(photo.rig for photo in report.used):
        say(f"Kept {captures(report.used)}{lost}.")
    else:
        say(f"Kept {report.kept} photos of {report.kept + report.unusable}.")


if __name__ == "__main__":
    run_main(main)
