"""SPZ and compressed PLY written a part at a time are the files that are written at once."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from scripts.lib.core.console import UserError
from scripts.lib.encode.codecs import compressed_ply, parts, spz
from scripts.lib.splat import pieces
from scripts.lib.splat.gaussians import Gaussians
from tests.unit.splat_scene import make_gaussians


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROWS", 256)


def made() -> Gaussians:
    some = make_gaussians(1000, bands=8)
    some.scales[7] = 25.0  # more than both formats hold
    return some


def halved(some: Gaussians) -> pieces.Pieces:
    """The same in two pieces of 700 and 300."""
    sides = [some.take(np.arange(700)), some.take(np.arange(700, 1000))]
    return pieces.Pieces((700, 300), lambda number: sides[number], 2, False, (0, 1))


def test_an_spz_in_parts_is_the_spz(tmp_path: Path) -> None:
    told = parts.write_spz(tmp_path / "some.spz", pieces.whole(made()), 3, (5, 4))
    wanted = spz.encode(made())
    data = (tmp_path / "some.spz").read_bytes()
    assert gzip.decompress(data) == gzip.decompress(wanted.data)
    assert told.bytes == len(data) and told.clipped == wanted.clipped == told.clipped | {
        "scales": 3
    }
    assert 0 < told.errors["mean_max"] < 1e-3 and told.errors["shN_rms"] > 0
    parts.write_spz(tmp_path / "again.spz", pieces.whole(made()), 3, (5, 4))
    assert (tmp_path / "again.spz").read_bytes() == data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.spz", "some.spz"]


def test_a_compressed_ply_in_parts_is_the_compressed_ply(tmp_path: Path) -> None:
    told = parts.write_compressed_ply(tmp_path / "some.ply", pieces.whole(made()))
    wanted = compressed_ply.encode(made())
    assert (tmp_path / "some.ply").read_bytes() == wanted.data
    assert told.bytes == len(wanted.data) and told.clipped == wanted.clipped


def test_parts_need_not_end_where_pieces_do(tmp_path: Path) -> None:
    parts.write_spz(tmp_path / "some.spz", halved(made()), 2, (8, 8))
    parts.write_compressed_ply(tmp_path / "some.ply", halved(made()))
    packed = compressed_ply.decode(tmp_path / "some.ply")
    some = parts.compressed_ply_in_pieces(tmp_path / "some.ply")
    assert some.counts == (256, 256, 256, 232)
    with parts.spz_in_pieces(tmp_path / "some.spz", tmp_path) as found:
        for whole, back in ((spz.decode(tmp_path / "some.spz"), found), (packed, some)):
            for name, values in pieces.in_memory(back).arrays.items():
                assert np.array_equal(values, whole.arrays[name]), name


def test_a_file_that_comes_back_wrong_does_not_get_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = spz.unpacked

    def wrong(*given: object) -> Gaussians:
        found = right(*given)  # type: ignore[arg-type]
        found.means[3] += 1
        return found

    monkeypatch.setattr(spz, "unpacked", wrong)
    with pytest.raises(RuntimeError, match="did not survive"):
        parts.write_spz(tmp_path / "some.spz", pieces.whole(made()), 3, (5, 4))
    assert not list(tmp_path.iterdir())


def test_damage_is_told(tmp_path: Path) -> None:
    parts.write_spz(tmp_path / "some.spz", pieces.whole(made()), 3, (5, 4))
    data = (tmp_path / "some.spz").read_bytes()
    for wrong in (data[: len(data) // 2], gzip.compress(gzip.decompress(data)[:-1])):
        (tmp_path / "some.spz").write_bytes(wrong)
        with (
            pytest.raises(UserError, match="some.spz"),
            parts.spz_in_pieces(tmp_path / "some.spz", tmp_path),
        ):
            pass
