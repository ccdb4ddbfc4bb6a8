"""The client of the job API: who calls, and what it does when the other side does not answer."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.lib.cloud.client.api import Api, ExpiredError, UnreachableError, send
from scripts.lib.cloud.client.auth import checked_address, prover
from scripts.lib.cloud.messages import Started
from scripts.lib.core.console import UserError

ADDRESS = "https://abc.execute-api.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("text", ["", "abc", "http://example.org", "ftp://localhost/x", "https://"])
def test_an_address_without_tls_is_none(text: str) -> None:
    with pytest.raises(UserError, match="SPLATMAKE_API"):
        checked_address(text)


def test_addresses() -> None:
    assert checked_address(f"{ADDRESS}/") == ADDRESS
    assert checked_address("http://127.0.0.1:80") == "http://127.0.0.1:80"


def test_a_token_goes_before_credentials() -> None:
    prove = prover(ADDRESS, {"SPLATMAKE_TOKEN": "abc"})
    assert prove("GET", f"{ADDRESS}/jobs", {}, b"") == {"Authorization": "Bearer abc"}


def test_a_signature_names_the_apis_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "AKID"), ("SECRET_ACCESS_KEY", "x")):
        monkeypatch.setenv(f"AWS_{name}", value)
    prove = prover(ADDRESS, {"AWS_REGION": "us-east-1"})
    headers = prove("POST", f"{ADDRESS}/jobs?a=b", {"Content-Type": "application/json"}, b"{}")
    assert "/eu-central-1/execute-api/aws4_request" in headers["Authorization"]
    assert headers["Content-Type"] == "application/json" and "X-Amz-Date" in headers
    own = prover("https://api.example.org", {"AWS_REGION": "us-east-1"})
    assert (
        "/us-east-1/execute-api/" in own("GET", "https://api.example.org", {}, b"")["Authorization"]
    )


def test_nobody_may_not_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(UserError, match="nothing says who you are"):
        prover(ADDRESS, {})


class Answers:
    """A server that gives these (status, body) one after the other."""

    def __init__(self, *given: tuple[int, str]) -> None:
        self.given, self.asked = list(given), list[tuple[str, dict[str, str]]]()
        self.calls = list[tuple[str, bytes]]()
        answers = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answers.calls.append((self.path, body))
                answers.asked.append((self.command, dict(self.headers)))
                status, text = answers.given.pop(0)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "https://example.org")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        for method in ("GET", "POST", "PUT"):
            setattr(Handler, f"do_{method}", Handler.answer)
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited, at once."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


@pytest.fixture
def servers() -> Iterator[list[Answers]]:
    made: list[Answers] = []
    yield made
    for one in made:
        one.server.shutdown()
        one.server.server_close()


DONE = json.dumps({"id": "0" * 16, "status": "/jobs/1"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([(503, "{}"), (429, '{"message": "Too Many Requests"}'), (200, DONE)], None),
        ([(429, '{"error": "4 of your runs have not ended"}')], "4 of your runs have not ended"),
        ([(500, "{}")] * 6, "answered 500"),
        ([(404, '{"error": "there is no job"}')], "there is no job"),
        ([(403, '{"message": "Forbidden"}')], "does not know you (Forbidden); check the token"),
        ([(302, "")], "answered 302"),
        ([(200, '{"id": "1", "new": 1}')], "another version"),
        ([(200, "<html>")], "another version"),
    ],
)
def test_calls_are_made_again_while_a_fault_may_pass(
    given: list[tuple[int, str]], said: str | None, waits: list[float], servers: list[Answers]
) -> None:
    server = Answers(*given)
    servers.append(server)
    api = Api(server.url, lambda *_: {"Authorization": "Bearer abc"})
    if said is None:
        assert api.ask(Started, "POST", "/jobs", {}, key="k").status == "/jobs/1"
        assert {headers["Idempotency-Key"] for _, headers in server.asked} == {"k"}
    else:
        with pytest.raises(UserError) as told:
            api.ask(Started, "POST", "/jobs", {}, key="k")
        assert said in str(told.value)
    assert not server.given and len(waits) == len(given) - 1


def test_a_server_that_is_not_there(waits: list[float]) -> None:
    with pytest.raises(UnreachableError, match="http://127.0.0.1:1 cannot be reached"):
        Api("http://127.0.0.1:1", lambda *_: {}).ask(Started, "GET", "/jobs")
    with pytest.raises(UnreachableError, match="run the same command again, and it goes on"):
        send("http://127.0.0.1:1", b"x", {})
    assert len(waits) == 10


def test_a_link_that_is_refused_has_expired(waits: list[float], servers: list[Answers]) -> None:
    server = Answers((503, ""), (200, ""), (403, ""))
    servers.append(server)
    send(server.url, b"x", {"Content-MD5": "y"})
    with pytest.raises(ExpiredError):
        send(server.url, b"x", {})
    assert [method for method, _ in server.asked] == ["PUT"] * 3 and len(waits) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("GET", "/jobs", None, {"after": "a b/ü+%&=~*"}),
        ("POST", "/jobs", {"scenes": ["ü"]}, None),
        ("POST", "/uploads/1/complete", None, None),
    ],
)
def test_what_is_sent_is_what_was_signed(
    method: str,
    path: str,
    body: Any,
    query: dict[str, str] | None,
    servers: list[Answers],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """IAM, "Create a signed AWS API request": the server makes the signature again of what arrives."""
    for name, value in (("ACCESS_KEY_ID", "AKID"), ("SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = Answers((200, DONE))
    servers.append(server)
    api = Api(server.url, prover(server.url, {"AWS_REGION": "eu-central-1"}))
    api.ask(Started, method, path, body, query, key="k")
    ((_, headers),), ((sent, data),) = server.asked, server.calls
    given = headers["Authorization"]
    names = given.split("SignedHeaders=")[1].split(",")[0].split(";")
    arrived = {name.lower(): value for name, value in headers.items()}
    canonical = "\n".join(
        [
            method,
            *(sent.split("?") if "?" in sent else (sent, "")),
            *(f"{name}:{arrived[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(data).hexdigest(),
        ]
    )
    date = arrived["x-amz-date"]
    scope = f"{date[:8]}/eu-central-1/execute-api/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = b"AWS4secret"
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    wanted = hmac.digest(key, f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}".encode(), "sha256")
    assert given.endswith(f"Signature={wanted.hex()}") and {"host", "x-amz-date"} <= set(names)
