"""What the studio's calls work on: its folder, its database, its address, and the key of its links."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import quote

from scripts.lib.studio.detector import Detector
from scripts.lib.studio.home import Home
from scripts.lib.studio.store import Store

LINK_SECONDS = 3600


@dataclass(frozen=True)
class Studio:
    """A studio. `secret` (random, of this start) signs links; `token` is asked of callers, if not empty."""

    home: Home
    store: Store
    secret: bytes
    token: str = ""
    detector: Detector | None = None  # finds what to hide in photos
    wake: threading.Event = field(default_factory=threading.Event)  # the worker looks at the queue
    ending: threading.Event = field(default_factory=threading.Event)  # pages are told no more news

    def signed(self, path: str, now: float | None = None) -> str:
        """A path of this server with what lets anybody read or write it for an hour, as S3's links do."""
        until = int((time.time() if now is None else now) + LINK_SECONDS)
        return f"{quote(path)}?until={until}&signature={self._signature(path, until)}"

    def is_signed(self, path: str, until: str, signature: str, now: float | None = None) -> bool:
        """Whether `signed` made this, within the hour."""
        if not until.isascii() or not until.isdigit() or len(until) > 12:
            return False
        fresh = int(until) >= (time.time() if now is None else now)
        made = self._signature(path, int(until))
        return fresh and hmac.compare_digest(made.encode(), signature.encode())

    def _signature(self, path: str, until: int) -> str:
        said = f"{path}\n{until}".encode()
        return hmac.new(self.secret, said, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Call:
    """One call: `id` in its address, and `key`, the header Idempotency-Key; or empty."""

    base: str  # this server as the caller knows it, such as http://127.0.0.1:8765
    id: str = ""
    key: str = ""
