"""Who calls the job API: API Gateway has checked the token or the signature, and says whose it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.cloud.request import RefusedError


@dataclass(frozen=True)
class Caller:
    """A caller. `mark` (16 hex digits) stands in the names of uploads and jobs; `email` is who is told.

    `signed`: by the account's own IAM, so that a mail may go to any address that is asked for.
    """

    mark: str
    email: str = ""
    signed: bool = False

    def address(self, asked: str) -> str:
        """Where mail about a run goes, when `asked` is the address in its request (or nothing).

        Whoever has a token could have the operator's sender write to anybody: mail goes to the token's own
        address. Raises RefusedError for another.
        """
        if self.signed:
            return asked
        if asked and asked.lower() != self.email.lower():
            raise RefusedError(403, "'email' must be the address in your token; leave it out")
        return asked and self.email


def caller_of(event: Mapping[str, Any]) -> Caller:
    """The caller of an event of API Gateway's HTTP APIs (payload 2.0). Raises RefusedError without one.

    Pages "Control access to HTTP APIs with JWT authorizers" and "... with IAM authorization".
    """
    known = (event.get("requestContext") or {}).get("authorizer") or {}
    claims = (known.get("jwt") or {}).get("claims") or {}
    arn = (known.get("iam") or {}).get("userArn")
    if claims.get("sub"):
        verified = str(claims.get("email_verified", "")).lower() == "true"
        email = str(claims.get("email", "")) if verified else ""
        return Caller(_mark("jwt", str(claims.get("iss", "")), str(claims["sub"])), email)
    if arn:
        return Caller(_mark("iam", str(arn)), signed=True)
    raise RefusedError(401, "no token and no signature told who is calling")


def _mark(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
