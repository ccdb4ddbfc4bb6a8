"""The webhook: which servers it reaches, and which it does not."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any

import pytest

from scripts.lib.cloud import webhook
from scripts.lib.core.console import UserError


def resolves(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name have these addresses."""
    found = [(0, 0, 0, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.42.0.9", "169.254.170.2", "192.168.1.1", "::1", "fd00::1", "100.64.0.1"],
)
def test_servers_inside_a_network_are_not_called(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fargate gives a task's credentials to whoever asks 169.254.170.2."""
    resolves(monkeypatch, "93.184.215.14", address)
    with pytest.raises(UserError, match="example.org is not a server on the internet"):
        webhook.post("https://example.org/x", {})


@pytest.mark.parametrize(
    "url", ["http://example.org", "https://example.org:8443/x", "file:///etc/passwd", "https:///x"]
)
def test_only_https_is_called(url: str) -> None:
    with pytest.raises(UserError, match="must be an https:// address"):
        webhook.post(url, {})


class Server:
    """What a connection sends, and an answer."""

    def __init__(self, status: int) -> None:
        self.sent, self.status, self.reached = b"", status, ("", 0)

    def connect(self, address: tuple[str, int], _: float) -> socket.socket:
        self.reached = address
        ours, theirs = socket.socketpair()
        theirs.sendall(f"HTTP/1.1 {self.status} X\r\nLocation: https://x\r\n\r\n".encode())
        theirs.shutdown(socket.SHUT_WR)
        self.theirs = theirs
        return ours


@pytest.mark.parametrize("status", [200, 204, 302, 500])
def test_a_notice_is_sent_once_to_the_address_that_was_checked(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves(monkeypatch, "93.184.215.14")
    server = Server(status)
    names: list[str] = []

    def wrap(_: ssl.SSLContext, plain: Any, server_hostname: str) -> Any:
        names.append(server_hostname)
        return plain

    monkeypatch.setattr(socket, "create_connection", server.connect)
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", wrap)
    if status < 300:
        webhook.post("https://example.org/a?token=1", {"id": "1"})
    else:
        with pytest.raises(UserError, match=f"example.org answered {status}"):
            webhook.post("https://example.org/a?token=1", {"id": "1"})
    head, _, body = server.theirs.recv(10_000).decode().partition("\r\n\r\n")
    assert head.startswith("POST /a?token=1 HTTP/1.1\r\nHost: example.org")
    assert json.loads(body) == {"id": "1"}
    assert server.reached == ("93.184.215.14", 443) and names == ["example.org"]
