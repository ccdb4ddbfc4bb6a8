"""A bundle that verifies, and one changed byte in each of its files, found and named."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from scripts.lib.contracts.deliver import Deliver, Delivered
from scripts.lib.contracts.manifest import Manifest
from scripts.lib.contracts.record import from_json, write
from scripts.lib.core.console import UserError
from scripts.lib.core.files import sha256
from scripts.lib.encode.codecs import sog
from scripts.lib.splat.gaussians import write_ply
from scripts.lib.visit import film
from scripts.lib.web import bundle, manifest, viewer
from scripts.lib.web.assemble import Inputs, write_bundle
from scripts.lib.web.privacy import without_host
from scripts.lib.web.publish import PublishOptions, publish
from scripts.lib.web.verify import problems
from scripts.verify import main
from tests.unit.splat_scene import make_gaussians
from tests.unit.stage_files import stage_values

# Names that say who or where: whole, in a folder, without suffix, and in a sentence.
TELLING = {f"IMG_{n:04d}": f"46.84N_9.19E_anna_{n}" for n in range(24)}


def with_telling_names(values: dict[str, Any]) -> dict[str, Any]:
    """The stages' JSON as of photos whose names nobody else should learn."""
    text = json.dumps(values)
    for plain, telling in TELLING.items():
        text = text.replace(f'"original": "{plain}', f'"original": "Anna and me/{telling}')
        text = text.replace(plain, telling)
    values = json.loads(text)
    name = values["eval"]["views"][0]["name"]
    values["train"]["options"]["test_photos"] = [name, Path(name).stem]
    values["codecs"]["formats"]["sog"]["worst_view"]["name"] = name
    values["codecs"]["device_reason"] = f"worst: {name}, then {Path(name).stem}.png"
    values["codecs"]["views"] = [name, Path(name).stem]
    return dict(values)


def fake_viewer(folder: Path) -> Path:
    """node_modules with just what a bundle takes from the viewer's package."""
    package = folder / "node_modules" / bundle.PACKAGE
    (package / "public").mkdir(parents=True)
    (package / "package.json").write_text('{"version": "0.0.0"}')
    (package / "LICENSE").write_text("MIT")
    (package / "public" / "index.css").write_text(".x { color: red }")
    changed = "\n".join(viewer.CHANGES)
    script = f"// viewer\n{changed}\n//# sourceMappingURL=index.js.map\n"
    (package / "public" / "index.js").write_text(script)
    return folder / "node_modules"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    gaussians = make_gaussians(60, bands=3)
    write_ply(folder / "splat.ply", gaussians)
    (folder / "splat.sog").write_bytes(sog.encode(gaussians).data)
    Image.new("RGB", (1200, 630), (70, 90, 80)).save(folder / "poster.jpg")
    values = with_telling_names(stage_values())
    name = values["eval"]["views"][0]["name"]
    view = {"position": [3, 0, 1], "target": [0, 0, 0], "fov": 60, "name": name}
    at = {"position": [[3, 0, 1], [2, 0, 1]], "target": [[0, 0, 0]] * 2, "fov": [60, 60]}
    view["tour"] = {"times": [0, 1], **at, "stops": [{"name": name, "time": 1}]}
    (folder / "view.json").write_text(json.dumps(view))
    stages = {}
    for name in ("photos", "sfm", "georef", "train", "eval", "codecs"):
        stages[name] = folder / f"{name}.json"
        stages[name].write_text(json.dumps(values[name]))
    (folder / "geo").mkdir()
    (folder / "geo" / "tiles.3tz").write_bytes(b"tiles")
    stages["deliver"] = folder / "deliver.json"
    delivered = Delivered(
        name="tiles", file="geo/tiles.3tz", bytes=5, sha256=sha256(folder / "geo" / "tiles.3tz"),
        seconds=1.0, frame="ECEF", placed=True, delta_psnr=-0.1, facts={"tiles": 1},
    )  # fmt: skip
    write(stages["deliver"], Deliver(files=(delivered,)))
    write_bundle(
        Inputs(
            scene="yard",
            sog=folder / "splat.sog",
            poster=folder / "poster.jpg",
            view=folder / "view.json",
            stage_files=stages,
            options=bundle.WebOptions(licence="CC BY 4.0", url="https://example.org/yard/"),
            modules=fake_viewer(folder),
            shipped=[folder / "splat.ply"],
            images={
                "web": "docker://example/web@sha256:0",
                "sfm": "docker://123456789012.dkr.ecr.eu-west-1.amazonaws.com/own/sfm@sha256:1",
            },
        ),
        output=folder / "web",
        single=folder / "splat.html",
        site=folder / "site.zip",
    )
    return folder


