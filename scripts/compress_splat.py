"""Compress a trained splat into the files that ship: SOG for the page, SPZ, compressed PLY."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.lib import compress
from scripts.lib.codecs import decode
from scripts.lib.console import UserError, run_main, say
from scripts.lib.files import write_json
from scripts.lib.options import parse_options


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: one input, any of the three outputs, numbers as JSON."""
    parser = argparse.ArgumentParser(prog="python -m scripts.compress_splat", description=__doc__)
    parser.add_argument(
        "--ply", type=Path, required=True, help="the splat: a PLY, or any format read"
    )
    parser.add_argument("--options", default="{}", help="the config section 'compress' as JSON")
    parser.add_argument("--sog", type=Path, help="SOG to write")
    parser.add_argument("--spz", type=Path, help="SPZ to write")
    parser.add_argument("--compressed-ply", type=Path, help="compressed PLY to write")
    parser.add_argument("--metrics", type=Path, help="JSON to write: bytes, seconds, errors")
    given = parser.parse_args(argv)
    options = parse_options(compress.CompressOptions, given.options)
    outputs = {name: getattr(given, name) for name in compress.FORMATS if getattr(given, name)}
    if not outputs:
        raise UserError("no output was named; give --sog, --spz or --compressed-ply")
    began = time.monotonic()
    gaussians = compress.checked(decode(given.ply), given.ply)
    source_degree = gaussians.sh_degree
    gaussians = compress.with_degree(gaussians, options.sh_degree)
    say(f"{given.ply}: {len(gaussians):,} Gaussians, SH degree {gaussians.sh_degree}")
    formats = {
        name: compress.write(name, path, gaussians, options) for name, path in outputs.items()
    }
    if given.metrics:
        write_json(
            given.metrics,
            {
                "gaussians": len(gaussians),
                "sh_degree": gaussians.sh_degree,
                "source_sh_degree": source_degree,
                "source_bytes": given.ply.stat().st_size if given.ply.is_file() else None,
                "formats": formats,
                "seconds": time.monotonic() - began,
                "options": dataclasses.asdict(options),
            },
        )


if __name__ == "__main__":
    run_main(main)
