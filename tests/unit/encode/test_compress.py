"""Files for each target: as light as the measured loss allows, with better settings when one is missed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scripts import check_codecs, compress_splat
from scripts.lib.core.console import UserError
from scripts.lib.core.files import read_json
from scripts.lib.encode import budget, large, levels, lod
from scripts.lib.encode import formats as compress
from scripts.lib.encode.codecs import decode
from scripts.lib.splat import pieces
from scripts.lib.splat.gaussians import Gaussians, write_ply
from scripts.lib.train.note import TrainingNote
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

PLAIN = compress.Encoding.of(compress.CompressOptions())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("compress")
    truth = make_gaussians(250, bands=3)
    write_scene(base / "undistorted.zip", truth, make_views())
    write_ply(base / "splat.ply", truth, (TrainingNote(64, 4).comment(),))
    return base


def run(folder: Path, out: Path, **options: object) -> dict:
    arguments = ["--ply", folder / "splat.ply", "--scene", folder / "undistorted.zip"]
    arguments += ["--sog", out / "splat.sog", "--mobile", out / "splat.mobile.sog"]
    arguments += ["--spz", out / "splat.spz", "--compressed-ply", out / "splat.compressed.ply"]
    arguments += ["--metrics", out / "compress.json", "--options", json.dumps(options)]
    compress_splat.main([str(argument) for argument in arguments])
    return read_json(out / "compress.json")


def test_targets_keep_their_limits_and_the_gate_agrees(folder: Path, tmp_path: Path) -> None:
    numbers = run(folder, tmp_path, desktop_loss_db=0.5, mobile_loss_db=2.0)
    targets = numbers["targets"]
    assert targets["desktop"]["loss_db"] <= 0.5 and targets["desktop"]["within_limit"]
    assert targets["mobile"]["loss_db"] <= 2.0
    assert targets["mobile"]["bytes"] <= targets["desktop"]["bytes"]
    for name, target in (("splat.sog", "desktop"), ("splat.mobile.sog", "mobile")):
        assert (tmp_path / name).stat().st_size == targets[target]["bytes"]
        assert len(decode(tmp_path / name)) == targets[target]["gaussians"]
    sizes = [point["bytes"] for point in numbers["rate"]]
    assert sizes == sorted(sizes) and len(sizes) >= 2
    encoded = [tmp_path / f"splat.{s}" for s in ("sog", "mobile.sog", "spz", "compressed.ply")]
    arguments = ["--ply", folder / "splat.ply", "--scene", folder / "undistorted.zip"]
    arguments += ["--encoded", *encoded, "--compressed", tmp_path / "compress.json"]
    arguments += ["--metrics", tmp_path / "codecs.json"]
    arguments += ["--options", '{"max_mobile_loss_db": 2.5, "max_loss_db": 0.6}']
    check_codecs.main([str(argument) for argument in arguments])
    checked = read_json(tmp_path / "codecs.json")
    assert (
        checked["passed"] and checked["targets"] == targets and checked["rate"] == numbers["rate"]
    )
    sog = checked["formats"]["sog"]
    # Two programs measured the same file: they agree on what it lost.
    assert sog["delta_psnr"] == pytest.approx(targets["desktop"]["delta_psnr"], abs=1e-6)
    assert 0 <= sog["flip"] < 0.2 and sog["worst_view"]["psnr"] <= sog["psnr"]
    with pytest.raises(UserError, match="mobile.sog loses .* limit of 0.01 dB"):
        check_codecs.main(
            [*map(str, arguments[:-1]), '{"max_mobile_loss_db": 0.01, "max_loss_db": 9}']
        )


def test_the_same_input_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run(folder, tmp_path / name)
    for file in ("splat.sog", "splat.mobile.sog", "splat.spz", "splat.compressed.ply"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), (
            file
        )


def test_what_cannot_be_reached_is_tried_harder_and_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = run(folder, tmp_path, desktop_loss_db=0.0, mobile_loss_db=3.0, palette=4)
    tried = [point["effort"] for point in numbers["rate"] if point["keep"] == 1]
    assert {1, 2, 4} <= set(tried), "it gave up without better settings"
    desktop = numbers["targets"]["desktop"]
    assert not desktop["within_limit"]
    assert desktop["loss_db"] == min(point["loss_db"] for point in numbers["rate"])
    assert "is more than the limit of 0.0 dB" in capsys.readouterr().out


def test_reductions_are_ordered_and_none_is_senseless() -> None:
    gaussians = make_gaussians(100, bands=3)
    importance = np.arange(100.0)

    def loss_of(some: Gaussians) -> float:
        """Half a dB for the band, and one for each Gaussian that goes."""
        return (0.5 if some.sh_degree == 0 else 0.0) + (100 - len(some))

    front = budget.explore(gaussians, importance, loss_of)
    weights, losses = [r.weight() for r in front], [r.loss_db for r in front]
    assert weights == sorted(weights) and losses == sorted(losses, reverse=True)
    assert front[-1].loss_db == 0 and front[-1].degree == 1 and front[-1].keep == 1
    half = budget.reduced(gaussians, importance, 0, 0.5)
    assert len(half) == 50 and half.sh_degree == 0
    assert np.array_equal(half.means, gaussians.means[50:]), "the least important half went"


@pytest.mark.parametrize("off", [0.5, 1.0, 2.5])
def test_the_search_ends_near_the_limit_whatever_the_guess(off: float) -> None:
    """Writing costs `off` times what was guessed, yet the file found is nearly the lightest that will do."""
    front = [budget.Reduction(1, keep, 4 * (1 - keep)) for keep in (0.5, 0.75, 0.9, 0.95, 1.0)]
    costs = budget.Costs([0.0, 0.1, 0.3], 0.2)
    tried: dict[budget.Try, float] = {}

    def encode(one: budget.Try) -> float:
        tried[one] = one.item.loss_db + off * costs.of_writing(one)
        return tried[one]

    budget.search(front, costs, 0.5, encode)
    assert len(tried) <= budget.MOST_TRIES
    found = min(one.weight() for one, loss in tried.items() if loss <= 0.5)
    every = [budget.Try(i, e, r) for i in front for e in budget.EFFORTS for r in range(3)]
    least = min(one.weight() for one in every if encode(one) <= 0.5)
    assert found <= 1.02 * least


def test_what_no_file_keeps_is_tried_with_more_effort() -> None:
    front = [budget.Reduction(1, 1.0, 0.0)]
    tried: list[budget.Try] = []
    budget.search(front, budget.Costs([0.0], 0.2), 0.0, lambda one: tried.append(one) or 1.0)
    assert [one.effort for one in tried][-3:] == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("most", [100_000, 300_000, 900_000])
def test_a_budget_of_bytes_is_used_up_whatever_a_file_weighs(scale: float, most: int) -> None:
    """Files are `scale` times what their weight says, and 5 kB more; the best that fits is nearly found."""
    count, keeps = 60_000, (0.25, 0.5, 0.75, 1.0)
    front = [budget.Reduction(2, keep, 4 * (1 - keep)) for keep in keeps]
    costs = budget.Costs([0.0, 0.1, 0.3], 0.4)
    tried: dict[budget.Try, int] = {}

    def size(one: budget.Try) -> int:
        return 5000 + round(scale * one.weight() * count)

    def encode(one: budget.Try) -> int:
        tried[one] = size(one)
        return tried[one]

    budget.search_bytes(front, costs, count, most, encode)
    assert len(tried) <= 2 * budget.MOST_TRIES
    fits = [one for one, bytes_ in tried.items() if bytes_ <= most]
    assert fits
    every = [budget.Try(i, e, r) for i in front for e in budget.EFFORTS for r in range(3)]
    able = [one for one in every if size(one) <= most]

    def loss(one: budget.Try) -> float:
        return one.item.loss_db + costs.of_writing(one)

    if able:
        assert min(map(loss, fits)) <= min(map(loss, able)) + 0.1
    else:  # fewer Gaussians than any reduction of the front keeps
        assert max(tried[one] for one in fits) > 0.6 * most


def test_a_budget_for_phones(folder: Path, tmp_path: Path) -> None:
    for name in ("usual", "small", "none"):
        (tmp_path / name).mkdir()
    usual = run(folder, tmp_path / "usual", mobile_loss_db=0.2)["targets"]
    assert "max_bytes" not in usual["mobile"]
    most = round(0.7 * usual["mobile"]["bytes"])
    small = run(folder, tmp_path / "small", mobile_loss_db=0.2, mobile_max_mb=most / 1e6)["targets"]
    assert small["mobile"]["bytes"] == (tmp_path / "small" / "splat.mobile.sog").stat().st_size
    assert 0.5 * most < small["mobile"]["bytes"] <= small["mobile"]["max_bytes"] == most
    assert small["mobile"]["within_bytes"] and small["mobile"]["loss_db"] > 0.2
    assert not small["mobile"]["within_limit"]
    assert small["desktop"]["bytes"] == usual["desktop"]["bytes"]


def test_a_budget_that_no_file_keeps_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mobile = run(folder, tmp_path, mobile_max_mb=1e-5)["targets"]["mobile"]
    assert not mobile["within_bytes"] and mobile["max_bytes"] == 10
    assert "mobile: no file is smaller than 10 bytes" in capsys.readouterr().out


def test_effort_means_more_palette() -> None:
    encoding = compress.Encoding.of(compress.CompressOptions(palette=100))
    assert compress.with_effort(encoding, 4, 10_000).palette == 400
    assert compress.with_effort(encoding, 1, 10_000) == encoding
    assert compress.with_effort(encoding, 1 / 4, 10_000).palette == 25


@pytest.mark.parametrize(
    ("palette", "count", "richer"),
    [
        (100, 10_000, (2.0, 4.0)),
        (100, 150, (2.0,)),  # more entries than Gaussians are none
        (0, 40_000, (2.0,)),
        (0, 500_000, ()),  # labels are two bytes
    ],
)
def test_an_effort_without_a_larger_palette_is_none(
    palette: int, count: int, richer: tuple[float, ...]
) -> None:
    encoding = compress.Encoding.of(compress.CompressOptions(palette=palette))
    assert compress.richer_efforts(encoding, (2.0, 4.0), count) == richer


def test_levels_of_detail_hold_the_same_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every leaf's rows are where the table says, level 0 is the splat, and each level covers it."""
    monkeypatch.setattr(lod, "LEAF", 300)
    monkeypatch.setattr(lod, "PART", 700)
    gaussians = make_gaussians(2000, bands=3)
    encoding = compress.Encoding.of(compress.CompressOptions(stream_min_gaussians=2000))
    compress.write_lod(tmp_path / "lod.zip", gaussians, encoding)
    with zipfile.ZipFile(tmp_path / "lod.zip") as archive:
        archive.extractall(tmp_path / "lod")
    meta = json.loads((tmp_path / "lod" / "lod-meta.json").read_text())
    parts = [decode(tmp_path / "lod" / name) for name in meta["filenames"]]
    assert len(parts) > 4 and sum(meta["counts"]) == sum(map(len, parts)) == meta["count"]

    def leaves(node: dict) -> list[dict]:
        return (
            [x for child in node["children"] for x in leaves(child)]
            if "children" in node
            else [node]
        )

    every = leaves(meta["tree"])
    fine = []
    for leaf in every:
        centres = []
        for entry in leaf["lods"].values():
            rows = parts[entry["file"]].means[entry["offset"] : entry["offset"] + entry["count"]]
            assert len(rows) == entry["count"]
            low, high = leaf["bound"]["min"], leaf["bound"]["max"]
            assert (rows >= np.array(low) - 1e-3).all() and (rows <= np.array(high) + 1e-3).all()
            centres.append(rows.mean(0))
        fine.append(leaf["lods"]["0"]["count"])
        assert np.allclose(centres[0], centres[1], atol=0.1)
        assert np.allclose(centres[0], centres[2], atol=0.1)
    assert sum(fine) == 2000 and meta["counts"][1] < 600 and meta["counts"][2] < 200
    compress.write_lod(tmp_path / "none.zip", gaussians, PLAIN)
    with zipfile.ZipFile(tmp_path / "none.zip") as archive:
        assert archive.namelist() == [], "a small scene needs no levels"


