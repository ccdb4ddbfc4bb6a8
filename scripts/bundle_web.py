"""Gather page, viewer, splat, poster and manifest into one folder that any static host serves.

    python -m scripts.bundle_web --scene yard --sog splat.sog --poster poster.jpg --view view.json \
        --photos photos.json --sfm sfm.json --georef georef.json --train train.json \
        --eval eval.json --codecs codecs.json --options '{"title": "The yard"}' --output-dir web
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.lib import bundle
from scripts.lib.console import UserError, run_main, say
from scripts.lib.files import read_json, replacing, write_bytes, write_json
from scripts.lib.node import node_modules
from scripts.lib.options import parse_options

STAGES = ("photos", "sfm", "georef", "train", "eval", "codecs")


def copy(source: Path, target: Path) -> None:
    """Copy a file; the target appears only when it is whole."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def check_inputs(sog: Path, poster: Path) -> None:
    """Raises UserError unless `sog` is a zip with a meta.json and `poster` a JPEG."""
    for path in (sog, poster):
        if not path.exists():
            raise UserError(f"{path} does not exist; run the stage that makes it first")
    try:
        with zipfile.ZipFile(sog) as archive:
            archive.getinfo("meta.json")
    except (zipfile.BadZipFile, KeyError):
        raise UserError(
            f"{sog} is not a SOG file; delete it and run compress_splat again"
        ) from None
    if poster.read_bytes()[:3] != b"\xff\xd8\xff":
        raise UserError(f"{poster} is not a JPEG; delete it and run render_poster again")


def made_from(stages: Mapping[str, Any]) -> str:
    """The line under the title: from how many photos the scene was made."""
    count = stages["sfm"].get("registered") or stages["sfm"].get("photos") or 0
    return f"Made from {count} photos" if count else "Made from photos"


def write_bundle(
    *,
    scene: str,
    sog: Path,
    poster: Path,
    view_path: Path,
    stage_files: Mapping[str, Path],
    options: bundle.WebOptions,
    output: Path,
    modules: Path,
) -> dict[str, Any]:
    """Write every file of `bundle.FILES` into `output` and return the manifest.

    `stage_files` maps the names in STAGES to their JSON; `modules` is node_modules with the viewer.
    Raises UserError on an input that is missing or damaged.
    """
    check_inputs(sog, poster)
    view = bundle.check_view(read_json(view_path), view_path)
    stages = {name: read_json(path) for name, path in stage_files.items()}
    for name, value in stages.items():
        if not isinstance(value, dict):
            raise UserError(f"{stage_files[name]} is not a JSON object; run its stage again")
    package, viewer_version = bundle.viewer_package(modules)
    title = bundle.title_of(scene, options)

    settings = (bundle.VIEWER / "settings.json").read_text(encoding="utf-8")
    write_json(output / "settings.json", bundle.viewer_settings(view, options.background, settings))
    copy(sog, output / "scene.sog")
    copy(poster, output / "poster.jpg")
    copy(bundle.VIEWER / "style.css", output / "style.css")
    copy(bundle.VIEWER / "page.js", output / "page.js")
    copy(package / "public" / "index.css", output / "viewer.css")
    write_bytes(output / "viewer.js", bundle.viewer_script(package).encode())
    engine = (bundle.VIEWER / "LICENSE.playcanvas").read_text(encoding="utf-8")
    own = (bundle.ROOT / "LICENSE").read_text(encoding="utf-8")
    write_bytes(output / "licences.txt", bundle.licences(package, own, engine).encode())

    # The page carries the hashes of what it loads, so it is written once these are known.
    names = [name for name in bundle.FILES if name not in ("index.html", "manifest.json")]
    entries = {name: bundle.entry(output / name) for name in names}
    template = (bundle.VIEWER / "index.html").read_text(encoding="utf-8")
    page = bundle.render_page(template, title, options, made_from(stages), entries)
    write_bytes(output / "index.html", page.encode())
    entries["index.html"] = bundle.entry(output / "index.html")
    manifest = bundle.build_manifest(
        scene=scene,
        title=title,
        options=dataclasses.asdict(options),
        stages=stages,
        stage_files=stage_files,
        files=entries,
        versions={bundle.PACKAGE: viewer_version},
        view=view,
    )
    write_json(output / "manifest.json", manifest)
    return manifest


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scene", required=True, help="the scene's name")
    parser.add_argument("--sog", type=Path, required=True, help="the splat the page shows")
    parser.add_argument("--poster", type=Path, required=True, help="JPEG of the start view")
    parser.add_argument(
        "--view", type=Path, required=True, help="the start view, from render_poster"
    )
    for name in STAGES:
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name}.json")
    parser.add_argument("--options", default="{}", help="JSON object, see config/README.md")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the bundle")
    arguments = parser.parse_args(argv)
    manifest = write_bundle(
        scene=arguments.scene,
        sog=arguments.sog,
        poster=arguments.poster,
        view_path=arguments.view,
        stage_files={name: getattr(arguments, name) for name in STAGES},
        options=parse_options(bundle.WebOptions, arguments.options),
        output=arguments.output_dir,
        modules=node_modules(),
    )
    total = sum(file["bytes"] for file in manifest["files"].values())
    say(
        f"{arguments.output_dir}: {len(manifest['files']) + 1} files, {total / 1e6:.1f} MB; see it"
        f" with 'python -m scripts.serve {arguments.output_dir}'"
    )


if __name__ == "__main__":
    run_main(main)
