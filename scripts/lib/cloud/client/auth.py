"""How a call proves who makes it: a token, or a signature with the user's AWS credentials."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from scripts.lib.core.console import UserError
from scripts.lib.storage import library

ADDRESS, TOKEN = "SPLATMAKE_API", "SPLATMAKE_TOKEN"
Headers = dict[str, str]
# (method, address, headers, body) -> the headers that prove it
Prove = Callable[[str, str, Headers, bytes], Headers]


def checked_address(text: str) -> str:
    """The API's address without a slash at its end. Raises UserError when it is none.

    Only this machine may be reached without TLS: a token would be read on the way.
    """
    parts, local = urlsplit(text), is_local(text)
    if not parts.hostname or parts.scheme not in (("https", "http") if local else ("https",)):
        raise UserError(
            f"{text!r} is no address of a job API; set {ADDRESS} to the stack's output Api, https://..."
        )
    return text.rstrip("/")


def is_local(address: str) -> bool:
    """Whether an address is one of this machine."""
    return urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")


def prover(address: str, environment: Mapping[str, str]) -> Prove:
    """The stack's own way: the token in SPLATMAKE_TOKEN where there is one, else AWS Signature Version 4.

    The studio on this machine asks for neither.

    Raises UserError when there are no AWS credentials either.
    """
    if token := environment.get(TOKEN):
        return lambda *_: {"Authorization": f"Bearer {token}"}
    local = is_local(address)  # the studio on this machine lets its own user in
    if local and importlib.util.find_spec("botocore") is None:
        return lambda *_: {}
    credentials = library.boto3("botocore.session").get_session().get_credentials()
    if credentials is None and local:
        return lambda *_: {}
    if credentials is None:
        raise UserError(
            f"nothing says who you are; set {TOKEN}, or AWS credentials (AWS_PROFILE, or `aws configure`)"
        )
    host = urlsplit(address).hostname or ""
    named = re.search(r"\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$", host)
    region = named[1] if named else library.region(environment)
    auth, request = library.boto3("botocore.auth"), library.boto3("botocore.awsrequest")

    def sign(method: str, url: str, headers: Headers, body: bytes) -> Headers:
        asked = request.AWSRequest(method=method, url=url, data=body, headers=headers)
        auth.SigV4Auth(credentials, "execute-api", region).add_auth(asked)
        return {name: str(value) for name, value in asked.headers.items()}

    return sign
