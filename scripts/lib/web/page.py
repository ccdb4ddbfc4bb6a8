"""The page's own text: index.html from its template, the settings of the viewer, the one-file form.

Only the standard library is imported here. Every text that a person or a file gave is escaped.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from scripts.lib.contracts.placing import placing
from scripts.lib.core.annotations import parse_annotations
from scripts.lib.core.checkout import VIEWER
from scripts.lib.core.console import UserError

# Plain scripts, joined in this order: the first makes `splatmake`, the last starts the page.
PAGE_PARTS = (
    *("common", "loading", "camera", "controls", "tour", "measure", "map", "notes", "share"),
    "start",
)
# What the page may load: its own files, and what it makes itself. `blob:` is the unpacked viewer and
# its sorting worker, `data:` the icon and pictures that the viewer carries inside.
POLICY = (
    "default-src 'none'; script-src {script} blob:; worker-src {worker} blob:; style-src {style};"
    " img-src {image} data: blob:; connect-src {connect} data: blob:; base-uri {base}; form-action 'none'"
)
# The viewer announces its picker; its camera manager is announced at the same place.
MANAGER_MADE = "this.cameraManager = new CameraManager(global, sceneBound);"
MANAGER_TOLD = f"{MANAGER_MADE}\n            events.fire('camera:ready', this.cameraManager);"
FRAME_RATE = 30


def page_script() -> str:
    """page.js: the parts of scripts/viewer/page as one script."""
    parts = [(VIEWER / "page" / f"{name}.js").read_text(encoding="utf-8") for name in PAGE_PARTS]
    return "\n".join(parts)


def beside_script() -> str:
    """What finds the files of a hosted page whose address lacks its final slash; it stands in the page."""
    return "\n" + (VIEWER / "page" / "beside.js").read_text(encoding="utf-8")


def script_hash(script: str) -> str:
    """The source of a content policy that allows an inline script with exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def page_style(package: Path) -> str:
    """style.css: the viewer's rules, then the page's own."""
    own = (VIEWER / "style.css").read_text(encoding="utf-8")
    return (package / "public" / "index.css").read_text(encoding="utf-8") + "\n" + own


def viewer_script(package: Path) -> str:
    """The viewer as one script: without its source map's address, and telling its camera manager.

    Raises UserError when the package is another version than the one this was written for.
    """
    text = (package / "public" / "index.js").read_text(encoding="utf-8")
    if text.count(MANAGER_MADE) != 1:
        raise UserError(
            f"{package} is not the version of the viewer that this page was made for;"
            " delete the folder and run this again"
        )
    text = text.replace(MANAGER_MADE, MANAGER_TOLD)
    return re.sub(r"\n//# sourceMappingURL=\S+\s*$", "\n", text)


