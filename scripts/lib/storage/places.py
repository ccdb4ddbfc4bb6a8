"""Where a run keeps files that are no outputs: a local folder, or a prefix of an S3 bucket.

Checkpoints and the records of a run go through here, and nothing else in the workflow speaks to S3:
outputs and inputs are Snakemake's business.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from scripts.lib.core.console import UserError
from scripts.lib.core.files import replacing
from scripts.lib.storage import library

SCHEME = "s3://"


class Place(Protocol):
    """Named files in one place. A name appears with its whole content or not at all."""

    def names(self) -> list[str]:
        """Names of the files here, sorted; [] when there is no such place yet."""

    def tree(self) -> list[str]:
        """Names of the files here and in folders below, with `/`, sorted."""

    def put(self, name: str, source: Path, headers: Mapping[str, str] | None = None) -> None:
        """Take the local file `source` in under `name`; `source` is gone or stays, as is cheaper.

        `headers` are what a web server should say of it, where the place can keep that.
        """

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """A local file with the content of `name`, to read only. Raises UserError when there is none."""

    def remove(self, name: str) -> None:
        """Forget a file; nothing happens when it is not here."""

    def forget(self, spared: Collection[str]) -> int:
        """Delete what the place keeps of earlier versions of files, but for those named; how many."""


class Folder:
    """A local folder, made when the first file comes and removed with the last."""

    remote = False

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> list[str]:
        """Names of the files here, sorted; unfinished ones left out."""
        if not self.path.is_dir():
            return []
        return sorted(p.name for p in self.path.iterdir() if not p.name.startswith("."))

    def tree(self) -> list[str]:
        """Names of the files here and in folders below, sorted; hidden and unfinished ones left out."""
        found = [p.relative_to(self.path) for p in self.path.rglob("*") if p.is_file()]
        return sorted(p.as_posix() for p in found if not any(x.startswith(".") for x in p.parts))

    def put(self, name: str, source: Path, headers: Mapping[str, str] | None = None) -> None:
        """Move `source` here; copied first when it lies on another disk, then renamed."""
        with replacing(self.path / name) as temporary:
            shutil.move(source, temporary)

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """The file itself."""
        if not (self.path / name).is_file():
            raise UserError(f"{self.path / name} does not exist")
        yield self.path / name

    def remove(self, name: str) -> None:
        """Delete a file, and the folders up to this one that hold nothing else."""
        path = self.path / name
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
            if folder == self.path:
                break

    def forget(self, spared: Collection[str]) -> int:
        """Nothing: a folder keeps no versions."""
        return 0


class Bucket:
    """A prefix of an S3 bucket. An upload replaces the object at once, so nobody sees half of one."""

    remote = True

    def __init__(self, uri: str) -> None:
        bucket, _, prefix = uri.removeprefix(SCHEME).partition("/")
        if not bucket:
            raise UserError(f"{uri!r} names no bucket; it must be s3://BUCKET/PREFIX")
        self.bucket, self.prefix = bucket, prefix.strip("/") + "/" if prefix.strip("/") else ""
        self._client: Any = None

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def client(self) -> Any:
        """S3 through the environment's credentials; patient, because throttling passes."""
        if self._client is None:
            self._client = library.client("s3")
        return self._client

    def names(self) -> list[str]:
        """Names directly under the prefix, sorted. Raises UserError when S3 refuses."""
        return [name for name in self.tree() if "/" not in name]

    def tree(self) -> list[str]:
        """Names of all objects under the prefix, sorted. Raises UserError when S3 refuses."""
        pages = self.client().get_paginator("list_objects_v2")
        with self._explained("list"):
            found = [
                item["Key"].removeprefix(self.prefix)
                for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix)
                for item in page.get("Contents", [])
            ]
        return sorted(name for name in found if name)

    def put(self, name: str, source: Path, headers: Mapping[str, str] | None = None) -> None:
        """Upload; a large file in parts, which become visible together. Raises UserError when S3 refuses.

        `headers`: Content-Type, Content-Encoding and Cache-Control.
        """
        extra = {name.replace("-", ""): value for name, value in (headers or {}).items()}
        with self._explained(f"take {name}"):
            self.client().upload_file(str(source), self.bucket, self.prefix + name, ExtraArgs=extra)

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """Download to a temporary file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            with self._explained(f"give {name}"):
                self.client().download_file(self.bucket, self.prefix + name, str(path))
            yield path

    def read(self, name: str, most: int) -> tuple[bytes, str] | None:
        """(content, ETag) of a small object; None when there is none.

        Raises UserError when it is larger than `most` bytes, or S3 refuses.
        """
        from botocore.exceptions import ClientError

        with self._explained(f"give {name}"):
            try:
                found = self.client().get_object(Bucket=self.bucket, Key=self.prefix + name)
            except ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                    return None
                raise
            if found["ContentLength"] > most:
                found["Body"].close()
                raise UserError(
                    f"{self}/{name} has {found['ContentLength']} bytes, at most {most} are read; delete it"
                )
            return found["Body"].read(), str(found["ETag"])

    def write(self, name: str, data: bytes) -> None:
        """Put a small object. Raises UserError when S3 refuses."""
        with self._explained(f"take {name}"):
            self.client().put_object(Bucket=self.bucket, Key=self.prefix + name, Body=data)

    def write_after(self, etag: str | None, name: str, data: bytes) -> str | None:
        """Put a small object unless another was put since `etag`; its new ETag, or None when one was.

        `etag` is of the content that the caller knows; None: it knows of none. Raises UserError when S3
        refuses for another reason.
        """
        from botocore.exceptions import ClientError

        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        with self._explained(f"take {name}"):
            try:
                put = self.client().put_object(
                    Bucket=self.bucket, Key=self.prefix + name, Body=data, **condition
                )
            except ClientError as error:
                # 412: it was changed; 409: somebody is changing it now; 404: it was deleted.
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 409, 412) and (
                    error.response["Error"]["Code"] != "NoSuchBucket"
                ):
                    return None
                raise
            return str(put["ETag"])

    def remove(self, name: str) -> None:
        """Delete an object. Raises UserError when S3 refuses."""
        with self._explained(f"delete {name}"):
            self.client().delete_object(Bucket=self.bucket, Key=self.prefix + name)

    def forget(self, spared: Collection[str]) -> int:
        """Delete all versions of all objects under the prefix, current ones too, but for those named.

        Raises UserError when S3 refuses.
        """
        pages = self.client().get_paginator("list_object_versions")
        gone = 0
        with self._explained("delete versions"):
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix):
                for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    if item["Key"].removeprefix(self.prefix) not in spared:
                        self.client().delete_object(
                            Bucket=self.bucket, Key=item["Key"], VersionId=item["VersionId"]
                        )
                        gone += 1
        return gone

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn AWS's many errors into one sentence."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise UserError(
                f"{self} did not {what} ({error}); check the name, the credentials and the role's rights"
            ) from None


def run_in_bucket(provider: str | None, prefix: str | None) -> str:
    """The bucket prefix that a run's results go to, s3://BUCKET/RUN; empty when they go elsewhere.

    `provider` and `prefix` as the runner has them: with another provider than S3 the prefix is no bucket.
    """
    return prefix if provider == "s3" and prefix and prefix.startswith(SCHEME) else ""


def checkpoint_place(run: str, results: str, scene: str, part: str = "") -> str:
    """Where a scene's training leaves its checkpoints: beside its results, or in the bucket of the run `run`.

    There under a prefix of their own, which the bucket's lifecycle empties. Each `part` of a scene that is
    trained in blocks has its own place.
    """
    if not run.startswith(SCHEME):
        return (
            f"{results}/{scene}/blocks/{part}.checkpoints"
            if part
            else f"{results}/{scene}/checkpoints"
        )
    bucket, _, prefix = run.removeprefix(SCHEME).partition("/")
    return f"{SCHEME}{bucket}/checkpoints/{prefix}/{scene}" + (f"/{part}" if part else "")


def place(text: str) -> Folder | Bucket:
    """The place that `text` names: `s3://BUCKET/PREFIX`, or a folder."""
    return Bucket(text) if text.startswith(SCHEME) else Folder(Path(text))
