"""The RO-Crate of a page: what machines can check of it, what it tells, and what it must not tell."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scripts.lib.contracts.step import Step, steps_from_json, steps_to_json
from scripts.lib.core.console import UserError
from scripts.lib.encode.codecs import sog
from scripts.lib.web import bundle
from scripts.lib.web.assemble import Inputs, write_bundle
from scripts.lib.web.crate import workflow_source
from scripts.lib.web.crate_inputs import CRATE, ENGINE_VARIABLE, HIDDEN
from scripts.lib.web.crate_software import HOMES, container
from scripts.lib.web.publish import PublishOptions, publish
from tests.unit.splat_scene import make_gaussians
from tests.unit.stage_files import stage_values
from tests.unit.web.crate_validator import found_in
from tests.unit.web.test_verify import fake_viewer, with_telling_names

# The one recommendation that no crate with its workflow inside can follow: its address would not be relative.
RELATIVE = "The SoftwareApplication id SHOULD be an absolute URI"
STEPS = (
    Step("import_photos", "Check every photo.", {"source": ()}, {"report": ("photos.json",)}),
    Step(
        "map_scene",
        "Solve for the cameras.",
        {"report": ("photos.json",)},
        {"sparse": ("sparse/a.bin", "sparse/b.bin"), "metrics": ("sfm.json", "georef.json")},
    ),
    Step(
        "train_splat",
        "Optimise Gaussians.",
        {"scene": ("sparse/a.bin", "sparse/b.bin")},
        {"ply": ("splat.ply",), "metrics": ("train.json",)},
    ),
    Step(
        "bundle_web",
        "Gather the page.",
        {"train": ("train.json",), "sfm": ("sfm.json",), "shipped": ("splat.ply",)},
        {"files": tuple(f"web/{name}" for name in bundle.FILES), "site": ("site.zip",)},
    ),
)
RAN = {"started": "2031-05-04T10:00:00+00:00", "ended": "2031-05-04T10:05:00+00:00"}
OPTIONS = {
    "import_photos": {"positions": "/home/anna/geo.txt", "max_side": 3200, "use_gps": True},
    "map_scene": {"min_registered": 0.5, "ladder": True, "gps_sigma": 3.5},
    "train_splat": {"steps": 1000, "held_out": ["IMG_0000.jpg"], "rate": 2.5, "sky": None},
}


def stage_files(folder: Path) -> dict[str, Path]:
    """The JSON of every stage, with how it ran, as of a scene whose photos have telling names."""
    values = with_telling_names(stage_values())
    for name, rule in (("photos", "import_photos"), ("sfm", "map_scene"), ("train", "train_splat")):
        text = json.dumps(OPTIONS[rule]).replace("IMG_0000", "46.84N_9.19E_anna_0")
        values[name] |= {
            "options": json.loads(text),
            "versions": {"splatmake": "0.1.0", "numpy": "2.4.6"},
            "machine": {"system": "Linux", "architecture": "x86_64", "python": "3.11.9", "cpus": 8},
            "ran": RAN | {"image": "train-cpu" if name == "train" else "sfm"},
        }
    paths = {}
    for name in ("photos", "sfm", "georef", "train", "eval", "codecs"):
        paths[name] = folder / f"{name}.json"
        paths[name].write_text(json.dumps(values[name]))
    return paths


def make(folder: Path, **changes: Any) -> Path:
    """A bundle with its site.zip in `folder`; `changes` to what it is made of."""
    folder.mkdir(exist_ok=True)
    gaussians = make_gaussians(60, bands=3)
    (folder / "splat.sog").write_bytes(sog.encode(gaussians).data)
    (folder / "splat.ply").write_bytes(b"ply")
    Image.new("RGB", (1200, 630), (70, 90, 80)).save(folder / "poster.jpg")
    view = {
        "position": [3, 0, 1],
        "target": [0, 0, 0],
        "fov": 60,
        "name": "46.84N_9.19E_anna_0.jpg",
    }
    (folder / "view.json").write_text(json.dumps(view))
    with zipfile.ZipFile(folder / "lod.zip", "w") as archive:
        archive.writestr("lod-meta.json", "{}")
    table = folder / "train_splat.tsv"
    table.write_text("s\th:m:s\tmax_rss\n7.5\t0:00:07\t812.25\n")
    given: dict[str, Any] = {
        "scene": "yard",
        "sog": folder / "splat.sog",
        "poster": folder / "poster.jpg",
        "view": folder / "view.json",
        "stage_files": stage_files(folder),
        "options": bundle.WebOptions(licence="CC BY 4.0", credit="Yard Club", title="The yard"),
        "modules": fake_viewer(folder),
        "lod": folder / "lod.zip",
        "shipped": [folder / "splat.ply"],
        "images": {
            "sfm": "docker://123456789012.dkr.ecr.eu-west-1.amazonaws.com/own/sfm@sha256:ab12",
            "train-cpu": "docker://ghcr.io/own/train-cpu:77",
            "web": "docker://ghcr.io/own/web:78",
        },
        "steps": STEPS,
        "benchmarks": [table],
    }
    write_bundle(Inputs(**given | changes), folder / "web", folder / "p.html", folder / "site.zip")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENGINE_VARIABLE, "9.27.1")
        return make(tmp_path_factory.mktemp("crate"))


@pytest.fixture(scope="module")
def entities(made: Path) -> dict[str, Any]:
    """The crate's entities by their identifiers."""
    graph = json.loads((made / "web" / CRATE).read_text())["@graph"]
    found = {entity["@id"]: entity for entity in graph}
    assert len(found) == len(graph), "each stands once"
    return found


