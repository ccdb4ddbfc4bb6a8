"""Gather page, viewer, splat, poster and manifest into one folder that any static host serves.

By hand, from the folder of a scene:

    python -m scripts.bundle_web --scene yard --sog splat.sog --poster poster.jpg --view view.json \
        --photos photos.json --sfm sfm.json --georef georef.json --train train.json \
        --eval eval.json --codecs codecs.json --options '{"title": "The yard"}' --output-dir web
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.core.checkout import ROOT, VIEWER
from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.core.files import (
    add_to_zip,
    read_json,
    reading_zip,
    replacing,
    sha256,
    write_bytes,
    write_json,
    writing_zip,
)
from scripts.lib.core.options import parse_options
from scripts.lib.encode.codecs import sog as sog_codec
from scripts.lib.web import bundle, manifest
from scripts.lib.web import page as web_page
from scripts.lib.web.node import node_modules

STAGES = ("photos", "sfm", "georef", "train", "eval", "codecs")
OPTIONAL = ("features", "pairs", "undistort", "clean", "compress")


def copy(source: Path, target: Path) -> None:
    """Copy a file; the target appears only when it is whole."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def check_inputs(splats: Sequence[Path], poster: Path) -> None:
    """Raises UserError unless each splat is a zip with a meta.json and `poster` a JPEG."""
    for path in (*splats, poster):
        if not path.exists():
            raise UserError(f"{path} does not exist; run the stage that makes it first")
    for sog in splats:
        try:
            with zipfile.ZipFile(sog) as archive:
                archive.getinfo("meta.json")
        except (zipfile.BadZipFile, KeyError):
            raise UserError(
                f"{sog} is not a SOG file; delete it and run compress_splat again"
            ) from None
    if poster.read_bytes()[:3] != b"\xff\xd8\xff":
        raise UserError(f"{poster} is not a JPEG; delete it and run render_poster again")


def made_from(stages: Mapping[str, Any], options: bundle.WebOptions) -> str:
    """The line under the title: when, and from how many photos the scene was made."""
    count = stages["sfm"].get("registered") or stages["sfm"].get("photos") or 0
    made = f"made from {count} photos" if count else "made from photos"
    date = bundle.capture_date(stages["photos"].get("photos", []), options.date)
    place = bundle.place_of(stages["georef"]) if options.coordinates else ""
    line = ", ".join(part for part in (date, place, made) if part)
    return line[:1].upper() + line[1:]


def page_config(
    view: Mapping[str, Any],
    georef: Mapping[str, Any],
    options: bundle.WebOptions,
    entries: Mapping[str, Any],
    antialiased: bool = False,
) -> dict[str, Any]:
    """What the page's script needs to know, the addresses of files apart."""

    def scene(name: str) -> dict[str, Any]:
        return {"name": name, **entries[name]}

    config: dict[str, Any] = {
        "scene": scene("scene.sog"),
        "start": manifest.pick(view, "position", "target", "fov"),
        "limits": view.get("limits"),
        "annotations": web_page.placed_notes(options.annotations, view),
        "measure": web_page.measuring(georef, view),
        "url": options.url,
        "antialiased": antialiased,
    }
    config["loads"] = [name for name in entries if name not in ("licences.txt", "_headers")]
    if entries["scene.mobile.sog"]["bytes"] < entries["scene.sog"]["bytes"]:
        config["mobile"] = scene("scene.mobile.sog")
    if options.map and view.get("map"):
        config["map"] = {**view["map"], "metres": georef.get("georeferenced") is True}
    if options.tour and view.get("tour"):
        # Without the names of the photos there: the page does not show them, and strangers read it.
        config["tour"] = {"stops": [manifest.pick(stop, "time") for stop in view["tour"]["stops"]]}
    return config


