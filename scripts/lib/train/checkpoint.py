"""Checkpoints of a training run: written whole or not at all, the last two kept, keyed by its inputs.

A run's key covers the bytes of its inputs, every setting and the code, and stands in the file's name, so
that a checkpoint of other inputs, options or code is never continued by mistake. They lie in a local
folder or under a prefix in S3; there the upload goes on while training does.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import torch

from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError, say
from scripts.lib.core.digest import code_digest
from scripts.lib.core.faults import naming, sentence
from scripts.lib.core.files import part_file, remove_parts, sha256
from scripts.lib.storage.places import Folder, place
from scripts.lib.train.state import TrainerState

KEPT = 2
SUFFIX = ".pt"
PART = "[0-9a-f]" * 16  # a key, in the names of files being written
PATTERN = re.compile(r"([0-9a-f]{16})-(\d{8})\.pt")


def run_key(scene: Path, settings: dict[str, object], code: str = "") -> str:
    """What makes two runs the same: the scene's bytes, every setting, and the code that trains.

    code: the digest of that code, by default of train_splat and all that it imports.
    """
    code = code or code_digest(ROOT, "train_splat")
    text = json.dumps([code, sha256(scene), settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checkpoints:
    """The checkpoints of the run `key` in a folder or, with `s3://BUCKET/PREFIX`, in a bucket.

    As a context manager it waits at its end for what is still being uploaded.
    """

    def __init__(self, where: Path | str, key: str) -> None:
        self.place, self.key = place(str(where)), key
        self._uploader = ThreadPoolExecutor(1) if self.place.remote else None
        self._upload: Future[None] | None = None
        self._told = False

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

    def save(self, step: int, state: TrainerState) -> None:
        """Keep the state after `step` steps under its final name, then drop all but the last two.

        The state is written to a local file at once; an upload of it goes on while the caller does.
        One that cannot be written or uploaded is told in a sentence and costs only that checkpoint.
        """
        self._wait()
        with ExitStack() as stack:
            try:
                part = stack.enter_context(part_file(self._folder(), self.key, SUFFIX))
                torch.save(state, part)
            except (OSError, RuntimeError) as error:  # torch tells a full disk by a RuntimeError
                self._tell(naming(error, self._folder() / self.key))
                return
            keep = self._keeper(f"{self.key}-{step:08d}{SUFFIX}", part, stack.pop_all())
        self._upload = self._uploader.submit(keep) if self._uploader else None
        if self._upload is None:
            try:
                keep()
                self._told = False
            except (UserError, OSError) as error:
                self._tell(error)

    def _folder(self) -> Path:
        """Where a state is written before it goes to its place."""
        return self.place.path if isinstance(self.place, Folder) else Path(tempfile.gettempdir())

    def _keeper(self, name: str, part: Path, stack: ExitStack) -> Callable[[], None]:
        """What brings a written state to its place; `stack` removes the file that it was written to."""

        def keep() -> None:
            with stack:
                self.place.put(name, part)
                for _, old in self._matches()[0][KEPT:]:
                    self.place.remove(old)

        return keep

    def _wait(self) -> None:
        """Wait for the upload that is going on, if any."""
        upload, self._upload = self._upload, None
        if upload is None:
            return
        try:
            upload.result()
            self._told = False
        except (UserError, OSError) as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        """Say why a checkpoint was not kept; once, until one is kept again."""
        if not self._told:
            say(
                f"A checkpoint could not be saved: {sentence(error) or error}. Training goes on; if it is"
                " interrupted, it continues from the last checkpoint that was saved"
            )
        self._told = True

    def load(self) -> TrainerState | None:
        """The newest readable state of this run, on the CPU; None when there is none.

        Says in one sentence what it leaves aside: other runs' checkpoints, and damaged ones. What killed
        runs were writing is removed. Raises UserError when S3 refuses, OSError when the disk does.
        """
        self._remove_parts()
        own, others = self._matches()
        if others:
            say(
                f"Ignoring {others} checkpoint(s) in {self.place} made from another scene, with"
                " other options or by other code"
            )
        for step, name in own:
            # What the place or the disk refuses is no damage: hours of work may lie there.
            with self.place.fetched(name) as path:
                try:
                    state: TrainerState = torch.load(path, map_location="cpu", weights_only=True)
                except (OSError, MemoryError):
                    raise
                except Exception as error:  # torch raises many kinds on a damaged file
                    say(
                        f"Ignoring the damaged checkpoint {self.place}/{name} ({type(error).__name__})"
                    )
                    continue
            say(f"Continuing after step {step} from {self.place}/{name}")
            return state
        return None

    def _remove_parts(self) -> None:
        """Remove what killed processes were writing: states, and copies of them on the way to their place."""
        for stem in (PART, f"{PART}-{'[0-9]' * 8}"):
            remove_parts(self._folder(), stem, SUFFIX)

    def clear(self) -> None:
        """Remove this run's checkpoints, and a folder when nothing else is in it.

        The splat they led to is written: what cannot be removed is told, and fails nothing.
        """
        self._wait()
        try:
            for _, name in self._matches()[0]:
                self.place.remove(name)
        except (UserError, OSError) as error:
            say(f"The run's checkpoints were not removed: {sentence(error) or error}")
