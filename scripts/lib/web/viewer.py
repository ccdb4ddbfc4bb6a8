"""Scripts and styles of the page: the viewer's, from its package, and our own beside them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from scripts.lib.core.checkout import VIEWER
from scripts.lib.core.console import UserError

# Plain scripts, joined in this order: the first makes `splatmake`, the last starts the page.
PAGE_PARTS = (
    *(
        "common",
        "loading",
        "camera",
        "controls",
        "walk",
        "tour",
        "uncertainty",
        "measure",
        "map",
        "notes",
        "share",
    ),
    "start",
)
# Joined in this order: a later rule wins over an earlier one.
STYLE_PARTS = ("page", "tools", "dialogs", "narrow")
MANAGER_MADE = "this.cameraManager = new CameraManager(global, sceneBound);"
METRE = "(globalThis.splatmake?.metre ?? 1)"  # world units that count as a metre, for a walker
# What is changed in the viewer's script, whose version is pinned: each text stands in it once.
CHANGES = {
    # It announces its picker; its camera manager is announced at the same place, with what holds a walker.
    MANAGER_MADE: f"{MANAGER_MADE}\n"
    "            events.fire('camera:ready', this.cameraManager, VoxelCollision);",
    "walk: new WalkController(),": "walk: (this.walker = new WalkController()),",
    # Its walker counts in metres, but not every scene does.
    "const ARRIVAL_DIST = 0.5;": f"const ARRIVAL_DIST = 0.5 * {METRE};",
    "const BLOCKED_SPEED = 0.6;": f"const BLOCKED_SPEED = 0.6 * {METRE};",
    "if (displacement > 0.1) {": f"if (displacement > 0.1 * {METRE}) {{",
}


def page_script() -> str:
    """page.js: the parts of scripts/viewer/page as one script."""
    parts = [(VIEWER / "page" / f"{name}.js").read_text(encoding="utf-8") for name in PAGE_PARTS]
    return "\n".join(parts)


def beside_script() -> str:
    """What finds the files of a hosted page whose address lacks its final slash; it stands in the page."""
    return "\n" + (VIEWER / "page" / "beside.js").read_text(encoding="utf-8")


def page_style(package: Path) -> str:
    """style.css: the viewer's rules, then the page's own."""
    parts = [VIEWER / "style" / f"{name}.css" for name in STYLE_PARTS]
    sheets = [package / "public" / "index.css", *parts]
    return "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


def viewer_script(package: Path) -> str:
    """The viewer as one script: without its source map's address, and with `CHANGES`.

    Raises UserError when the package is another version than the one this was written for.
    """
    text = (package / "public" / "index.js").read_text(encoding="utf-8")
    if any(text.count(there) != 1 for there in CHANGES):
        raise UserError(
            f"{package} is not the version of the viewer that this page was made for;"
            " delete the folder and run this again"
        )
    for there, instead in CHANGES.items():
        text = text.replace(there, instead)
    return re.sub(r"\n//# sourceMappingURL=\S+\s*$", "\n", text)


def packed(text: str) -> bytes:
    """`text` compressed with gzip, always to the same bytes."""
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)
