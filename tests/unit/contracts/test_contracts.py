"""Every file that stages hand on: what is written is read, and what is wrong is told in one sentence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.lib.contracts.record import (
    FIRST,
    HandedOn,
    Measured,
    as_file,
    from_file,
    is_required,
    read,
    stamped,
    to_json,
    write,
)
from scripts.lib.contracts.schema import kinds, schema
from scripts.lib.core.console import UserError
from scripts.lib.core.provenance import project_version
from scripts.tools import contract_schemas
from tests.conftest import ROOT
from tests.unit.contracts.made_up import records

FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = kinds()
each = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.file)
HERE = Path("results/yard/some.json")
Content = dict[str, Any]


def refused(kind: type[HandedOn], content: object) -> str:
    with pytest.raises(UserError) as error:
        from_file(kind, content, HERE)
    text = str(error.value)
    assert text.startswith(str(HERE)) and "\n" not in text and text.count(". ") == 0
    assert text.endswith(f"delete it and run {kind.stage} again")
    return text


def places(content: Any, where: str = "") -> list[tuple[str, Content]]:
    """Every object in some JSON, and how a sentence calls it."""
    found: list[tuple[str, Content]] = []
    if isinstance(content, dict):
        found.append((where, content))
        for key, value in content.items():
            found += places(value, f"{where}.{key}" if where else key)
    elif isinstance(content, list):
        for number, value in enumerate(content):
            found += places(value, f"{where}[{number}]")
    return found


@each
@FEW
@given(data=st.data())
def test_what_is_written_is_read(kind: type[HandedOn], data: st.DataObject) -> None:
    record = data.draw(records(kind))
    content = json.loads(json.dumps(as_file(record), allow_nan=False))
    again = from_file(kind, content, HERE)
    assert to_json(again) == to_json(record)
    jsonschema.Draft202012Validator(schema(kind)).validate(content)


@each
@FEW
@given(data=st.data())
def test_a_file_with_only_what_must_be_there_is_read(
    kind: type[HandedOn], data: st.DataObject
) -> None:
    record = data.draw(records(kind, bare=True))
    required = {item.name for item in dataclasses.fields(kind) if is_required(item)}
    content = {key: value for key, value in to_json(record).items() if key in required}
    jsonschema.Draft202012Validator(schema(kind)).validate(content)
    if kind.format != FIRST:
        # A file from before there were formats is an old one, whatever its keys are.
        assert f"and this version reads {kind.format}" in refused(kind, content)
        content["format"] = kind.format
    assert to_json(from_file(kind, content, HERE)) == to_json(record)


@each
@FEW
@given(data=st.data())
def test_each_missing_key_is_named_with_the_version(
    kind: type[HandedOn], data: st.DataObject
) -> None:
    content = as_file(data.draw(records(kind, bare=True)))
    for item in dataclasses.fields(kind):
        if is_required(item):
            rest = {key: value for key, value in content.items() if key != item.name}
            text = refused(kind, {**rest, "written_by": "splatmake 0.0.7"})
            assert f"'{item.name}' is missing (written by splatmake 0.0.7)" in text


@each
@FEW
@given(data=st.data())
def test_an_unknown_key_is_named_at_any_depth(kind: type[HandedOn], data: st.DataObject) -> None:
    record = data.draw(records(kind))
    content = json.loads(json.dumps(as_file(record)))
    typed = [
        (where, part)
        for where, part in places(content)
        if where.split(".")[0] not in ("options", "versions", "machine")
    ]
    where, part = data.draw(st.sampled_from(typed))
    part["no_such_key"] = {"of": [None]}
    try:
        from_file(kind, content, HERE)
    except UserError:
        text = refused(kind, content)
        name = f"{where}.no_such_key" if where else "no_such_key"
        # A mapping with keys of its own takes the key, and then wonders about its value.
        assert f"'{name}" in text and f"(written by splatmake {project_version()})" in text
    else:
        assert where  # only an open part takes everything


@each
@FEW
@given(data=st.data())
def test_values_of_another_type_are_named(kind: type[HandedOn], data: st.DataObject) -> None:
    content = as_file(data.draw(records(kind, bare=True)))
    for item in dataclasses.fields(kind):
        if is_required(item):
            wrong = {**content, item.name: float("nan")}
            assert f"'{item.name}' is nan, not " in refused(kind, wrong)


@each
def test_other_formats_and_other_files_are_refused(kind: type[HandedOn]) -> None:
    text = refused(kind, {"format": 99, "versions": {"splatmake": "9.9"}})
    assert f"'format' 99 (written by splatmake 9.9), and this version reads {kind.format}" in text
    assert "is not a JSON object" in refused(kind, [])
    assert "an unknown version" in refused(kind, {"no_such_key": 1})


@each
@FEW
@given(data=st.data())
def test_a_value_of_another_type_is_not_written(
    kind: type[HandedOn], tmp_path: Path, data: st.DataObject
) -> None:
    first = next(item.name for item in dataclasses.fields(kind) if is_required(item))
    record = data.draw(records(kind, bare=True))
    with pytest.raises(TypeError, match=f"'{first}' is "):
        write(tmp_path / "a.json", dataclasses.replace(record, **{first: object()}))
    assert not (tmp_path / "a.json").exists()


def test_stages_tell_how_they_were_run_and_files_who_wrote_them(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Made(Measured):
        file = "made.json"
        stage = "make"
        count: int

    write(tmp_path / "made.json", stamped(Made(count=2), {"wide": True}, "numpy"))
    content = json.loads((tmp_path / "made.json").read_text())
    keys = ["format", "written_by", "count", "options", "versions", "machine", "ran"]
    assert list(content) == keys and content["options"] == {"wide": True}
    assert content["written_by"] == f"splatmake {content['versions']['splatmake']}"
    assert read(Made, tmp_path / "made.json").count == 2
    with pytest.raises(UserError, match=r"gone\.json does not exist; run the stage that makes it"):
        read(Made, tmp_path / "gone.json")


def test_committed_schemas_are_those_of_the_types() -> None:
    assert contract_schemas.differing(ROOT) == []


def test_an_outdated_or_foreign_schema_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / contract_schemas.FOLDER
    folder.mkdir(parents=True)
    for name, text in contract_schemas.texts().items():
        (folder / name).write_text(text)
    assert contract_schemas.differing(tmp_path) == []
    (folder / "photos.schema.json").write_text("{}")
    (folder / "other.schema.json").write_text("{}")
    assert contract_schemas.differing(tmp_path) == ["other.schema.json", "photos.schema.json"]
