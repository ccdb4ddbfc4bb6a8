"""Checkpoints of a training run: written whole or not at all, the last two kept, keyed by its inputs.

A run's key covers the bytes of its inputs and every setting, and stands in the file's name, so that
a checkpoint of other inputs or options is never continued by mistake. They lie in a local folder or
under a prefix in S3; there the upload goes on while training does.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from scripts.lib.console import UserError, say
from scripts.lib.files import sha256
from scripts.lib.places import Folder, place

KEPT = 2
LAYOUT = 3  # raise when the content changes meaning: older checkpoints are then left alone
PATTERN = re.compile(r"([0-9a-f]{16})-(\d{8})\.pt")


def run_key(scene: Path, settings: dict[str, object]) -> str:
    """What makes two runs the same: the scene's bytes, every setting, and this module's layout."""
    text = json.dumps([LAYOUT, sha256(scene), settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checkpoints:
    """The checkpoints of the run `key` in a folder or, with `s3://BUCKET/PREFIX`, in a bucket.

    As a context manager it waits at its end for what is still being uploaded.
    """

    def __init__(self, where: Path | str, key: str) -> None:
        self.place, self.key = place(str(where)), key
        self._uploader = ThreadPoolExecutor(1) if self.place.remote else None
        self._upload: Future[None] | None = None

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *_: object) -> None:
        self._wait()
        if self._uploader:
            self._uploader.shutdown()

    def _matches(self) -> tuple[list[tuple[int, str]], int]:
        """((step, name) of this run, newest first; how many checkpoints of other runs)."""
        own, others = [], 0
        for name in self.place.names():
            match = PATTERN.fullmatch(name)
            if match and match[1] == self.key:
                own.append((int(match[2]), name))
            elif name.endswith(".pt"):
                others += 1
        return sorted(own, reverse=True), others

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Keep the state after `step` steps under its final name, then drop all but the last two.

        The state is written to a local file at once; an upload of it goes on while the caller does,
        and one that fails is told in a sentence and costs only that checkpoint.
        """
        self._wait()
        beside = str(self.place.path) if isinstance(self.place, Folder) else None
        if beside:
            Path(beside).mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=beside, prefix=f".{self.key}-", suffix=".part.pt", delete=False
        ) as handle:
            temporary = Path(handle.name)
            torch.save(state, handle)
        keep = self._keeper(f"{self.key}-{step:08d}.pt", temporary)
        if self._uploader:
            self._upload = self._uploader.submit(keep)
        else:
            keep()

    def _keeper(self, name: str, temporary: Path) -> Callable[[], None]:
        """What brings a written state to its place."""

        def keep() -> None:
            try:
                self.place.put(name, temporary)
                for _, old in self._matches()[0][KEPT:]:
                    self.place.remove(old)
            finally:
                temporary.unlink(missing_ok=True)

        return keep

    def _wait(self) -> None:
        """Wait for the upload that is going on, if any."""
        upload, self._upload = self._upload, None
        if upload is None:
            return
        try:
            upload.result()
        except UserError as error:
            say(f"A checkpoint was not kept: {error}")

    def load(self) -> dict[str, Any] | None:
        """The newest readable state of this run, on the CPU; None when there is none.

        Says in one sentence what it leaves aside: other runs' checkpoints, and damaged ones.
        """
        own, others = self._matches()
        if others:
            say(
                f"Ignoring {others} checkpoint(s) in {self.place} made from another scene or with"
                " other options"
            )
        for step, name in own:
            try:
                with self.place.fetched(name) as path:
                    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            except Exception as error:  # torch raises many kinds on a damaged file
                say(f"Ignoring the damaged checkpoint {self.place}/{name} ({type(error).__name__})")
                continue
            say(f"Continuing after step {step} from {self.place}/{name}")
            return state
        return None

    def clear(self) -> None:
        """Remove this run's checkpoints, and a folder when nothing else is in it."""
        self._wait()
        # What a killed process was writing is of no use to anyone.
        if isinstance(self.place, Folder):
            for path in self.place.path.glob(f".{self.key}-*.part.pt"):
                self.place.remove(path.name)
        for _, name in self._matches()[0]:
            self.place.remove(name)
