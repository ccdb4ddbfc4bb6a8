"""Who may call: no other site's page, nobody by another name of this machine, and in a network only by token.

A page of another site can send requests to a server on loopback. Browsers say of each where it comes from
(the headers Origin and Sec-Fetch-Site), and to which name it was sent (Host), which is another's where the
name was bound anew to this machine (DNS rebinding).
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from scripts.lib.cloud.request import RefusedError
from scripts.lib.studio.studio import Studio

COOKIE = "splatmake_studio"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SIGNED = re.compile(r"/files/.+|/uploads/[0-9a-f]{16}/parts/[0-9]{1,5}")
# What a page needs to ask for the token.
OPEN = re.compile(r"/|/studio/[a-z0-9_./-]+|/session|/favicon\.ico")
SAFE = ("GET", "HEAD")
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " media-src 'self' blob:; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types studio"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Content-Security-Policy": PAGE_POLICY,
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Guard:
    """Names by which this server may be called, besides addresses in numbers where it is not on loopback."""

    studio: Studio
    names: frozenset[str]
    numbers: bool = False

    def check(
        self, method: str, path: str, query: str, headers: Mapping[str, str], cookie: str
    ) -> None:
        """Raises RefusedError for a call that may not be made; names in `headers` are in small letters."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise RefusedError(
                403, f"this server is not called {host!r}; use the address it printed"
            )
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            raise RefusedError(403, "another site's page may not use the studio")
        # What a browser fetches for itself, by a link from elsewhere, changes nothing.
        site = headers.get("sec-fetch-site", "none")
        navigates = headers.get("sec-fetch-mode") == "navigate" and method in SAFE and path == "/"
        if site not in ("same-origin", "none") and not navigates:
            raise RefusedError(403, "another site's page may not use the studio")
        if self.studio.token and not self._is_known(method, path, query, headers, cookie):
            raise RefusedError(
                401, "the token is missing or wrong; use the address that the studio printed"
            )

    def _is_ours(self, host: str) -> bool:
        name = re.sub(r":[0-9]{1,5}$", "", host.lower())
        if name in self.names:
            return True
        try:
            # A name can be bound to any machine, a number cannot.
            return self.numbers and bool(ipaddress.ip_address(name.strip("[]")))
        except ValueError:
            return False

    def _is_known(
        self, method: str, path: str, query: str, headers: Mapping[str, str], cookie: str
    ) -> bool:
        if OPEN.fullmatch(path) and (method in SAFE or path == "/session"):
            return True
        bearer = re.fullmatch(r"(?i:bearer) (\S+)", headers.get("authorization", ""))
        if self.is_token(bearer[1] if bearer else cookie):
            return True
        if not SIGNED.fullmatch(path):
            return False
        asked = parse_qs(query)
        until, signature = (asked.get(name, [""])[0] for name in ("until", "signature"))
        return self.studio.is_signed(path, until, signature)

    def is_token(self, said: str) -> bool:
        """Whether this is the studio's token."""
        return hmac.compare_digest(said.encode(), self.studio.token.encode()) and bool(said)
