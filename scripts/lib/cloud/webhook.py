"""Tells a caller's own server that a run has ended, and reaches no server inside the network it runs in."""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from scripts.lib.core.console import UserError
from scripts.lib.core.json_type import Json

SECONDS = 10
PORT = 443


class _Pinned(http.client.HTTPSConnection):
    """HTTPS to the one address that was checked: a name may mean another one when it is asked again."""

    def __init__(self, host: str, address: str, context: ssl.SSLContext) -> None:
        super().__init__(host, PORT, timeout=SECONDS, context=context)
        self.address, self.own = address, context

    def connect(self) -> None:
        """Connect, and check the certificate for the host's name."""
        plain = socket.create_connection((self.address, PORT), SECONDS)
        self.sock = self.own.wrap_socket(plain, server_hostname=self.host)


def public_address(host: str) -> str:
    """An address of a host on the internet. Raises UserError when it has none, or one inside a network."""
    try:
        found = socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UserError(f"{host} has no address; check the webhook") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(ipaddress.ip_address(a).is_global for a in addresses):
        raise UserError(f"{host} is not a server on the internet; check the webhook")
    return addresses[0]


def post(url: str, notice: Mapping[str, Json]) -> None:
    """POST a notice as JSON, once; a redirect is not followed.

    Raises UserError when `url` is not one of https:// and port 443, or the answer is no 2xx, and what the
    network raises.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.port not in (None, PORT):
        raise UserError("a webhook must be an https:// address without a port")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _Pinned(
        parts.hostname, public_address(parts.hostname), ssl.create_default_context()
    )
    try:
        connection.request(
            "POST", path, json.dumps(notice).encode(), {"Content-Type": "application/json"}
        )
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise UserError(f"{parts.hostname} answered {status}")