def write_bundle(
    *,
    scene: str,
    sog: Path,
    mobile: Path | None = None,
    poster: Path,
    view_path: Path,
    stage_files: Mapping[str, Path],
    options: bundle.WebOptions,
    output: Path,
    modules: Path,
    single: Path | None = None,
    site: Path | None = None,
    lod: Path | None = None,
    shipped: Sequence[Path] = (),
    images: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write every file of `bundle.FILES` into `output`, the one-file form to `single`; return the manifest.

    `mobile` is the smaller splat for phones (None: there is no other). `stage_files` maps the names in
    STAGES to their JSON; `modules` is node_modules with the viewer; `shipped` are files beside the bundle
    whose hashes it keeps; `images` the pinned containers. `site` is a zip for hosts, whose names carry
    hashes, with the streamed form `lod` (a zip, maybe empty) inside. Raises UserError on an input that
    is missing or damaged.
    """
    mobile = mobile or sog
    check_inputs((sog, mobile), poster)
    view = bundle.check_view(read_json(view_path), view_path)
    stages = {name: read_json(path) for name, path in stage_files.items()}
    for name, value in stages.items():
        if not isinstance(value, dict):
            raise UserError(f"{stage_files[name]} is not a JSON object; run its stage again")
    package, viewer_version = bundle.viewer_package(modules)
    title = bundle.title_of(scene, options)

    template = (VIEWER / "settings.json").read_text(encoding="utf-8")
    settings = web_page.viewer_settings(view, options.background, template, options.tour)
    write_json(output / "settings.json", settings)
    copy(sog, output / "scene.sog")
    copy(mobile, output / "scene.mobile.sog")
    copy(poster, output / "poster.jpg")
    script, style = web_page.page_script(), web_page.page_style(package)
    write_bytes(output / "page.js", script.encode())
    write_bytes(output / "style.css", style.encode())
    write_bytes(output / "viewer.js.gz", web_page.packed(web_page.viewer_script(package)))
    engine = (VIEWER / "LICENSE.playcanvas").read_text(encoding="utf-8")
    own = (ROOT / "LICENSE").read_text(encoding="utf-8")
    licences = bundle.licences(package, own, engine)
    write_bytes(output / "licences.txt", licences.encode())

    # The page carries the hashes of what it loads, so it is written once these are known.
    loaded = ["settings.json", "scene.sog", "scene.mobile.sog", "poster.jpg"]
    loaded += ["page.js", "style.css", "viewer.js.gz"]
    write_bytes(output / "_headers", web_page.headers_file(loaded).encode())
    entries = {
        name: manifest.entry(output / name) for name in (*loaded, "licences.txt", "_headers")
    }
    config = page_config(view, stages["georef"], options, entries, sog_codec.is_antialiased(sog))
    texts = {
        "title": title,
        "description": options.description.strip()
        or f"{title}: a place to walk through, made from photos.",
        "about": options.description.strip(),
        "credit": ", ".join(filter(None, (options.credit.strip(), options.licence.strip()))),
        "made_from": made_from(stages, options),
        "background": options.background,
        "accuracy": web_page.accuracy(config["measure"]),
    }
    page = (VIEWER / "index.html").read_text(encoding="utf-8")
    # A hash in each address keeps a cache from pairing a new page with an old scene.
    address = {name: f"{name}?v={entries[name]['sha256'][:12]}" for name in loaded}
    # With a slash, as in an address, wherever the one-file page was written.
    nearby = "" if single is None else Path(os.path.relpath(single, output)).as_posix()
    text = web_page.hosted(page, texts, config, options.url, address, nearby)
    write_bytes(output / "index.html", text.encode())
    entries["index.html"] = manifest.entry(output / "index.html")
    if single is not None:
        inline = {
            name: (output / name).read_bytes()
            for name in ("scene.sog", "settings.json", "viewer.js.gz", "poster.jpg")
        }
        text = web_page.one_file(page, texts, config, inline, style, script, licences)
        write_bytes(single, text.encode())
    crate = manifest.ro_crate(title, texts["description"], options.licence, options.credit, entries)
    write_json(output / "ro-crate-metadata.json", crate)
    entries["ro-crate-metadata.json"] = manifest.entry(output / "ro-crate-metadata.json")
    members = (
        [] if site is None else site_members(output, page, texts, config, options.url, entries, lod)
    )
    made = manifest.build_manifest(
        scene=scene,
        title=title,
        options=dataclasses.asdict(options),
        stages=stages,
        stage_files=stage_files,
        files=entries,
        shipped={
            path.name: manifest.entry(path) for path in (*shipped, *([single] if single else []))
        },
        site={name: manifest.entry_of(data) for name, data in members},
        decoded=decoded(output / "scene.sog"),
        images=images or {},
        versions={bundle.PACKAGE: viewer_version},
        view=view,
    )
    manifest.write_manifest(output / "manifest.json", made)
    if site is not None:
        with writing_zip(site) as archive:
            for name, data in (
                *members,
                ("manifest.json", (output / "manifest.json").read_bytes()),
            ):
                add_to_zip(archive, name, data)
    return made


def site_members(
    folder: Path,
    template: str,
    texts: Mapping[str, str],
    config: Mapping[str, Any],
    url: str,
    entries: Mapping[str, Any],
    lod: Path | None,
) -> list[tuple[str, bytes]]:
    """Files of a zip to unpack on a host: names carry their file's hash, so that caches keep them for ever.

    A large scene's levels of detail come along, in a folder whose name is a hash too. The manifest is
    missing: it keeps the hashes of these.
    """
    hashed = {
        name: web_page.hashed_name(name, entry["sha256"])
        for name, entry in entries.items()
        if name in config["loads"]
    }
    config = dict(config)
    kept = list(hashed.values())
    streamed: list[tuple[str, bytes]] = []
    if lod is not None:
        stream = f"lod.{sha256(lod)[:12]}"
        with reading_zip(lod) as parts:
            streamed = [(f"{stream}/{name}", parts.read(name)) for name in parts.namelist()]
        if streamed:
            config["stream"] = f"{stream}/lod-meta.json"
            kept.append(f"{stream}/*")
    text = web_page.hosted(template, texts, config, url, hashed)
    # Link previews ask for the poster by its plain name.
    plain = [(name, name) for name in ("poster.jpg", "licences.txt", "ro-crate-metadata.json")]
    return [
        *streamed,
        ("index.html", text.encode()),
        *((address, (folder / name).read_bytes()) for name, address in (*hashed.items(), *plain)),
        ("_headers", web_page.headers_file(kept).encode()),
    ]


def decoded(sog: Path) -> dict[str, Any]:
    """What the page's splat holds once decoded, for `verify` to compare with."""
    gaussians = sog_codec.decode(sog)
    return {
        "gaussians": len(gaussians),
        "sh_degree": gaussians.sh_degree,
        "low": gaussians.means.min(0).round(4).tolist(),
        "high": gaussians.means.max(0).round(4).tolist(),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scene", required=True, help="the scene's name")
    parser.add_argument("--sog", type=Path, required=True, help="the splat the page shows")
    parser.add_argument("--mobile", type=Path, help="a smaller splat for phones")
    parser.add_argument("--poster", type=Path, required=True, help="JPEG of the start view")
    parser.add_argument(
        "--view", type=Path, required=True, help="the start view, from render_poster"
    )
    for name in STAGES:
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name}.json")
    for name in OPTIONAL:
        parser.add_argument(f"--{name}", type=Path, help=f"{name}.json")
    parser.add_argument("--options", default="{}", help="JSON object, see config/README.md")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--lod", type=Path, help="zip of the streamed form, maybe empty")
    parser.add_argument("--site", type=Path, help="the page as a zip for hosts, to write")
    parser.add_argument(
        "--shipped", type=Path, nargs="*", default=[], help="files to hash, beside it"
    )
    parser.add_argument("--images", default="{}", help="JSON object: pinned containers by stage")
    parser.add_argument("--single", type=Path, help="the page as one HTML file, to write")
    arguments = parser.parse_args(argv)
    made = write_bundle(
        scene=arguments.scene,
        sog=arguments.sog,
        mobile=arguments.mobile,
        poster=arguments.poster,
        view_path=arguments.view,
        stage_files={
            name: path for name in (*STAGES, *OPTIONAL) if (path := getattr(arguments, name))
        },
        options=parse_options(bundle.WebOptions, arguments.options),
        output=arguments.output_dir,
        modules=node_modules(),
        single=arguments.single,
        site=arguments.site,
        lod=arguments.lod,
        shipped=arguments.shipped,
        images=json.loads(arguments.images),
    )
    total = sum(file["bytes"] for file in made["files"].values())
    say(
        f"{arguments.output_dir}: {len(made['files']) + 1} files, {total / 1e6:.1f} MB; see it"
        f" with 'python -m scripts.serve {arguments.output_dir}'"
    )


if __name__ == "__main__":
    run_main(main)
