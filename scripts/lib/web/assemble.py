"""Gather page, viewer, splat, poster and manifest into one folder that any static host serves."""

from __future__ import annotations

import dataclasses
import gzip
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.lib.contracts.deliver import Deliver
from scripts.lib.contracts.eval import Eval
from scripts.lib.contracts.manifest import Manifest
from scripts.lib.contracts.record import to_json
from scripts.lib.contracts.step import Step
from scripts.lib.contracts.view import View, read_view
from scripts.lib.core import provenance
from scripts.lib.core.checkout import ROOT, VIEWER
from scripts.lib.core.console import UserError
from scripts.lib.core.files import (
    replacing,
    write_bytes,
    write_json,
)
from scripts.lib.core.json_type import Json
from scripts.lib.encode.codecs import sog as sog_codec
from scripts.lib.web import bundle, hosting, manifest, viewer, walking
from scripts.lib.web import page as web_page
from scripts.lib.web.crate import README, WORKFLOW, About, Crate, workflow_source
from scripts.lib.web.crate_inputs import CRATE, alone, run_of
from scripts.lib.web.measuring import Measure, accuracy, measuring
from scripts.lib.web.notes import placed_notes
from scripts.lib.web.settings import viewer_settings
from scripts.lib.web.site import Entries, Members, Page, phone_budget, site_members, write_site
from scripts.lib.web.stages import Stages, read_stages
from scripts.lib.web.walking import WALK

STAGES = ("photos", "sfm", "georef", "train", "eval", "codecs")  # whose JSON a bundle needs
OPTIONAL = ("features", "pairs", "undistort", "clean", "compress", "deliver", "walk")
# What the page loads, by the addresses that the page itself carries.
LOADED = (
    "settings.json",
    "scene.sog",
    "scene.mobile.sog",
    "poster.jpg",
    "page.js",
    "style.css",
    "viewer.js.gz",
    WALK,
)
COMPARE = "compare.html"
INLINE = ("scene.sog", "settings.json", "viewer.js.gz", "poster.jpg")  # of the one-file page


@dataclass(frozen=True)
class Inputs:
    """What a bundle is made of.

    `stage_files` maps names of STAGES and OPTIONAL to their JSON; `modules` is node_modules with the viewer;
    `mobile` is the smaller splat for phones (None: there is no other); `lod` the streamed form, a zip, maybe
    empty; `voxels` walk.zip, which may be empty too; `shipped` are files beside the bundle whose hashes it
    keeps; `images` the pinned containers; `steps` the rules that led here, `benchmarks` what Snakemake
    measured of them (none: made by hand).
    """

    scene: str
    sog: Path
    poster: Path
    view: Path
    stage_files: Mapping[str, Path]
    options: bundle.WebOptions
    modules: Path
    mobile: Path | None = None
    lod: Path | None = None
    shipped: Sequence[Path] = ()
    voxels: Path | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    steps: Sequence[Step] = ()
    benchmarks: Sequence[Path] = ()

    @property
    def compare(self) -> Path | None:
        """The page that compares the scene with another capture, if that is among `shipped`."""
        return next((path for path in self.shipped if path.name == COMPARE), None)

    @property
    def paths(self) -> list[Path]:
        """Every file that the bundle is made of."""
        given = (self.sog, self.mobile, self.lod, self.poster, self.view, self.voxels)
        return [*filter(None, given), *self.stage_files.values(), *self.shipped]