def names(value: Any) -> set[str]:
    """The identifiers that a property refers to."""
    return {item["@id"] for item in (value if isinstance(value, list) else [value])}


def test_it_passes_the_validator(made: Path, tmp_path: Path) -> None:
    """All that is required and all that is recommended, but for one image whose registry is not told."""
    assert found_in(made / "web", tmp_path) == {
        RELATIVE,
        "The ContainerImage SHOULD have a registry",
    }


def test_as_hosts_have_it(made: Path, tmp_path: Path) -> None:
    """Unpacked, and put there by publish_web: names carry hashes, and levels of detail lie beside."""
    with zipfile.ZipFile(made / "site.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    publish(made / "site.zip", PublishOptions(str(tmp_path / "public")), "yard")
    for folder in (tmp_path / "unpacked", tmp_path / "public" / "yard"):
        graph = json.loads((folder / CRATE).read_text())["@graph"]
        parts = names(next(item for item in graph if item["@id"] == "./")["hasPart"])
        there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert parts == there - {CRATE, "_headers"}
    assert found_in(tmp_path / "public" / "yard", tmp_path, "REQUIRED") == set()


def test_the_validator_sees_damage(made: Path, tmp_path: Path) -> None:
    """That the tests above can fail: what the profiles require, taken away."""
    folder = Path(shutil.copytree(made / "web", tmp_path / "web"))
    crate = json.loads((folder / CRATE).read_text())
    graph = {entity["@id"]: entity for entity in crate["@graph"]}
    for entity, key in (
        ("#step/train_splat", "workExample"),
        ("#control/train_splat", "instrument"),
        ("#run/map_scene", "instrument"),
        ("#train_splat/output/ply", "additionalType"),
    ):
        del graph[entity][key]
    (folder / CRATE).write_text(json.dumps(crate))
    (folder / "scene.sog").unlink()
    found = " ".join(found_in(folder, tmp_path, "REQUIRED"))
    for words in (
        "workExample",
        "HowToStep instance",
        "executed tool",
        "additionalType",
        "scene.sog",
    ):
        assert words in found, found


def test_every_step_with_what_it_read_left_and_was_told(entities: dict[str, Any]) -> None:
    action = entities["#run/train_splat"]
    options = {f"#train_splat/option/{name}/value" for name in OPTIONS["train_splat"]}
    assert names(action["object"]) == {"#sparse/a.bin", "#sparse/b.bin", *options}
    assert names(action["result"]) == {"#splat.ply", "#train.json"}
    assert (action["startTime"], action["endTime"]) == (RAN["started"], RAN["ended"])
    assert names(action["containerImage"]) == {"#image-train-cpu"}
    assert action["description"] == "On Linux x86_64 with 8 CPUs."
    tool = entities[action["instrument"]["@id"]]
    assert names(tool["softwareRequirements"]) == {
        "https://numpy.org#numpy-2.4.6",
        "https://www.python.org#python-3.11.9",
    }
    assert tool["softwareVersion"] == "0.1.0" and tool["name"] == "scripts/train_splat.py"
    usage = {entities[name]["name"]: entities[name] for name in names(action["resourceUsage"])}
    assert usage["s"]["value"] == 7.5 and usage["max_rss"]["value"] == 812.25
    assert usage["max_rss"]["unitCode"].endswith("/MebiBYTE")
    assert entities["#train_splat/option/steps/value"]["value"] == 1000
    assert entities["#train_splat/option/steps"]["additionalType"] == "Integer"
    assert entities["#train_splat/option/sky/value"]["value"] == "null"
    positions = [entities[f"#step/{step.name}"]["position"] for step in STEPS]
    assert positions == ["1", "2", "3", "4"]
    assert (
        entities["#organised"]["instrument"]["@id"]
        == "https://snakemake.github.io#snakemake-9.27.1"
    )
    assert names(entities["./"]["mentions"]) == {
        "#run/workflow.smk",
        *(f"#run/{step.name}" for step in STEPS),
    }


def test_the_way_of_the_data(entities: dict[str, Any]) -> None:
    """Each input is connected with the output that it is, from the photos to the page."""
    links = {
        (item["sourceParameter"]["@id"], item["targetParameter"]["@id"])
        for item in entities.values()
        if item["@type"] == "ParameterConnection"
    }
    assert links == {
        ("#input/photos", "#import_photos/input/source"),
        ("#import_photos/output/report", "#map_scene/input/report"),
        ("#map_scene/output/sparse", "#train_splat/input/scene"),
        ("#train_splat/output/metrics", "#bundle_web/input/train"),
        ("#map_scene/output/metrics", "#bundle_web/input/sfm"),
        ("#train_splat/output/ply", "#bundle_web/input/shipped"),
        ("#bundle_web/output/files", "#output/page"),
    }
    assert names(entities["#splat.ply"]["exampleOfWork"]) == {
        "#train_splat/output/ply",
        "#bundle_web/input/shipped",
    }


def test_files_have_size_and_hash_where_they_are_known(
    made: Path, entities: dict[str, Any]
) -> None:
    found = json.loads((made / "web" / "manifest.json").read_text())
    for name in ("scene.sog", "index.html", "workflow.smk", "README.md"):
        assert entities[name]["sha256"] == found["files"][name]["sha256"]
        assert entities[name]["contentSize"] == str(found["files"][name]["bytes"])
    assert entities["#splat.ply"]["sha256"] == found["shipped"]["splat.ply"]["sha256"]
    assert entities["#train.json"]["sha256"] == found["stages"]["train"]["sha256"]
    assert "sha256" not in entities["#sparse/a.bin"] and "sha256" not in entities["manifest.json"]


def test_nothing_private(made: Path) -> None:
    """No name or place of a photo, no path of a machine, no number of an account."""
    crate = (made / "web" / CRATE).read_text()
    with zipfile.ZipFile(made / "site.zip") as archive:
        crate += archive.read(CRATE).decode()
    for word in ("anna", "46.84", "/home", "123456789012", "amazonaws", "gps_sigma", str(made)):
        assert word not in crate, word
    assert f'"value": "{HIDDEN}"' in crate and "photo_0001" in crate


def test_a_run_without_containers_claims_none(tmp_path: Path) -> None:
    folder = make(tmp_path / "plain", images={"web": "docker://ghcr.io/own/web:78"})
    assert "ContainerImage" not in (folder / "web" / CRATE).read_text()


def test_results_of_a_version_before(tmp_path: Path) -> None:
    """Whose stages did not say when they ran: no more than what is recommended is missing."""
    files = stage_files(tmp_path)
    for path in files.values():
        value = json.loads(path.read_text())
        path.write_text(json.dumps({k: v for k, v in value.items() if k != "ran"}))
    folder = make(tmp_path / "old", stage_files=files)
    assert found_in(folder / "web", tmp_path, "REQUIRED") == set()


def test_made_by_hand(tmp_path: Path) -> None:
    """Without the workflow around it, bundling is the only step that is known."""
    folder = make(tmp_path / "hand", steps=(), benchmarks=())
    assert found_in(folder / "web", tmp_path, "REQUIRED") == set()


def test_the_same_run_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1935655200")
    first, second = make(tmp_path / "a"), make(tmp_path / "b")
    assert (first / "web" / CRATE).read_bytes() == (second / "web" / CRATE).read_bytes()


def test_the_workflow_inside_is_this_one(root: Path) -> None:
    text = workflow_source(root)
    assert "include:" not in text.replace("``include:", "")
    for rule in ("rule import_photos:", "rule bundle_web:", "rule all:", "pathvars:"):
        assert text.count(rule) == 1, rule


def test_every_package_that_stages_name_has_a_home(root: Path) -> None:
    from scripts.lib.core import provenance

    named = {*provenance.PHOTOS, *provenance.SFM, *provenance.TRAINING, "cuda", bundle.PACKAGE}
    assert named <= set(HOMES)


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("docker://ghcr.io/own/sfm:1f", {"registry": "ghcr.io", "name": "own/sfm", "tag": "1f"}),
        ("docker://quay.io/own/sfm@sha256:ab", {"registry": "quay.io", "sha256": "ab"}),
        ("docker://1.dkr.ecr.eu-west-1.amazonaws.com/a/sfm:2", {"name": "a/sfm", "tag": "2"}),
        ("docker://localhost:5000/sfm:3", {"name": "sfm", "tag": "3"}),
    ],
)
def test_an_image_in_parts(image: str, told: dict[str, str]) -> None:
    found = container("sfm", image)
    assert told.items() <= found.items()
    assert ("registry" in found) == ("registry" in told)


def test_steps_travel_as_text() -> None:
    assert steps_from_json(steps_to_json(STEPS)) == STEPS
    for text in ("{", "3", '[{"name": "x"}]', '[{"name": "x", "description": "", "inputs": 3}]'):
        with pytest.raises(UserError, match="--steps is not a list of the workflow's rules"):
            steps_from_json(text)
