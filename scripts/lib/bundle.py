"""The web bundle: which files it holds, and how its page, camera settings and manifest are made.

Only the standard library is imported here, because the workflow reads `FILES` before any stage runs.
"""

from __future__ import annotations

import html
import json
import math
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from scripts.lib.console import UserError
from scripts.lib.files import sha256

ROOT = Path(__file__).resolve().parents[2]
VIEWER = ROOT / "scripts" / "viewer"
PACKAGE = "@playcanvas/supersplat-viewer"

# Every file of the bundle, always all of them. manifest.json comes last: it hashes the others.
FILES = (
    "index.html",
    "style.css",
    "page.js",
    "viewer.css",
    "viewer.js",
    "scene.sog",
    "settings.json",
    "poster.jpg",
    "licences.txt",
    "manifest.json",
)

# Keys that say where on Earth photos were taken. They stay out of everything that is published.
PLACE = re.compile(
    r"gps|exif|latitude|longitude|altitude|^(lat|lon|lng|alt|origin|epsg|crs|world_from_sfm)$", re.I
)


@dataclass(frozen=True)
class WebOptions:
    """What the page says and how it looks; texts come from a person, so they are escaped."""

    title: str = ""  # empty: made from the scene's name
    description: str = ""  # one sentence for search engines, link previews and screen readers
    credit: str = ""  # who took the photos, and under which licence
    background: str = "#101214"  # where the splat is empty

    def __post_init__(self) -> None:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", self.background):
            raise UserError(
                f"background is {self.background!r}, but must be a colour like '#101214'"
            )


def title_of(scene: str, options: WebOptions) -> str:
    """The page's heading: the option, else the scene's name in words (`old_mill` -> `Old mill`)."""
    words = re.sub(r"[_-]+", " ", scene).strip()
    return options.title.strip() or words[:1].upper() + words[1:]


