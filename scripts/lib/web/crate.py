"""ro-crate-metadata.json: the page as a Research Object Crate, with the run that made it.

It follows RO-Crate 1.1 and the Workflow Run profiles up to Provenance Run Crate 0.5, which machines can
check: https://w3id.org/ro/wfrun/provenance/0.5. The rules that come after the page (the report, the cost,
publishing) are not in it: they need it first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.core import provenance
from scripts.lib.web.crate_graph import DONE, PROJECT, PUBLISHER, Entity, file_entity, ref, refs
from scripts.lib.web.crate_run import (
    SOURCE,
    Files,
    Run,
    actions,
    parameter,
    run_entities,
    tools,
    workflow_action,
)

WORKFLOW, README = "workflow.smk", "README.md"
LANGUAGE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
CONTEXT = (
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
)
BASE = "https://w3id.org/ro/crate/1.1"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    WORKFLOW_CRATE: "Workflow RO-Crate",
}
INCLUDE = re.compile(r'^include: "(?P<name>[^"]+)"\n', re.M)


@dataclass(frozen=True)
class About:
    """What the publisher says of the page; `made` is when, as `provenance.moment` writes it."""

    title: str
    description: str
    licence: str
    credit: str
    url: str
    made: str


def workflow_source(root: Path) -> str:
    """The workflow as one text: Snakefile with the files that it includes in their places.

    For reading: to run it, take the project, whose files this text names by relative paths.
    """
    text = (root / "Snakefile").read_text(encoding="utf-8")

    def included(found: re.Match[str]) -> str:
        inner = (root / found["name"]).read_text(encoding="utf-8").strip()
        return f"# ---- {found['name']}\n{inner}\n\n\n"

    return INCLUDE.sub(included, text)


def ro_crate(about: About, run: Run, files: Files) -> dict[str, Any]:
    """The crate of a page; `files` tells which files it holds."""
    workflow = files.address[f"web/{WORKFLOW}"]
    of_run = run_entities(run, files, workflow)
    described = {entity["@id"] for entity in of_run}
    # What no rule leaves, such as levels of detail that are unpacked for hosts.
    others = [
        file_entity(identifier, name.removeprefix("web/"), files.entries.get(name))
        for name, identifier in files.address.items()
        if identifier not in described
    ]
    graph: list[Entity] = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": refs((BASE, WORKFLOW_CRATE)),
            "about": ref("./"),
        },
        _root(about, run, files, workflow),
        *_context(about),
        *others,
        *of_run,
    ]
    unique = {entity["@id"]: entity for entity in graph}
    unique[workflow] = unique[workflow] | _workflow(run)
    more = (*_parameters(workflow, files, run), _action(about, run, files, workflow))
    for entity in (*more, {"@id": files.identifier(f"web/{README}"), "about": ref("./")}):
        unique[entity["@id"]] = unique.get(entity["@id"], {}) | entity
    return {"@context": list(CONTEXT), "@graph": list(unique.values())}


def _root(about: About, run: Run, files: Files, workflow: str) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": refs(PROFILES),
        "name": about.title,
        "description": about.description,
        "datePublished": about.made[:10],
        "license": ref("#licence"),
        "author": ref(PUBLISHER),
        "publisher": ref(PUBLISHER),
        "hasPart": refs(files.address.values()),
        "mainEntity": ref(workflow),
        "mentions": refs([workflow_action(workflow), *actions(run)]),
    }


def _context(about: About) -> list[Entity]:
    """Who, under which terms, by which profiles, in which language."""
    profiles = [
        {
            "@id": identifier,
            "@type": "CreativeWork",
            "name": name,
            "version": identifier.rpartition("/")[2],
        }
        for identifier, name in PROFILES.items()
    ]
    return [
        *profiles,
        {
            "@id": PUBLISHER,
            # Nobody asks whether a credit names one person or several.
            "@type": "Organization",
            "name": about.credit or "The publisher of this page (not named)",
            "url": about.url or "./",
        },
        {
            "@id": "#licence",
            "@type": "CreativeWork",
            "name": about.licence or "not stated",
            "description": f"Under which this scene may be used: {about.licence}"
            if about.licence
            else "The publisher states no licence for this scene.",
        },
        {
            "@id": LANGUAGE,
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "identifier": "https://doi.org/10.1093/bioinformatics/bts480",
            "url": "https://snakemake.github.io",
        },
    ]


def _workflow(run: Run) -> Entity:
    """What makes the file of the workflow its entity."""
    version = run.commit or provenance.project_version()
    return {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "conformsTo": ref(BIOSCHEMAS),
        "name": "splatmake",
        "description": "Photos of a place, with Snakemake and COLMAP, to a 3D Gaussian splat on a web page.",
        "url": PROJECT,
        "version": version,
        "license": "https://spdx.org/licenses/MIT",
        "programmingLanguage": ref(LANGUAGE),
        "hasPart": refs(tools(run)),
        "step": refs(f"#step/{step.name}" for step in run.steps),
        "input": ref("#input/photos"),
        "output": ref("#output/page"),
        **({"connection": ref("#connection/page")} if _leaves_page(run) else {}),
    }


def _leaves_page(run: Run) -> str:
    """The parameter that the page's own files are an example of."""
    for step in run.steps:
        for name, given in step.outputs.items():
            if "web/index.html" in given:
                return parameter(step, "output", name)
    return ""


def _parameters(workflow: str, files: Files, run: Run) -> list[Entity]:
    """What goes into the workflow and comes out of it."""
    made = _leaves_page(run)
    link = {
        "@id": "#connection/page",
        "@type": "ParameterConnection",
        "sourceParameter": ref(made),
        "targetParameter": ref("#output/page"),
    }
    page = files.identifier("web/index.html")
    return [
        {
            "@id": "#input/photos",
            "@type": "FormalParameter",
            "additionalType": "Dataset",
            "name": "photos",
            "valueRequired": True,
        },
        {
            "@id": "#output/page",
            "@type": "FormalParameter",
            "additionalType": "File",
            "name": "page",
        },
        *([link] if made else []),
        {"@id": page, "exampleOfWork": refs(("#output/page", *([made] if made else [])))},
    ]


def _action(about: About, run: Run, files: Files, workflow: str) -> Entity:
    """The run of the whole workflow."""
    started = [
        told["ran"]["started"] for told in run.told.values() if "started" in told.get("ran", {})
    ]
    return {
        "@id": workflow_action(workflow),
        "@type": "CreateAction",
        "name": "The workflow ran",
        "description": "From the photos to this page.",
        "agent": ref(PUBLISHER),
        "instrument": ref(workflow),
        "object": ref(SOURCE),
        "result": refs(files.address.values()),
        **({"startTime": min(started)} if started else {}),
        "endTime": about.made,
        "actionStatus": DONE,
    }


@dataclass(frozen=True)
class Crate:
    """What the RO-Crate of each form of the page says; `known` has size and hash of files of the scene."""

    about: About
    run: Run
    known: Mapping[str, Mapping[str, Any]]

    def of(self, address: Mapping[str, str], more: Mapping[str, Mapping[str, Any]]) -> bytes:
        """The crate of a folder: its files by their names in the bundle, and others with their entries."""
        files = Files(
            {f"web/{name}": place for name, place in address.items()}
            | {name: name for name in more},
            {**self.known, **more},
        )
        text = json.dumps(ro_crate(self.about, self.run, files), indent=1, ensure_ascii=False)
        return f"{text}\n".encode()
