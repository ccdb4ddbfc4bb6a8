"""What visitors' caches are told, and that the page is put there last."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.console import UserError
from scripts.lib.web_page import hashed_name
from scripts.publish_web import PublishOptions, headers_of, main, publish

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
    assert published["url"] == "https://d1.example.org/yard-1/index.html"
    assert published["files"][-1]["file"] == "index.html"
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
