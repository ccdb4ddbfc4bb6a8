"""What Snakemake plans: dry-runs of the sample and of every profile, the golden graph, bad configurations."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from scripts.lib.core.deliverables import DELIVERABLES
from tests.workflow.conftest import Checkout

PER_SCENE = {
    "import_photos",
    "extract_features",
    "match_photos",
    "map_scene",
    "undistort",
    "train_splat",
    "evaluate_splat",
    "clean_splat",
    "compress_splat",
    "check_codecs",
    "render_poster",
    "render_tour",
    "bundle_web",
    "cost_scene",
    "report_scene",
}
# Of a scene that shows the same place as another one.
COMPARING = {"register_captures", "find_changes", "bundle_compare"}


def test_sample_plans_every_rule_once(checkout: Checkout) -> None:
    assert checkout.planned() == dict.fromkeys(PER_SCENE | {"summarise", "all"}, 1)


def test_two_scenes_of_an_own_sheet(checkout: Checkout, tmp_path: Path) -> None:
    sheet = tmp_path / "my.tsv"
    sheet.write_text("scene\tsource\ttrain_splat.steps\nyard\tyard.zip\t50\nroof\troof.zip\t\n")
    for name in ("yard.zip", "roof.zip"):
        with zipfile.ZipFile(checkout.path / name, "w") as archive:
            archive.writestr("a.jpg", b"")
    plan = checkout.planned("--config", f"scenes={sheet}", "results=out")
    assert plan == dict.fromkeys(PER_SCENE, 2) | {"summarise": 1, "all": 1}


def test_only_one_of_two_scenes(checkout: Checkout, tmp_path: Path) -> None:
    sheet = tmp_path / "my.tsv"
    photos = "tests/data/sample/photos"
    sheet.write_text(f"scene\tsource\nyard\t{photos}\nroof\tnot there yet.zip\n")
    plan = checkout.planned("--config", f"scenes={sheet}", "only=yard")
    assert plan == dict.fromkeys(PER_SCENE | {"summarise", "all"}, 1)
    refused = checkout.dry_run("--config", f"scenes={sheet}", "only=yrad")
    assert refused.returncode == 1 and "did you mean 'yard'?" in refused.stdout
    assert "Traceback" not in refused.stdout


@pytest.mark.parametrize("more", [[], ["--config", "scenes=my.tsv"], ["--directory", "deep"]])
def test_from_another_folder(checkout: Checkout, tmp_path: Path, more: list[str]) -> None:
    """Paths count from there; the sample's sheet, where there is no other, from the checkout."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    (tmp_path / "my.tsv").write_text("scene\tsource\nyard\tphotos\n")
    (tmp_path / "deep").mkdir()
    elsewhere = Checkout(tmp_path)
    plan = elsewhere.planned("-s", str(checkout.path / "Snakefile"), *more)
    assert plan == dict.fromkeys(PER_SCENE | {"summarise", "all"}, 1)
    assert not (tmp_path / "results").exists()


def test_results_among_the_photos(checkout: Checkout, sample: Path, tmp_path: Path) -> None:
    """They are no change of the photos; nor does a name that is odd or not UTF-8 stop anything."""
    photos = tmp_path / "photos' $x"
    photos.mkdir()
    for number, photo in enumerate(sorted((sample / "photos").glob("*.jpg"))[:3]):
        shutil.copy(photo, photos / os.fsdecode(b"Stra\xdfe %d.jpg" % number))
    (photos / "out").mkdir()
    (tmp_path / "out").symlink_to(photos / "out")
    (tmp_path / "my.tsv").write_text(f"scene\tsource\nyard\t{photos.name}\n")
    arguments = ["-s", str(checkout.path / "Snakefile"), "--config", "scenes=my.tsv"]
    arguments += ["results=out", "--", "out/yard/photos.json"]
    first, again = (Checkout(tmp_path).snakemake(*arguments) for _ in range(2))
    assert first.returncode == 0 and "Kept 3 photos of 3" in first.stdout, first.stdout
    assert "Nothing to be done" in again.stdout, again.stdout


def test_one_target(checkout: Checkout) -> None:
    plan = checkout.planned("results/courtyard/web/index.html")
    assert "report_scene" not in plan and plan["bundle_web"] == 1


def test_files_for_other_programs_only_where_asked_for(checkout: Checkout, tmp_path: Path) -> None:
    sheet = tmp_path / "my.tsv"
    photos = "tests/data/sample/photos"
    sheet.write_text(f"scene\tsource\tdeliver\nyard\t{photos}\tglb, ply\nroof\t{photos}\t\n")
    plan = checkout.planned("--config", f"scenes={sheet}")
    assert (plan["export_glb"], plan["export_ply"], plan["deliver_scene"]) == (1, 1, 1)
    assert "export_spz3" not in plan and plan["bundle_web"] == 2
    listed = checkout.planned("--config", "deliver=[glb, spz3]")
    assert listed["export_spz3"] == 1 and "export_ply" not in listed
    wanted = {item.rule for item in DELIVERABLES.values() if not (item.placed or item.extra)} | {
        "deliver_scene"
    }
    assert (
        set(checkout.planned("--config", "deliver=all")) - PER_SCENE - {"summarise", "all"}
        == wanted
    )


