"""The web bundle: which files it holds, what its options are, and how its manifest is made.

Only the standard library is imported here, because the workflow reads `FILES` before any stage runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import UserError
from scripts.lib.core.faults import is_fault
from scripts.lib.core.options import Options, option

PACKAGE = "@playcanvas/supersplat-viewer"

# Every file of the bundle, always all of them. manifest.json comes last: it hashes the others.
FILES = (
    "index.html",
    "style.css",
    "page.js",
    "viewer.js.gz",
    "scene.sog",
    "scene.mobile.sog",
    "settings.json",
    "walk.bin.gz",
    "poster.jpg",
    "licences.txt",
    "_headers",
    "workflow.smk",
    "README.md",
    "ro-crate-metadata.json",
    "manifest.json",
)

# Keys that say where on Earth photos were taken. They stay out of everything that is published.
PLACE = re.compile(
    r"gps|exif|latitude|longitude|altitude|^(lat|lon|lng|alt|origin|epsg|crs|world_from_sfm)$", re.I
)


@dataclass(frozen=True)
class WebOptions(Options):
    """What the page says and how it looks. Usually set per scene, for example bundle_web.title in "
    "the sheet."""

    title: str = option("", "Title of the page; empty makes one from the name of the scene.")
    description: str = option(
        "", "One sentence for search engines, link previews and screen readers."
    )
    credit: str = option("", "Who took the photos.")
    licence: str = option("", "Licence of the scene, shown next to the credit.")
    consent: str = option(
        "",
        "Note about the consent of people who can be seen; kept in manifest.json, not shown on the page.",
    )
    date: str = option(
        "auto",
        "Date of the capture on the page; auto takes it from the photos, empty shows none.",
    )
    url: str = option(
        "",
        "Address of the published page, such as https://example.org/yard/; link previews need it.",
        pattern=r"^(https?://[^\s\"'<>]+)?$",
    )
    background: str = option(
        "#101214",
        "Background colour where the splat is empty, such as #101214.",
        pattern="^#[0-9a-fA-F]{6}$",
    )
    tour: bool = option(True, "Offer a guided tour past the best views.")
    map: bool = option(
        True,
        "Offer a small map of the camera positions, without any position on the Earth.",
    )
    coordinates: bool = option(
        False, "Publish the position of the scene on the Earth, if the photos have GPS."
    )
    annotations: list[dict[str, Any]] = option(
        [],
        """Notes in the scene, each {title, text, position: [x, y, z], camera: {position, target}}. Open the
        page with ?edit and click a point to get one. In the sheet, write them as JSON.""",
    )


def title_of(scene: str, options: WebOptions) -> str:
    """The page's heading: the option, else the scene's name in words (`old_mill` -> `Old mill`)."""
    words = re.sub(r"[_-]+", " ", scene).strip()
    return options.title.strip() or words[:1].upper() + words[1:]


def capture_date(photos: Sequence[Photo], wanted: str) -> str:
    """The capture's date in words, such as `4 May 2031` or `May to June 2031`; empty when unknown."""
    if wanted != "auto":
        return wanted.strip()
    days = []
    for photo in photos:
        try:
            days.append(datetime.fromisoformat(photo.time or "").date())
        except ValueError:
            continue
    if not days:
        return ""
    first, last = min(days), max(days)
    if first == last:
        return f"{first.day} {first:%B %Y}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first:%B %Y}"
    return f"{first:%B %Y} to {last:%B %Y}"


def place_of(georef: Georef) -> str:
    """Where the scene lies, such as `46.84266° N, 91.99400° W`; empty when that is not known."""
    if georef.origin is None:
        return ""
    north, east = georef.origin.latitude, georef.origin.longitude
    return f"{abs(north):.5f}° {'N' if north >= 0 else 'S'}, {abs(east):.5f}° {'E' if east >= 0 else 'W'}"


def without_places(value: Any) -> Any:
    """`value` without any key, at any depth, that tells where on Earth a photo was taken.

    A yes or no tells no place: whether GPS was used is a setting like others.
    """
    if isinstance(value, Mapping):
        return {
            k: without_places(v)
            for k, v in value.items()
            if isinstance(v, bool) or not PLACE.search(str(k))
        }
    if isinstance(value, list | tuple):
        return [without_places(item) for item in value]
    return value


def readme(title: str, description: str) -> str:
    """README.md of the folder, for people who find the folder without the page."""
    return f"""# {title}

{description}

This folder is a web page for any static web host; it starts with `index.html`. It was made from photos with
splatmake, a Snakemake workflow.

- `scene.sog` is the scene as 3D Gaussians; `scene.mobile.sog` is a smaller version for phones.
- `manifest.json` tells how the scene was made and how good it is, and contains a hash of every file.
- `ro-crate-metadata.json` tells the same for machines, step by step (RO-Crate, Provenance Run Crate 0.5).
- `workflow.smk` is the workflow that was run; `licences.txt` contains the licences of the page's code.
"""


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
    except (OSError, KeyError, json.JSONDecodeError) as error:
        if is_fault(error):
            raise
        raise UserError(
            f"{package} is not installed; delete {Path(node_modules).parent} and run this again"
        ) from None
    return package, version
