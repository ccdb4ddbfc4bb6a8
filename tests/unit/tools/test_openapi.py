"""The description of the job API: committed as the types say it, and whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.cloud.openapi import document, text
from scripts.lib.cloud.routes import DOCUMENT, ROUTES
from scripts.lib.core.console import UserError
from scripts.tools import openapi
from tests.conftest import ROOT


def test_the_committed_description_is_what_the_types_say() -> None:
    openapi.main(["--check"])
    assert openapi.is_current(ROOT)


def test_another_one_is_told_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openapi, "ROOT", tmp_path)
    with pytest.raises(UserError, match="run python -m scripts.tools.openapi"):
        openapi.main(["--check"])
    openapi.main([])
    assert (tmp_path / DOCUMENT).read_text(encoding="utf-8") == text()


def test_every_route_is_described() -> None:
    paths: Any = document()["paths"]
    described = {(method.upper(), path) for path, one in paths.items() for method in one}
    assert described == {(route.method, route.path) for route in ROUTES}
    operations = [one for path in paths.values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(ROUTES)
    for one in operations:
        assert one["summary"].endswith(".") and "401" in one["responses"]


def test_every_reference_leads_somewhere_and_all_parts_are_used() -> None:
    found: Any = document()
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(found)))
    assert used == set(found["components"]["schemas"])
    assert "$defs" not in json.dumps(found)


def test_what_is_checked_is_what_is_shown() -> None:
    parts: Any = document()["components"]
    job = parts["schemas"]["NewJob"]
    assert job["required"] == ["scenes"] and job["additionalProperties"] is False
    assert job["properties"]["scenes"]["maxItems"] == 20
    options = parts["schemas"]["Options"]["properties"]
    assert "results" not in options and "registry" not in options
    assert options["train_splat"]["properties"]["steps"]["maximum"] == 120_000
