"""Where this checkout of the project lies."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VIEWER = ROOT / "scripts" / "viewer"  # the page's own html, css and js
