"""The studio's page as a static web site: its files, and its settings, which it reads first."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from scripts.lib.cloud.links import content_type
from scripts.lib.cloud.provider import Provider, origin
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.provenance import project_version

FOLDER = ROOT / "scripts" / "studio_page"
START, SETTINGS, PARTS = "index.html", "studio.json", "studio/"
ASK_AGAIN = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"  # for what has the hash of its content in its name
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
HEAD = '<meta charset="utf-8">\n'


@dataclass(frozen=True, kw_only=True)
class Backend:
    """What the page works with: the job API, the places of uploads and of published pages, the sign-in."""

    api: str  # address of the API
    storage: str  # origin of links to uploads and results
    pages: str  # address of published pages
    login: Provider

    def settings(self) -> dict[str, object]:
        """The page's studio.json. The cloud sends no events, and has no disk that fills up."""
        login = {name: value for name, value in asdict(self.login).items() if value}
        api = f"{self.api.rstrip('/')}/"
        return {"version": project_version(), "events": False, "api": api, "login": login}

    def policy(self) -> str:
        """A content security policy with the very hosts; the one in the stack's header names kinds of hosts.

        A browser keeps to both.
        """
        called = " ".join(
            dict.fromkeys(map(origin, (self.api, self.storage, self.login.token, self._revoke)))
        )
        return (
            f"connect-src 'self' {called}; img-src 'self' blob: data: {self.storage};"
            f" media-src 'self' blob: {self.storage}; frame-src 'self' {origin(self.pages)}"
        )

    @property
    def _revoke(self) -> str:
        return self.login.revoke or self.login.token


@dataclass(frozen=True)
class SiteFile:
    """A file of the site, and what a web server says of it."""

    data: bytes
    headers: dict[str, str]


def site(backend: Backend, folder: Path = FOLDER) -> dict[str, SiteFile]:
    """{name: file} of the whole site, in the order in which they are to be put there.

    All parts of the page lie in a folder named after their content, so that a browser may keep them, and
    never mixes those of two versions. The page itself comes last: it names the others.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != START)
    content = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    digest = hashlib.sha256()
    for name, data in content.items():
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    own = f"{PARTS}{digest.hexdigest()[:16]}/"
    made = {own + name: SiteFile(data, _headers(name, FOR_EVER)) for name, data in content.items()}
    settings = json.dumps(backend.settings(), indent=1).encode()
    made[SETTINGS] = SiteFile(settings, _headers(SETTINGS, ASK_AGAIN))
    text = (folder / START).read_text(encoding="utf-8")
    policy = escape(backend.policy(), quote=True)
    meta = f'    <meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    text = text.replace(HEAD, HEAD + meta, 1).replace(f'="{PARTS}', f'="{own}')
    made[START] = SiteFile(text.encode(), _headers(START, ASK_AGAIN))
    return made


def outdated(names: list[str], made: dict[str, SiteFile]) -> list[str]:
    """Which of the names in the bucket are of other versions of the page."""
    return [name for name in names if name.startswith(PARTS) and name not in made]


def _headers(name: str, cached: str) -> dict[str, str]:
    kind = TYPES.get(Path(urlsplit(name).path).suffix) or content_type(name)
    return {"Content-Type": kind, "Cache-Control": cached}
