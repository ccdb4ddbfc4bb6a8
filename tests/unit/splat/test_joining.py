"""Splats put together from several files, without reading any of them whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData

from scripts.lib.core.console import UserError
from scripts.lib.splat import joining
from scripts.lib.splat.gaussians import Gaussians, read_ply, write_ply
from scripts.lib.splat.joining import Part, join_plys
from tests.unit.splat_scene import make_gaussians


def west(means: np.ndarray) -> np.ndarray:
    return means[:, 0] < 0


def east(means: np.ndarray) -> np.ndarray:
    return means[:, 0] >= 0


def saved(path: Path, **changes: object) -> Gaussians:
    made = make_gaussians(50, seed=len(path.name), bands=3)
    made = Gaussians(**{**vars(made), **changes})  # type: ignore[arg-type]
    write_ply(path, made)
    return made


@pytest.mark.parametrize("rows", [7, 1000])
def test_the_wanted_rows_of_all_files_in_their_order(
    tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "ROWS", rows)
    a, b = saved(tmp_path / "a.ply", antialiased=True), saved(tmp_path / "bb.ply", antialiased=True)
    parts = [Part(tmp_path / "a.ply", west), Part(tmp_path / "bb.ply", east)]
    counts = join_plys(tmp_path / "all.ply", parts, ("made of two",))
    wanted = [a.take(west(a.means)), b.take(east(b.means))]
    assert counts == [len(part) for part in wanted] and min(counts) > 0
    found = read_ply(tmp_path / "all.ply")
    assert found.antialiased
    for name, values in found.arrays.items():
        assert np.array_equal(values, np.concatenate([part.arrays[name] for part in wanted])), name
    assert "made of two" in PlyData.read(str(tmp_path / "all.ply")).comments


def test_a_file_joined_alone_is_the_file_itself(tmp_path: Path) -> None:
    saved(tmp_path / "a.ply")
    join_plys(tmp_path / "b.ply", [Part(tmp_path / "a.ply", lambda m: np.ones(len(m), bool))])
    assert (tmp_path / "b.ply").read_bytes() == (tmp_path / "a.ply").read_bytes()


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "a.ply")
    saved(tmp_path / "degree0.ply", shN=np.zeros((50, 0, 3), np.float32))
    saved(tmp_path / "mip.ply", antialiased=True)
    (tmp_path / "broken.ply").write_bytes((tmp_path / "a.ply").read_bytes()[:-9])
    for name, words in (
        ("degree0.ply", "degree0.ply holds other properties"),
        ("mip.ply", "mip.ply holds other properties"),
        ("none.ply", "none.ply does not exist"),
        ("broken.ply", "broken.ply is not a readable PLY"),
    ):
        parts = [Part(tmp_path / "a.ply", west), Part(tmp_path / name, east)]
        with pytest.raises(UserError, match=words):
            join_plys(tmp_path / "all.ply", parts)
    assert not (tmp_path / "all.ply").exists()
