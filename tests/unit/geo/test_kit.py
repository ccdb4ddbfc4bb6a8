"""The kit of formats: read back as written, turned as told, measured in the frame of the scene."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts import deliver_scene, export_file
from scripts.lib.contracts.deliver import Deliver, Exported
from scripts.lib.contracts.record import read
from scripts.lib.core.console import UserError
from scripts.lib.encode.codecs import compare, glb, spz
from scripts.lib.splat.gaussians import read_ply, write_ply
from scripts.lib.splat.rotation import Y_DOWN, Y_UP, rotated
from scripts.lib.train.note import TrainingNote
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

usd_core = pytest.mark.skipif(
    importlib.util.find_spec("pxr") is None, reason="usd-core is not installed"
)
FILES = {"glb": "scene.glb", "spz3": "scene.spz", "ply": "scene.ply", "usd": "scene.usdz"}
FILES["spz4"] = "scene.v4.spz"
LOSS = {"glb": 1e-3, "ply": 1e-3, "usd": 1e-3, "spz3": 3.0, "spz4": 3.0}  # dB


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kit")
    truth = make_gaussians(60, bands=8)
    write_scene(folder / "undistorted.zip", truth, make_views(6))
    write_ply(folder / "splat.ply", truth, (TrainingNote(64, 3).comment(),))
    return folder


def export(made: Path, kind: str, options: dict[str, object] | None = None) -> Exported:
    told = made / "deliver" / f"{kind}.json"
    told.parent.mkdir(exist_ok=True)
    arguments = ["--kind", kind, "--ply", f"{made}/splat.ply", "--scene", f"{made}/undistorted.zip"]
    arguments += ["--options", json.dumps(options or {}), "--output", f"{made}/{FILES[kind]}"]
    export_file.main([*arguments, "--told", str(told), "--device", "cpu"])
    return read(Exported, told)


@pytest.mark.parametrize(
    "kind", ["glb", "spz3", "spz4", "ply", pytest.param("usd", marks=usd_core)]
)
def test_each_is_written_measured_and_listed(made: Path, kind: str) -> None:
    told = export(made, kind)
    (file,) = told.files
    assert (file.name, file.file) == (kind, FILES[kind])
    assert file.bytes == (made / file.file).stat().st_size
    assert (file.gaussians, file.sh_degree, file.placed) == (60, 2, False)
    assert file.delta_psnr is not None and abs(file.delta_psnr) < LOSS[kind]
    assert told.held_out and file.checked
    deliver_scene.main(
        ["--told", f"{made}/deliver/{kind}.json", "--names", kind, "--left-out", '{"tiles": "no"}']
        + ["--output", f"{made}/deliver.json"]
    )
    listed = read(Deliver, made / "deliver.json")
    assert listed.files == (file,) and listed.left_out == {"tiles": "no"}


def test_a_listing_misses_what_no_export_tells_of(made: Path) -> None:
    export(made, "ply")
    with pytest.raises(UserError, match="no export tells of 'glb'"):
        deliver_scene.main(
            [
                "--told",
                f"{made}/deliver/ply.json",
                "--names",
                "ply,glb",
                "--output",
                f"{made}/d.json",
            ]
        )


def test_gltf_and_spz_have_y_up(made: Path) -> None:
    trained = read_ply(made / "splat.ply")
    high = trained.means[trained.means[:, 2].argmax()]
    for kind, decode in (("glb", glb.decode), ("spz3", spz.decode), ("spz4", spz.decode)):
        export(made, kind)
        found = decode(made / FILES[kind]).means
        top = found[found[:, 1].argmax()]
        np.testing.assert_allclose(top, [high[0], high[2], -high[1]], atol=1e-3)


@pytest.mark.parametrize(
    ("axes", "turn"), [("y_down", Y_DOWN), ("y_up", Y_UP), ("z_up", np.eye(3))]
)
def test_a_ply_has_the_axes_that_were_asked_for(made: Path, axes: str, turn: np.ndarray) -> None:
    export(made, "ply", {"axes": axes})
    trained, found = read_ply(made / "splat.ply"), read_ply(made / "scene.ply")
    np.testing.assert_allclose(found.means, trained.means @ turn.T, atol=1e-6)
    assert (
        f"axes X east, {'Y' if axes != 'z_up' else ''}".encode()
        in (made / "scene.ply").read_bytes()
    )


def test_fewer_harmonics_where_they_are_asked_for(made: Path) -> None:
    (file,) = export(made, "glb", {"sh_degree": 0}).files
    assert file.sh_degree == 0 and glb.decode(made / "scene.glb").sh_degree == 0


@pytest.mark.parametrize("bands", [0, 3, 8, 15])
def test_a_glb_keeps_everything(tmp_path: Path, bands: int) -> None:
    some = make_gaussians(50, bands=bands)
    encoded = glb.encode(some)
    path = tmp_path / "a.glb"
    path.write_bytes(encoded.data)
    compare.check(some.take(encoded.order), glb.decode(path), encoded.limits)


def test_a_glb_is_what_the_specification_says(tmp_path: Path) -> None:
    some = rotated(make_gaussians(5, bands=3), Y_UP)
    document, data = glb.unpack(glb.encode(some).data)
    (primitive,) = document["meshes"][0]["primitives"]
    assert primitive["mode"] == 0
    assert primitive["extensions"]["KHR_gaussian_splatting"]["kernel"] == "ellipse"
    names = set(primitive["attributes"])
    assert {f"KHR_gaussian_splatting:SH_DEGREE_1_COEF_{n}" for n in range(3)} <= names
    assert document["buffers"][0]["byteLength"] <= len(data)
    accessor = document["accessors"][primitive["attributes"]["KHR_gaussian_splatting:SCALE"]]
    view = document["bufferViews"][accessor["bufferView"]]
    scales = np.frombuffer(data, "<f4", 15, view["byteOffset"])
    assert (scales > 0).all()  # linear, not logarithms


def test_usd_without_its_library_is_one_sentence(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made / "scene.usdz").unlink(missing_ok=True)
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(UserError, match="pip install usd-core"):
        export(made, "usd")
    assert not (made / "scene.usdz").exists()


@usd_core
def test_usd_says_which_way_is_up_and_passes_the_validators_of_pixar(made: Path) -> None:
    from pxr import Usd, UsdGeom, UsdValidation

    export(made, "usd")
    stage = Usd.Stage.Open(str(made / "scene.usdz"))
    assert UsdGeom.GetStageUpAxis(stage) == "Z" and UsdGeom.GetStageMetersPerUnit(stage) == 1
    every = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert UsdValidation.ValidationContext(every).Validate(stage) == []


@pytest.mark.parametrize("damage", ["short", "json", "other"])
def test_a_damaged_glb_is_one_sentence(tmp_path: Path, damage: str) -> None:
    whole = glb.encode(make_gaussians(5)).data
    path = tmp_path / "a.glb"
    path.write_bytes(
        {"short": whole[:100], "json": whole[:20] + b"#" + whole[21:], "other": b"PK\3\4" * 9}[
            damage
        ]
    )
    with pytest.raises(UserError, match="is not a GLB of uncompressed Gaussians"):
        glb.decode(path)
