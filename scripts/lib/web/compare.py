"""compare.html: two captures of one place in one file, with a slider between them and what changed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

from scripts.lib.contracts.changes import Changes
from scripts.lib.contracts.photos import Photo, Photos
from scripts.lib.contracts.record import read, to_json
from scripts.lib.contracts.registration import Registration
from scripts.lib.contracts.view import read_view
from scripts.lib.core.checkout import ROOT, VIEWER
from scripts.lib.core.files import reading_zip
from scripts.lib.core.json_type import Json
from scripts.lib.core.options import Options, option
from scripts.lib.core.quantities import length_text
from scripts.lib.encode.codecs import sog as sog_codec
from scripts.lib.web import bundle, viewer
from scripts.lib.web.page import POLICY, script_hash, script_json
from scripts.lib.web.settings import viewer_settings

COMPARE = VIEWER / "compare"
# The page's own parts that both pages share, then those of this one.
SHARED = ("common", "loading", "camera")
OWN = ("sync", "wipe", "places", "start")


@dataclass(frozen=True)
class CompareOptions(Options):
    """The page that compares two captures of one place."""

    splats: Literal["desktop", "mobile"] = option(
        "desktop",
        """Which of the two files of each scene the page carries: desktop looks best, mobile is smaller and
        suits phones.""",
    )


@dataclass(frozen=True)
class CaptureParts:
    """What the page shows of one capture: its name, .sog, photos.json, and what its own page says."""

    scene: str
    sog: Path
    photos: Path
    options: bundle.WebOptions


def compare_page(
    reference: CaptureParts,
    scene: CaptureParts,
    view: Path,
    registration: Path,
    changes: Path,
    pictures: Path,
    modules: Path,
) -> bytes:
    """compare.html, which opens from a disk. view: view.json of the reference; pictures: changes.zip.

    Raises UserError when the viewer's package is not installed or another version, or a file is damaged.
    """
    package, _ = bundle.viewer_package(modules)
    visit, found = read_view(view), read(Changes, changes)
    joined = read(Registration, registration)
    options = scene.options
    settings = viewer_settings(
        visit, options.background, (VIEWER / "settings.json").read_text(encoding="utf-8"), False
    )
    files = {
        "before.sog": reference.sog.read_bytes(),
        "after.sog": scene.sog.read_bytes(),
        "viewer.js.gz": gzip.compress(
            viewer.viewer_script(package).encode(), compresslevel=9, mtime=0
        ),
    }
    config: dict[str, Json] = {
        "scene": _scene("before.sog", files["before.sog"], reference.sog),
        "after": _scene("after.sog", files["after.sog"], scene.sog),
        "matrix": [value for row in joined.reference_from_scene for value in row],
        "start": {"position": visit.position, "target": visit.target, "fov": visit.fov},
        "limits": to_json(visit.limits) if visit.limits else None,
        "settingsJson": settings,
        "viewer": "viewer.js.gz",
        "places": _places(found, pictures),
        "inline": True,
    }
    title = bundle.title_of(scene.scene, options)
    return _filled(
        {
            "title": f"{title}: before and after",
            "description": f"{title}, compared with an earlier capture of the same place.",
            "background": options.background,
            "before": _when(reference),
            "after": _when(scene),
            "residual": residual_sentence(joined),
        },
        config,
        files,
        _licences(package),
    )


def residual_sentence(joined: Registration) -> str:
    """How exactly the two captures lie in one frame, for visitors."""
    metric = f" ({length_text(joined.residual_m.median)})" if joined.residual_m else ""
    return (
        f"The two captures were brought together by {joined.common} points that both show, which meet to"
        f" {joined.residual_px.median:.1f} pixels{metric}."
    )


def _filled(
    texts: Mapping[str, str],
    config: Mapping[str, Json],
    files: Mapping[str, bytes],
    licences: str,
) -> bytes:
    """The template with its texts, the script's settings, and all files inside."""
    parts = [VIEWER / "page" / f"{name}.js" for name in SHARED]
    parts += [COMPARE / f"{name}.js" for name in OWN]
    script = "\n".join(part.read_text(encoding="utf-8") for part in parts)
    # `</` cannot stand in a script element; in our own code it only occurs inside strings.
    script = "\n" + script.replace("</", "<\\/") + "\n"
    inlined = "\n    ".join(
        f'<script type="text/plain" id="file-{name}">{base64.b64encode(data).decode()}</script>'
        for name, data in files.items()
    )
    policy = POLICY.format(
        script=script_hash(script),
        worker="",
        style="'unsafe-inline'",
        image="",
        connect="",
        base="'none'",
    )
    template = Template((COMPARE / "index.html").read_text(encoding="utf-8"))
    return template.substitute(
        {key: html.escape(value) for key, value in texts.items()},
        config=script_json(config),
        style=(COMPARE / "compare.css").read_text(encoding="utf-8"),
        files=inlined,
        script=script,
        licences=script_json(licences),
        policy=policy,
    ).encode()


def _scene(name: str, data: bytes, sog: Path) -> dict[str, Json]:
    return {
        "name": name,
        "url": name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "antialiased": sog_codec.is_antialiased(sog),
    }


def _places(found: Changes, pictures: Path) -> list[Json]:
    """What the page tells of each place; nothing of it says where on Earth it is."""
    with reading_zip(pictures) as archive:
        return [
            {
                "position": place.position,
                "eye": place.eye,
                "fov": place.fov,
                "kind": place.kind,
                "metres": place.size_m,
                "picture": "data:image/jpeg;base64,"
                + base64.b64encode(archive.read(place.pictures[2])).decode(),
            }
            for place in found.places
        ]


def _when(part: CaptureParts) -> str:
    """The capture's date, else the scene's name."""
    photos: tuple[Photo, ...] = read(Photos, part.photos).photos
    kept = [photo for photo in photos if photo.kept]
    return bundle.capture_date(kept, part.options.date) or bundle.title_of(part.scene, part.options)


def _licences(package: Path) -> str:
    engine = (VIEWER / "LICENSE.playcanvas").read_text(encoding="utf-8")
    return bundle.licences(package, (ROOT / "LICENSE").read_text(encoding="utf-8"), engine)
