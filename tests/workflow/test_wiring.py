"""The wiring of every rule, option and engine, in seconds: the rules are the real ones, the stages stand-ins.

This shows who is told what, where, and in which order. What the stages make of it is shown by tests/unit, and
by the whole run of test_end_to_end.py.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.lib.core.console import UserError
from scripts.lib.core.deliverables import DELIVERABLES
from scripts.lib.core.options import Options, parts_of
from scripts.lib.workflow.container_images import read_lock
from scripts.tools.config_manual import SECTIONS
from tests.workflow.conftest import Checkout, copy_checkout
from tests.workflow.stand_ins import APPTAINER, PYTHON, SACCT, SBATCH, Call, Job, StandIns, jobs
from tests.workflow.test_dag import PER_SCENE

TOP = {"seed": 5, "device": "cuda", "preset": "draft"}  # once for all stages
# Values of options of which the type does not tell the form, or what they may be beside each other.
SAID: dict[str, Any] = {
    "import_photos.video_end": 60.0,
    "import_photos.positions": "log.csv",
    "import_photos.focal_length": "35 mm",
    "map_scene.up": "0, 0, 1",
    "train_splat.exposure": True,
    "train_splat.transients": True,
    "export_tiles.place": "-33.8568, 151.2153, 25",
    "map_scene.calibration": "OPENCV",
    "clean_splat.crop": {"sphere": [1, 2, 3, 4]},
    "bundle_web.url": "https://example.org/yard",
    "bundle_web.background": "#abcdef",
    "bundle_web.annotations": [{"title": "A", "text": "B", "position": [1, 2, 3]}],
    "publish_web.to": "public",
}
PUBLISHED = {"publish_web": {"to": "public"}}

AFTER_COMPRESSION = {"compress_splat", "check_codecs", "bundle_web", "cost_scene"}
AFTER_COMPRESSION |= {"report_scene", "summarise"}
AFTER_CLEANING = AFTER_COMPRESSION | {"render_poster", "render_tour"}
AFTER_TRAINING = AFTER_CLEANING | {"train_splat", "evaluate_splat", "clean_splat"}
MAPPING = {"import_photos", "extract_features", "match_photos", "map_scene", "undistort"}
COMPARING = {"register_captures", "find_changes", "bundle_compare"}  # of `same_place_as`
EXPORTING = {item.rule for item in DELIVERABLES.values()}  # what all of `deliver` asks for
COMPUTING = PER_SCENE - {"import_photos", "undistort", "bundle_web", "cost_scene", "report_scene"}


def own_parts(kind: type[Options]) -> dict[str, Mapping[str, Any]]:
    """The schema of each option that a section of the configuration has itself."""
    return {name: part for name, part in parts_of(kind).items() if name not in TOP}


def other_value(kind: type[Options], name: str, part: Mapping[str, Any]) -> Any:
    """A value of an option that its type allows and that is not its default."""
    default, choices = part["default"], part.get("anyOf", [part])
    values = [value for choice in choices for value in choice.get("enum", [])]
    if isinstance(default, bool):
        values.append(not default)
    elif isinstance(default, int | float):
        values += [default + 1, default / 2]
    values += [choice["minimum"] for choice in choices if "minimum" in choice] + ["other"]
    for value in values:
        try:
            kind(**{name: value})
        except UserError:
            continue
        if value != default:
            return value
    raise AssertionError(f"{kind.__name__}.{name}: put a value other than {default!r} into SAID")


CHANGED = {
    rule: {
        name: SAID[f"{rule}.{name}"] if f"{rule}.{name}" in SAID else other_value(kind, name, part)
        for name, part in own_parts(kind).items()
    }
    for rule, kind in SECTIONS.items()
}


@dataclass(frozen=True)
class Run:
    """A folder with a sheet and a configuration in which Snakemake runs stand-ins."""

    checkout: Checkout  # whose rules they are
    folder: Path
    stand_ins: StandIns

    def environment(self, **more: str) -> dict[str, str]:
        path = f"{self.stand_ins.folder}:{self.checkout.environment['PATH']}"
        return {**self.checkout.environment, "PATH": path, **more}

    def start(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the workflow; stdout and stderr together."""
        snakefile = str(self.checkout.path / "Snakefile")
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", "-s", snakefile, *arguments],
            cwd=self.folder,
            env=self.environment(**environment),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    @property
    def calls(self) -> dict[tuple[str, str], Call]:
        """The call of each (stage, scene)."""
        return self.stand_ins.called()


