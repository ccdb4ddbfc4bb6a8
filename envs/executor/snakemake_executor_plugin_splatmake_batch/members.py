"""What one job at Batch runs: a rule, or a group of rules one after another in one container."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

# What Snakemake in the worker says of each rule; it names those that fail twice.
FINISHED = re.compile(r"Finished jobid: \d+ \(Rule: (\w+)\)")
FAILED = re.compile(r"Error in rule (\w+)[,:]")
DONE = "member_finished"
ALL_CORES = re.compile(r" --cores '?all'? ")
# Set for the worker of a group: nothing of its results was there when its job was submitted, so that what
# another try finds is its own (rules/worker.smk).
RESUMES = "SNAKEMAKE_GROUP_RESUMES"


def members(job: Any) -> list[Any]:
    """The jobs of rules that a job of Snakemake stands for, in the order in which they can run."""
    return [one for level in job.toposorted for one in level] if job.is_group() else [job]


def label(job: Any, scene: str) -> list[str]:
    """What a job is called after, beside its scene: its group, or its rule."""
    return [job.groupid.removesuffix(f"_{scene}") if job.is_group() else job.rule.name]


def identity(job: Any, known: Iterable[Any]) -> list[Any]:
    """What a second submitter would find the same about this job, of the jobs that the run has (`known`).

    All of a group counts, also what is done: while its job runs, ever less of it is left to do.
    """
    whole = [job]
    if job.is_group():
        scenes = [one.wildcards_dict for one in job.jobs]
        whole = [one for one in known if one.group == job.groupid and one.wildcards_dict in scenes]
    return [
        sorted(str(path) for one in whole for path in one.output),
        sorted([one.rule.name, str(one.params)] for one in whole),
    ]


def one_image(singles: Sequence[Any]) -> str | None:
    """The image that all rules of a job name; None without any. Raises ValueError when they differ."""
    images = {one.container_img_url for one in singles if one.container_img_url}
    if len(images) > 1:
        rules = ", ".join(sorted(one.rule.name for one in singles))
        raise ValueError(
            f"{rules} are one group, which runs in one container, but name {len(images)} images;"
            " group only rules of the same image"
        )
    return next(iter(images), None)


def results(singles: Sequence[Any]) -> list[str]:
    """Where the storage has what these jobs make, as `s3://BUCKET/KEY`; nothing of what is kept elsewhere."""
    places = [path.storage_object.query for one in singles for path in one.storage_output]
    return [place for place in places if place.startswith("s3://")]


def seconds_allowed(singles: Sequence[Any], otherwise: int) -> int:
    """Seconds that a job may take: those of its rules together, `otherwise` for one that does not say."""
    asked = (int(one.resources.get("aws_batch_task_timeout", 0) or 0) for one in singles)
    return sum(seconds or otherwise for seconds in asked)


def sharing(command: str, cores: int) -> str:
    """The worker's command of a group: its rules share `cores`, not all that the machine has.

    Raises ValueError when Snakemake's command is another than this plugin knows.
    """
    command, found = ALL_CORES.subn(f" --cores {cores} ", command)
    if found != 1:
        raise ValueError("Snakemake starts its workers in another way than this executor knows")
    return command


def ended(lines: Iterable[str]) -> list[tuple[str, str]]:
    """(rule, `member_finished` or `member_error`) of the rules of a group that ended in these lines."""
    found: dict[tuple[str, str], None] = {}
    for line in lines:
        if finished := FINISHED.search(line):
            found[finished[1], DONE] = None
        elif failed := FAILED.search(line):
            found[failed[1], "member_error"] = None
    return list(found)
