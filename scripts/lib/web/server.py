"""A server of a finished page, for looking at it on this computer."""

from __future__ import annotations

import errno
import functools
import http.server
from pathlib import Path

from scripts.lib.core.console import UserError


class Handler(http.server.SimpleHTTPRequestHandler):
    """Static files with the right types, never cached: what is on the disk is what is shown."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".json": "application/json",
        ".sog": "application/octet-stream",
    }

    def end_headers(self) -> None:
        """Add that nothing is to be kept."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing for each request."""


def make_server(folder: Path, host: str, port: int) -> http.server.ThreadingHTTPServer:
    """A server for `folder`, not yet running; port 0 takes a free one.

    Raises UserError when the folder holds no page or the port is taken.
    """
    if not (Path(folder) / "index.html").is_file():
        raise UserError(
            f"{folder} holds no index.html; give the folder web of a scene, such as results/yard/web"
        )
    handler = functools.partial(Handler, directory=str(folder))
    try:
        return http.server.ThreadingHTTPServer((host, port), handler)
    except OSError as error:
        hint = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        raise UserError(
            f"cannot listen on {host} port {port} ({error.strerror}); try another {hint}"
        ) from None
