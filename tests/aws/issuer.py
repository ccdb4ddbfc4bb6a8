"""An OpenID provider on this machine, strict where the standards are: what the studio's page signs in at.

RFC 6749 and 7636 for codes, RFC 9700 for their single use and for refresh tokens that work once, OpenID
Connect Core for the ID token. A person signs in by pressing the only link on its page.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

CLIENT = "studio-client"
SCOPE = "openid email"


@dataclass
class Grant:
    """What somebody agreed to."""

    subject: str
    nonce: str
    challenge: str
    back: str


@dataclass
class Issuer:
    """The provider: who signs in, what it gave out, what it was asked."""

    address: str = ""
    homes: set[str] = field(default_factory=set)  # registered redirect_uris
    subject: str = "ann"
    lifetime: int = 3600  # seconds, of access tokens
    denies: bool = False
    claims: dict[str, Any] = field(default_factory=dict)  # to spoil the ID token with
    codes: dict[str, Grant] = field(default_factory=dict)
    refresh: dict[str, str] = field(default_factory=dict)  # {token: subject}
    access: dict[str, tuple[str, float]] = field(default_factory=dict)  # {token: subject, end}
    asked: Counter[str] = field(default_factory=Counter)

    def caller(self, authorization: str) -> dict[str, Any]:
        """Whom API Gateway's authoriser would find behind a header; {} for nobody."""
        subject, end = self.access.get(authorization.removeprefix("Bearer "), ("", 0.0))
        if end < time.time():
            return {}
        claims = {"iss": self.address, "sub": subject, "client_id": CLIENT, "scope": SCOPE}
        return {"authorizer": {"jwt": {"claims": claims}}}

    def forget_everybody(self, access_only: bool = False) -> None:
        """As if all tokens had ended."""
        self.access.clear()
        if not access_only:
            self.refresh.clear()


def _token(claims: dict[str, Any]) -> str:
    """A JWT; nobody here checks its signature."""
    parts = [{"alg": "RS256"}, claims]
    texts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
    return b".".join([*texts, b"signature"]).decode()


def _json(value: object, home: str, status: int = 200) -> Response:
    answer = Response(json.dumps(value), status, content_type="application/json")
    answer.headers["Access-Control-Allow-Origin"] = home
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _authorize(issuer: Issuer, request: Request) -> Response:
    asked = request.args
    if asked.get("client_id") != CLIENT or asked.get("redirect_uri") not in issuer.homes:
        return Response(
            "unknown client", 400
        )  # never sent back to an address that is not registered
    wanted = {"response_type": "code", "code_challenge_method": "S256"}
    good = all(asked.get(name) == value for name, value in wanted.items())
    good = good and "openid" in asked.get("scope", "").split()
    long_enough = all(len(asked.get(n, "")) >= 43 for n in ("state", "nonce", "code_challenge"))
    back = {"state": asked.get("state", ""), "iss": issuer.address}
    if not good or not long_enough:
        back |= {"error": "invalid_request"}
    elif issuer.denies:
        back |= {"error": "access_denied"}
    elif "agreed" not in asked:
        link = f"/authorize?{urlencode({**asked, 'agreed': '1'})}".replace("&", "&amp;")
        page = f"<!doctype html><title>Sign in</title><h1>Organisation</h1><a href='{link}'>Continue</a>"
        return Response(page, content_type="text/html")
    else:
        code = secrets.token_urlsafe(16)
        grant = Grant(
            issuer.subject, asked["nonce"], asked["code_challenge"], asked["redirect_uri"]
        )
        issuer.codes[code] = grant
        back |= {"code": code}
    place = f"{asked['redirect_uri']}?{urlencode(back)}"
    return Response(status=302, headers={"Location": place})


def _given(issuer: Issuer, subject: str, nonce: str | None) -> dict[str, Any]:
    access, refresh = _token({"sub": subject, "n": secrets.token_hex(8)}), secrets.token_urlsafe(24)
    issuer.access[access] = (subject, time.time() + issuer.lifetime)
    issuer.refresh[refresh] = subject
    now = int(time.time())
    claims = {"iss": issuer.address, "aud": CLIENT, "sub": subject, "exp": now + 300, "iat": now}
    claims |= {"email": f"{subject}@example.org"} | ({"nonce": nonce} if nonce else {})
    return {
        "access_token": access,
        "refresh_token": refresh,
        "id_token": _token(claims | issuer.claims),
        "token_type": "Bearer",
        "expires_in": issuer.lifetime,
    }


def _exchange(issuer: Issuer, request: Request, home: str) -> Response:
    said = {name: values[0] for name, values in parse_qs(request.get_data(as_text=True)).items()}
    assert "client_secret" not in said and "Authorization" not in request.headers
    refused = _json({"error": "invalid_grant"}, home, 400)
    if said.get("client_id") != CLIENT:
        return refused
    issuer.asked[said["grant_type"]] += 1
    if said["grant_type"] == "refresh_token":
        subject = issuer.refresh.pop(said["refresh_token"], None)
        return _json(_given(issuer, subject, None), home) if subject else refused
    grant = issuer.codes.pop(said["code"], None)
    digest = hashlib.sha256(said.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if grant is None or grant.back != said["redirect_uri"] or grant.challenge != challenge:
        return refused
    return _json(_given(issuer, grant.subject, grant.nonce), home)


def _answer(issuer: Issuer, request: Request) -> Response:
    issuer.asked[request.path] += 1
    home = request.headers.get("Origin", "")
    if home and f"{home}/" not in issuer.homes:
        home = "null"
    if request.path == "/.well-known/openid-configuration":
        own = issuer.address
        paths = {"authorization": "authorize", "token": "token", "revocation": "revoke"}
        paths |= {"end_session": "logout"}
        found = {f"{name}_endpoint": f"{own}/{path}" for name, path in paths.items()}
        return _json(found | {"issuer": own, "code_challenge_methods_supported": ["S256"]}, "*")
    if request.path == "/authorize":
        return _authorize(issuer, request)
    if request.path == "/token":
        return _exchange(issuer, request, home)
    if request.path == "/revoke":
        token = parse_qs(request.get_data(as_text=True))["token"][0]
        issuer.refresh.pop(token, None)
        return _json({}, home)
    if request.path == "/logout" and request.args.get("post_logout_redirect_uri") in issuer.homes:
        place = request.args["post_logout_redirect_uri"]
        return Response(status=302, headers={"Location": place})
    return Response("no such page", 404)


@contextlib.contextmanager
def running_issuer() -> Iterator[Issuer]:
    """The provider, listening on loopback under a name of its own."""
    issuer = Issuer()

    @Request.application
    def application(request: Request) -> Response:
        return _answer(issuer, request)

    server = make_server("127.0.0.1", 0, application, threaded=True)
    issuer.address = f"http://localhost:{server.port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
