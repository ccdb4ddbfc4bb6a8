"""The schemas, the presets and the generated manual agree with each other and with the scripts."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import pytest

from scripts.config_manual import manual
from scripts.lib.console import UserError
from scripts.lib.settings import (
    fill_defaults,
    load_scenes,
    load_schema,
    merge,
    read_yaml,
    scene_settings,
    sections,
    workflow_settings,
)

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = load_schema(ROOT, "config")


@pytest.mark.parametrize("section", sections(SCHEMA))
def test_section_matches_its_dataclass(section: str) -> None:
    """Same keys, same defaults: the schema is the manual, the dataclass what runs."""
    script = importlib.import_module(f"scripts.{section}")
    fields = {field.name: field.default for field in dataclasses.fields(script.OPTIONS)}
    properties = SCHEMA["properties"][section]["properties"]
    assert {key: part["default"] for key, part in properties.items()} == fields


@pytest.mark.parametrize("section", sections(SCHEMA))
def test_every_key_is_explained_and_bounded(section: str) -> None:
    for key, part in SCHEMA["properties"][section]["properties"].items():
        assert len(part["description"]) > 15, key
        assert "default" in part, key
        if part["type"] in ("integer", "number"):
            assert "minimum" in part or "exclusiveMinimum" in part, key


def test_manual_is_up_to_date() -> None:
    """`python -m scripts.config_manual` writes it."""
    assert (ROOT / "config" / "README.md").read_text() == manual(ROOT)


@pytest.mark.parametrize("preset", ["draft", "standard", "high"])
def test_presets_are_valid(preset: str) -> None:
    settings = workflow_settings({"preset": preset}, ROOT)
    filled = scene_settings(settings, {}, {"scene": "a", "source": "b"}, ROOT)
    chosen = read_yaml(ROOT / "config" / "presets.yaml")[preset]
    for section, values in chosen.items():
        assert values.items() <= filled[section].items()


def test_later_layers_win(tmp_path: Path) -> None:
    config: dict[str, Any] = {"train_splat": {"steps": 11, "seed": 3}}
    settings = workflow_settings(config, ROOT)
    row = {"scene": "a", "source": "b", "train_splat.steps": "22"}
    filled = scene_settings(settings, config, row, ROOT)
    assert filled["train_splat"]["steps"] == 22
    assert filled["train_splat"]["seed"] == 3


def test_merge_leaves_inputs_alone() -> None:
    base = {"a": {"b": 1}}
    assert merge(base, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    assert base == {"a": {"b": 1}}


def test_fill_defaults_reaches_nested_objects() -> None:
    schema = {"properties": {"a": {"type": "object", "properties": {"b": {"default": 4}}}}}
    assert fill_defaults({}, schema) == {"a": {"b": 4}}


def test_sheet_with_comments_and_a_byte_order_mark(tmp_path: Path) -> None:
    sheet = tmp_path / "s.tsv"
    sheet.write_text("\ufeffscene\tsource\n# a comment\n\nyard\tphotos dir\n", encoding="utf-8")
    assert load_scenes(sheet, ROOT) == {"yard": {"scene": "yard", "source": "photos dir"}}


def test_sheet_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_scenes(tmp_path / "none.tsv", ROOT)