def write_bundle(
    inputs: Inputs, output: Path, single: Path | None = None, site: Path | None = None
) -> Manifest:
    """Write every file of `bundle.FILES` into `output`, the one-file form to `single`; return the manifest.

    `site` is a zip for hosts, whose names carry hashes, with the streamed form inside. Raises UserError on an
    input that is missing or damaged.
    """
    check_inputs((inputs.sog, inputs.mobile or inputs.sog), inputs.poster)
    visit, told = read_view(inputs.view), read_stages(inputs.stage_files)
    view, stages = to_json(visit), told.as_json()
    package, viewer_version = bundle.viewer_package(inputs.modules)

    write_parts(inputs, visit, package, output)
    entries: Entries = {
        name: manifest.entry(output / name) for name in (*LOADED, "licences.txt", "_headers")
    }
    page = page_of(inputs, visit, told, entries)
    if inputs.compare is not None:
        page = dataclasses.replace(page, compare=relative(inputs.compare, output))
    # A hash in each address keeps a cache from pairing a new page with an old scene.
    address = {name: f"{name}?v={entries[name]['sha256'][:12]}" for name in LOADED}
    nearby = "" if single is None else relative(single, output)
    write_bytes(output / "index.html", page.hosted(address, nearby))
    entries["index.html"] = manifest.entry(output / "index.html")
    if single is not None:
        write_bytes(single, one_file(page, output))
    write_bytes(output / WORKFLOW, workflow_source(ROOT).encode())
    readme = bundle.readme(page.texts["title"], page.texts["description"])
    write_bytes(output / README, readme.encode())
    entries |= {name: manifest.entry(output / name) for name in (WORKFLOW, README)}
    options = inputs.options
    own = provenance.provenance(options) | {"versions": {bundle.PACKAGE: viewer_version}}
    commit = manifest.git_commit()
    steps = inputs.steps or alone(inputs.paths)
    run = run_of(
        steps,
        told.photos.photos,
        {**stages, "view": view},
        own,
        inputs.benchmarks,
        inputs.images,
        commit,
    )
    delivered = delivered_entries(told)
    known = known_files(inputs, entries) | delivered
    crate = Crate(about(page, options, own["ran"]["ended"]), run, known)
    hosted = {name: name for name in bundle.FILES if name != CRATE}
    write_bytes(output / CRATE, crate.of(hosted, {}))
    entries[CRATE] = manifest.entry(output / CRATE)
    most = phone_budget(told.others.get("compress"))
    members: Members = []
    if site is not None:
        members = site_members(output, page, entries, inputs.lod, crate, most, inputs.compare)
    beside = (*inputs.shipped, *([single] if single else []))
    made = manifest.build_manifest(
        scene=inputs.scene,
        title=page.texts["title"],
        options=dataclasses.asdict(options),
        photos=told.photos.photos,
        stages=stages,
        stage_files=inputs.stage_files,
        files=entries,
        shipped={path.name: manifest.entry(path) for path in beside} | delivered,
        site={name: manifest.entry_of(content()) for name, content in members},
        decoded=decoded(output / "scene.sog"),
        images=inputs.images,
        versions={bundle.PACKAGE: viewer_version},
        view=view,
    )
    manifest.write_manifest(output / "manifest.json", made)
    if site is not None:
        write_site(site, [*members, ("manifest.json", (output / "manifest.json").read_bytes)])
    return made


def relative(path: Path, folder: Path) -> str:
    """The address of a file as seen from a page in `folder`: with slashes, wherever it was written."""
    return Path(os.path.relpath(path, folder)).as_posix()


def about(page: Page, options: bundle.WebOptions, made: str) -> About:
    """What the publisher says of the page."""
    texts = page.texts
    return About(
        texts["title"], texts["description"], options.licence.strip(), options.credit.strip(),
        options.url, made,
    )  # fmt: skip


def known_files(inputs: Inputs, entries: Entries) -> Entries:
    """Size and hash of files by their names in the scene's folder."""
    given = {path.name: manifest.entry(path) for path in inputs.paths}
    return given | {f"web/{name}": entry for name, entry in entries.items()}


def delivered_entries(stages: Stages) -> Entries:
    """Size and hash of the files for other programs, as deliver.json has them."""
    made = stages.others.get("deliver")
    files = made.files if isinstance(made, Deliver) else ()
    return {file.file: {"bytes": file.bytes, "sha256": file.sha256} for file in files}


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


