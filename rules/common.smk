"""Shared by all rules: the checked configuration, the scenes sheet, images and small helpers."""

import json
import os
import shlex
import sys
from functools import partial
from pathlib import Path

from snakemake import __version__ as snakemake_version
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))  # scripts.lib is importable wherever snakemake was started

from scripts.lib.workflow.background import Background
from scripts.lib.workflow import blocks
from scripts.lib.workflow.block_forecast import sentences
from scripts.lib.workflow.bucket_run import open_records
from scripts.lib.core.cards import visible_cards
from scripts.lib.workflow.closing import Closing
from scripts.lib.core.console import told_or_made
from scripts.lib.core.digest import code_digest, source_at_start
from scripts.lib.storage.places import checkpoint_place, run_in_bucket
from scripts.lib.workflow.cost import PRICES, read_prices
from scripts.lib.workflow.limits import seconds_allowed
from scripts.lib.workflow.plan import read_plan
from scripts.lib.workflow.progress import RunProgress, progress_file
from scripts.lib.storage.remote import check_uri, remote_digest
from scripts.lib.workflow.slurm import choose_status_command

checked = partial(told_or_made, logger.error)  # without the traceback of rule files that Snakemake adds
STORAGE = workflow.storage_settings
# Where results go instead of this machine's disk: s3://BUCKET/RUN, or empty.
RUN_PREFIX = run_in_bucket(STORAGE.default_storage_provider, STORAGE.default_storage_prefix)
IS_JOB = workflow.remote_exec or workflow.subprocess_exec  # of a run that was checked when it started
TOLD = config.pop(blocks.KEY, None)  # by the run to its jobs
PLAN = checked(read_plan, config, ROOT, not IS_JOB and STORAGE.default_storage_provider is None)
SCENES, SCENE_SETTINGS, RESULTS = PLAN.scenes, PLAN.options, PLAN.results
IMAGES = PLAN.images | {"train": lambda wildcards: PLAN.train_image(wildcards.scene)}

# Two jobs on one card would both run out of its memory. Clusters and clouds (`nodes`) count their cards
# themselves. Not by an automatic profile, which would bind them too: it wins over every --profile.
CARDS = 0 if set(PLAN.devices.values()) == {"cpu"} else visible_cards()
if CARDS and workflow.resource_settings.nodes is None and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", CARDS)


def stored(uri):
    """The storage plugin's object for a source `s3://...`."""
    checked(check_uri, uri)
    return storage(uri)


# Looked up at once, because Snakemake puts a traceback below whatever an input function says. Not by the workers of
# AWS Batch: they compare nothing, and only the role of import_photos may read uploads.
REMOTE = {
    name: stored(row["source"])
    for name, row in SCENES.items()
    if "://" in row["source"] and name not in PLAN.further
}
REMOTE_STATES = {
    name: checked(remote_digest, place.flags["storage_object"])
    for name, place in REMOTE.items()
    if not workflow.remote_exec
}


# The same pattern as `scene` in config/schemas/scenes.schema.yaml.
wildcard_constraints:
    scene="[A-Za-z0-9][A-Za-z0-9_-]*",


pathvars:
    results=RESULTS,
    logs=f"{RESULTS}/logs",
    benchmarks=f"{RESULTS}/benchmarks",


LENGTHS = checked(read_prices, PRICES)

# A line after each job with the time left, and progress.json for whoever wants to poll.
# A run in a bucket takes its records along, so that a fresh clone sees what has changed since.
RECORDS, COUNTED = None, {}
if RUN_PREFIX and not workflow.remote_exec:
    RECORDS, COUNTED = checked(open_records, RUN_PREFIX, SCENES, logger.info)

# A job may run where the photos are not, and must come to the same plan: it is told the numbers.
DIVISIONS = checked(blocks.divisions, SCENE_SETTINGS, SCENES, Path(RESULTS), COUNTED, TOLD)
BLOCKS = {name: division.blocks for name, division in DIVISIONS.items()}
PARTS = {name: division.parts for name, division in DIVISIONS.items() if name not in PLAN.further}
if not IS_JOB:
    workflow.config_settings.config_args = [
        *(workflow.config_settings.config_args or []),
        *blocks.told_to_jobs(DIVISIONS),
    ]
    for line in sentences(DIVISIONS, LENGTHS):
        logger.info(line)
