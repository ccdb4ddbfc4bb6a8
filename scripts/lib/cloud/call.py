"""One call of the job API, as its handlers see it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from scripts.lib.cloud.caller import Caller


@dataclass(frozen=True)
class Call:
    """Who calls, about what: `id` stands in the address, `key` is the header Idempotency-Key; or empty."""

    caller: Caller
    id: str = ""
    key: str = ""


def hashed(*words: str) -> str:
    """SHA-256 of words, in hex."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()
