"""What is told of the files for surveyors, and what the programs refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts import export_ortho, export_points
from scripts.lib.contracts.deliver import Exported
from scripts.lib.contracts.georef import Control, Georef
from scripts.lib.contracts.record import read, write
from scripts.lib.core.console import UserError
from scripts.lib.geo.survey import accuracy
from scripts.lib.splat.gaussians import write_ply
from scripts.lib.train.note import TrainingNote
from tests.unit.geo.places import placed, unplaced
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

PLACE = (46.8, -92.0, 150.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny trained scene."""
    folder = tmp_path_factory.mktemp("made")
    truth = make_gaussians(200)
    write_scene(folder / "undistorted.zip", truth, make_views(6))
    write_ply(folder / "splat.ply", truth, (TrainingNote(64, 3).comment(),))
    return folder


def run(made: Path, out: Path, georef: Georef, program: str, options: str) -> Exported:
    """What a program tells of its files."""
    write(out / "georef.json", georef)
    words = ["--ply", str(made / "splat.ply"), "--scene", str(made / "undistorted.zip")]
    words += ["--georef", str(out / "georef.json"), "--told", str(out / "told.json")]
    words += ["--options", options, "--device", "cpu"]
    if program == "points":
        export_points.main([*words, "--output", str(out / "points.laz")])
    else:
        for name in ("ortho", "dsm", "trust"):
            words += [f"--{name}", str(out / f"{name}.tif")]
        export_ortho.main(words)
    return read(Exported, out / "told.json")


def test_what_is_told_of_maps(made: Path, tmp_path: Path) -> None:
    """Each file with its place, unit, what read it back, and the accuracy of the georeferencing."""
    georef = replace(placed(*PLACE), rmse_horizontal_m=0.4, rmse_vertical_m=0.2)
    told = run(made, tmp_path, georef, "ortho", '{"min_photos": 1, "max_side": 64}')
    assert [file.name for file in told.files] == ["ortho", "dsm", "trust"]
    for file in told.files:
        assert file.placed
        assert file.frame == "WGS 84 / UTM zone 15N (EPSG:32615); unit: metre"
        assert file.bytes == (tmp_path / f"{file.name}.tif").stat().st_size
        assert "GDAL" in file.checked[0]
        assert (file.facts["rmse_horizontal_m"], file.facts["rmse_vertical_m"]) == (0.4, 0.2)
        assert 0 < float(file.facts["trusted_share"] or 0) < 1
        assert any("ellipsoid" in note for note in file.notes)


def test_points_of_a_scene_without_a_place(made: Path, tmp_path: Path) -> None:
    """In the scene's own frame, without a coordinate system, and said so."""
    import laspy

    told = run(made, tmp_path, unplaced(), "points", '{"min_photos": 1}')
    (file,) = told.files
    assert not file.placed
    assert file.frame == "local frame, Z up; unit: unknown"
    assert "not georeferenced" in " ".join(file.notes)
    las = laspy.read(tmp_path / "points.laz")
    assert las.header.parse_crs() is None
    assert las.header.point_count == file.facts["points"] > 0


def test_a_map_for_a_scene_without_a_place_is_refused(made: Path, tmp_path: Path) -> None:
    """In one sentence, before anything is drawn."""
    with pytest.raises(UserError, match="not georeferenced"):
        run(made, tmp_path, unplaced(), "ortho", '{"crs": "EPSG:32615"}')
    assert not (tmp_path / "ortho.tif").exists()


def test_check_points_tell_the_accuracy() -> None:
    """Surveyed points, each met without itself, count before those that were fitted."""
    control = Control(("a", "b", "c", "d"), 0.01, 0.02, 0.03, 0.05, {})
    words = accuracy(replace(placed(*PLACE), gcp=control))
    assert "4 surveyed points to 0.03 m horizontally, 0.05 m vertically" in words
    assert "checked without itself" in words
    assert accuracy(unplaced()) == "not georeferenced"
