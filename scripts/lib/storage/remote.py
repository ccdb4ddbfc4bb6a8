"""A source in S3, seen through an object of Snakemake's storage plugin: S3 itself belongs to that plugin."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from scripts.lib.core.console import UserError
from scripts.lib.storage.library import check_plugin

CREDENTIALS = "AWS_PROFILE, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, or `aws configure`"


class StoredObject(Protocol):
    """What is used of the plugin's object for `s3://bucket/key`."""

    query: str
    bucket: str
    key: str

    def get_subkeys(self) -> Iterable[Any]:
        """Objects under `key/`, each with `key`, `size` and `e_tag`."""

    def exists(self) -> bool:
        """Whether the bucket holds the object `key` itself."""

    def s3obj(self) -> Any:
        """The object `key` itself, with `content_length` and `e_tag`."""

    def local_path(self) -> Path:
        """Where the plugin puts its copy."""


def check_uri(uri: str) -> None:
    """Raise UserError when a source with `://` in it is not `s3://bucket/key`, or cannot be fetched here."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme.lower() != "s3":
        raise UserError(
            f"{uri}: only s3:// is read from afar; download it and give the folder, .zip or video"
        )
    if not bucket or not key.strip("/"):
        raise UserError(
            f"{uri} names a whole bucket; give a prefix or an object in it, such as "
            f"s3://{bucket or 'BUCKET'}/photos"
        )
    check_plugin(uri)


def remote_digest(stored: StoredObject) -> str:
    """Short hash over names, sizes and ETags of what lies at a prefix or object now.

    Deletes the plugin's local copy of a prefix when it holds other files than the bucket: the plugin
    leaves the copy behind and writes the next one over it, so a photo deleted in the bucket would
    stay in the scene. Raises UserError when nothing is there, when it cannot be read, or when a name
    leads out of the copy's folder.
    """
    files = _listing(stored)
    below = {key: size for key, size, _ in files if key}
    for name in sorted(below):
        # The plugin joins the copy's folder and this name; an absolute one (two slashes in the key) wins.
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise UserError(f"{stored.query}/{name} points outside the folder; rename that object")
    copy = stored.local_path()
    if copy.is_dir() and _sizes(copy) != below:
        shutil.rmtree(copy)
    digest = hashlib.sha256()
    for key, size, tag in sorted(files):
        digest.update(f"{key}\0{size}\0{tag}\0".encode())
    return digest.hexdigest()[:12]


def _listing(stored: StoredObject) -> list[tuple[str, int, str]]:
    """(name below the prefix, bytes, ETag) of each object; the name is empty for a single object."""
    start = len(stored.key) + 1
    try:
        files = [
            (item.key[start:], int(item.size), str(item.e_tag)) for item in stored.get_subkeys()
        ]
        if not files and stored.exists():
            single = stored.s3obj()
            files = [("", int(single.content_length), str(single.e_tag))]
    except (
        Exception
    ) as error:  # the plugin lets through whatever botocore raises, which lib never imports
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"{stored.query} cannot be read: {reason}; {_advice(reason)}") from None
    if not files:
        raise UserError(
            f"{stored.query}: bucket {stored.bucket!r} has nothing by this name; give a prefix with "
            "photos below it, a .zip, or a video that lies there"
        )
    return files


def _advice(reason: str) -> str:
    """What may help against S3's refusal: who is not connected needs no other credentials."""
    words = reason.lower()
    if any(word in words for word in ("connect", "timed out", "timeout", "resolve", "unreachable")):
        return "check the network connection of this machine, and AWS_ENDPOINT_URL where it is set"
    if "nosuchbucket" in words or "bucket does not exist" in words:
        return "check the bucket's name"
    return (
        "check the name, and that this machine has credentials that may list and read the bucket"
        f" ({CREDENTIALS})"
    )


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of every file below `folder`."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
