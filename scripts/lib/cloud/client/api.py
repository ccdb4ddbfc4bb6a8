"""Calls of the job API over HTTP, in its own types; what is not sure to have arrived is sent again."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from scripts.lib.cloud.client.auth import Prove
from scripts.lib.contracts.record import MismatchError, from_json
from scripts.lib.core.console import UserError
from scripts.lib.core.json_type import Json

SECONDS = 60  # for an answer
WAITS = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds, between two tries
PASSING = (429, 500, 502, 503, 504)
Answer = TypeVar("Answer")


class UnreachableError(UserError):
    """The other side did not answer, or not as it should; it may do so later."""


class ExpiredError(Exception):
    """A link is too old."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to nobody else."""

    def redirect_request(self, *_: Any) -> None:
        """Do not follow."""


OPENER = urllib.request.build_opener(_NoRedirect)


def tries() -> Iterator[bool]:
    """Whether there will be another try, for each one; waits in between."""
    for wait in WAITS:
        yield True
        time.sleep(wait)
    yield False


class Api:
    """The API at an address."""

    def __init__(self, address: str, prove: Prove) -> None:
        self.address, self.prove = address, prove

    def ask(
        self,
        kind: type[Answer],
        method: str,
        path: str,
        body: Mapping[str, Json] | None = None,
        query: Mapping[str, str] | None = None,
        key: str = "",
    ) -> Answer:
        """The answer to a call; `key` makes it safe to send twice.

        Raises UserError with the API's own sentence, UnreachableError when it cannot be reached.
        """
        url = f"{self.address}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        headers |= {"Idempotency-Key": key} if key else {}
        code, text = self._answer(method, url, headers, data)
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not 200 <= code < 300:
            raise UserError(_sentence(self.address, code, value))
        try:
            return from_json(kind, value)
        except MismatchError as error:
            raise UserError(
                f"{self.address} answers as another version does ({error}); use the version that it was"
                " deployed with"
            ) from None

    def _answer(
        self, method: str, url: str, headers: dict[str, str], data: bytes
    ) -> tuple[int, bytes]:
        """(HTTP status, body), after more tries while the fault may pass."""
        for again in tries():
            proven = headers | self.prove(method, url, headers, data)
            request = urllib.request.Request(url, data or None, proven, method=method)
            try:
                with OPENER.open(request, timeout=SECONDS) as answer:
                    return int(answer.status), answer.read()
            except urllib.error.HTTPError as error:
                body = error.read()
                if again and error.code in PASSING and not _is_final(error.code, body):
                    continue
                return error.code, body
            except (OSError, http.client.HTTPException) as error:
                if not again:
                    raise UnreachableError(
                        f"{self.address} cannot be reached ({_reason(error)}); check the address and the"
                        " network connection"
                    ) from None
        raise AssertionError("the last try returns or raises")


def send(url: str, data: bytes, headers: Mapping[str, str]) -> None:
    """PUT bytes to a link.

    Raises ExpiredError where the link is refused, UnreachableError where the network or S3 fails for long.
    """
    for again in tries():
        request = urllib.request.Request(url, data, dict(headers), method="PUT")
        try:
            with OPENER.open(request, timeout=SECONDS * 5):
                return
        except urllib.error.HTTPError as error:
            if error.code not in PASSING:
                raise ExpiredError(f"{error.code}") from None
            reason = f"it answers {error.code}"
        except (OSError, http.client.HTTPException) as error:
            reason = _reason(error)
        if not again:
            raise UnreachableError(
                f"the upload stopped ({reason}); run the same command again, and it goes on"
            )


def _is_final(code: int, body: bytes) -> bool:
    """Whether 429 is the API's own word, about runs that have not ended, and not API Gateway's haste."""
    return code == 429 and b'"error"' in body


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason) or type(reason).__name__


def _sentence(address: str, code: int, value: object) -> str:
    """What the API says of a refused call, in its own words where it has some."""
    if isinstance(value, dict) and isinstance(value.get("error"), str):
        return str(value["error"])
    told = value.get("message") if isinstance(value, dict) else None  # of API Gateway
    if code in (401, 403):
        return (
            f"{address} does not know you ({told or code}); check the token or the AWS credentials, and the"
            " policy CallerPolicy"
        )
    return f"{address} answered {code} ({told or 'no reason'}); check the address"
