"""The run that made a page, as Provenance Run Crate 0.5 has it: https://w3id.org/ro/wfrun/provenance/0.5.

Each rule of the workflow is a HowToStep, whose tool is the rule's program. What the program reads and leaves,
and its options, are FormalParameters of the tool; the files and values of this run are examples of them. A
CreateAction says that the tool ran, a ControlAction that the step did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.lib.contracts.benchmark import Benchmark
from scripts.lib.contracts.step import Step
from scripts.lib.core import provenance
from scripts.lib.web.crate_graph import (
    DONE,
    PROJECT,
    PUBLISHER,
    Entity,
    file_entity,
    ref,
    refs,
    value_entity,
)
from scripts.lib.web.crate_software import container, package, packages

SOURCE = "#source"  # the photos as they were given: no part of a page
# What Snakemake measures of a job, and its unit.
MEASURED = "https://snakemake.readthedocs.io/en/stable/snakefiles/rules.html#benchmark-rules"
SECONDS, MEBIBYTES = "https://qudt.org/vocab/unit/SEC", "https://qudt.org/vocab/unit/MebiBYTE"


@dataclass(frozen=True)
class Run:
    """What is known of a run.

    steps: the rules that led to the page, in their order; told: by rule, what its program wrote of how it ran
    (the keys of `provenance`), without what must not be published; images: each stage's pinned container;
    benchmarks: by rule; engine: version of Snakemake, empty where it is not known; commit: of this project.
    """

    steps: tuple[Step, ...]
    told: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    benchmarks: Mapping[str, Benchmark] = field(default_factory=dict)
    engine: str = ""
    commit: str = ""


@dataclass(frozen=True)
class Files:
    """Files by their names in the scene's folder (`web/page.js`).

    address: of those that are part of the crate, where they lie in it; entries: size and hash where known.
    """

    address: Mapping[str, str]
    entries: Mapping[str, Mapping[str, Any]]

    def identifier(self, name: str) -> str:
        """The `@id` of a file; one that is no part of the crate has none but its name."""
        return self.address.get(name, f"#{name}")


def parameter(step: Step, kind: str, name: str) -> str:
    """The `@id` of a FormalParameter; kind: input, output or option."""
    return f"#{step.name}/{kind}/{name}"


def run_entities(run: Run, files: Files, workflow: str) -> list[Entity]:
    """Everything about the run but the workflow's own entity, whose `@id` is `workflow`, and its action."""
    entities: list[Entity] = []
    for place, step in enumerate(run.steps, 1):
        told = run.told.get(step.name, {})
        entities += _step(run, step, place)
        entities += _tool(step, told)
        entities += _parameters(step, told)
        entities += _action(run, step, told, files)
    entities += _connections(run)
    entities += _data(run, files)
    entities += [
        container(stage, image) for stage, image in run.images.items() if stage in used_images(run)
    ]
    if run.engine:
        engine = package("snakemake", run.engine)
        organised = {
            "@id": "#organised",
            "@type": "OrganizeAction",
            "name": f"Snakemake {run.engine} ran the workflow",
            "agent": ref(PUBLISHER),
            "instrument": ref(engine["@id"]),
            "object": refs(f"#control/{step.name}" for step in run.steps),
            "result": ref(workflow_action(workflow)),
            "actionStatus": DONE,
        }
        entities += [engine, organised]
    unique = {entity["@id"]: entity for entity in entities}
    return list(unique.values())


def workflow_action(workflow: str) -> str:
    """The `@id` of the workflow's run."""
    return f"#run/{workflow}"


def actions(run: Run) -> list[str]:
    """The `@id` of every step's action."""
    return [f"#run/{step.name}" for step in run.steps]


def used_images(run: Run) -> set[str]:
    """Names of the images that steps say they ran in."""
    named = {str(told.get("ran", {}).get("image", "")) for told in run.told.values()}
    return named & set(run.images)


def tools(run: Run) -> list[str]:
    """The `@id` of every step's program."""
    return [_program(step) for step in run.steps]


def _program(step: Step) -> str:
    return f"{PROJECT}#scripts/{step.name}.py"


def _step(run: Run, step: Step, place: int) -> Iterator[Entity]:
    received = refs(link["@id"] for link in _received(run, step))
    yield {
        "@id": f"#step/{step.name}",
        "@type": "HowToStep",
        "name": step.name,
        "description": step.description,
        "position": str(place),
        "workExample": ref(_program(step)),
        **({"connection": received} if received else {}),
    }


def _tool(step: Step, told: Mapping[str, Any]) -> Iterator[Entity]:
    software = packages(told.get("versions", {}), told.get("machine", {}).get("python"))
    options = told.get("options", {})
    inputs = [parameter(step, "input", name) for name in step.inputs]
    yield {
        "@id": _program(step),
        "@type": "SoftwareApplication",
        "name": f"scripts/{step.name}.py",
        "description": step.description,
        "url": PROJECT,
        "softwareVersion": told.get("versions", {}).get("splatmake", provenance.project_version()),
        "input": refs([*inputs, *(parameter(step, "option", name) for name in options)]),
        "output": refs(parameter(step, "output", name) for name in step.outputs),
        **({"softwareRequirements": refs(item["@id"] for item in software)} if software else {}),
    }
    yield from software


