"""A cut-down phone capture on the small AWS: photos in the bucket, the real profile, a bundle in the bucket.

In the middle of it the machine that trains is taken away, and later the one that runs the rules after it. The
tests after it look at what came out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.web.node import node_modules
from scripts.lib.web.verify import problems
from scripts.lib.workflow.container_images import read_lock
from tests.aws.cloud import BUCKET, MACHINES, Cloud, Execution
from tests.aws.submitter import Submitter, under_git
from tests.workflow.conftest import copy_checkout
from tests.workflow.test_wiring import AFTER_COMPRESSION

pytestmark = pytest.mark.timeout(1500)  # other work may keep this machine busy

RUN = "runs/main"
FILES = 12  # of which two are left out: a copy and a soft frame
STEPS = 600
CLEANED = "logs/cut/clean_splat.log"  # stored last of what the second machine has done by then
EARLY = 60  # the machine is taken away some time after this step
CONFIG = f"""\
scenes: scenes.tsv
preset: draft
device: cpu  # no machine of the small AWS has a GPU, and a job that should have one fails without
import_photos: {{max_side: 800}}
train_splat: {{steps: {STEPS}, resolution: 160, max_gaussians: 3000, checkpoint_every: .3}}
render_tour: {{width: 160, fps: 4}}
"""


def checkout(folder: Path) -> Path:
    """A clone of the project with a sheet whose photos lie in the bucket only."""
    copy_checkout(folder)
    (folder / "config" / "config.yaml").write_text(CONFIG)
    (folder / "scenes.tsv").write_text("scene\tsource\ncut\tphotos\n")
    under_git(folder)
    return folder


def newest_checkpoint(cloud: Cloud, least: int) -> int:
    """Step of the newest checkpoint in the bucket; 0 as long as none is of step `least` or later."""
    names = cloud.keys(f"checkpoints/{RUN}/cut/")
    steps = [int(name.removesuffix(".pt").rpartition("-")[2]) for name in names]
    return max((step for step in steps if step >= least), default=0)


@dataclass(frozen=True)
class Finished:
    """The run when it was over, and what was seen on the way."""

    cloud: Cloud
    output: str
    executions: tuple[Execution, ...]
    requests: Counter[str]
    photo_requests: int
    checkpoint_requests: int
    checkpoint: int  # step of the newest checkpoint in the bucket when the machine was taken away
    logs: Path  # what each attempt of each job wrote

    def stage(self, name: str) -> Any:
        """A stage's JSON, from the bucket."""
        key = f"{RUN}/results/cut/{name}.json"
        return json.loads(self.cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())


@pytest.fixture(scope="module")
def finished(account: Cloud, tmp_path_factory: pytest.TempPathFactory, lens: Path) -> Finished:
    """One run from photos to bundle, the training machine reclaimed in the middle of it."""
    account.executions.clear()
    account.requests.clear()
    account.photo_requests = account.checkpoint_requests = 0
    account.job_environment["SPLATMAKE_NODE_MODULES"] = str(node_modules())
    s3 = account.client("s3")
    for photo in sorted((lens / "photos").glob("*.jpg"))[:FILES]:
        s3.upload_file(str(photo), BUCKET, f"{RUN}/photos/{photo.name}")
    run = Submitter(checkout(tmp_path_factory.mktemp("main") / "checkout"), account, RUN)
    process = run.start()
    training = account.wait_for(lambda: account.running("train_splat"), 180)
    checkpoint = account.wait_for(lambda: newest_checkpoint(account, EARLY), 300)
    account.reclaim(training)
    finishing = account.wait_for(lambda: account.running("finish"), 300)
    account.wait_for(lambda: account.keys(f"{RUN}/results/{CLEANED}"), 300)
    account.reclaim(finishing)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output[-8000:]
    return Finished(
        account,
        output,
        tuple(account.executions),
        Counter(account.requests),
        account.photo_requests,
        account.checkpoint_requests,
        checkpoint,
        account.folder / "logs",
    )


def test_the_bundle_is_in_the_bucket_and_verifies(finished: Finished, tmp_path: Path) -> None:
    prefix = f"{RUN}/results/cut/web/"
    for key in finished.cloud.keys(prefix):
        path = tmp_path / "web" / key.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        finished.cloud.client("s3").download_file(BUCKET, key, str(path))
    assert problems(tmp_path / "web") == []
    manifest = json.loads((tmp_path / "web" / "manifest.json").read_text())
    assert manifest["scene"] == "cut"


def test_reclaimed_training_went_on_from_its_checkpoint(finished: Finished) -> None:
    first, second = (e for e in finished.executions if e.rule == "train_splat")
    assert first.reclaimed and first.exit_code != 0
    assert second.exit_code == 0 and second.job_id == first.job_id  # Batch's own second try
    train = finished.stage("train")
    print(
        f"taken away after the checkpoint of step {finished.checkpoint}, resumed from {train['resumed_from']}"
    )
    assert EARLY <= finished.checkpoint <= train["resumed_from"] < STEPS == train["steps"]
    assert train["curve"][-1]["step"] == STEPS
    # Nothing of the finished run is kept.
    assert finished.cloud.keys(f"checkpoints/{RUN}/cut/") == set()


