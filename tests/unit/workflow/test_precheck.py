"""Sources that are of no use are told before the first job; those of scenes that are imported may be away."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.workflow.precheck import check_sources
from scripts.lib.workflow.sheet import Row


def check(source: Path | str, results: Path, positions: str = "") -> None:
    row = Row({"scene": "yard", "source": str(source)}, "my.tsv, line 2")
    options = {"yard": {"import_photos": {"positions": positions}}}
    check_sources({"yard": row}, options, results)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"a")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("nowhere", None, "does not exist; give a folder or a .zip of photos, or a video"),
        ("empty", "folder", "is empty; put"),
        ("damaged.zip", b"PK", "is not a readable zip"),
        ("walk.insv", b"x", "is a 360 degree recording"),
        ("one.jpg", b"x", "is one file"),
    ],
)
def test_a_source_of_no_use(tmp_path: Path, name: str, data: Any, sentence: str) -> None:
    source = tmp_path / name
    if data == "folder":
        source.mkdir()
    elif data is not None:
        source.write_bytes(data)
    with pytest.raises(UserError, match=sentence) as caught:
        check(source, tmp_path / "out")
    assert str(caught.value).startswith(f"my.tsv, line 2 (scene 'yard'): {source}")


def test_sources_of_use(photos: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.jpg", b"a")
    (tmp_path / "walk.MP4").write_bytes(b"")
    for source in (photos, tmp_path / "x.zip", tmp_path / "walk.MP4", "s3://bucket/x"):
        check(source, tmp_path / "out")


def test_positions_that_are_not_there(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 2 .*import_photos.positions names geo.csv"):
        check(photos, tmp_path / "out", "geo.csv")
    (photos / "geo.csv").write_text("")
    check(photos, tmp_path / "out", "geo.csv")


def test_a_finished_scene_needs_no_source(tmp_path: Path) -> None:
    (tmp_path / "out" / "yard").mkdir(parents=True)
    (tmp_path / "out" / "yard" / "photos.zip").write_bytes(b"")
    check(tmp_path / "unplugged disk", tmp_path / "out")


def test_results_do_not_go_among_the_photos(photos: Path) -> None:
    (photos / "yard").mkdir()
    (photos / "yard" / "a.jpg").write_bytes(b"a")
    with pytest.raises(UserError, match="is also where this scene's results would go"):
        check(photos / "yard", photos)