def packed(text: str) -> bytes:
    """`text` compressed with gzip, always to the same bytes."""
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def colour(background: str) -> list[float]:
    """`#rrggbb` as three numbers from 0 to 1, the form settings.json wants."""
    return [int(background[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def to_viewer(point: Sequence[float]) -> list[float]:
    """A point (3,) of our frame (Z up) in the viewer's world (Y up): the page turns the splat alike."""
    x, y, z = (float(value) for value in point)
    return [x, z, -y]


def track(tour: Mapping[str, Any]) -> dict[str, Any]:
    """The tour of view.json as the viewer's animation track, in its own world."""
    return {
        "name": "tour",
        "duration": tour["times"][-1],
        "frameRate": FRAME_RATE,
        "loopMode": "none",
        "interpolation": "spline",
        "smoothness": 1,
        "keyframes": {
            "times": [round(time * FRAME_RATE, 3) for time in tour["times"]],
            "values": {
                "position": [v for point in tour["position"] for v in to_viewer(point)],
                "target": [v for point in tour["target"] for v in to_viewer(point)],
                "fov": list(tour["fov"]),
            },
        },
    }


def viewer_settings(
    view: Mapping[str, Any], background: str, template: str, tour: bool = True
) -> dict[str, Any]:
    """settings.json: the template with background, start view (position, target, fov) and tour.

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
    if tour and view.get("tour"):
        settings["animTracks"] = [track(view["tour"])]
        settings["startMode"] = "animTrack"
    return settings


def nearest_camera(point: Sequence[float], view: Mapping[str, Any]) -> dict[str, Any]:
    """From where to look at an annotation: the capture camera nearest to it, aimed at it."""
    photos = (view.get("map") or {}).get("photos") or [view["position"]]
    position = min((photo[:3] for photo in photos), key=lambda place: math.dist(place, point))
    return {"position": list(position), "target": list(point)}


def placed_notes(
    given: Sequence[Mapping[str, Any]], view: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Annotations for the page, each with a camera. Raises UserError when one has no usable place."""
    return [
        note | {"camera": note["camera"] or nearest_camera(note["position"], view)}
        for note in parse_annotations(given)
    ]


def measuring(georef: Mapping[str, Any], view: Mapping[str, Any]) -> dict[str, Any] | None:
    """How exact distances are: {"error": share of a length, "survey": bool}; None without metres.

    Errors of single photos or surveyed points average out over them, and weigh less the wider the
    photos lie.
    """
    photos = (view.get("map") or {}).get("photos") or []
    placed = placing(georef)
    if placed is None or len(photos) < 3:
        return None
    rmse = math.hypot(placed.horizontal or 0.0, placed.vertical or 0.0)
    middle = [sum(photo[i] for photo in photos) / len(photos) for i in range(3)]
    spread = math.sqrt(sum(math.dist(photo[:3], middle) ** 2 for photo in photos) / len(photos))
    count = placed.points if placed.survey else len(photos)
    return {"error": rmse / max(spread, 1e-9) / math.sqrt(count), "survey": placed.survey}


def accuracy(measure: Mapping[str, Any] | None) -> str:
    """One sentence on how far to trust a distance; empty where none is offered."""
    if measure is None:
        return ""
    percent = 100 * measure["error"]
    said = "better than 0.1" if percent < 0.1 else f"about {percent:.1g}"
    source = "surveyed points" if measure["survey"] else "the photos' GPS"
    return f"In metres, from {source}: scale right to {said} %, plus how well you aim."


def hashed_name(name: str, digest: str) -> str:
    """`scene.mobile.sog` -> `scene.mobile.0123456789ab.sog`: a name that changes with the content."""
    path = Path(name)
    stem = path.name.removesuffix(
        "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    )
    return f"{stem}.{digest[:12]}{path.name.removeprefix(stem)}"


def script_json(value: Any) -> str:
    """JSON that may stand inside a `<script>` element: no `<`, so no text can close it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def help_keys(config: Mapping[str, Any]) -> str:
    """Rows of the help for the keys of what this page offers."""
    rows = [
        ("tour", "Guided tour", "T"),
        ("measure", "Measure a distance", "M"),
        ("map", "Map of the photos", "P"),
        ("annotations", "Next note", "N"),
        ("start", "This help", "?"),
    ]
    return "\n            ".join(
        f"<div><dt>{name}</dt><dd><kbd>{key}</kbd></dd></div>"
        for part, name, key in rows
        if config.get(part)
    )


def address_tags(url: str) -> str:
    """`canonical` and `og:url` for a page whose address is known; empty otherwise."""
    if not url:
        return ""
    safe = html.escape(url)
    return f'<link rel="canonical" href="{safe}">\n    <meta property="og:url" content="{safe}">'


def fill(
    template: str,
    *,
    texts: Mapping[str, str],
    config: Mapping[str, Any],
    url: str,
    poster: str,
    card_image: str,
    styles: str,
    scripts: str,
    policy: str,
    links: str,
) -> str:
    """index.html from its template. `texts` are escaped here; the rest is markup made by this module."""
    return Template(template).substitute(
        {key: html.escape(value) for key, value in texts.items()},
        config=script_json(config),
        address_tags=address_tags(url),
        poster=html.escape(poster),
        card_image=html.escape(card_image),
        styles=styles,
        scripts=scripts,
        policy=policy,
        links=links,
        help_keys=help_keys(config),
    )


def hosted(
    template: str,
    texts: Mapping[str, str],
    config: Mapping[str, Any],
    url: str,
    address: Mapping[str, str],
    single: str = "",
) -> str:
    """index.html of the folder that a host serves; `address` maps file names to their addresses.

    `single` is the address of the one-file page, where that lies nearby.
    """
    beside = beside_script()
    files = {key: dict(config[key]) for key in ("scene", "mobile") if config.get(key)}
    for entry in files.values():
        entry["url"] = address[entry["name"]]
    config = {key: value for key, value in config.items() if key != "loads"}
    return fill(
        template,
        texts=texts,
        config={
            **config,
            **files,
            "settings": address["settings.json"],
            "viewer": address["viewer.js.gz"],
            **({"single": single} if single else {}),
        },
        url=url,
        poster=address["poster.jpg"],
        # Link previews want a whole address; without one the relative one is the best there is.
        card_image=url.rstrip("/") + "/poster.jpg" if url else "poster.jpg",
        # Before everything that has to be found.
        styles=f'<script>{beside}</script>\n    <link rel="stylesheet" href="{address["style.css"]}">',
        scripts=f'<script src="{address["page.js"]}"></script>',
        policy=POLICY.format(
            script=f"'self' {script_hash(beside)}",
            worker="'self'",
            style="'self'",
            image="'self'",
            connect="'self'",
            base="'self'",
        ),
        links='<a href="licences.txt">Licences</a> <a href="manifest.json">How this was made</a>',
    )


def one_file(
    template: str,
    texts: Mapping[str, str],
    config: Mapping[str, Any],
    files: Mapping[str, bytes],
    style: str,
    script: str,
    licences: str,
) -> str:
    """The whole page with viewer and scene in one HTML file, which opens from a disk.

    `files` holds scene.sog, settings.json, viewer.js.gz and poster.jpg.
    """

    def inlined(name: str) -> str:
        data = base64.b64encode(files[name]).decode()
        return f'<script type="text/plain" id="file-{name}">{data}</script>'

    # `</` cannot stand in a script element; in our own code it only occurs inside strings.
    script = "\n" + script.replace("</", "<\\/") + "\n"
    data = "\n    ".join(inlined(n) for n in ("scene.sog", "settings.json", "viewer.js.gz"))
    kept = script_json(licences)
    poster = "data:image/jpeg;base64," + base64.b64encode(files["poster.jpg"]).decode()
    return fill(
        template,
        texts=texts,
        config={
            **{key: value for key, value in config.items() if key not in ("mobile", "loads")},
            "scene": {**config["scene"], "url": "scene.sog"},
            "settings": "settings.json",
            "viewer": "viewer.js.gz",
            "inline": True,
        },
        url="",
        poster=poster,
        card_image="poster.jpg",
        styles=f"<style>\n{style}\n</style>",
        scripts=f'{data}\n    <script type="text/plain" id="licences">{kept}</script>\n'
        f"    <script>{script}</script>",
        policy=POLICY.format(
            script=script_hash(script),
            worker="",
            style="'unsafe-inline'",
            image="",
            connect="",
            base="'none'",
        ),
        links="",
    )


HASHED = re.compile(r"\.[0-9a-f]{12}(\.|/|$)")  # in a name that `hashed_name` made
# For Netlify, Cloudflare Pages and others that read this file; publish_web's places have no use for it.
HOST_RULES = "_headers"
# Addresses carry a hash of their file
# (`?v=`), so these may be kept for ever; the page itself must be asked for again.
HEADERS = """# Cache rules for hosts that read a `_headers` file; elsewhere set the same by hand.
# Addresses of these files carry a hash of their content (?v=...): a cache must include the query
# string in its key (on CloudFront: a cache policy with query strings), and may then keep them for ever.
/
  Cache-Control: no-cache
/index.html
  Cache-Control: no-cache
/manifest.json
  Cache-Control: no-cache
/*
  X-Content-Type-Options: nosniff
  Referrer-Policy: strict-origin-when-cross-origin
"""


def headers_file(names: Sequence[str]) -> str:
    """`_headers`: what each of the files `names` may be cached for."""
    rules = [
        f"/{name}\n  Cache-Control: public, max-age=31536000, immutable\n" for name in sorted(names)
    ]
    return HEADERS + "".join(rules)
