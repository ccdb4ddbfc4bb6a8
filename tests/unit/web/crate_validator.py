"""rocrate-validator without a network: the two JSON-LD contexts that a crate names are put into its cache.

Both are made here from the terms that our crates use, since no package ships them. The terms and addresses
are those of https://w3id.org/ro/crate/1.1/context and https://w3id.org/ro/terms/workflow-run/context.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import requests
import requests_cache
from requests.adapters import BaseAdapter
from rocrate_validator import services
from rocrate_validator.models import ValidationSettings
from urllib3 import HTTPResponse

PROFILE = "provenance-run-crate-0.5"
SCHEMA = """
    CreativeWork Dataset Organization SoftwareApplication SoftwareSourceCode HowTo HowToStep PropertyValue
    ComputerLanguage CreateAction ControlAction OrganizeAction
    about actionStatus additionalType agent author contentSize datePublished description
    encodingFormat endTime exampleOfWork hasPart identifier instrument license mainEntity mentions name object
    position programmingLanguage propertyID publisher result softwareRequirements softwareVersion startTime
    step unitCode url value valueRequired version workExample
"""
RUN = """
    ContainerImage ParameterConnection connection containerImage registry resourceUsage sha256 sourceParameter
    tag targetParameter
"""
CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": {
        **{term: f"http://schema.org/{term}" for term in SCHEMA.split()},
        "File": "http://schema.org/MediaObject",
        "conformsTo": "http://purl.org/dc/terms/conformsTo",
        "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
        "FormalParameter": "https://bioschemas.org/FormalParameter",
        "input": "https://bioschemas.org/ComputationalWorkflow#input",
        "output": "https://bioschemas.org/ComputationalWorkflow#output",
    },
    "https://w3id.org/ro/terms/workflow-run/context": {
        term: f"https://w3id.org/ro/terms/workflow-run#{term}" for term in RUN.split()
    },
}


class Contexts(BaseAdapter):
    """Answers with the contexts above, and with nothing else."""

    def send(self, request: Any, *_: Any, **__: Any) -> requests.Response:
        """The context at the address of `request`. Raises KeyError for any other."""
        text = json.dumps({"@context": CONTEXTS[request.url]}).encode()
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 200, request.url, request
        answer.headers["Content-Type"] = "application/ld+json"
        answer.raw = HTTPResponse(io.BytesIO(text), status=200, preload_content=False)
        return answer

    def close(self) -> None:
        """Nothing is open."""


def found_in(crate: Path, scratch: Path, severity: str = "RECOMMENDED") -> set[str]:
    """What is wrong with the crate in a folder, as the validator says it.

    `severity` is the least that counts: REQUIRED, RECOMMENDED (with what is required) or OPTIONAL.
    """
    cache = scratch / "contexts"
    with requests_cache.CachedSession(str(cache), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", Contexts())
        for address in CONTEXTS:
            session.get(address)
    settings = ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier=PROFILE,
        requirement_severity=severity,
        offline=True,
        cache_path=cache,
    )
    result = services.validate(settings)
    assert result.context.target_validation_profile.identifier == PROFILE
    return {issue.message for issue in result.get_issues()}
