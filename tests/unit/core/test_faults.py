"""A disk or a network share that fails is never told as a damaged file: the advice would be to delete it."""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scripts.lib.core.files import add_to_zip, reading_zip, writing_zip
from scripts.lib.encode.codecs import sog
from scripts.lib.encode.levels import read as read_levels
from scripts.lib.photos.importing import import_photos
from scripts.lib.photos.options import ImportOptions
from scripts.lib.photos.source import list_source, read_file
from scripts.lib.report.pictures import view_uris
from scripts.lib.scene.scene import load_scene
from scripts.lib.web import bundle, verify
from tests.unit.splat_scene import make_gaussians, make_views, write_scene


def failing(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def splat_of_a_page(folder: Path) -> None:
    sog.decode(folder / "splat.sog")


def levels_of_detail(folder: Path) -> None:
    read_levels(folder / "one.zip")


def view_of_the_report(folder: Path) -> None:
    with reading_zip(folder / "one.zip") as archive:
        view_uris(archive, "a", 100)


def photo_of_a_source(folder: Path) -> None:
    (file,) = list_source(str(folder / "photos"))
    read_file(file)


def verified_zip(folder: Path) -> None:
    verify.archive_problems(folder / "one.zip", {"a": {}})


def viewer_of_the_page(folder: Path) -> None:
    bundle.viewer_package(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files of each kind."""
    folder = tmp_path_factory.mktemp("good")
    write_scene(folder / "scene.zip", make_gaussians(), make_views())
    (folder / "splat.sog").write_bytes(sog.encode(make_gaussians(20)).data)
    with writing_zip(folder / "one.zip") as archive:
        for name in ("a.photo.jpg", "lod-meta.json"):
            add_to_zip(archive, name, b"{}")
    (folder / "photos").mkdir()
    Image.new("RGB", (64, 64)).save(folder / "photos" / "a.jpg")
    return folder


@pytest.mark.parametrize(
    "read",
    [
        splat_of_a_page,
        levels_of_detail,
        view_of_the_report,
        photo_of_a_source,
        verified_zip,
        viewer_of_the_page,
    ],
)
def test_a_failing_disk_is_no_damaged_file(
    read: Callable[[Path], None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name in ((zipfile.ZipFile, "read"), (Path, "read_bytes"), (Path, "read_text")):
        monkeypatch.setattr(owner, name, failing)
    with pytest.raises(OSError, match="Input/output") as raised:
        read(folder)
    assert raised.value.errno == errno.EIO


def test_a_failing_disk_in_the_middle_of_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = load_scene(folder / "scene.zip")
    monkeypatch.setattr(zipfile.ZipFile, "read", failing)
    with pytest.raises(OSError, match="Input/output"):
        scene.photos([0])


def test_a_full_disk_does_not_leave_out_a_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its frames are written beside the archive; without room it must not count as "not a video"."""
    from tests.unit.video_files import write_video

    source = tmp_path / "source"
    source.mkdir()
    write_video(source / "walk.mp4", [Image.effect_noise((320, 240), 90).convert("RGB")] * 12)

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError) as raised:
        import_photos(str(source), ImportOptions(), tmp_path / "photos.zip")
    assert raised.value.errno == errno.ENOSPC
