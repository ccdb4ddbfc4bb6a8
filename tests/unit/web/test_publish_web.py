"""What visitors' caches are told, and that the page is put there last."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.storage.places import Bucket, Folder, place
from scripts.lib.web.hosting import hashed_name
from scripts.lib.web.publish import PublishOptions, headers_of, publish
from scripts.publish_web import main
from tests.unit.stage_files import stage_values

HASH = "0123456789ab" + "0" * 52


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site.zip with the kinds of names that bundle_web gives."""
    path = tmp_path / "site.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("index.html", hashed_name("scene.sog", HASH), "poster.jpg", "_headers"):
            archive.writestr(name, name)
        archive.writestr("lod.0123456789ab/lod-meta.json", "{}")
    return path


def test_names_with_a_hash_are_kept_for_ever() -> None:
    assert "immutable" in headers_of(hashed_name("scene.sog", HASH))["Cache-Control"]
    assert "immutable" in headers_of("lod.0123456789ab/lod-meta.json")["Cache-Control"]
    for name in ("index.html", "poster.jpg", "manifest.json"):
        assert headers_of(name)["Cache-Control"] == "no-cache"
    assert headers_of("index.html")["Content-Type"] == "text/html; charset=utf-8"
    packed = headers_of(hashed_name("viewer.js", HASH) + ".gz")
    assert packed["Content-Encoding"] == "gzip" and packed["Content-Type"].startswith("text/java")


def test_to_a_bucket(s3: Any, site: Path) -> None:
    options = PublishOptions("s3://bkt/web", "https://d1.example.org", "yard-1")
    published = publish(site, options, "yard")
    assert published.url == "https://d1.example.org/yard-1/index.html"
    assert published.files[-1].file == "index.html"
    listed = s3.list_objects_v2(Bucket="bkt")["Contents"]
    keys = {item["Key"] for item in listed}
    assert f"web/yard-1/{hashed_name('scene.sog', HASH)}" in keys
    assert "web/yard-1/lod.0123456789ab/lod-meta.json" in keys
    assert not any("_headers" in key for key in keys)
    head = s3.head_object(Bucket="bkt", Key="web/yard-1/index.html")
    assert head["CacheControl"] == "no-cache"


def test_to_a_folder_by_the_command(site: Path, tmp_path: Path) -> None:
    target = tmp_path / "public"
    output = tmp_path / "published.json"
    options = json.dumps({"to": str(target)})
    main(["--scene", "yard", "--site", str(site), "--options", options, "--output", str(output)])
    assert (target / "yard" / "index.html").read_text() == "index.html"
    assert json.loads(output.read_text())["scene"] == "yard"


def test_nowhere_is_a_sentence(site: Path) -> None:
    with pytest.raises(UserError, match="publish_web.to is empty"):
        publish(site, PublishOptions(), "yard")


@pytest.fixture(params=["folder", "bucket"])
def there(request: pytest.FixtureRequest, s3: Any, tmp_path: Path) -> Folder | Bucket:
    """Where the page `yard` is published."""
    return place("s3://bkt/web/yard" if request.param == "bucket" else f"{tmp_path}/public/yard")


def version(folder: Path, number: int) -> Path:
    """site.zip of a version of a page, whose scene and one level of detail differ from the others'."""
    names = [hashed_name("scene.sog", f"{number:064x}"[::-1]), f"lod.{number:012x}/0_0/meta.json"]
    path = folder / f"site{number}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*names, "index.html", "_headers"):
            archive.writestr(name, str(number))
        site = dict.fromkeys([*names, "index.html"], {"bytes": 1, "sha256": "0"})
        archive.writestr("manifest.json", json.dumps(stage_values()["manifest"] | {"site": site}))
    return path


def test_files_of_versions_before_the_last_are_removed(
    there: Folder | Bucket, tmp_path: Path
) -> None:
    """Those of the last one stay for visitors who came before; what is not ours stays in any case."""
    (tmp_path / "own.txt").write_text("x")
    there.put("robots.txt", tmp_path / "own.txt")
    options = PublishOptions(str(there).removesuffix("/yard"))
    held = []
    for number in (1, 2, 3):
        publish(version(tmp_path, number), options, "yard")
        held.append(there.tree())
    kept = ["index.html", "manifest.json", "robots.txt"]
    hashed = [[name for name in names if name not in kept] for names in held]
    assert [len(names) for names in hashed] == [2, 4, 4]
    assert not set(hashed[0]) & set(hashed[2]) and set(hashed[1]) - set(hashed[0]) < set(hashed[2])
    assert all(set(kept) < set(names) for names in held)


def test_old_files_that_cannot_be_removed_fail_nothing(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise UserError("S3 did not delete it")

    options = PublishOptions(str(tmp_path / "public"))
    for number in (1, 2):
        publish(version(tmp_path, number), options, "yard")
    monkeypatch.setattr(Folder, "remove", refuse)
    publish(version(tmp_path, 3), options, "yard")
    assert "were not removed: S3 did not delete it" in capsys.readouterr().out
    monkeypatch.setattr(Folder, "tree", refuse)
    publish(version(tmp_path, 3), options, "yard")
    assert "are not removed: S3 did not delete it" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    ["../evil.html", "/tmp/evil.html", "a/../../evil.html", "C:/evil", "a\\..\\evil", "a//b"],
)
def test_a_member_that_leads_out_is_refused(
    there: Folder | Bucket, tmp_path: Path, name: str
) -> None:
    """Before anything is published."""
    path = tmp_path / "site.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.html", "x")
        archive.writestr(name, "x")
    with pytest.raises(UserError, match="points outside its folder"):
        publish(path, PublishOptions(str(there).removesuffix("/yard")), "yard")
    assert there.tree() == [] and not (tmp_path / "evil.html").exists()
