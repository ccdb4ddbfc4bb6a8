"""What may keep the studio's page in the cloud from working, asked as a browser would ask."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from email.message import Message

from scripts.lib.cloud.page import Backend
from scripts.lib.cloud.provider import origin

SECONDS = 30
Ask = Mapping[str, str]


def answered(method: str, address: str, headers: Ask) -> tuple[int, Message | None]:
    """(status, headers) of an answer; (0, None) where nobody answers."""
    request = urllib.request.Request(address, method=method, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers
    except OSError:
        return 0, None


def allows(address: str, home: str, method: str, wanted: str) -> bool:
    """Whether a page at `home` may call an address with a method and a header (Fetch, "CORS protocol")."""
    asked = {
        "Origin": origin(home),
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": wanted,
    }
    _, said = answered("OPTIONS", address, asked)

    def listed(name: str) -> set[str]:
        return {word.strip().lower() for word in (said.get(name) or "" if said else "").split(",")}

    return (
        bool(listed("Access-Control-Allow-Origin") & {origin(home), "*"})
        and method.lower() in listed("Access-Control-Allow-Methods")
        and bool(listed("Access-Control-Allow-Headers") & {wanted.lower(), "*"})
    )


def may_connect(policy: str, address: str) -> bool:
    """Whether a content security policy names the origin of an address for `connect-src`."""
    for directive in policy.split(";"):
        name, *sources = directive.split() or [""]
        if name == "connect-src":
            return origin(address) in sources
    return True


def problems(backend: Backend, home: str, policy: str, upload: str) -> Iterator[str]:
    """Each a sentence with what to do.

    `home` is the page's address, `policy` the content security policy that its server sends, `upload` an
    address in the bucket.
    """
    status, _ = answered("GET", home, {})
    if status != 200:
        yield (
            f"{home} answers {status or 'nothing'}; a new CloudFront address takes some minutes, and a"
            " StudioDomain must point at the output StudioAddress"
        )
    if not allows(f"{backend.api.rstrip('/')}/jobs", home, "DELETE", "authorization"):
        yield f"the API does not let {home} call it; deploy the stack again with Studio=true"
    if not allows(upload, home, "PUT", "content-type"):
        yield f"the bucket takes no uploads from {home}; deploy the stack again with Studio=true"
    for address in dict.fromkeys((backend.login.token, backend.login.revoke)):
        if address and not may_connect(policy, address):
            yield (
                f"the page may not call {origin(address)}, where tokens come from; deploy the stack"
                f" with StudioLoginOrigins={origin(address)}"
            )