def colour(background: str) -> list[float]:
    """`#rrggbb` as three numbers from 0 to 1, the form settings.json wants."""
    return [int(background[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def to_viewer(point: Sequence[float]) -> list[float]:
    """A point (3,) of our frame (Z up) in the viewer's world (Y up): the page turns the splat alike."""
    x, y, z = (float(value) for value in point)
    return [x, z, -y]


def check_view(view: Any, path: Path) -> dict[str, Any]:
    """The start view as `render_poster` wrote it. Raises UserError when a number is missing or wild."""
    try:
        position, target = ([float(v) for v in view[key]] for key in ("position", "target"))
        fov = float(view["fov"])
        good = len(position) == len(target) == 3 and position != target and 1 <= fov <= 170
        good = good and all(map(math.isfinite, [*position, *target]))
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise UserError(f"{path} holds no usable start view; delete it and run render_poster again")
    return dict(view)


def viewer_settings(view: Mapping[str, Any], background: str, template: str) -> dict[str, Any]:
    """settings.json: the template with the background and the start view (position, target, fov).

    The viewer applies `fov`, in degrees, to the longer side of the window, as the view does.
    """
    settings: dict[str, Any] = json.loads(template)
    settings["background"]["color"] = [round(value, 6) for value in colour(background)]
    initial = {
        "position": to_viewer(view["position"]),
        "target": to_viewer(view["target"]),
        "fov": float(view["fov"]),
    }
    settings["cameras"] = [{"initial": initial}]
    return settings


def script_json(value: Any) -> str:
    """JSON that may stand inside a `<script>` element: no `<`, so no text can close it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def render_page(
    template: str, title: str, options: WebOptions, made_from: str, files: Mapping[str, Any]
) -> str:
    """index.html: the template with texts escaped and each file's address carrying its hash.

    `files` maps names to their entry in the manifest (`bytes`, `sha256`). The hash in the address
    keeps a cache from pairing a new page with an old scene.
    """

    def address(name: str) -> str:
        return f"{name}?v={files[name]['sha256'][:12]}"

    config = {
        "scene": {"url": address("scene.sog"), "name": "scene.sog", **files["scene.sog"]},
        "settings": address("settings.json"),
        "viewer": address("viewer.js"),
    }
    description = (
        options.description.strip() or f"{title}: a place to walk through, made from photos."
    )
    return Template(template).substitute(
        title=html.escape(title),
        description=html.escape(description),
        credit=html.escape(options.credit.strip()),
        made_from=html.escape(made_from),
        background=options.background,
        style=address("style.css"),
        viewer_style=address("viewer.css"),
        page=address("page.js"),
        viewer=address("viewer.js"),
        poster=address("poster.jpg"),
        config=script_json(config),
    )


def without_places(value: Any) -> Any:
    """`value` without any key, at any depth, that tells where on Earth a photo was taken."""
    if isinstance(value, Mapping):
        return {k: without_places(v) for k, v in value.items() if not PLACE.search(str(k))}
    if isinstance(value, list | tuple):
        return [without_places(item) for item in value]
    return value


def entry(path: Path) -> dict[str, Any]:
    """One file in the manifest: its size in bytes and its SHA-256."""
    return {"bytes": Path(path).stat().st_size, "sha256": sha256(path)}


def created() -> str:
    """Now in UTC, or SOURCE_DATE_EPOCH when set, so that a build can be repeated byte for byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def project_version() -> str:
    """This project's version, from pyproject.toml beside the scripts."""
    try:
        return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "unknown"


def pick(value: Any, *keys: str) -> dict[str, Any]:
    """The given keys of a stage's JSON, those that are there."""
    return {key: value[key] for key in keys if isinstance(value, Mapping) and key in value}


def build_manifest(
    *,
    scene: str,
    title: str,
    options: Mapping[str, Any],
    stages: Mapping[str, Any],
    stage_files: Mapping[str, Path],
    files: Mapping[str, Any],
    versions: Mapping[str, str],
    view: Mapping[str, Any],
) -> dict[str, Any]:
    """manifest.json: what went in, how it was made, how good it is, and the hash of every file.

    `stages` holds the parsed JSON of photos, sfm, georef, train, eval and codecs; `stage_files`
    their paths. Nothing in the result says where on Earth the place is.
    """
    photos = stages["photos"].get("photos", [])
    kept = [photo for photo in photos if photo.get("kept")]
    sfm, train = stages["sfm"], stages["train"]
    manifest = {
        "format": 1,
        "scene": scene,
        "title": title,
        "created": created(),
        "versions": {"splatmake": project_version(), **versions},
        "options": dict(options),
        "photos": {
            "given": len(photos),
            "kept": len(kept),
            "files": [pick(photo, "file", "sha256") for photo in kept],
        },
        "sfm": pick(sfm, "photos", "registered", "reprojection_error_px", "seconds", "options"),
        "georef": pick(stages["georef"], "georeferenced", "rmse_horizontal_m", "rmse_vertical_m"),
        "train": pick(
            train,
            "device",
            "backend",
            "steps",
            "seconds",
            "gaussians",
            "seed",
            "peak_memory_mb",
            "options",
            "versions",
        ),  # fmt: skip
        "eval": pick(stages["eval"], "psnr", "ssim", "lpips"),
        "codecs": stages["codecs"],
        "start_view": pick(view, "name", "position", "target", "fov"),
        "stages": {name: {"sha256": sha256(path)} for name, path in stage_files.items()},
        "files": {name: dict(files[name]) for name in FILES if name in files},
    }
    return dict(without_places(manifest))


def licences(package: Path, splatmake: str, engine: str) -> str:
    """licences.txt: the licences of all code in the bundle, each in full.

    `package` is the viewer's npm package; the PlayCanvas engine is compiled into its script.
    """
    parts = [
        ("splatmake: the page around the viewer", splatmake),
        (f"{PACKAGE}: the viewer", (package / "LICENSE").read_text(encoding="utf-8")),
        ("PlayCanvas engine: part of viewer.js", engine),
    ]
    return (
        "\n\n".join(f"{name}\n{'-' * len(name)}\n\n{text.strip()}" for name, text in parts) + "\n"
    )


def viewer_package(node_modules: Path) -> tuple[Path, str]:
    """The viewer's package folder and version. Raises UserError when it is not installed."""
    package = Path(node_modules) / PACKAGE
    try:
        version = str(json.loads((package / "package.json").read_text())["version"])
    except (OSError, KeyError, json.JSONDecodeError):
        raise UserError(
            f"{package} is not installed; delete {Path(node_modules).parent} and run this again"
        ) from None
    return package, version


def viewer_script(package: Path) -> str:
    """The viewer as one script without its source map's address: the map is not shipped."""
    text = (package / "public" / "index.js").read_text(encoding="utf-8")
    return re.sub(r"\n//# sourceMappingURL=\S+\s*$", "\n", text)
