"""What a run in a bucket keeps beside its results, so that any clone and any machine can go on with it.

Snakemake remembers in `.snakemake/metadata` what each result was made with; without that a fresh clone would
not see a changed option. The executor notes in `.snakemake/ledger` what each job used. Both travel as
`records.zip` under the run's prefix, and `progress.json` tells whoever polls how far the run is.
"""

from __future__ import annotations

import base64
import binascii
import json
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from scripts.lib.console import UserError
from scripts.lib.files import add_to_zip, write_bytes, writing_zip
from scripts.lib.places import Bucket

ARCHIVE = "records.zip"
METADATA, LEDGER = "metadata", "ledger"


def record_key(name: str) -> str:
    """The file that a record of Snakemake is about: its path is base64, cut where names get long."""
    parts = [part.removeprefix("@") for part in PurePosixPath(name).parts]
    try:
        return base64.urlsafe_b64decode("".join(parts)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _ended(data: bytes) -> float:
    """When the job of a record ended, in seconds; 0 when the record is no JSON or does not say."""
    try:
        value = json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return 0.0
    return float(value.get("endtime") or 0) if isinstance(value, dict) else 0.0


def local_records(folder: Path, run: str) -> dict[str, bytes]:
    """{path under `folder`: content} of what belongs to the run with the prefix `run`."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob(f"{METADATA}/**/*")):
        name = path.relative_to(folder / METADATA).as_posix()
        if path.is_file() and record_key(name).startswith(run.rstrip("/") + "/"):
            found[f"{METADATA}/{name}"] = path.read_bytes()
    return found | _local_ledger(folder, run)


def _local_ledger(folder: Path, run: str) -> dict[str, bytes]:
    """The part of `local_records` that the executor wrote."""
    return {
        f"{LEDGER}/{path.name}": data
        for path in sorted(folder.glob(f"{LEDGER}/*.json"))
        if json.loads(data := path.read_bytes()).get("run") == run
    }


def newest(*layers: dict[str, bytes]) -> dict[str, bytes]:
    """The layers together; of two records about one file the one whose job ended later."""
    merged: dict[str, bytes] = {}
    for layer in layers:
        for name, data in layer.items():
            if name not in merged or _ended(data) >= _ended(merged[name]):
                merged[name] = data
    return merged


class RunRecords:
    """The records of the run under `run` (s3://BUCKET/PREFIX); `folder` is this machine's `.snakemake`."""

    def __init__(self, run: str, folder: Path, stream: TextIO | None = None) -> None:
        self.run, self.folder, self.stream = run, Path(folder), stream or sys.stderr
        self.place = Bucket(run)
        self._stored: dict[str, bytes] = {}
        self._troubled = False

    def photos_of(self, source: str) -> int:
        """How many files lie under a source that is a folder of the run; 0 when that cannot be told."""
        if "://" in source or Path(source).is_absolute():
            return 0
        return len(Bucket(f"{self.run.rstrip('/')}/{source}").names())

    def _remote(self) -> dict[str, bytes]:
        """What lies in the bucket; {} when nothing does. Raises UserError when the archive is damaged."""
        if ARCHIVE not in self.place.names():
            return {}
        with self.place.fetched(ARCHIVE) as path:
            try:
                with zipfile.ZipFile(path) as archive:
                    return {name: archive.read(name) for name in archive.namelist()}
            except zipfile.BadZipFile:
                raise UserError(
                    f"{self.place}/{ARCHIVE} is damaged; delete it (the results stay, but a changed"
                    " option is not noticed until they are made again)"
                ) from None

    def fetch(self) -> int:
        """Bring the bucket's records to this machine where they are newer; how many were.

        Raises UserError when S3 refuses or the archive is damaged.
        """
        remote = self._remote()
        here = local_records(self.folder, self.run)
        changed = {n: d for n, d in newest(here, remote).items() if here.get(n) != d}
        if changed:  # without this folder Snakemake takes the records for those of an old version
            (self.folder / "incomplete").mkdir(parents=True, exist_ok=True)
        for name, data in changed.items():
            write_bytes(self.folder / name, data)
        self._stored = remote
        return len(changed)

    def store(self, *others: Path) -> None:
        """Bring this machine's records and `others` (files) to the bucket.

        A run must not fail for this: what goes wrong is told once.
        """
        try:
            for path in others:
                self.place.put(path.name, path)
            here = local_records(self.folder, self.run)
            if here == self._stored:
                return
            merged = newest(self._remote(), here)  # another submitter may be at work on this run
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / ARCHIVE
                with writing_zip(path) as archive:
                    for name, data in sorted(merged.items()):
                        add_to_zip(archive, name, data)
                self.place.put(ARCHIVE, path)
            self._stored = here
        except (UserError, OSError) as error:
            if not self._troubled:
                print(f"The run's records were not kept: {error}", file=self.stream, flush=True)
            self._troubled = True


def read_ledger(folder: Path, run: str) -> list[dict[str, Any]]:
    """Entries of what the jobs of a run used, by the executor's notes under `folder`/ledger."""
    return [json.loads(data) for data in _local_ledger(Path(folder), run).values()]
