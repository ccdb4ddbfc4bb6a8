"""What a run in a bucket keeps beside its results, so that any clone and any machine can go on with it.

Snakemake remembers in `.snakemake/metadata` what each result was made with; without that a fresh clone would
not see a changed option. The executor notes in `.snakemake/ledger` what each job used. Both travel as
`records.zip` under the run's prefix, and `progress.json` tells whoever polls how far the run is.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TextIO

from scripts.lib.contracts.cost import LedgerEntry
from scripts.lib.contracts.record import MismatchError, from_json
from scripts.lib.core import faults
from scripts.lib.core.console import UserError, printable
from scripts.lib.core.files import add_to_zip, inner_path, is_link, write_bytes
from scripts.lib.core.json_type import Json
from scripts.lib.storage.places import Bucket

ARCHIVE = "records.zip"
METADATA, LEDGER = "metadata", "ledger"
# Snakemake names a record by its file's path in base64 (longer ones cut, the first parts marked with @).
METADATA_NAME = re.compile(rf"{METADATA}(/@[A-Za-z0-9_=-]+)*/[A-Za-z0-9_=-]+")
LEDGER_NAME = re.compile(
    rf"{LEDGER}/[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}\.json"
)  # a Batch job
MOST_BYTES = 256 << 20  # of records.zip, packed or unpacked; a record has a few thousand
TRIES = 10


def record_key(name: str) -> str:
    """The file that a record of Snakemake is about: its path is base64, cut where names get long."""
    parts = [part.removeprefix("@") for part in PurePosixPath(name).parts]
    try:
        return base64.urlsafe_b64decode("".join(parts)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _ended(data: bytes) -> float:
    """When the job of a record ended, in seconds; 0 when the record is no JSON or does not say."""
    ended = _entry(data).get("endtime")
    return float(ended) if isinstance(ended, int | float) else 0.0


def is_record(name: str, run: str) -> bool:
    """Whether a member of records.zip is what this module writes there for the run with the prefix `run`.

    Whoever may write to the bucket could name any file of the machine that unpacks it.
    """
    if LEDGER_NAME.fullmatch(name):
        return True
    if not METADATA_NAME.fullmatch(name):
        return False
    return record_key(name.removeprefix(f"{METADATA}/")).startswith(run.rstrip("/") + "/")


class _Files:
    """Contents of files, read again only when they have changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], bytes]] = {}

    def read(self, path: Path) -> bytes:
        """The bytes of `path`."""
        state = path.stat()
        mark = (state.st_mtime_ns, state.st_size, state.st_ino)
        known = self._known.get(path)
        if known is None or known[0] != mark:
            known = self._known[path] = (mark, path.read_bytes())
        return known[1]


def local_records(folder: Path, run: str, files: _Files | None = None) -> dict[str, bytes]:
    """{path under `folder`: content} of what belongs to the run with the prefix `run`."""
    files = files or _Files()
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob(f"{METADATA}/**/*")):
        name = path.relative_to(folder).as_posix()
        if is_record(name, run) and path.is_file():
            found[name] = files.read(path)
    return found | _local_ledger(folder, run, files)


def _local_ledger(folder: Path, run: str, files: _Files) -> dict[str, bytes]:
    """The part of `local_records` that the executor wrote."""
    found = {}
    for path in sorted(folder.glob(f"{LEDGER}/*.json")):
        data = files.read(path)
        if _entry(data).get("run") == run:
            found[f"{LEDGER}/{path.name}"] = data
    return found


def _entry(data: bytes) -> Mapping[str, Json]:
    """A JSON object; {} when the bytes are none, as a machine that lost its power may leave them."""
    try:
        value = json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def newest(*layers: dict[str, bytes]) -> dict[str, bytes]:
    """The layers together; of two records about one file the one whose job ended later."""
    merged: dict[str, bytes] = {}
    for layer in layers:
        for name, data in layer.items():
            if name not in merged or _ended(data) >= _ended(merged[name]):
                merged[name] = data
    return merged


