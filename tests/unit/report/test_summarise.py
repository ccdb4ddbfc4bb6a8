"""The index and table over scenes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from scripts.lib.core.console import UserError
from scripts.summarise import main
from tests.unit.report.test_report import Page
from tests.unit.stage_files import RULES, stage_values, write_stage_files

STAGES = ("sfm", "train", "eval", "codecs")


def arguments(folder: Path, scenes: list[str]) -> list[str]:
    found = ["--scenes", *scenes]
    for stage in STAGES:
        found += [f"--{stage}", *(str(folder / scene / f"{stage}.json") for scene in scenes)]
    found += ["--posters", *(str(folder / scene / "poster.jpg") for scene in scenes)]
    return [*found, "--tsv", str(folder / "summary.tsv"), "--html", str(folder / "index.html")]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two scenes' files; the second is a weak one."""
    write_stage_files(tmp_path, stage_values(), "yard")
    weak = stage_values(16)
    weak["sfm"]["registered"] = 9
    weak["eval"]["psnr"] = 18.5
    weak["eval"]["psnr_exposure_fitted"] = 20.5
    del weak["codecs"]["formats"]["sog"]
    write_stage_files(tmp_path, weak, "mill-2")
    return tmp_path


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "summary.tsv", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def test_the_table_has_a_line_per_scene_in_order(results: Path) -> None:
    main(arguments(results, ["yard", "mill-2"]))
    yard, mill = rows(results)
    assert (yard["scene"], yard["verdict"], yard["registered"]) == ("yard", "good", "24")
    assert (mill["scene"], mill["verdict"], mill["psnr"]) == ("mill-2", "weak", "18.5")
    assert yard["sog_bytes"] == "612000"
    assert mill["sog_bytes"] == ""
    assert yard["total_seconds"] == "" and yard["train_seconds"] == "38.4"


def test_quality_apart_from_brightness_stands_where_training_corrected_it(results: Path) -> None:
    main(arguments(results, ["yard", "mill-2"]))
    assert rows(results)[1]["psnr_exposure_fitted"] == ""
    corrected = stage_values(16)
    corrected["train"]["exposure"] = {
        "corrected": True, "rms": 0.2, "tint_rms": 0.01, "range": 0.4
    }  # fmt: skip
    corrected["eval"] |= {"psnr": 18.5, "psnr_exposure_fitted": 26.5}
    write_stage_files(results, corrected, "mill-2")
    main(arguments(results, ["yard", "mill-2"]))
    mill = rows(results)[1]
    assert (mill["psnr"], mill["psnr_exposure_fitted"], mill["verdict"]) == ("18.5", "26.5", "good")
    assert "26.5 dB with brightness fitted" in (results / "index.html").read_text()


def test_the_index_links_each_scene_and_loads_nothing(results: Path) -> None:
    main(arguments(results, ["yard", "mill-2"]))
    text = (results / "index.html").read_text()
    page = Page(text)
    assert {"yard/report.html", "mill-2/web/index.html", "summary.tsv"} <= set(page.links)
    pictures = [source for source in page.sources if not source.startswith("#")]
    assert len(pictures) == 2 and all(s.startswith("data:image/jpeg") for s in pictures)
    assert "http:" not in text and "https:" not in text
    assert "2 scenes, 1 from a good capture" in text
    assert "Good capture" in text and "Weak capture" in text


def test_optional_files_add_their_numbers(results: Path) -> None:
    extra = ["--georef", str(results / "yard" / "georef.json")]
    extra += ["--photos", str(results / "yard" / "photos.json"), "--benchmarks"]
    for scene in ("yard", "mill-2"):
        extra += [str(results / "benchmarks" / scene / f"{rule}.tsv") for rule in RULES]
    main([*arguments(results, ["yard"]), *extra])
    (yard,) = rows(results)
    assert float(yard["total_seconds"]) == pytest.approx(3.5 * 55)  # its own only
    assert yard["georeferenced"] == "1"
    text = (results / "index.html").read_text()
    assert "3 min 12 s" in text and "48.12" not in text


def test_an_index_elsewhere_links_back(results: Path) -> None:
    elsewhere = results / "out" / "index.html"
    given = arguments(results, ["yard"])
    given[given.index("--html") + 1] = str(elsewhere)
    main([*given, "--results", str(results)])
    assert "../yard/report.html" in Page(elsewhere.read_text()).links


def test_lists_of_different_length_are_refused(results: Path) -> None:
    given = arguments(results, ["yard", "mill-2"])
    del given[given.index("--eval") + 1]
    with pytest.raises(UserError, match="--eval lists 1 files for 2 scenes"):
        main(given)


def test_a_missing_file_is_named(results: Path) -> None:
    (results / "yard" / "train.json").unlink()
    with pytest.raises(UserError, match=r"train\.json does not exist"):
        main(arguments(results, ["yard"]))
    assert not (results / "summary.tsv").exists()


def test_cells_hold_no_separators(results: Path) -> None:
    stages = stage_values()
    stages["train"]["device"] = "A\tB\nC"
    write_stage_files(results, stages, "yard")
    main(arguments(results, ["yard"]))
    assert rows(results)[0]["device"] == "A B C"


def test_scenes_of_another_sheet_stay_in_the_index(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two sheets into one folder: the second must not take the first one's scenes out of the table."""
    main([*arguments(results, ["yard"]), "--others"])
    assert [row["scene"] for row in rows(results)] == ["yard", "mill-2"]
    assert "mill-2/web/index.html" in Page((results / "index.html").read_text()).links
    assert "Scene mill-2 of another sheet" in capsys.readouterr().out
    (results / "mill-2" / "train.json").write_text("{")
    main([*arguments(results, ["yard"]), "--others"])
    assert [row["scene"] for row in rows(results)] == ["yard"]
    assert "is not listed: " in capsys.readouterr().out
    (results / "mill-2" / "train.json").unlink()  # not finished
    main([*arguments(results, ["yard"]), "--others"])
    assert "mill-2" not in capsys.readouterr().out
