"""What hosts and caches must know: names that change with their content, and how long each may be kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

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


def hashed_name(name: str, digest: str) -> str:
    """`scene.mobile.sog` -> `scene.mobile.0123456789ab.sog`: a name that changes with the content."""
    path = Path(name)
    stem = path.name.removesuffix(
        "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    )
    return f"{stem}.{digest[:12]}{path.name.removeprefix(stem)}"


def headers_file(names: Sequence[str]) -> str:
    """`_headers`: what each of the files `names` may be cached for."""
    rules = [
        f"/{name}\n  Cache-Control: public, max-age=31536000, immutable\n" for name in sorted(names)
    ]
    return HEADERS + "".join(rules)
