"""A source in a bucket: what its keys may be called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.storage.remote import remote_digest


@dataclass
class Item:
    """An object of the bucket."""

    key: str
    size: int = 1
    e_tag: str = "0"


@dataclass
class Stored:
    """The storage plugin's object for s3://bkt/photos."""

    keys: list[str]
    folder: Path
    query: str = "s3://bkt/photos"
    bucket: str = "bkt"
    key: str = "photos"

    def get_subkeys(self) -> list[Item]:
        return [Item(key) for key in self.keys]

    def exists(self) -> bool:
        return bool(self.keys)

    def s3obj(self) -> Item:
        raise AssertionError("not a single object")

    def local_path(self) -> Path:
        return self.folder / "copy"


@pytest.mark.parametrize(
    "key",
    ["photos/../../out.jpg", "photos//etc/cron.d/job", "photos///tmp/out.jpg", "photos/a/../b"],
)
def test_a_key_that_leads_out_is_refused(key: str, tmp_path: Path) -> None:
    """The plugin writes each object to its folder joined with the rest of the key."""
    with pytest.raises(UserError, match="points outside the folder; rename that object"):
        remote_digest(Stored(["photos/good.jpg", key], tmp_path))


def test_usual_keys_are_taken(tmp_path: Path) -> None:
    keys = ["photos/a.jpg", "photos/sub/", "photos/sub/b c.jpg", "photos/..jpg", "photos/12:30.jpg"]
    assert remote_digest(Stored(keys, tmp_path))
