"""The schemas, the presets and the generated manual agree with each other and with the scripts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from scripts.check_codecs import CheckOptions
from scripts.config_manual import manual
from scripts.cost_scene import CostOptions
from scripts.evaluate_splat import EvaluateOptions
from scripts.lib.bundle import WebOptions
from scripts.lib.clean import CleanOptions
from scripts.lib.compress import CompressOptions
from scripts.lib.console import UserError
from scripts.lib.photos.options import ImportOptions
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
from scripts.lib.sfm.features import FeatureOptions
from scripts.lib.sfm.mapping import MapOptions
from scripts.lib.sfm.matching import MatchOptions
from scripts.lib.sfm.undistort import UndistortOptions
from scripts.lib.train.options import TrainOptions
from scripts.publish_web import PublishOptions
from scripts.render_tour import TourOptions
from scripts.report_scene import ReportOptions

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = load_schema(ROOT, "config")
OPTIONS = {
    "import_photos": ImportOptions,
    "extract_features": FeatureOptions,
    "match_photos": MatchOptions,
    "map_scene": MapOptions,
    "undistort": UndistortOptions,
    "train_splat": TrainOptions,
    "evaluate_splat": EvaluateOptions,
    "clean_splat": CleanOptions,
    "compress_splat": CompressOptions,
    "check_codecs": CheckOptions,
    "render_tour": TourOptions,
    "bundle_web": WebOptions,
    "publish_web": PublishOptions,
    "cost_scene": CostOptions,
    "report_scene": ReportOptions,
}


@pytest.mark.parametrize("section", sections(SCHEMA))
def test_section_matches_its_dataclass(section: str) -> None:
    """Same keys, same defaults: the schema is the manual, the dataclass what runs."""
    kind: Any = OPTIONS[section]
    options = kind()
    fields = {field.name: getattr(options, field.name) for field in dataclasses.fields(kind)}
    properties = SCHEMA["properties"][section]["properties"]
    assert {key: part["default"] for key, part in properties.items()} == fields


@pytest.mark.parametrize("section", sections(SCHEMA))
def test_every_key_is_explained_and_bounded(section: str) -> None:
    for key, part in SCHEMA["properties"][section]["properties"].items():
        assert len(part["description"]) > 15, key
        assert "default" in part, key
        for choice in part.get("anyOf", [part]):
            if choice.get("type") in ("integer", "number"):
                assert "minimum" in choice or "exclusiveMinimum" in choice, key


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
