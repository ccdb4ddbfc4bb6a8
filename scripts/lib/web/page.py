"""index.html from its template, as a host serves it and as one file that opens from a disk.

Every text that a person or a file gave is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from string import Template
from typing import Any

from scripts.lib.web.viewer import beside_script
from scripts.lib.web.walking import WALK

# What the page may load: its own files, and what it makes itself. `blob:` is the unpacked viewer and
# its sorting worker, `data:` the icon and pictures that the viewer carries inside.
POLICY = (
    "default-src 'none'; script-src {script} blob:; worker-src {worker} blob:; style-src {style};"
    " img-src {image} data: blob:; connect-src {connect} data: blob:; base-uri {base}; form-action 'none'"
)


def hosted(
    template: str,
    texts: Mapping[str, str],
    config: Mapping[str, Any],
    url: str,
    address: Mapping[str, str],
    single: str = "",
    compare: str = "",
) -> str:
    """index.html of the folder that a host serves; `address` maps file names to their addresses.

    `single` is the address of the one-file page, where that lies nearby, `compare` that of the page that
    compares the scene with another capture.
    """
    beside = beside_script()
    files = {key: dict(config[key]) for key in ("scene", "mobile") if config.get(key)}
    for entry in files.values():
        entry["url"] = address[entry["name"]]
    config = {key: value for key, value in config.items() if key != "loads"}
    walk = {"walk": {**config["walk"], "url": address[WALK]}} if config.get("walk") else {}
    return fill(
        template,
        texts=texts,
        config={
            **config,
            **files,
            "settings": address["settings.json"],
            "viewer": address["viewer.js.gz"],
            **walk,
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
        links=compare_link(compare)
        + '<a href="licences.txt">Licences</a> <a href="manifest.json">How this was made</a>',
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

    `files` holds scene.sog, settings.json, viewer.js.gz and poster.jpg, and what a walk needs.
    """

    def inlined(name: str) -> str:
        data = base64.b64encode(files[name]).decode()
        return f'<script type="text/plain" id="file-{name}">{data}</script>'

    # `</` cannot stand in a script element; in our own code it only occurs inside strings.
    script = "\n" + script.replace("</", "<\\/") + "\n"
    data = "\n    ".join(inlined(name) for name in files if name != "poster.jpg")
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


WALK_KEYS = (
    "<div><dt>On foot</dt><dd><kbd>B</kbd>, then <kbd>W</kbd> <kbd>A</kbd> <kbd>S</kbd> <kbd>D</kbd> or"
    " arrows, <kbd>Shift</kbd> to run, <kbd>Space</kbd> to jump; click the floor to go there</dd></div>"
)
WALK_TOUCH = (
    "<div><dt>Walk</dt><dd>Press the walker, then push the stick, or tap the floor</dd></div>"
)


def compare_link(address: str) -> str:
    """A link to the page that compares two captures; empty where there is none."""
    return f'<a href="{html.escape(address)}">Before and after</a> ' if address else ""


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
        help_walk=WALK_KEYS if config.get("walk") else "",
        help_stick=WALK_TOUCH if config.get("walk") else "",
    )


def script_hash(script: str) -> str:
    """The source of a content policy that allows an inline script with exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


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
