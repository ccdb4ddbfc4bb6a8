"""Folders and buckets behave alike; S3 is moto's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.storage.places import Bucket, Folder, checkpoint_place, place, run_in_bucket


@pytest.fixture(params=["folder", "bucket"])
def anywhere(request: pytest.FixtureRequest, s3: Any, tmp_path: Path) -> Folder | Bucket:
    return place(
        "s3://bkt/some/run" if request.param == "bucket" else str(tmp_path / "some" / "run")
    )


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "source.txt"
    path.write_text(text)
    return path


def test_files_come_back_as_they_went(anywhere: Folder | Bucket, tmp_path: Path) -> None:
    assert anywhere.names() == []
    anywhere.put("b.txt", write(tmp_path, "old"))
    anywhere.put("b.txt", write(tmp_path, "new"))
    anywhere.put("a.txt", write(tmp_path, "a"))
    assert anywhere.names() == ["a.txt", "b.txt"]
    with anywhere.fetched("b.txt") as path:
        assert path.read_text() == "new"
    anywhere.remove("b.txt")
    anywhere.remove("b.txt")
    assert anywhere.names() == ["a.txt"]
    anywhere.remove("a.txt")
    assert anywhere.names() == []
    with pytest.raises(UserError), anywhere.fetched("a.txt"):
        pass


def test_a_folder_goes_with_its_last_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "x")
    folder.put("a", write(tmp_path, "a"))
    folder.remove("a")
    assert not (tmp_path / "x").exists()


def test_a_bucket_lists_only_its_own_level(s3: Any, tmp_path: Path) -> None:
    place("s3://bkt/run/deeper").put("a", write(tmp_path, "a"))
    place("s3://bkt/running").put("b", write(tmp_path, "b"))
    assert place("s3://bkt/run").names() == []
    assert str(place("s3://bkt/run/")) == "s3://bkt/run"


def test_headers_reach_s3(s3: Any, tmp_path: Path) -> None:
    headers = {"Cache-Control": "no-cache", "Content-Type": "text/html; charset=utf-8"}
    place("s3://bkt/web").put("index.html", write(tmp_path, "<p>"), headers)
    head = s3.head_object(Bucket="bkt", Key="web/index.html")
    assert head["CacheControl"] == "no-cache"
    assert head["ContentType"] == "text/html; charset=utf-8"


def test_checkpoints_lie_where_the_lifecycle_looks() -> None:
    assert checkpoint_place("", "out", "yard") == "out/yard/checkpoints"
    where = checkpoint_place("s3://bkt/runs/one", "out", "yard")
    assert where == "s3://bkt/checkpoints/runs/one/yard"


def test_what_s3_refuses_is_one_sentence(s3: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did not list .*NoSuchBucket.*check the name"):
        place("s3://nowhere/run").names()
    with pytest.raises(UserError, match="did not take a"):
        place("s3://nowhere/run").put("a", write(tmp_path, "a"))
    with pytest.raises(UserError, match="names no bucket"):
        place("s3:///run")


@pytest.mark.parametrize(
    ("provider", "prefix", "run"),
    [
        ("s3", "s3://bucket/run", "s3://bucket/run"),
        ("fs", "/mnt/shared/run", ""),
        ("fs", "s3://looks/like/one", ""),
        ("gcs", "gs://bucket/run", ""),
        ("s3", None, ""),
        (None, None, ""),
    ],
)
def test_only_a_bucket_is_a_bucket(provider: str | None, prefix: str | None, run: str) -> None:
    """`--default-storage-provider fs` has a prefix too."""
    assert run_in_bucket(provider, prefix) == run
