"""Where people sign in to the studio's page in the cloud: an OpenID provider, by its own description."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from scripts.lib.core.console import UserError
from scripts.lib.core.json_type import Json

DESCRIPTION = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, 4
SECONDS = 30
MOST_BYTES = 1_000_000
SECURE = re.compile(r"https://[^\s/]+(/\S*)?|http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/\S*)?")
COGNITO = re.compile(r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.[a-z.]+/[\w-]+")


@dataclass(frozen=True, kw_only=True)
class Provider:
    """What the page must know to have people sign in; nothing of it is secret.

    `revoke` is where a token is given back, `end` the whole address at which the provider's own session
    ends and a browser is sent home; empty where it has none.
    """

    issuer: str
    client_id: str
    scope: str
    authorize: str
    token: str
    revoke: str = ""
    end: str = ""


def origin(address: str) -> str:
    """`https://host:port` of an address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def fetch_description(issuer: str) -> Json:
    """What an issuer says of itself. Raises UserError when it does not."""
    address = issuer.rstrip("/") + DESCRIPTION
    if not SECURE.fullmatch(issuer):
        raise UserError(f"the issuer {issuer!r} is no https:// address; correct JwtIssuer")
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            found: Json = json.loads(answer.read(MOST_BYTES))
            return found
    except (OSError, ValueError) as error:
        raise UserError(
            f"{address} does not describe the issuer ({error}); correct JwtIssuer"
        ) from None


def provider_of(issuer: str, client_id: str, scope: str, home: str, described: Json) -> Provider:
    """The provider for a page at `home`, an address with a slash at its end.

    `described` is its description (OpenID Connect Discovery 1.0, 3). Raises UserError when it is another's,
    or cannot do the authorisation code flow with PKCE.
    """
    said: Mapping[str, Json] = described if isinstance(described, dict) else {}
    if said.get("issuer") != issuer:
        raise UserError(
            f"the issuer calls itself {said.get('issuer')!r}, the stack {issuer!r}; write it the same"
            " in JwtIssuer, down to a slash at its end"
        )
    methods = said.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        raise UserError(f"{issuer} knows no PKCE with S256, which a page without a secret needs")
    token = _endpoint(said, "token_endpoint", issuer)
    back = {"client_id": client_id}
    if COGNITO.fullmatch(issuer):
        # Cognito, "Logout endpoint": words of its own; its description may lack both.
        revoke = f"{origin(token)}/oauth2/revoke"
        end = f"{origin(token)}/logout?{urlencode(back | {'logout_uri': home})}"
    else:
        revoke = str(said.get("revocation_endpoint") or "")  # RFC 8414, 2
        end = str(said.get("end_session_endpoint") or "")  # OpenID Connect RP-Initiated Logout 1.0
        end += f"?{urlencode(back | {'post_logout_redirect_uri': home})}" if end else ""
    return Provider(
        issuer=issuer,
        client_id=client_id,
        scope=scope,
        authorize=_endpoint(said, "authorization_endpoint", issuer),
        token=token,
        revoke=revoke,
        end=end,
    )


def _endpoint(said: Mapping[str, Json], name: str, issuer: str) -> str:
    address = said.get(name)
    if not isinstance(address, str) or not SECURE.fullmatch(address):
        raise UserError(f"{issuer} names no {name} with https://; the studio cannot sign in there")
    return address
