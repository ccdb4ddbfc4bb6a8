"""Which files of a source count: linked folders do, hidden files and this project's own results do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.lib.core.console import printable
from scripts.lib.core.digest import source_digest
from scripts.lib.core.files import read_json, write_json
from scripts.lib.core.source_files import PAGE_FILES, list_folder, own_results
from scripts.lib.photos.source import list_source
from scripts.lib.web.bundle import FILES

RUN = {
    "progress.json": "{}",
    "index.html": "",
    "summary.tsv": "",
    "logs/yard/import_photos.log": "",
    "benchmarks/yard/import_photos.tsv": "",
}
SCENE = {"photos.zip": "z", "photos.json": "{}", "contact.jpg": "picture", "poster.jpg": "picture"}
PAGE = {"manifest.json": "", "scene.sog": "", "poster.jpg": "", "licences.txt": "", "page.js": ""}
SITE = {"scene.0123456789ab.sog": "", "poster.jpg": "", "licences.txt": "", "index.html": ""}


def put(folder: Path, files: dict[str, str], below: str = "") -> None:
    for name, text in files.items():
        (folder / below / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / below / name).write_text(text)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    put(tmp_path / "photos", {"a.jpg": "a", "day/b.jpg": "b"})
    return tmp_path / "photos"


def names(folder: Path) -> list[str]:
    return list(list_folder(folder).files)


@pytest.mark.parametrize(
    ("files", "below"),
    [
        (RUN | {f"yard/{name}": text for name, text in SCENE.items()}, "out/"),
        (RUN | {f"yard/{name}": text for name, text in SCENE.items()}, ""),
        (RUN, "out/"),
        ({"progress.json": "{}"}, "out/"),
        (SCENE, "old/yard/"),
        (PAGE, "published/yard/"),
        (SITE, "www/"),
        ({"config": "", "metadata/x": ""}, ".snakemake/"),
    ],
    ids=[
        "run",
        "run-right-here",
        "run-of-other-files",
        "run-just-begun",
        "scene",
        "page",
        "site",
        "hidden",
    ],
)
def test_own_results_do_not_count(photos: Path, files: dict[str, str], below: str) -> None:
    """Neither for the import nor for the digest: else every run would import again."""
    before = source_digest(str(photos))
    put(photos, files, below)
    assert [file.name for file in list_source(str(photos))] == ["a.jpg", "day/b.jpg"]
    assert source_digest(str(photos)) == before
    put(photos, {"c.jpg": "c"}, "day")
    assert source_digest(str(photos)) != before


def test_photos_named_like_results_stay(photos: Path) -> None:
    """One such name, or logs without a run, may be anybody's."""
    put(
        photos,
        {"photos.json": "", "logs/flight.log": "", "day/poster.jpg": "", "web/index.html": ""},
    )
    assert len(names(photos)) == 6
    assert own_results(["progress.json", "a.jpg", "b/progress.json", "b/a.jpg"]) == []


def test_own_results_are_told(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(photos, RUN, "out")
    list_source(str(photos))
    assert capsys.readouterr().out == "Left out out: results of splatmake, not photos\n"


def test_a_linked_folder_is_read(photos: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", {"c.jpg": "c", "deep/d.jpg": "d"})
    (photos / "more").symlink_to(tmp_path / "elsewhere")
    (photos / "again").symlink_to(tmp_path / "elsewhere" / "deep")
    assert len(names(photos)) == 4  # each photo once, whatever its ways
    assert {"a.jpg", "day/b.jpg", "more/c.jpg"} < set(names(photos))
    before = source_digest(str(photos))
    put(tmp_path / "elsewhere", {"d.jpg": "changed"}, "deep")
    assert source_digest(str(photos)) != before
    (tmp_path / "link").symlink_to(photos)
    assert len(names(tmp_path / "link")) == 4


def test_links_in_a_circle_end(photos: Path) -> None:
    """A link to a folder above it would bring in whatever lies there."""
    put(photos.parent, {"other scene/x.jpg": "x"})
    (photos / "day" / "up").symlink_to(photos.parent)
    (photos / "day" / "here").symlink_to(photos / "day")
    (photos / "self").symlink_to(photos / "self")
    listing = list_folder(photos)
    assert list(listing.files) == ["a.jpg", "day/b.jpg"]
    assert "day/up: a link to a folder that it lies in" in listing.left_out


def test_a_link_to_nothing_is_told(photos: Path) -> None:
    (photos / "c.jpg").symlink_to("not here.jpg")
    assert list_folder(photos).left_out == ["c.jpg: a link to a file that is not there"]


def test_names_in_another_encoding(photos: Path) -> None:
    before = source_digest(str(photos))
    (photos / os.fsdecode(b"Stra\xdfe.jpg")).write_text("c")
    assert source_digest(str(photos)) != before
    assert len(names(photos)) == 3


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (os.fsdecode(b"Stra\xdfe.jpg"), r"Stra\xdfe.jpg"),
        ("Straße.jpg", "Straße.jpg"),
        ("half\ud83d.jpg", r"half\ud83d.jpg"),
    ],
)
def test_any_name_can_be_shown_and_kept(name: str, shown: str, tmp_path: Path) -> None:
    assert printable(name) == shown
    write_json(tmp_path / "x.json", {"file": name})
    assert read_json(tmp_path / "x.json") == {"file": shown}


def test_a_file_that_cannot_be_read_is_for_the_import_to_tell(photos: Path) -> None:
    """Not a traceback before the first job."""
    (photos / "a.jpg").unlink()
    (photos / "a.jpg").symlink_to("a.jpg")
    assert source_digest(str(photos))


def test_a_page_has_the_names_it_is_told_by() -> None:
    assert set(FILES) > PAGE_FILES