def packed(records: Mapping[str, bytes]) -> bytes:
    """records.zip of `records`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sorted(records.items()):
            add_to_zip(archive, name, data)
    return buffer.getvalue()


def unpacked(data: bytes, run: str) -> tuple[dict[str, bytes], list[str]]:
    """(records in a records.zip, names of members that are none and are left out).

    Raises UserError when it is damaged, or unpacks to more than MOST_BYTES.
    """
    records, others = {}, []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > MOST_BYTES:
                raise UserError(f"it unpacks to more than {MOST_BYTES // 10**6} MB")
            for info in archive.infolist():
                if is_record(info.filename, run) and not is_link(info):
                    records[info.filename] = archive.read(info)
                else:
                    others.append(info.filename)
    # What wrong bytes may raise: zlib.error is none of the other kinds.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise UserError(f"it is damaged ({error})") from None
    return records, others


class RunRecords:
    """The records of the run under `run` (s3://BUCKET/PREFIX); `folder` is this machine's `.snakemake`."""

    def __init__(self, run: str, folder: Path, stream: TextIO | None = None) -> None:
        self.run, self.folder, self.stream = run, Path(folder), stream or sys.stderr
        self.place = Bucket(run)
        self._files = _Files()
        # What lies in the bucket as far as is known, and the ETag by which S3 knows it.
        self._there: dict[str, bytes] = {}
        self._etag: str | None = None
        self._told: set[str] = set()

    def photos_of(self, source: str) -> int:
        """How many files lie under a source that is a folder of the run; 0 when that cannot be told."""
        if "://" in source or Path(source).is_absolute():
            return 0
        return len(Bucket(f"{self.run.rstrip('/')}/{source}").names())

    def _look(self) -> None:
        """Learn what lies in the bucket. Raises UserError when the archive is damaged or too large."""
        found = self.place.read(ARCHIVE, MOST_BYTES)
        self._there, self._etag = {}, None
        if found is None:
            return
        data, self._etag = found
        try:
            self._there, others = unpacked(data, self.run)
        except UserError as error:
            raise UserError(
                f"{self.place}/{ARCHIVE}: {error}; delete it (the results stay, but a changed option is"
                " not noticed until they are made again)"
            ) from None
        if others:
            self._tell(
                f"{self.place}/{ARCHIVE} holds {len(others)} file(s) that are not records of this "
                f"run, such as {others[0]!r}, which are ignored; check who may write to that bucket"
            )

    def _tell(self, text: str) -> None:
        """Print one line, never the same twice."""
        if text not in self._told:
            print(printable(text), file=self.stream, flush=True)
        self._told.add(text)

    def fetch(self) -> int:
        """Bring the bucket's records to this machine where they are newer; how many were.

        Nothing is written but records of this run, below their own two folders. Raises UserError when S3
        refuses or the archive is damaged.
        """
        self._look()
        here = local_records(self.folder, self.run, self._files)
        changed = {n: d for n, d in newest(here, self._there).items() if here.get(n) != d}
        if changed:  # without this folder Snakemake takes the records for those of an old version
            (self.folder / "incomplete").mkdir(parents=True, exist_ok=True)
        for name, data in changed.items():
            write_bytes(self.folder / inner_path(name, ARCHIVE), data)
        return len(changed)

    def store(self, *others: Path) -> None:
        """Bring this machine's records and `others` (files) to the bucket.

        Several submitters may be at work on one run: what another has put there meanwhile is read and
        kept. A run must not fail for this: what goes wrong is told once.
        """
        try:
            for path in others:
                self.place.write(path.name, path.read_bytes())
            here = local_records(self.folder, self.run, self._files)
            for _ in range(TRIES):
                merged = newest(self._there, here)
                if merged == self._there:
                    return
                etag = self.place.write_after(self._etag, ARCHIVE, packed(merged))
                if etag is not None:
                    self._there, self._etag = merged, etag
                    return
                self._look()
            raise UserError(f"others changed {self.place}/{ARCHIVE} {TRIES} times meanwhile")
        except (UserError, OSError) as error:
            self._tell(f"The records of the run were not saved: {faults.sentence(error) or error}")


def read_ledger(folder: Path, run: str) -> list[LedgerEntry]:
    """Entries of what the jobs of a run used, by the executor's notes under `folder`/ledger.

    Raises UserError on a note of another version.
    """
    found = []
    for name, data in _local_ledger(Path(folder), run, _Files()).items():
        try:
            found.append(from_json(LedgerEntry, json.loads(data)))
        except MismatchError as error:
            raise UserError(
                f"{Path(folder) / name}: {error}; another version of the executor plugin wrote it, delete it"
            ) from None
    return found