PROGRESS = RunProgress(
    progress_file(RESULTS, RUN_PREFIX),
    Path(RESULTS) / "benchmarks",
    after=Background(RECORDS.store) if RECORDS else None,  # beside the scheduler, which must not wait for S3
    closing=Closing(RESULTS, list(SCENES), ROOT, STORAGE.default_storage_prefix or ""),
)
if not IS_JOB:
    logger.addHandler(PROGRESS)


onstart:
    if workflow.executor_plugin.name == "slurm":
        if said := checked(choose_status_command, workflow.executor_settings):
            logger.info(said)
    needed = [j for level in workflow.dag.toposorted(set(workflow.dag.needrun_jobs())) for j in level]
    checked(PROGRESS.begin, [(j.jobid, j.rule.name, j.wildcards_dict.get("scene", "")) for j in needed])


onsuccess:
    PROGRESS.end("done")


onerror:
    PROGRESS.end("failed")


# Jobs run `python -m scripts.x` from the working directory, which need not be the checkout. OpenMP threads
# that spin while they wait cost 2.5 to 3.4 times the CPU on a busy machine.
shell.prefix(
    f"export PYTHONPATH={shlex.quote(str(ROOT))} PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=PASSIVE"
    f" SPLATMAKE_ENGINE={shlex.quote(snakemake_version)};"
    " set -euo pipefail; "
)


def known(wildcards):
    """The settings of `wildcards.scene`, or one sentence when the sheet has no such scene."""
    if wildcards.scene not in SCENE_SETTINGS:
        raise WorkflowError(PLAN.no_scene(wildcards.scene))
    return SCENE_SETTINGS[wildcards.scene]


# Scenes that are a further group of another one's photos, and all others, as patterns.
FURTHER, ALL_PHOTOS = blocks.only(PLAN.further), blocks.all_but(PLAN.further)
# Of the latter those whose features and matches are made in parts, and all others.
IN_PARTS = blocks.only(blocks.divided(PARTS))
NOT_IN_PARTS = blocks.all_but([*PLAN.further, *blocks.divided(PARTS)])


def of_all(file):
    """An input function: a file of the scene of all photos, of which the scene is a further group."""
    return lambda wildcards: f"{RESULTS}/{PLAN.further[wildcards.scene].scene}/{file}"


def options(rule_name):
    """A params function: the rule's config section for this scene, as JSON.

    A function, because a JSON literal in params would be read as wildcards.
    """
    return lambda wildcards: json.dumps(known(wildcards)[rule_name], sort_keys=True)


def device(wildcards):
    """Where the scene is trained and rendered: auto, cuda or cpu."""
    known(wildcards)
    return PLAN.devices[wildcards.scene]


def gpus(wildcards):
    """GPUs that a job which computes for the scene reserves: none where the configuration asks for the CPU."""
    return 0 if device(wildcards) == "cpu" else 1


def code(script, *globs):
    """Digest of a script and what it imports from scripts/lib, so an edit re-runs the rule and a fresh clone does not."""
    return code_digest(ROOT, script, globs)


def source(wildcards):
    """The scene's photos: a path, or the storage plugin's object for `s3://...`."""
    known(wildcards)
    return REMOTE.get(wildcards.scene, SCENES[wildcards.scene]["source"])


def source_state(wildcards):
    """Digest of the scene's photos, wherever they lie."""
    known(wildcards)
    here = REMOTE_STATES.get(wildcards.scene)
    return here or source_at_start(SCENES[wildcards.scene]["source"])


def grow(megabytes):
    """A resource function: `megabytes`, and half as much again on each further attempt."""
    return lambda wildcards, attempt: int(megabytes * (1 + 0.5 * (attempt - 1)))


def time_limit(rule_name):
    """A resource function: seconds after which AWS Batch ends the rule's job; elsewhere no resource at all."""

    def seconds(wildcards):
        if not RUN_PREFIX:
            return None
        preset = known(wildcards)["train_splat"]["preset"]
        times = blocks.times(rule_name, DIVISIONS[wildcards.scene])
        return seconds_allowed(LENGTHS, rule_name, COUNTED.get(wildcards.scene, 0), preset, times)

    return seconds