def copy(source: Path, target: Path) -> None:
    """Copy a file; the target appears only when it is whole."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def write_parts(inputs: Inputs, view: View, package: Path, output: Path) -> None:
    """Write the files that the page loads, the licences and the headers for hosts.

    The page carries the hashes of what it loads, so it is written once these are known.
    """
    options = inputs.options
    template = (VIEWER / "settings.json").read_text(encoding="utf-8")
    settings = viewer_settings(view, options.background, template, options.tour)
    write_json(output / "settings.json", settings)
    copy(inputs.sog, output / "scene.sog")
    copy(inputs.mobile or inputs.sog, output / "scene.mobile.sog")
    copy(inputs.poster, output / "poster.jpg")
    write_bytes(output / "page.js", viewer.page_script().encode())
    write_bytes(output / "style.css", viewer.page_style(package).encode())
    write_bytes(output / "viewer.js.gz", viewer.packed(viewer.viewer_script(package)))
    engine = (VIEWER / "LICENSE.playcanvas").read_text(encoding="utf-8")
    own = (ROOT / "LICENSE").read_text(encoding="utf-8")
    write_bytes(output / "licences.txt", bundle.licences(package, own, engine).encode())
    voxels = walking.voxel_words(inputs.voxels)
    write_bytes(output / WALK, gzip.compress(voxels, mtime=0))
    loaded = [name for name in LOADED if name != WALK or voxels]
    write_bytes(output / "_headers", hosting.headers_file(loaded).encode())


def page_of(inputs: Inputs, view: View, stages: Stages, entries: Entries) -> Page:
    """The page of a bundle whose files have these entries."""
    options, title = inputs.options, bundle.title_of(inputs.scene, inputs.options)
    antialiased = sog_codec.is_antialiased(inputs.sog)
    quality = stages.others.get("eval")
    assert isinstance(quality, Eval | None)
    errors = quality.depth_errors if quality else None
    measure = measuring(stages.georef, view, stages.sfm, errors)
    walk = walking.page_part(stages.others.get("walk"), stages.georef.metric)
    config = page_config(view, measure, stages.georef.metric, options, entries, antialiased, walk)
    texts = {
        "title": title,
        "description": options.description.strip()
        or f"{title}: a place to walk through, made from photos.",
        "about": options.description.strip(),
        "credit": ", ".join(filter(None, (options.credit.strip(), options.licence.strip()))),
        "made_from": made_from(stages, options),
        "background": options.background,
        "accuracy": accuracy(measure),
    }
    template = (VIEWER / "index.html").read_text(encoding="utf-8")
    return Page(template, texts, config, options.url)


def made_from(stages: Stages, options: bundle.WebOptions) -> str:
    """The line under the title: when, and from how many photos the scene was made."""
    count = stages.sfm.registered or stages.sfm.photos
    made = f"made from {count} photos" if count else "made from photos"
    date = bundle.capture_date(stages.photos.photos, options.date)
    place = bundle.place_of(stages.georef) if options.coordinates else ""
    line = ", ".join(part for part in (date, place, made) if part)
    return line[:1].upper() + line[1:]


def page_config(
    view: View,
    measure: Measure | None,
    metres: bool,
    options: bundle.WebOptions,
    entries: Mapping[str, Any],
    antialiased: bool = False,
    walk: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """What the page's script needs to know, the addresses of files apart."""

    def scene(name: str) -> dict[str, Json]:
        return {"name": name, **entries[name]}

    config: dict[str, Json] = {
        "scene": scene("scene.sog"),
        "start": {"position": view.position, "target": view.target, "fov": view.fov},
        "limits": to_json(view.limits) if view.limits else None,
        "annotations": placed_notes(options.annotations, view),
        "measure": None,
        "url": options.url,
        "antialiased": antialiased,
    }
    left_out = ("licences.txt", "_headers", *(() if walk else (WALK,)))
    config["loads"] = [name for name in entries if name not in left_out]
    if walk:
        config["walk"] = walk
    if entries["scene.mobile.sog"]["bytes"] < entries["scene.sog"]["bytes"]:
        config["mobile"] = scene("scene.mobile.sog")
    if measure:
        # Each is told once: the photos are in the map, too.
        photos = () if options.map and view.map else measure.photos
        config["measure"] = to_json(dataclasses.replace(measure, known=None, photos=photos))
        config["known"] = to_json(measure.known) if measure.known else None
    if options.map and view.map:
        config["map"] = {**to_json(view.map), "metres": metres}
    if options.tour and view.tour:
        # Without the names of the photos there: the page does not show them, and strangers read it.
        config["tour"] = {"stops": [{"time": stop.time} for stop in view.tour.stops]}
    return config


def one_file(page: Page, folder: Path) -> bytes:
    """The page with the files of the bundle in `folder` inside."""
    inline = {name: (folder / name).read_bytes() for name in INLINE}
    if "walk" in page.config:
        inline[WALK] = (folder / WALK).read_bytes()
    script, style, licences = (
        (folder / name).read_bytes().decode() for name in ("page.js", "style.css", "licences.txt")
    )
    return web_page.one_file(
        page.template, page.texts, page.config, inline, style, script, licences
    ).encode()


def decoded(sog: Path) -> dict[str, Json]:
    """What the page's splat holds once decoded, for `verify` to compare with."""
    gaussians = sog_codec.decode(sog)
    return {
        "gaussians": len(gaussians),
        "sh_degree": gaussians.sh_degree,
        "low": gaussians.means.min(0).round(4).tolist(),
        "high": gaussians.means.max(0).round(4).tolist(),
    }
