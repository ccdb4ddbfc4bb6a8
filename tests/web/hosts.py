"""Hosts as pages meet them: without the final slash, with a content policy of their own, in frames."""

from __future__ import annotations

import functools
import http.server
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.web import browser


class Host(http.server.SimpleHTTPRequestHandler):
    """The folder below /scene/; /scene is its page too; /frame shows it in a frame with `sandbox`."""

    def __init__(self, *arguments: Any, policy: str, sandbox: str, **options: Any) -> None:
        self.policy, self.sandbox = policy, sandbox
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/frame":
            frame = f'<iframe src="/scene/" sandbox="{self.sandbox}" width="800" height="600">'
            return self._page(f"<!doctype html><title>Around</title>{frame}</iframe>".encode())
        if path == "/scene":
            return self._page((Path(self.directory) / "index.html").read_bytes())
        if not path.startswith("/scene/"):
            return self.send_error(404)
        self.path = path.removeprefix("/scene")
        return super().do_GET()

    def _page(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def end_headers(self) -> None:
        if self.policy:
            self.send_header("Content-Security-Policy", self.policy)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def host(folder: Path, policy: str = "", sandbox: str = "allow-scripts") -> Iterator[str]:
    """The address of such a host, without a slash at its end."""
    handler = functools.partial(Host, directory=str(folder), policy=policy, sandbox=sandbox)
    address = ("127.0.0.1", 0)
    with (
        http.server.ThreadingHTTPServer(address, handler) as server,
        browser.running(server) as url,
    ):
        yield url
