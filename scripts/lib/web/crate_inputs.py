"""What the RO-Crate tells, gathered from what a bundle is made of, without what must not be published."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.lib.contracts.benchmark import read_benchmarks
from scripts.lib.contracts.photos import Photo
from scripts.lib.contracts.step import Step
from scripts.lib.core import provenance
from scripts.lib.web.bundle import FILES, without_places
from scripts.lib.web.crate_run import Run
from scripts.lib.web.privacy import photo_numbers, without_photo_names

CRATE = "ro-crate-metadata.json"
BUNDLE = "bundle_web"
ENGINE_VARIABLE = (
    "SPLATMAKE_ENGINE"  # version of the Snakemake that started this program; set by the rules
)
HIDDEN = "not published"


def run_of(
    steps: Sequence[Step],
    photos: Sequence[Photo],
    stages: Mapping[str, Mapping[str, Any]],
    own: Mapping[str, Any],
    benchmarks: Iterable[Path],
    images: Mapping[str, str],
    commit: str,
) -> Run:
    """The run that made a bundle.

    `photos` are those of photos.json; `stages` holds the JSON that the steps wrote, by its name without
    suffix; `own` is how the bundling itself
    ran, as `provenance` tells it. Raises UserError on a table that is no benchmark.
    """
    numbers = photo_numbers(photos)
    told = {step.name: _told(step, stages, numbers) for step in steps if step.name != BUNDLE}
    return Run(
        steps=tuple(_without_crate(step) for step in steps),
        told=told | {BUNDLE: own},
        images=images,
        benchmarks=read_benchmarks(benchmarks),
        engine=os.environ.get(ENGINE_VARIABLE, ""),
        commit=commit,
    )


def alone(inputs: Iterable[Path]) -> tuple[Step, ...]:
    """The one step that is known where the bundle was made by hand, not by the workflow."""
    read = {path.stem: (path.name,) for path in inputs}
    made = {"files": tuple(f"web/{name}" for name in FILES)}
    return (Step(BUNDLE, "Gather the page's files into one folder.", read, made),)


def _told(
    step: Step, stages: Mapping[str, Mapping[str, Any]], numbers: Mapping[str, str]
) -> Mapping[str, Any]:
    """What the step's program wrote of how it ran; {} from versions that did not."""
    names = [Path(file).stem for file in step.written if file.endswith(".json")]
    found = (provenance.of(stages[name]) for name in names if name in stages)
    told = next((item for item in found if "versions" in item), {})
    published = without_places(without_photo_names(told, numbers))
    return {**published, "options": _without_paths(published.get("options", {}))}


def _without_paths(value: Any) -> Any:
    """`value` without names of files and folders that somebody gave in an option."""
    if isinstance(value, Mapping):
        return {key: _without_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    return HIDDEN if isinstance(value, str) and ("/" in value or "\\" in value) else value


def _without_crate(step: Step) -> Step:
    """The crate describes itself in its own way, and not as a file that a rule leaves."""
    outputs = {
        name: tuple(file for file in given if file != f"web/{CRATE}")
        for name, given in step.outputs.items()
    }
    return replace(step, outputs=outputs)