def timed(rules, scene):
    """The benchmarks of these rules, as far as the scene needs them."""
    names = blocks.tables(PLAN.rules_of(scene, rules), DIVISIONS.get(scene, blocks.Division()))
    return collect("<benchmarks>/{scene}/{name}", scene=scene, name=names)


def of_blocks(suffix):
    """An input function: the file with this suffix of every block of the scene, in their order."""
    return lambda wildcards: collect(
        "<results>/{scene}/blocks/{block}.{suffix}",
        scene=wildcards.scene,
        block=range(1, BLOCKS[wildcards.scene] + 1),
        suffix=suffix,
    )


def of_parts(what, suffix):
    """An input function: the file of these names and suffix of every part of the scene, in their order."""
    return lambda wildcards: collect(
        "<results>/{scene}/parts/{what}.{part}.{suffix}",
        scene=wildcards.scene,
        what=what,
        part=range(1, PARTS[wildcards.scene] + 1),
        suffix=suffix,
    )


def rules_of(scene):
    """The rules of the workflow that a scene needs."""
    own = PLAN.rules_of(scene, [rule.name for rule in workflow.rules])
    names = blocks.rules_for(own, DIVISIONS.get(scene, blocks.Division()))
    return [rule for rule in workflow.rules if rule.name in names]


def delivering(part):
    """An input function: `told` of what the scene delivers, or the benchmarks of its `rules`."""

    def inputs(wildcards):
        known(wildcards)
        names = getattr(PLAN.deliver[wildcards.scene], part)
        if part == "rules":
            return [f"{RESULTS}/benchmarks/{wildcards.scene}/{name}.tsv" for name in names]
        return [f"{RESULTS}/{wildcards.scene}/{name}" for name in names]

    return inputs


def deliver_json(wildcards):
    """An input function: deliver.json of a scene that delivers anything."""
    known(wildcards)
    names = PLAN.deliver[wildcards.scene].names
    return [f"{RESULTS}/{wildcards.scene}/deliver.json"] if names else []


def walk_file(name):
    """An input function: this file of the walkable part, of a scene whose page lets visitors walk."""

    def inputs(wildcards):
        known(wildcards)
        walks = "walk" in PLAN.deliver[wildcards.scene].names
        return [f"{RESULTS}/{wildcards.scene}/{name}"] if walks else []

    return inputs


def compared(*files):
    """An input function: these files of a scene that is compared with another capture, else none."""

    def inputs(wildcards):
        known(wildcards)
        return [f"{RESULTS}/{wildcards.scene}/{name}" for name in files if wildcards.scene in PLAN.same_place]

    return inputs


def delivered_steps(wildcards):
    """What these functions give, by the names of the inputs, for whoever follows the rules back."""
    wanted = PLAN.deliver[wildcards.scene]
    deliver = ("deliver.json",) if wanted.names else ()
    walk, voxels = (("walk.json",), ("walk.zip",)) if "walk" in wanted.names else ((), ())
    return {"told": wanted.told, "deliver": deliver, "walk": walk, "voxels": voxels}


def frame(wildcards):
    """Whether files may say where on the Earth the scene is: earth, else local."""
    return "earth" if known(wildcards)["bundle_web"]["coordinates"] else "local"


def of_reference(file):
    """An input function: a file of the scene that a scene is compared with."""
    return lambda wildcards: f"{RESULTS}/{PLAN.same_place[wildcards.scene]}/{file}"


def compared_splat(wildcards):
    """The file of each scene that the page which compares them carries."""
    small = known(wildcards)["bundle_compare"]["splats"] == "mobile"
    return "splat.mobile.sog" if small else "splat.sog"


def compared_tables(wildcards):
    """The benchmarks of what compares a scene with another capture, if it is compared."""
    names = ("register_captures", "find_changes", "bundle_compare")
    is_compared = wildcards.scene in PLAN.same_place
    return [f"{RESULTS}/benchmarks/{wildcards.scene}/{name}.tsv" for name in names if is_compared]