def test_it_is_whole(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(p.name for p in (made / "web").iterdir()) == sorted(bundle.FILES)
    assert problems(made / "web") == []
    main([str(made / "web")])
    assert "files are unchanged" in capsys.readouterr().out


@pytest.mark.parametrize("name", bundle.FILES)
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_one_changed_byte_is_found_and_named(
    made: Path, tmp_path: Path, name: str, where: float
) -> None:
    folder = Path(shutil.copytree(made / "web", tmp_path / "web"))
    data = bytearray((folder / name).read_bytes())
    data[round(where * (len(data) - 1))] ^= 1
    (folder / name).write_bytes(data)
    found = problems(folder)
    assert len(found) == 1 and name in found[0], found
    with pytest.raises(UserError, match="was changed: "):
        main([str(folder)])


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """The bundle with the one-file page and the zip for hosts beside it."""
    shutil.copytree(made / "web", tmp_path / "web")
    for name in ("splat.html", "site.zip"):
        shutil.copy(made / name, tmp_path / name)
    return tmp_path


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("where", [0.0, 0.37, 1.0])
def test_one_changed_byte_of_the_one_file_page(copied: Path, where: float) -> None:
    assert problems(copied / "web") == []
    flip(copied / "splat.html", round(where * ((copied / "splat.html").stat().st_size - 1)))
    assert problems(copied / "web") == ["../splat.html was changed: same size, different bytes"]


def test_one_changed_byte_in_each_file_of_the_zip_for_hosts(copied: Path) -> None:
    whole = (copied / "site.zip").read_bytes()
    with zipfile.ZipFile(copied / "site.zip") as archive:
        members = archive.infolist()
    assert (
        len(members) == len(bundle.FILES)  # the poster twice, and no walk
    )  # the poster stands twice: hashed, and for previews
    for member in members:
        data = bytearray(whole)
        data[member.header_offset + 30 + len(member.filename) + member.file_size // 2] ^= 1
        (copied / "site.zip").write_bytes(data)
        assert problems(copied / "web") == [f"../site.zip: {member.filename} was changed"]


@given(st.floats(0, 1), st.integers(0, 7))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_byte_of_the_zip_is_free(made: Path, copied: Path, where: float, bit: int) -> None:
    """Names, dates and places between the members count too."""
    data = bytearray((made / "site.zip").read_bytes())
    start = data.rindex(b"PK\x01\x02") - 2000  # the last members' headers and the directory
    data[round(start + where * (len(data) - 1 - start))] ^= 1 << bit
    (copied / "site.zip").write_bytes(data)
    found = problems(copied / "web")
    assert len(found) == 1 and found[0].startswith("../site.zip"), found


def test_the_zip_unpacked_on_a_host(copied: Path) -> None:
    with zipfile.ZipFile(copied / "site.zip") as archive:
        archive.extractall(copied / "host" / "yard")
    assert problems(copied / "host" / "yard") == []
    (name,) = (copied / "host" / "yard").glob("page.*.js")
    flip(name, 10)
    assert problems(copied / "host" / "yard") == [
        f"{name.name} was changed: same size, different bytes"
    ]


def test_what_publish_web_filled(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where files of the version before are still there for visitors; a changed byte is found."""
    published = PublishOptions(str(tmp_path / "public"))
    publish(copied / "site.zip", published, "yard")
    folder = tmp_path / "public" / "yard"
    main([str(folder)])
    assert "files are unchanged" in capsys.readouterr().out
    (folder / "scene.0123456789ab.sog").write_bytes(b"of the version before")
    assert problems(folder) == []
    (folder / "evil.js").write_text("alert(1)")
    assert problems(folder) == ["evil.js does not belong to this bundle"]
    (folder / "evil.js").unlink()
    (folder / "_headers").write_text("/*\n  X-Robots-Tag: none")
    assert any("_headers" in problem for problem in problems(folder))


def test_missing_extra_and_neighbouring_files(made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made / "web", tmp_path / "web"))
    (folder / "page.js").unlink()
    (folder / "extra.js").write_text("alert(1)")
    (tmp_path / "splat.ply").write_bytes(b"ply")
    found = " ".join(problems(folder))
    assert "page.js is missing" in found and "extra.js does not belong" in found
    assert "../splat.ply has 3 bytes" in found
    with pytest.raises(UserError, match=r"no manifest\.json"):
        problems(tmp_path)


def test_files_for_other_programs_are_known_by_their_hash(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "web", tmp_path / "web")
    assert problems(tmp_path / "web") == []  # they need not lie there
    (tmp_path / "geo").mkdir()
    (tmp_path / "geo" / "tiles.3tz").write_bytes(b"tiler")
    (found,) = problems(tmp_path / "web")
    assert found == "../geo/tiles.3tz was changed: same size, different bytes"
    manifest = json.loads((made / "web" / "manifest.json").read_text())
    assert manifest["deliver"]["files"][0]["delta_psnr"] == -0.1
    assert "sha256" in manifest["stages"]["deliver"]


def test_the_manifest_says_how_it_was_made(made: Path) -> None:
    found = json.loads((made / "web" / "manifest.json").read_text())
    assert found["images"] == {
        "web": "docker://example/web@sha256:0",
        "sfm": "docker://own/sfm@sha256:1",
    }
    photos = json.loads((made / "photos.json").read_text())["photos"]
    kept = [f"photo_{n:04d}" for n, photo in enumerate(photos, 1) if photo["kept"]]
    assert [entry["file"] for entry in found["photos"]["files"]] == kept
    assert found["start_view"]["name"] == "photo_0001"
    assert found["train"]["options"]["test_photos"] == ["photo_0001"] * 2
    assert found["codecs"]["views"] == ["photo_0001"] * 2
    assert "worst: photo_0001, then photo_0001.png" in found["codecs"]["device_reason"]
    assert found["decoded"]["gaussians"] == 60 and found["decoded"]["sh_degree"] == 1
    assert found["train"]["seed"] == 7 and found["machine"]["cpus"] >= 1
    assert set(found["files"]) == set(bundle.FILES) - {"manifest.json"}
    assert "latitude" not in json.dumps(found)
    crate = json.loads((made / "web" / "ro-crate-metadata.json").read_text())
    root = next(item for item in crate["@graph"] if item["@id"] == "./")
    described = {entity["@id"]: entity for entity in crate["@graph"]}
    assert described[root["license"]["@id"]]["name"] == "CC BY 4.0"
    assert {p["@id"] for p in root["hasPart"]} == set(bundle.FILES) - {"ro-crate-metadata.json"}
    assert described["scene.sog"]["sha256"] == found["files"]["scene.sog"]["sha256"]


def test_nothing_that_is_published_tells_a_photos_name(made: Path) -> None:
    """Nor the account that a registry belongs to: in the web folder, the zip for hosts, the one-file page."""
    published = {path.name: path.read_bytes() for path in (made / "web").iterdir()}
    published["splat.html"] = (made / "splat.html").read_bytes()
    with zipfile.ZipFile(made / "site.zip") as archive:
        published |= {f"site.zip: {name}": archive.read(name) for name in archive.namelist()}
    for name, data in published.items():
        for word in (b"anna", b"Anna", b"46.84", b"123456789012"):
            assert word not in data, name


@pytest.mark.parametrize(
    ("image", "published"),
    [
        ("docker://1.dkr.ecr.eu-west-1.amazonaws.com/a/sfm@sha256:0", "docker://a/sfm@sha256:0"),
        ("docker://localhost:5000/sfm:1", "docker://sfm:1"),
        ("docker://localhost/sfm", "docker://sfm"),
        ("ghcr.io/own/sfm:2", "own/sfm:2"),
        ("docker://own/sfm:2", "docker://own/sfm:2"),
        ("docker://sfm:2.1", "docker://sfm:2.1"),
    ],
)
def test_images_without_their_registry(image: str, published: str) -> None:
    assert without_host(image) == published


def test_link_previews_have_whole_addresses(made: Path) -> None:
    text = (made / "web" / "index.html").read_text()
    assert '<meta property="og:image" content="https://example.org/yard/poster.jpg">' in text
    assert '<link rel="canonical" href="https://example.org/yard/">' in text
    assert 'name="twitter:card" content="summary_large_image"' in text


def test_another_viewer_is_refused(tmp_path: Path) -> None:
    modules = fake_viewer(tmp_path)
    (modules / bundle.PACKAGE / "public" / "index.js").write_text("// something else")
    with pytest.raises(UserError, match="not the version of the viewer"):
        viewer.viewer_script(modules / bundle.PACKAGE)


def test_the_manifests_own_hash(tmp_path: Path) -> None:
    made = from_json(Manifest, stage_values()["manifest"])
    manifest.write_manifest(tmp_path / "m.json", made)
    data = (tmp_path / "m.json").read_bytes()
    assert manifest.is_whole(data) and json.loads(data)["title"] == "Old yard"
    assert not manifest.is_whole(data.replace(b'"Old yard"', b'"New yard"'))
    assert not manifest.is_whole(b"") and not manifest.is_whole(b'{"manifest_sha256": "12"}')


def test_a_film_plays_everywhere(tmp_path: Path) -> None:
    import av
    import numpy as np

    with film.writing_film(tmp_path / "f.mp4", (64, 36), 10) as out:
        for step in range(12):
            out.add(np.full((36, 64, 3), step / 12))
    with av.open(str(tmp_path / "f.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frames = [
            frame.to_ndarray(format="rgb24").mean() / 255 for frame in container.decode(stream)
        ]
    assert np.allclose(frames, np.arange(12) / 12, atol=0.03)
    data = (tmp_path / "f.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "a browser would load it whole first"
    with (
        pytest.raises(ValueError, match="even sides"),
        film.writing_film(tmp_path / "g.mp4", (63, 36), 10),
    ):
        pass
    assert not (tmp_path / "g.mp4").exists()