def test_levels_of_detail_are_measured_like_other_formats(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    """Chosen by the loss of the finest level, decoded by the tables, and refused when they are wrong."""
    monkeypatch.setattr(lod, "LEAF", 40)
    monkeypatch.setattr(lod, "PART", 90)
    path = tmp_path / "lod.zip"
    inputs = ["--ply", str(folder / "splat.ply"), "--scene", str(folder / "undistorted.zip")]
    made = [*inputs, "--spz", str(tmp_path / "x.spz"), "--lod", str(path)]
    made += ["--metrics", str(tmp_path / "compress.json")]
    compress_splat.main(
        [*made, "--options", '{"stream_min_gaussians": 100, "desktop_loss_db": 0.4}']
    )
    chosen = read_json(tmp_path / "compress.json")["targets"]["stream"]
    assert chosen["within_limit"] and chosen["loss_db"] <= 0.4 and chosen["gaussians"] == 250
    check = [*inputs, "--encoded", str(path), "--metrics", str(tmp_path / "codecs.json")]
    check_codecs.main(check)
    found = read_json(tmp_path / "codecs.json")["formats"]["lod"]
    assert found["bytes"] == path.stat().st_size and found["gaussians"] == 250
    assert found["delta_psnr"] == found["levels"][0]["delta_psnr"] >= -0.4
    losses = [-level["delta_psnr"] for level in found["levels"]]
    assert losses == sorted(losses) and losses[2] > 3, "coarser levels look worse"
    assert sum(level["bytes"] for level in found["levels"]) < found["bytes"]
    with pytest.raises(UserError, match=r"lod\.zip loses .* limit of 0\.0 dB"):
        check_codecs.main([*check, "--options", '{"max_loss_db": 0.0}'])

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    meta = json.loads(members["lod-meta.json"])

    def swapped(node: dict) -> None:
        """Each leaf's finest rows where its coarsest are, and the other way round."""
        for child in node.get("children", []):
            swapped(child)
        if "lods" in node:
            node["lods"]["0"], node["lods"]["2"] = node["lods"]["2"], node["lods"]["0"]

    swapped(meta["tree"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, json.dumps(meta) if name == "lod-meta.json" else data)
    with pytest.raises(UserError, match="damaged levels of detail"):
        check_codecs.main(check)
    compress.write_lod(path, make_gaussians(50), PLAIN)
    check_codecs.main(check)
    assert set(read_json(tmp_path / "codecs.json")["formats"]) == {"ply"}


def test_merging_keeps_place_and_spread() -> None:
    """Two equal round Gaussians a unit apart become one between them, longer by what moments say."""
    two = make_gaussians(2)
    two = Gaussians(
        means=np.float32([[0, 0, 0], [1, 0, 0]]),
        quats=np.float32([[1, 0, 0, 0]] * 2),
        scales=np.full((2, 3), np.log(0.2), np.float32),
        opacities=two.opacities * 0 + 1,
        sh0=two.sh0,
        shN=two.shN,
    )
    one = lod.merged(two, 2, harmonics=True)
    assert len(one) == 1 and np.allclose(one.means[0], [0.5, 0, 0], atol=1e-6)
    assert np.allclose(np.sort(np.exp(one.scales[0])), [0.2, 0.2, np.sqrt(0.04 + 0.25)], atol=1e-3)
    assert np.allclose(one.sh0[0], two.sh0.mean(0), atol=1e-6)


def test_bytes_of_ten_levels_and_more_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Level 1 is not level 10: parts are counted by the number before the underscore."""
    monkeypatch.setattr(lod, "MERGES", (1,) * 11)
    encoding = compress.Encoding.of(compress.CompressOptions(stream_min_gaussians=1))
    compress.write_lod(tmp_path / "lod.zip", make_gaussians(20), encoding)
    sizes = [level.bytes for level in levels.read(tmp_path / "lod.zip")]
    with zipfile.ZipFile(tmp_path / "lod.zip") as archive:
        parts = sum(i.file_size for i in archive.infolist() if i.filename != "lod-meta.json")
    assert len(sizes) == 11 and sum(sizes) == parts and max(sizes) == min(sizes)


def test_levels_of_a_splat_in_pieces_are_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And those of very many Gaussians are read back in pieces, which hold what those in memory do."""
    monkeypatch.setattr(lod, "LEAF", 60)
    monkeypatch.setattr(lod, "PART", 130)
    made = make_gaussians(700, bands=3)
    write_ply(tmp_path / "splat.ply", made)
    encoding = compress.Encoding.of(compress.CompressOptions(stream_min_gaussians=1))
    compress.write_lod(tmp_path / "whole.zip", made, encoding)
    known = levels.read(tmp_path / "whole.zip")
    monkeypatch.setattr(pieces, "WHOLE", 100)
    monkeypatch.setattr(pieces, "PIECE", 200)
    with pieces.opened(tmp_path / "splat.ply", tmp_path / "out") as found:
        assert isinstance(found.splat, pieces.Pieces) and len(found.splat.counts) == 4
        compress.write_lod(tmp_path / "pieces.zip", found.splat, encoding)
    assert (tmp_path / "pieces.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()
    again = levels.read(tmp_path / "pieces.zip")
    assert [type(level.gaussians) for level in again] == [pieces.Pieces, pieces.Pieces, Gaussians]
    for one, other in zip(known, again, strict=True):
        assert one.bytes == other.bytes
        for name, values in pieces.in_memory(other.gaussians).arrays.items():
            assert np.array_equal(values, pieces.in_memory(one.gaussians).arrays[name]), name


def test_a_large_place_has_a_small_coarsest_level() -> None:
    assert lod.merges(300_000) == lod.merges(4_000_000) == (1, 4, 16)
    for count in (4_000_001, 10_000_000, 100_000_000):
        runs = lod.merges(count)
        assert lod.COARSEST / 4.01 <= count / runs[-1] <= lod.COARSEST
        assert all(after == 4 * before for before, after in zip(runs, runs[1:], strict=False))


def test_a_large_splat_is_streamed_and_has_overviews(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of its files is made from the whole in memory; the gate holds for what the page streams."""
    monkeypatch.setattr(pieces, "WHOLE", 100)
    monkeypatch.setattr(pieces, "PIECE", 70)
    monkeypatch.setattr(large, "DESKTOP", 125)
    monkeypatch.setattr(large, "PHONE", 80)
    monkeypatch.setattr(pieces, "read_ply", None)  # nothing reads it as a whole
    lod_zip = tmp_path / "lod.zip"
    arguments = ["--ply", folder / "splat.ply", "--scene", folder / "undistorted.zip"]
    files = {"sog": "sog", "mobile": "mobile.sog", "spz": "spz", "compressed-ply": "compressed.ply"}
    for name, suffix in files.items():
        arguments += [f"--{name}", tmp_path / f"splat.{suffix}"]
    arguments += ["--lod", lod_zip, "--metrics", tmp_path / "compress.json"]
    options = {"stream_min_gaussians": 1, "mobile_max_mb": 0.008, "desktop_loss_db": 0.4}
    arguments += ["--options", json.dumps(options)]
    compress_splat.main([str(argument) for argument in arguments])
    targets = read_json(tmp_path / "compress.json")["targets"]
    assert targets["stream"]["gaussians"] == targets["archive"]["gaussians"] == 250
    assert targets["stream"]["within_limit"] and "overview" not in targets["stream"]
    assert targets["desktop"]["overview"] and 125 <= targets["desktop"]["gaussians"] <= 130
    assert targets["desktop"]["sh_degree"] == 1 and targets["mobile"]["sh_degree"] == 0
    assert targets["mobile"]["overview"] and targets["mobile"]["gaussians"] <= 65
    assert targets["mobile"]["bytes"] <= 8000 and targets["mobile"]["within_bytes"]
    for name, target in (("sog", "desktop"), ("mobile.sog", "mobile"), ("spz", "archive")):
        found = tmp_path / f"splat.{name}"
        assert len(decode(found)) == targets[target]["gaussians"]
        assert found.stat().st_size == targets[target]["bytes"]
    encoded = [tmp_path / f"splat.{suffix}" for suffix in files.values()]
    check = ["--ply", folder / "splat.ply", "--scene", folder / "undistorted.zip"]
    check += ["--encoded", *encoded, lod_zip, "--compressed", tmp_path / "compress.json"]
    check += ["--metrics", tmp_path / "codecs.json", "--options"]
    check_codecs.main([*map(str, check), '{"max_loss_db": 0.5, "max_mobile_loss_db": 0.5}'])
    checked = read_json(tmp_path / "codecs.json")["formats"]
    assert checked["lod"]["delta_psnr"] >= -0.5 > checked["mobile_sog"]["delta_psnr"]
    assert checked["spz"]["gaussians"] == checked["compressed_ply"]["gaussians"] == 250
    with pytest.raises(UserError, match=r"lod.zip loses .* limit of 0.001 dB"):
        check_codecs.main([*map(str, check), '{"max_loss_db": 0.001}'])
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"splat.{suffix}" for suffix in files.values()),
        *("lod.zip", "compress.json", "codecs.json"),
    }, "scratch files are left"