def planned(checkout: Checkout, folder: Path) -> list[Job]:
    """The jobs of a run in this folder."""
    plan = Checkout(folder).dry_run("-s", str(checkout.path / "Snakefile"))
    assert plan.returncode == 0, plan.stdout
    return jobs(plan.stdout)


def prepared(
    checkout: Checkout, folder: Path, sheet: str, config: Mapping[str, Any], **programs: str
) -> Run:
    """A run of this sheet and configuration, not yet started, with stand-ins for programs and Python."""
    (folder / "photos").mkdir(parents=True)
    for name in ("a.jpg", "log.csv"):
        (folder / "photos" / name).write_bytes(b"")
    (folder / "scenes.tsv").write_text(sheet)
    (folder / "config").mkdir()
    told = {"scenes": "scenes.tsv"} | dict(config)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(told))
    stand_ins = StandIns(folder / "stand-ins", planned(checkout, folder), python=PYTHON, **programs)
    return Run(checkout, folder, stand_ins)


@pytest.fixture(scope="module")
def ran(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two scenes, run to the end: `plain` with every option changed, `own` with some of its own."""
    sheet = (
        "scene\tsource\tdevice\tseed\tpreset\ttrain_splat.steps\tpublish_web.name\tsame_place_as\n"
        "plain\tphotos\t\t\t\t\t\town\nown\tphotos\tcpu\t6\thigh\t77\town\t\n"
    )
    every = TOP | CHANGED | {"deliver": "all, usd"}
    run = prepared(checkout, tmp_path_factory.mktemp("wired"), sheet, every)
    result = run.start()
    assert result.returncode == 0, result.stdout
    return run


def test_every_stage_runs_once_for_each_scene(ran: Run) -> None:
    stages = PER_SCENE | EXPORTING | {"publish_web", "deliver_scene"}
    wanted = {(stage, scene) for stage in stages for scene in ("plain", "own")}
    wanted |= {(stage, "plain") for stage in COMPARING}  # with `own`
    assert ran.calls.keys() == wanted | {("summarise", "")}


def test_every_stage_is_told_all_that_its_rule_names(ran: Run) -> None:
    """Each input and output by its path, or by that of its folder; so none is named in vain."""
    for job in planned_again(ran):
        words = ran.calls[job.rule, job.scene].words
        for path in [*job.inputs, *job.outputs]:
            assert any(path == word or path.startswith(f"{word}/") for word in words), (job, path)


def planned_again(run: Run) -> list[Job]:
    """The jobs that the run had."""
    plan = Checkout(run.folder).dry_run("-s", str(run.checkout.path / "Snakefile"), "--forceall")
    return jobs(plan.stdout)


@pytest.mark.parametrize("rule", [rule for rule in SECTIONS if rule != "bundle_compare"])
def test_every_option_reaches_its_stage(ran: Run, rule: str) -> None:
    told = ran.calls[rule, "plain"].options()
    assert {name: told[name] for name in CHANGED[rule]} == CHANGED[rule]
    shared = parts_of(SECTIONS[rule]).keys() & TOP.keys()
    assert {name: told[name] for name in shared} == {name: TOP[name] for name in shared}
    assert told.keys() == CHANGED[rule].keys() | shared


def test_the_page_of_two_captures_carries_the_splats_that_are_asked_for(ran: Run) -> None:
    """Its only option chooses files, and the options of both scenes' pages are told apart."""
    assert CHANGED["bundle_compare"] == {"splats": "mobile"}
    call = ran.calls["bundle_compare", "plain"]
    assert call.told["--own-sog"] == ["results/plain/splat.mobile.sog"]
    assert call.told["--reference-sog"] == ["results/own/splat.mobile.sog"]
    for side, scene in (("own", "plain"), ("reference", "own")):
        assert call.options(f"--{side}-web") == ran.calls["bundle_web", scene].options()


def test_mapping_knows_how_features_were_found_and_matched(ran: Run) -> None:
    call = ran.calls["map_scene", "plain"]
    assert call.options("--features") == ran.calls["extract_features", "plain"].options()
    assert call.options("--matching") == ran.calls["match_photos", "plain"].options()


def test_the_sheet_wins_for_its_scene(ran: Run) -> None:
    plain, own = (ran.calls["train_splat", scene] for scene in ("plain", "own"))
    assert own.options() == plain.options() | {"steps": 77, "seed": 6, "preset": "high"}
    assert ran.calls["publish_web", "own"].options()["name"] == "own"


@pytest.mark.parametrize(("scene", "device"), [("plain", "cuda"), ("own", "cpu")])
def test_the_device_of_a_scene_reaches_all_its_programs(ran: Run, scene: str, device: str) -> None:
    """Also those that only use a GPU where one is free, for which it is no reason to run again."""
    told = {
        rule: call.told["--device"]
        for (rule, of), call in ran.calls.items()
        if of == scene and "--device" in call.told and rule not in COMPARING
    }
    assert told == dict.fromkeys(COMPUTING | EXPORTING - {"export_walk"}, [device])


def test_threads_are_those_of_the_run(ran: Run) -> None:
    told = [call.told["--threads"] for call in ran.calls.values() if "--threads" in call.told]
    assert len(told) >= 20 and all(threads == ["2"] for threads in told)


@dataclass(frozen=True)
class Again:
    """A run of one scene that failed, and went on with the same command."""

    run: Run
    failed: subprocess.CompletedProcess[str]
    before: frozenset[str]  # stages that were called until then
    log: str  # of the stage that failed
    ended: subprocess.CompletedProcess[str]

    def plan(
        self, *arguments: str, checkout: Path | None = None, folder: Path | None = None
    ) -> set[str]:
        """The rules that a dry-run of it, or of a copy of it, plans."""
        snakefile = (checkout or self.run.checkout.path) / "Snakefile"
        here = Checkout(folder or self.run.folder)
        return here.planned("-s", str(snakefile), *arguments).keys() - {"all"}


@pytest.fixture(scope="module")
def again(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Again:
    """Photos to page with the defaults; `clean_splat` fails at first."""
    folder = tmp_path_factory.mktemp("again")
    run = prepared(checkout, folder, "scene\tsource\nyard\tphotos\n", {})
    failed = run.start(FAILING="clean_splat")
    before = frozenset(rule for rule, _ in run.calls)
    log = (folder / "results" / "logs" / "yard" / "clean_splat.log").read_text()
    for call in run.stand_ins.calls.iterdir():
        call.unlink()
    return Again(run, failed, before, log, run.start())


def test_a_stage_that_fails_stops_what_needs_it(again: Again) -> None:
    """Though its output passes through `tee`; what it said stands in its log, and at the end of the run."""
    assert again.failed.returncode != 0
    assert "clean_splat has no ink; fill it up" in again.failed.stdout
    assert again.before - {"evaluate_splat"} == MAPPING | {"train_splat"}
    assert again.log.startswith("stand-in of clean_splat\n") and "no ink" in again.log


def test_the_same_command_goes_on(again: Again) -> None:
    assert again.ended.returncode == 0, again.ended.stdout
    assert {rule for rule, _ in again.run.calls} == (PER_SCENE | {"summarise"}) - again.before
    assert again.plan() == set()


@pytest.mark.parametrize(
    ("changed", "rules"),
    [
        ("compress_splat={spz_version: 2}", AFTER_COMPRESSION),
        ("clean_splat={crop: {sphere: [0, 0, 0, 5]}}", AFTER_CLEANING | {"clean_splat"}),
        ("train_splat={steps: 77}", AFTER_TRAINING),
        # It reaches the mapping stages too, but matches are the same with a GPU and without.
        ("device=cpu", AFTER_TRAINING),
        ("seed=7", AFTER_TRAINING | {"match_photos", "map_scene", "undistort"}),
    ],
)
def test_a_changed_option_reruns_what_depends_on_it(
    again: Again, changed: str, rules: set[str]
) -> None:
    assert again.plan("--config", changed) == rules


def test_editing_a_script_reruns_its_rule(again: Again, tmp_path: Path) -> None:
    edited = copy_checkout(tmp_path).path
    with (edited / "scripts" / "compress_splat.py").open("a") as script:
        script.write("\n# edited\n")
    assert again.plan(checkout=edited) == AFTER_COMPRESSION


@pytest.mark.parametrize("with_metadata", [True, False])
def test_a_fresh_clone_reruns_nothing(again: Again, tmp_path: Path, with_metadata: bool) -> None:
    """Code and photos of the clone have new dates; the results came along."""
    clone = copy_checkout(tmp_path / "clone").path
    left = shutil.ignore_patterns(*([] if with_metadata else [".snakemake"]))
    folder = copied(again.run.folder, tmp_path / "run", left)
    assert again.plan(checkout=clone, folder=folder) == set()


def test_another_photo_starts_over(again: Again, tmp_path: Path) -> None:
    folder = copied(again.run.folder, tmp_path / "run")
    (folder / "photos" / "zz.jpg").write_bytes(b"")
    assert again.plan(folder=folder) == PER_SCENE | {"summarise"}


def test_a_further_group_shares_what_was_computed(again: Again, tmp_path: Path) -> None:
    """Where a scene is asked for its second group later, nothing of the scene runs again."""
    folder = copied(again.run.folder, tmp_path / "run")
    snakefile = str(again.run.checkout.path / "Snakefile")
    asked = ["--config", "components=2"]
    plan = jobs(Checkout(folder).dry_run("-s", snakefile, *asked).stdout)
    own = (PER_SCENE - (MAPPING - {"undistort"})) | {"take_component"}
    assert {(job.rule, job.scene) for job in plan} == {
        *((rule, "yard_2") for rule in own),
        ("summarise", ""),
    }
    tables = {job.rule: [p for p in job.inputs if p.endswith(".tsv")] for job in plan}
    for rule in ("bundle_web", "cost_scene"):
        assert "results/benchmarks/yard_2/take_component.tsv" in tables[rule]
        assert all(path.startswith("results/benchmarks/yard_2/") for path in tables[rule])
    run = Run(again.run.checkout, folder, StandIns(tmp_path / "more", plan, python=PYTHON))
    result = run.start(*asked, "--until", "take_component")
    assert result.returncode == 0, result.stdout
    ((called, call),) = run.calls.items()
    assert called == ("take_component", "yard_2")
    assert call.told["--number"] == ["2"] and call.told["--scene"] == ["yard"]
    (job,) = [job for job in plan if job.rule == "take_component"]
    assert "results/yard/components.zip" in job.inputs
    for path in [*job.inputs, *job.outputs]:
        assert any(path == word or path.startswith(f"{word}/") for word in call.words), path


def copied(folder: Path, target: Path, left: Any = None) -> Path:
    """A copy whose photos have new dates."""
    shutil.copytree(folder, target, ignore=left)
    for photo in (target / "photos").iterdir():
        photo.touch()
    return target


def test_apptainer_runs_each_stage_in_its_image(checkout: Checkout, tmp_path: Path) -> None:
    """That of the scene's device, from the registry of the configuration."""
    config = {"registry": "registry.example/own"} | PUBLISHED
    sheet = "scene\tsource\tdevice\nsmall\tphotos\tcpu\nlarge\tphotos\tauto\n"
    run = prepared(checkout, tmp_path, sheet, config, apptainer=APPTAINER)
    result = run.start("--sdm", "apptainer")
    assert result.returncode == 0, result.stdout
    lock = read_lock(checkout.path)
    images = {image.pinned("registry.example/own"): name for name, image in lock.items()}
    used = {key: images[call.image.removeprefix("docker://")] for key, call in run.calls.items()}
    assert len(used) == 2 * (len(PER_SCENE) + 1) + 1
    training = COMPUTING - MAPPING
    for (rule, scene), image in used.items():
        stage = "train-cpu" if scene == "small" else "train"
        assert image == (stage if rule in training else "sfm" if rule in MAPPING else "web"), rule


def test_slurm_gets_every_job_with_what_it_needs(checkout: Checkout, tmp_path: Path) -> None:
    """All but those that run where the workflow was started; and nothing waits for a job that has ended.

    A GPU is reserved for no scene that computes on the CPU.
    """
    silent = ("squeue", "scancel", "sinfo", "scontrol", "sshare", "sacctmgr")
    sheet = "scene\tsource\tdevice\nyard\tphotos\tauto\nsmall\tphotos\tcpu\n"
    programs = dict.fromkeys(silent, "#!/bin/sh\n") | {"sbatch": SBATCH, "sacct": SACCT}
    programs["scontrol"] = "#!/bin/sh\necho 'MinJobAge = 60 sec'\n"  # too short for squeue
    run = prepared(checkout, tmp_path, sheet, PUBLISHED, **programs)
    result = run.start(
        *("--profile", str(checkout.path / "config" / "profiles" / "slurm"), "--latency-wait", "1"),
        *("--retries", "0", "--slurm-init-seconds-before-status-checks", "1"),
        *("--default-resources", "slurm_account=a", "slurm_partition=p", "mem_mb=4000"),
    )
    assert result.returncode == 0, result.stdout
    assert {rule for rule, _ in run.calls} == PER_SCENE | {"publish_web", "summarise"}
    submitted = {key: call.words for key, call in run.calls.items() if key[0] != "cost_scene"}
    gpu = {key for key, words in submitted.items() if "--gpus=1" in words}
    assert gpu == {(rule, "yard") for rule in COMPUTING - MAPPING}
    assert not any("--gpu" in word for word in submitted["train_splat", "small"])
    words = submitted["train_splat", "yard"]
    assert words[words.index("--mem") + 1] == "14000" and words[words.index("-t") + 1] == "240"
