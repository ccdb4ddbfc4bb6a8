"""Gather page, viewer, splat, poster and manifest into one folder that any static host serves.

python -m scripts.bundle_web --scene yard --sog splat.sog --poster poster.jpg --view view.json \
    --photos photos.json --sfm sfm.json --georef georef.json --train train.json \
    --eval eval.json --codecs codecs.json --options '{"title": "The yard"}' --output-dir web
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.step import steps_from_json
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.web.assemble import OPTIONAL, STAGES, Inputs, write_bundle
from scripts.lib.web.bundle import WebOptions
from scripts.lib.web.node import node_modules


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add = parser.add_argument
    add("--scene", required=True, help="the scene's name")
    add("--sog", type=Path, required=True, help="the splat the page shows")
    add("--poster", type=Path, required=True, help="JPEG of the start view")
    add("--view", type=Path, required=True, help="the start view, from render_poster")
    for name in (*STAGES, *OPTIONAL):
        add(f"--{name}", type=Path, nargs=None if name in STAGES else "?", required=name in STAGES)
    add("--options", default="{}", help="JSON object, see config/README.md")
    add("--output-dir", type=Path, required=True, help="folder of the bundle")
    for name in ("mobile", "lod", "voxels"):  # for phones, streamed, to walk in
        add(f"--{name}", type=Path, nargs="?", help=f"{name} form, a file that a scene may lack")
    add("--shipped", type=Path, nargs="*", default=[], help="files to hash, beside it")
    add("--images", default="{}", help="JSON: pinned containers by stage")
    add("--steps", default="[]", help="JSON: the rules that led to the page")
    add("--benchmarks", type=Path, nargs="*", default=[], help="what Snakemake measured of them")
    for name in ("single", "site"):  # in one HTML file, and as a zip for hosts
        add(f"--{name}", type=Path, help="the page in this form, to write")
    given = parser.parse_args(argv)
    inputs = Inputs(
        *(given.scene, given.sog, given.poster, given.view),
        {name: path for name in (*STAGES, *OPTIONAL) if (path := getattr(given, name))},
        parse_options(WebOptions, given.options),
        node_modules(),
        *(given.mobile, given.lod, given.shipped, given.voxels),
        images=json.loads(given.images),
        steps=steps_from_json(given.steps),
        benchmarks=given.benchmarks,
    )
    files = write_bundle(inputs, given.output_dir, given.single, given.site).files.values()
    size = f"{len(files) + 1} files, {sum(file.bytes for file in files) / 1e6:.1f} MB"
    say(f"{given.output_dir}: {size}; see it with 'python -m scripts.serve {given.output_dir}'")


if __name__ == "__main__":
    run_main(main)