def _parameters(step: Step, told: Mapping[str, Any]) -> Iterator[Entity]:
    for kind, named in (("input", step.inputs), ("output", step.outputs)):
        for name, given in named.items():
            yield {
                "@id": parameter(step, kind, name),
                "@type": "FormalParameter",
                "additionalType": "File" if given else "Dataset",
                "name": name,
                "valueRequired": True,
            }
    for name, value in told.get("options", {}).items():
        identifier = parameter(step, "option", name)
        entity, kind = value_entity(f"{identifier}/value", name, value)
        yield {
            "@id": identifier,
            "@type": "FormalParameter",
            "additionalType": kind,
            "name": name,
            "valueRequired": False,
        }
        yield entity | {"exampleOfWork": ref(identifier)}


def _action(run: Run, step: Step, told: Mapping[str, Any], files: Files) -> Iterator[Entity]:
    read = [
        files.identifier(name) if given else SOURCE
        for given in step.inputs.values()
        for name in (given or ("",))
    ]
    options = [f"{parameter(step, 'option', name)}/value" for name in told.get("options", {})]
    usage = list(_usage(run, step))
    ran = told.get("ran", {})
    image = ran.get("image")
    times = {"startTime": ran["started"], "endTime": ran["ended"]} if "ended" in ran else {}
    yield {
        "@id": f"#run/{step.name}",
        "@type": "CreateAction",
        "name": f"{step.name} ran",
        "description": _where(told.get("machine", {})),
        "agent": ref(PUBLISHER),
        "instrument": ref(_program(step)),
        "object": refs([*read, *options]),
        "result": refs(files.identifier(name) for name in step.written),
        **times,
        "actionStatus": DONE,
        **({"containerImage": ref(f"#image-{image}")} if image in run.images else {}),
        **({"resourceUsage": refs(item["@id"] for item in usage)} if usage else {}),
    }
    yield from usage
    yield {
        "@id": f"#control/{step.name}",
        "@type": "ControlAction",
        "name": f"Snakemake started {step.name}",
        "agent": ref(PUBLISHER),
        "instrument": ref(f"#step/{step.name}"),
        "object": ref(f"#run/{step.name}"),
        "actionStatus": DONE,
    }


def _where(machine: Mapping[str, Any]) -> str:
    """A sentence on the machine, such as "On Linux x86_64 with 16 CPUs and Acme H1."."""
    system = " ".join(str(machine[key]) for key in ("system", "architecture") if key in machine)
    cpus = f" with {machine['cpus']} CPUs" if machine.get("cpus") else ""
    gpu = f" and {machine['gpu']}" if machine.get("gpu") else ""
    return f"On {system}{cpus}{gpu}." if system else "On an unknown machine."


def _usage(run: Run, step: Step) -> Iterator[Entity]:
    """What Snakemake measured of the step's job."""
    measured = run.benchmarks.get(step.name)
    if measured is None:
        return
    values = (("s", measured.seconds, SECONDS), ("max_rss", measured.memory_mb, MEBIBYTES))
    for name, value, unit in values:
        if value is not None:
            entity, _ = value_entity(f"#run/{step.name}/{name}", name, round(value, 2))
            yield entity | {"propertyID": f"{MEASURED}/{name}", "unitCode": unit}


def _received(run: Run, step: Step) -> list[Entity]:
    """The ParameterConnections that end at this step: whose output each input is."""
    made = {
        file: parameter(other, "output", name)
        for other in run.steps
        for name, given in other.outputs.items()
        for file in given
    }
    links = {}
    for name, given in step.inputs.items():
        target = parameter(step, "input", name)
        sources = [made[file] for file in given if file in made] if given else ["#input/photos"]
        for source in dict.fromkeys(sources):
            link = f"#connection/{source.removeprefix('#')}/{target.removeprefix('#')}"
            links[link] = {
                "@id": link,
                "@type": "ParameterConnection",
                "sourceParameter": ref(source),
                "targetParameter": ref(target),
            }
    return list(links.values())


def _connections(run: Run) -> Iterator[Entity]:
    for step in run.steps:
        yield from _received(run, step)


def _data(run: Run, files: Files) -> Iterator[Entity]:
    """Every file that a step read or left, with the parameters that it is an example of; and the photos."""
    examples: dict[str, list[str]] = {}
    given_source: list[str] = ["#input/photos"]
    for step in run.steps:
        for kind, named in (("input", step.inputs), ("output", step.outputs)):
            for name, given in named.items():
                for file in given:
                    examples.setdefault(file, []).append(parameter(step, kind, name))
                if not given:
                    given_source.append(parameter(step, kind, name))
    for file, of in examples.items():
        entity = file_entity(files.identifier(file), file, files.entries.get(file))
        yield entity | {"exampleOfWork": refs(of)}
    yield {
        "@id": SOURCE,
        "@type": "Dataset",
        "name": "The photos",
        "description": "The photos as they were provided. They are not part of this page; "
        "manifest.json has a hash of each.",
        "exampleOfWork": refs(given_source),
    }