def test_a_scene_is_five_jobs(finished: Finished) -> None:
    jobs = {e.job_id: e for e in finished.executions}
    assert Counter(e.rule for e in jobs.values()) == dict.fromkeys(
        ("poses", "train_splat", "finish", "page", "report_scene"), 1
    )
    runs = Counter(e.rule for e in finished.executions)
    assert runs == {"poses": 1, "train_splat": 2, "finish": 2, "page": 1, "report_scene": 1}


def test_a_group_goes_on_after_what_is_done(finished: Finished) -> None:
    first, second = (e for e in finished.executions if e.rule == "finish")
    assert first.reclaimed and first.exit_code != 0
    assert second.exit_code == 0 and second.job_id == first.job_id
    begun = [
        set(re.findall(r"^localrule (\w+):", text, re.M))
        for text in (
            (finished.logs / f"{first.name}-{number}.log").read_text() for number in (1, 2)
        )
    ]
    assert "clean_splat" in begun[0] and "clean_splat" not in begun[1]
    everything = {
        "evaluate_splat",
        "compress_splat",
        "check_codecs",
        "render_poster",
        "render_tour",
    }
    assert begun[0] | begun[1] == everything | {"clean_splat"}


def test_stages_go_to_their_queue_and_image(finished: Finished, root: Path) -> None:
    images = {name: image.pinned("ghcr.io/splatmake") for name, image in read_lock(root).items()}
    for execution in finished.executions:
        stage = next(name for name, image in images.items() if image == execution.image)
        assert stage in ("sfm", "train-cpu", "web")
        # What computes on the CPU takes no machine with a GPU; test_jobs.py has jobs that do.
        assert execution.queue == "cpu-spot", execution.rule
    assert {e.image for e in finished.executions} == {
        images[n] for n in ("sfm", "train-cpu", "web")
    }


def test_the_bill_counts_the_lost_attempt_too(finished: Finished) -> None:
    cost = finished.stage("cost")
    stages = {stage["rule"]: stage for stage in cost["stages"]}
    assert stages["train_splat"]["attempts"] == 2
    assert stages["train_splat"]["machine"] == MACHINES["cpu"]
    assert stages["map_scene"]["machine"] == MACHINES["cpu"]
    spent = sum(
        e.ended - e.began for e in finished.executions if e.ended and e.rule == "train_splat"
    )
    assert stages["train_splat"]["seconds"] == pytest.approx(spent, abs=2)
    assert 0 < cost["usd"] < 1 and cost["usd"] == pytest.approx(
        sum(stage["usd"] for stage in stages.values()), abs=1e-3
    )


def test_progress_can_be_polled(finished: Finished) -> None:
    body = finished.cloud.client("s3").get_object(Bucket=BUCKET, Key=f"{RUN}/progress.json")["Body"]
    progress = json.loads(body.read())
    assert progress["state"] == "done" and progress["percent"] == 100
    assert {s["rule"] for s in progress["scenes"]["cut"]["stages"]} >= {"train_splat", "bundle_web"}


def test_requests_to_s3_stay_few(finished: Finished) -> None:
    """One archive a stage: only import_photos asks for single photos, at most three times each.

    The figures of config/aws/README.md for 200 photos come from these.
    """
    per_photo = finished.photo_requests / FILES
    about = finished.photo_requests + finished.checkpoint_requests
    rest = sum(finished.requests.values()) - about
    print(
        f"S3: {rest} requests, {per_photo} for each photo, {finished.checkpoint_requests} about"
        f" checkpoints; {dict(finished.requests)}"
    )
    assert per_photo <= 3
    # Checkpoints are left out: a slow machine writes more of them.
    assert rest < 1600


def test_a_fresh_clone_finds_everything_done(finished: Finished, tmp_path: Path) -> None:
    again = Submitter(checkout(tmp_path / "clone"), finished.cloud, RUN)
    before = len(finished.cloud.executions)
    result = again.run()
    assert result.returncode == 0 and "Nothing to be done" in result.stdout, result.stdout
    assert len(finished.cloud.executions) == before
    assert (tmp_path / "clone" / ".snakemake" / "metadata").is_dir()
    # One changed option, and only what follows from it is planned.
    plan = again.run("-n", "--config", "compress_splat={spz_version: 2}").stdout
    table = plan.split("Job stats:")[1].split("total")[0].splitlines()[3:]
    assert {row.split()[0] for row in table if row.strip()} - {"all"} >= AFTER_COMPRESSION
    assert "train_splat" not in plan.split("Job stats:")[1].split("total")[0]
