"""How each stage was run is written by the stage itself, and reaches manifest and report."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import extract_features, match_photos, undistort
from scripts.lib.contracts.pairs import Pairs
from scripts.lib.contracts.record import write
from scripts.lib.core import provenance
from scripts.lib.sfm.options import FeatureOptions
from scripts.lib.web import manifest
from scripts.lib.web.bundle import WebOptions
from scripts.lib.web.stages import read_stages
from scripts.report_scene import main as report_main
from tests.conftest import ROOT
from tests.photo_lines import line, report
from tests.unit.stage_files import stage_values, write_stage_files

STAGES = ("photos", "pairs", "sfm", "train", "eval", "codecs")


def test_the_four_keys_have_one_shape() -> None:
    found = provenance.provenance(FeatureOptions(max_side=900), "numpy", "no-such-package")
    assert tuple(found) == provenance.KEYS
    assert found["options"]["max_side"] == 900
    assert set(found["versions"]) - {"cuda"} == {"splatmake", "numpy"}
    assert {"system", "architecture", "python", "cpus"} <= set(found["machine"])
    assert found["ran"]["started"] <= found["ran"]["ended"]
    json.dumps(found)
    assert provenance.of({**found, "psnr": 3}) == found
    assert provenance.without({**found, "psnr": 3}) == {"psnr": 3}


def test_when_and_in_which_image_a_stage_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.delenv(provenance.IMAGE_VARIABLE, raising=False)
    assert set(provenance.ran()) == {"started", "ended"}
    assert provenance.moment(0) == "1970-01-01T00:00:00+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1935655200")
    monkeypatch.setenv(provenance.IMAGE_VARIABLE, "train-cpu")
    then = "2031-05-04T10:00:00+00:00"
    assert provenance.ran() == {"started": then, "ended": then, "image": "train-cpu"}


def test_versions_are_read_without_importing_anything() -> None:
    code = (
        "import sys; from scripts.lib.core.provenance import *; found = versions(*PHOTOS, *SFM, *TRAINING);"
        "assert {'torch', 'pycolmap', 'numba'} <= set(found), found; machine();"
        "sys.exit(bool({'torch', 'pycolmap', 'numba', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Acme H1, 580.1"], {"gpu": "Acme H1", "driver": "580.1"}),
        (["Acme H1, 580.1", "Acme H1, 580.1"], {"gpu": "Acme H1", "driver": "580.1"}),
        (["Acme H1, 580.1", "Other, 580.1"], {"gpu": "Acme H1, Other", "driver": "580.1"}),
        (["No devices were found"], {}),
        ([], {}),
    ],
)
def test_the_gpu_is_told_as_its_driver_names_it(
    lines: list[str], expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    provenance._from_driver.cache_clear()
    try:
        assert provenance.gpu() == expected
    finally:
        provenance._from_driver.cache_clear()


MADE: dict[str, dict[str, Any]] = {
    "features": {"photos": 1, "features": {}},
    "undistort": {"photos": 1},
    "compress": {
        "gaussians": 1,
        "sh_degree": 0,
        "source_sh_degree": 0,
        "source_bytes": None,
        "formats": {},
        "seconds": 1.0,
    },
    "tour": {"frames": 1, "bytes": 1},
}


def stages_that_tell() -> dict[str, Any]:
    """Stage files with what each stage would write of itself."""
    values = stage_values()
    made = {
        "photos": {"max_side": 3200},
        "pairs": {"neighbours": 16},
        "sfm": {"min_registered": 0.5, "use_gps": True, "gps_sigma": 3.0},
        "train": {"steps": 1000},
        "eval": {"resolution": "auto"},
        "codecs": {"max_loss_db": 0.5},
    }
    for name, options in made.items():
        sfm = name in ("pairs", "sfm")
        values[name] |= {
            "options": options,
            "versions": {"splatmake": "0.1.0"}
            | ({"pycolmap": "4.2.1"} if sfm else {"torch": "2.11.0", "cuda": "13.0"}),
            "machine": {"python": "3.12.1" if sfm else "3.11.9", "cpus": 8}
            | ({} if sfm else {"gpu": "Acme H1", "driver": "580.1"}),
        }
    values["pairs"]["device"] = "cpu"
    return values


def test_the_report_holds_settings_and_versions_of_every_stage(tmp_path: Path) -> None:
    values = stages_that_tell()
    for name in ("features", "undistort", "compress", "tour"):
        own = {"options": {f"of_{name}": 7}, "versions": {"pycolmap": "4.2.0"}}
        values[name] = MADE[name] | own
    report_main(write_stage_files(tmp_path, values))
    text = (tmp_path / "yard" / "report.html").read_text()
    for option in (
        "import_photos.max_side",
        "extract_features.of_features",
        "match_photos.neighbours",
        "map_scene.min_registered",
        "map_scene.use_gps",
        "undistort.of_undistort",
        "train_splat.steps",
        "evaluate_splat.resolution",
        "compress_splat.of_compress",
        "check_codecs.max_loss_db",
        "render_tour.of_tour",
    ):
        assert f"<code>{option}</code>" in text, option
    for fact in ("Acme H1", "580.1", "2.11.0", "13.0", "Device of match_photos"):
        assert fact in text, fact
    assert "4.2.1 (match_photos, map_scene" in text and "4.2.0 (extract_features" in text
    assert "3.12.1 (match_photos, map_scene)" in text, "another Python than in the other images"


def test_the_manifest_holds_settings_and_versions_of_every_stage(tmp_path: Path) -> None:
    values = {name: stages_that_tell()[name] for name in (*STAGES, "georef")}
    paths = {}
    for name, value in values.items():
        paths[name] = tmp_path / f"{name}.json"
        paths[name].write_text(json.dumps(value))
    told = read_stages(paths)
    made = manifest.build_manifest(
        scene="yard",
        title="Yard",
        options=vars(WebOptions()),
        photos=told.photos.photos,
        stages=told.as_json(),
        stage_files=paths,
        files={},
        shipped={},
        site={},
        decoded=stage_values()["manifest"]["decoded"],
        images={},
        versions={},
        view={},
    )
    for name in STAGES:
        options = {k: v for k, v in values[name]["options"].items() if k != "gps_sigma"}
        assert made.stages[name].options == options, name
        assert made.stages[name].versions == values[name]["versions"], name
        assert made.stages[name].machine == values[name]["machine"], name
    assert made.stages["pairs"].device == "cpu" and made.stages["georef"].sha256
    assert made.sfm["options"] == {"min_registered": 0.5, "use_gps": True}, "no number of a place"
    assert made.train["versions"]["torch"] == "2.11.0"
    assert "options" not in made.codecs, "once is enough"


def test_the_stages_before_the_map_write_how_they_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their doors, without the work behind: what COLMAP does is tested elsewhere."""
    write(tmp_path / "photos.json", report(line("a.jpg")))
    for name in ("photos.zip", "f.db"):
        (tmp_path / name).write_bytes(b"")

    def touch(*arguments: Any) -> dict[str, int]:
        arguments[2].write_bytes(b"db")
        return {"a.jpg": 9}

    def matched(*arguments: Any) -> Pairs:
        arguments[2].write_bytes(b"db")
        return Pairs(strategy="s", reason="r", photos=1, pairs=1, verified=1, alone=())

    monkeypatch.setattr(extract_features, "unpacked", lambda *_: contextlib.nullcontext(Path()))
    monkeypatch.setattr(extract_features, "extract_features", touch)
    monkeypatch.setattr(match_photos, "match_photos", matched)
    monkeypatch.setattr(undistort, "undistort", lambda *_: 1)
    lines = ["--photos-report", str(tmp_path / "photos.json")]
    archive = ["--photos", str(tmp_path / "photos.zip")]
    extract_features.main(
        [
            *(*archive, *lines, "--database", str(tmp_path / "f.db")),
            *("--metrics", str(tmp_path / "features.json"), "--options", '{"max_features": 177}'),
        ]
    )
    match_photos.main(
        [
            *("--database", str(tmp_path / "f.db"), *lines, "--output", str(tmp_path / "m.db")),
            *("--pairs", str(tmp_path / "pairs.json"), "--options", '{"neighbours": 5}'),
        ]
    )
    undistort.main(
        [
            *(*archive, "--sparse", str(tmp_path), "--output", str(tmp_path / "u.zip")),
            *("--metrics", str(tmp_path / "undistort.json"), "--options", '{"max_side": 640}'),
        ]
    )
    made = {
        name: json.loads((tmp_path / f"{name}.json").read_text())
        for name in ("features", "pairs", "undistort")
    }
    assert made["features"]["options"]["max_features"] == 177
    assert made["features"]["device"] in ("cpu", "cuda") and made["features"]["features"] == {
        "a.jpg": 9
    }
    assert made["pairs"]["options"]["neighbours"] == 5
    assert made["undistort"]["options"]["max_side"] == 640
    for told in made.values():
        assert {"pycolmap", "splatmake"} <= set(told["versions"]) and told["machine"]["python"]


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == provenance.project_version()