def test_two_captures_of_one_place_only_where_asked_for(checkout: Checkout, tmp_path: Path) -> None:
    sheet = tmp_path / "my.tsv"
    photos = "tests/data/sample/photos"
    sheet.write_text(f"scene\tsource\tsame_place_as\nmay\t{photos}\t\njune\t{photos}\tmay\n")
    plan = checkout.planned("--config", f"scenes={sheet}")
    assert {rule: plan.pop(rule, 0) for rule in COMPARING} == dict.fromkeys(COMPARING, 1)
    assert plan == dict.fromkeys(PER_SCENE, 2) | {"summarise": 1, "all": 1}
    # The first capture knows nothing of the second.
    assert not COMPARING & set(checkout.planned("--config", f"scenes={sheet}", "only=may"))
    refused = checkout.dry_run("--config", f"scenes={sheet}", "only=june")
    assert refused.returncode == 1 and "add 'may' to only" in refused.stdout


@pytest.mark.parametrize("preset", ["draft", "standard", "high"])
def test_presets(checkout: Checkout, preset: str) -> None:
    assert checkout.planned("--config", f"preset={preset}")["train_splat"] == 1


def edges(mermaid: str) -> set[tuple[str, str]]:
    """(rule, rule that uses it) of a mermaid graph: Snakemake numbers and orders the nodes by chance."""
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]", mermaid, re.MULTILINE))
    return {
        (names[first], names[second])
        for first, second in re.findall(r"^\s*(id\d+) --> (id\d+)", mermaid, re.MULTILINE)
    }


def golden_edges(root: Path) -> set[tuple[str, str]]:
    return edges((root / "tests" / "workflow" / "rulegraph.mmd").read_text())


def test_golden_graph(checkout: Checkout, root: Path) -> None:
    """The rules are wired like the golden graph.

    After a wanted change: `snakemake --rulegraph mermaid-js --forceall`, into that file.
    """
    result = checkout.dry_run("--rulegraph", "mermaid-js", "--forceall")
    assert edges(result.stdout) == golden_edges(root) != set()


def after(rule: str, wired: set[tuple[str, str]]) -> set[str]:
    """Every rule that uses what `rule` made, directly or not."""
    found: set[str] = set()
    waiting = [rule]
    while waiting:
        first = waiting.pop()
        new = {second for start, second in wired if start == first} - found
        found |= new
        waiting += new
    return found


def test_the_graph_of_the_readme_is_true(root: Path) -> None:
    """Drawn by hand, so it shows less; but its rules exist, and each arrow and each column keeps their order.

    Nodes: `id["rule<br/>rule"]`; those with round ends, `id(["words"])`, are no rules.
    """
    drawn = (root / "README.md").read_text().split("```mermaid\n")[1].split("```")[0]
    nodes = {
        name: rules.split("<br/>") for name, rules in re.findall(r'(\w+)\["([\w/<>]+)"\]', drawn)
    }
    wired = golden_edges(root)
    shown = [rule for rules in nodes.values() for rule in rules]
    assert sorted(shown) == sorted((PER_SCENE | {"summarise"}) - {"cost_scene"})
    for rules in nodes.values():
        for first, second in itertools.pairwise(rules):
            assert not after(second, wired) & {first}, (first, second)
    arrows = re.findall(r"^\s*(\w+)\S*(?: \w+\"\]\))? --> (\w+)", drawn, re.MULTILINE)
    assert len(arrows) == drawn.count("-->")
    for start, end in arrows:
        if start in nodes and end in nodes:
            used = set().union(*(after(rule, wired) for rule in nodes[start]))
            assert used & set(nodes[end]), (start, end)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config", "prest=draft"], "unknown key 'prest'; did you mean 'preset'?"),
        (["--config", "preset=best"], "'preset' is 'best'; allowed: draft, standard, high"),
        (
            ["--config", "train_splat={stpes: 5}"],
            "unknown key 'train_splat.stpes'; did you mean 'steps'?",
        ),
        (
            ["--config", "train_splat={steps: -5}"],
            "'train_splat.steps' is -5; allowed: auto or integer, at least 1, at most",
        ),
        (["--config", "deliver=gbl"], "deliver names 'gbl'; did you mean 'glb'?"),
        (["--config", "scenes=nowhere.tsv"], "the scenes sheet nowhere.tsv does not exist"),
        (
            ["results/nowhere/web/index.html"],
            "scene 'nowhere' is not in config/scenes.tsv; add a row for it, or ask for one of:",
        ),
    ],
)
def test_bad_configuration_is_one_sentence(
    checkout: Checkout, arguments: list[str], sentence: str
) -> None:
    result = checkout.dry_run(*arguments)
    assert result.returncode != 0
    assert sentence in result.stdout
    if "not in config" not in sentence:  # of an unknown target only an input function can tell
        assert "Traceback" not in result.stdout and ".smk" not in result.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("scene\tsource\na b\tphotos\n", "letters, digits, - and _"),
        (
            "scene\tsource\na\tnowhere\n",
            "line 2 (scene 'a'): nowhere does not exist; give a folder",
        ),
        (
            "scene\tsource\tclean_splat.crop\na\tx\t{ball: 3}\n",
            "line 2 (scene 'a'): clean_splat.crop is {'ball': 3}; give {box: ",
        ),
    ],
)
def test_bad_sheet_is_one_sentence(
    checkout: Checkout, tmp_path: Path, text: str, sentence: str
) -> None:
    """And nothing else; all kinds of bad sheets: tests/unit/workflow/test_sheet.py."""
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text(text)
    result = checkout.dry_run("--config", f"scenes={sheet}")
    assert result.returncode != 0
    assert sentence in result.stdout
    if "not in config" not in sentence:  # of an unknown target only an input function can tell
        assert "Traceback" not in result.stdout and ".smk" not in result.stdout
