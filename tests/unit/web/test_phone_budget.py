"""Where a scene is streamed, phones with a budget of bytes load their own file instead."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from scripts.lib.encode.codecs import sog
from scripts.lib.web import bundle
from scripts.lib.web.assemble import Inputs, write_bundle
from tests.unit.splat_scene import make_gaussians
from tests.unit.stage_files import stage_values
from tests.unit.web.test_verify import fake_viewer

LEVELS = 1000  # bytes of the streamed form


@pytest.mark.parametrize(("budget", "told"), [(None, False), (LEVELS, False), (LEVELS - 1, True)])
def test_phones_stream_within_their_budget(tmp_path: Path, budget: int | None, told: bool) -> None:
    (tmp_path / "splat.sog").write_bytes(sog.encode(make_gaussians(20)).data)
    Image.new("RGB", (1200, 630)).save(tmp_path / "poster.jpg")
    with zipfile.ZipFile(tmp_path / "lod.zip", "w") as archive:
        archive.writestr("lod-meta.json", b" " * LEVELS)
    values = stage_values()
    mobile = {"sh_degree": 0, "gaussians": 20, "bytes": 9, "loss_db": 0.1, "limit_db": 0.6}
    mobile |= {"within_limit": True} | ({"max_bytes": budget} if budget else {})
    values["compress"] = {
        "gaussians": 20,
        "sh_degree": 0,
        "source_sh_degree": 0,
        "source_bytes": None,
        "formats": {},
        "seconds": 1.0,
        "targets": {"mobile": mobile},
    }
    view = {"position": [3, 0, 1], "target": [0, 0, 0], "fov": 60, "name": "a", "tour": None}
    files = {}
    for name in ("photos", "sfm", "georef", "train", "eval", "codecs", "compress"):
        files[name] = tmp_path / f"{name}.json"
        files[name].write_text(json.dumps(values[name]))
    (tmp_path / "view.json").write_text(json.dumps(view))
    inputs = Inputs(
        scene="yard",
        sog=tmp_path / "splat.sog",
        poster=tmp_path / "poster.jpg",
        view=tmp_path / "view.json",
        stage_files=files,
        options=bundle.WebOptions(),
        modules=fake_viewer(tmp_path),
        lod=tmp_path / "lod.zip",
    )
    write_bundle(inputs, tmp_path / "web", site=tmp_path / "site.zip")
    with zipfile.ZipFile(tmp_path / "site.zip") as archive:
        page = archive.read("index.html").decode()
    assert '"stream": "lod.' in page and ('"streamPhones": false' in page) == told
    assert "streamPhones" not in (tmp_path / "web" / "index.html").read_text()
