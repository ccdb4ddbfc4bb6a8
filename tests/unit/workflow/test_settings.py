"""The schemas, the presets and the generated manual agree with each other and with the scripts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from scripts.lib.core.console import UserError
from scripts.lib.core.options import Options, parts_of
from scripts.lib.web.bundle import WebOptions
from scripts.lib.workflow.old_keys import FOR_ALL_RULES, REMOVED, RENAMED
from scripts.lib.workflow.option_checks import check_published
from scripts.lib.workflow.options import SceneRow, WorkflowOptions
from scripts.lib.workflow.scenes import load_scenes
from scripts.lib.workflow.settings import (
    fill_defaults,
    load_schema,
    merge,
    read_yaml,
    scene_settings,
    workflow_settings,
)
from scripts.tools import config_manual
from scripts.tools.config_manual import SECTIONS, files
from tests.conftest import ROOT

SCHEMA = load_schema(ROOT, "config")
EVERY = [WorkflowOptions, SceneRow, *SECTIONS.values()]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_option_is_explained_and_bounded(kind: type[Options]) -> None:
    """On both sides: a typing error such as 10**9 steps would hold a machine until its time limit."""
    for key, part in parts_of(kind).items():
        assert len(part["description"]) > 15, key
        for choice in part.get("anyOf", [part]):
            if choice.get("type") in ("integer", "number"):
                assert "minimum" in choice or "exclusiveMinimum" in choice, key
                assert "maximum" in choice, key


def test_generated_files_are_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_manual.main(["--check"])
    (tmp_path / "config").symlink_to(ROOT / "config")
    copy = {tmp_path / path.relative_to(ROOT): text for path, text in files(ROOT).items()}
    for path in copy:
        monkeypatch.setattr(config_manual, "files", lambda _, path=path: {path: "other"})
        monkeypatch.setattr(config_manual, "ROOT", tmp_path)
        name = re.escape(str(path.relative_to(tmp_path)))
        with pytest.raises(
            UserError, match=f"{name} is not what the types of the options say; run"
        ):
            config_manual.main(["--check"])


def test_the_schema_and_the_types_refuse_the_same() -> None:
    """config.yaml is checked against the schema, `--options` by hand against the types."""
    for name, kind in SECTIONS.items():
        for key, part in SCHEMA["properties"][name]["properties"].items():
            for value in tried_values(part):
                schema = {"type": "object", "properties": {key: part}}
                allowed = Draft202012Validator(schema).is_valid({key: value})
                if isinstance(value, float) and value.is_integer():
                    continue  # JSON schema takes 100.0 for a whole number; the workflow makes it one
                try:
                    kind(**{key: value})
                except UserError as error:
                    assert not allowed, (name, key, value)
                    assert str(error).startswith(f"option {key} is {value!r}; allowed: ")
                else:
                    assert allowed, (name, key, value)


def tried_values(part: Any) -> list[Any]:
    """Values at, within and beyond every bound of a schema, and some of every other type."""
    values: list[Any] = ["auto", "x", "", "#12345g", True, -1, 0, 0.5, [], {}]
    for choice in part.get("anyOf", [part]):
        for key in ("minimum", "maximum", "exclusiveMinimum"):
            if key in choice:
                values += [choice[key], choice[key] - 1, choice[key] + 1]
        values += choice.get("enum", [])
    return values


def test_an_instance_has_lists_of_its_own() -> None:
    WebOptions().annotations.append({"title": "x"})
    assert WebOptions().annotations == []


@pytest.mark.parametrize("preset", ["draft", "standard", "high"])
def test_presets_are_valid(preset: str) -> None:
    settings = workflow_settings({"preset": preset}, ROOT)
    filled = scene_settings(settings, {}, {"scene": "a", "source": "b"}, ROOT)
    chosen = read_yaml(ROOT / "config" / "presets.yaml")[preset]
    for section, values in chosen.items():
        assert values.items() <= filled[section].items()


OLD = {
    "train_splat.seed": "is now one key for all rules; put 'seed: 3' at the top of the configuration",
    "compress_splat.seed": "is now one key for all rules; put 'seed: 3' at the top of the configuration",
    "evaluate_splat.device": "is now one key for all rules; put 'device: 3' at the top",
    "train_splat.preset": "is now one key for all rules; put 'preset: 3' at the top",
    "evaluate_splat.holdout": "is no longer an option; remove it: the test photos are those of",
    "train_splat.cap": "is now 'train_splat.max_gaussians'; use that instead",
    "map_scene.ladder": "is now 'map_scene.retries'; use that instead",
    "train_image": "is no longer an option; remove it: the image follows from the device",
    "compress_splat.spz_sh1_bits": "is no longer an option; remove it: more bits are used where",
    "check_codecs.holdout": "is no longer an option; remove it: the test photos are those of",
}


@pytest.mark.parametrize("key", OLD)
def test_an_old_key_is_refused_with_the_new_one(key: str, tmp_path: Path) -> None:
    rule, _, option = key.partition(".")
    said = re.escape(f"{key!r} {OLD[key]}")
    with pytest.raises(UserError, match=f"^config: {said}"):
        workflow_settings({rule: {option: 3}} if option else {rule: 3}, ROOT)
    sheet = tmp_path / "scenes.tsv"
    sheet.write_text(f"scene\tsource\t{key}\nyard\tphotos\t3\n")
    with pytest.raises(UserError) as caught:
        load_scenes(sheet, ROOT)
    assert f"{key!r} {OLD[key].split(';')[0]}" in str(caught.value)


def test_every_old_key_is_old_and_its_new_one_exists() -> None:
    top = SCHEMA["properties"]

    def exists(key: str) -> bool:
        rule, dot, option = key.partition(".")
        return option in top[rule]["properties"] if dot else rule in top

    for key in (*RENAMED, *REMOVED):
        assert not exists(key), key
    assert all(exists(key) for key in (*RENAMED.values(), *FOR_ALL_RULES))


def test_what_all_rules_share_is_said_once() -> None:
    """And reaches the options of those programs that read it, so that only these run again."""
    config = {"seed": 7, "preset": "high"}
    settings = workflow_settings(config, ROOT)
    row = {"scene": "a", "source": "b"}
    filled = scene_settings(settings, config, row, ROOT)
    seeds = {rule: options["seed"] for rule, options in filled.items() if "seed" in options}
    seeded = ("match_photos", "map_scene", "register_captures", "train_splat", "compress_splat")
    assert seeds == dict.fromkeys((*seeded, "find_changes"), 7)
    assert filled["train_splat"]["preset"] == "high"
    own = scene_settings(settings, config, row | {"seed": "9", "preset": "draft"}, ROOT)
    assert own["map_scene"]["seed"] == 9 and own["train_splat"]["preset"] == "draft"
    assert own["extract_features"]["max_side"] == 1200
    with pytest.raises(UserError, match="scene 'a': 'seed' is -1; the least is 0"):
        scene_settings(settings, config, row | {"seed": "-1"}, ROOT)


def test_later_layers_win(tmp_path: Path) -> None:
    config: dict[str, Any] = {"train_splat": {"steps": 11, "ssim_weight": 0.3}}
    settings = workflow_settings(config, ROOT)
    row = {"scene": "a", "source": "b", "train_splat.steps": "22"}
    filled = scene_settings(settings, config, row, ROOT)
    assert filled["train_splat"]["steps"] == 22
    assert filled["train_splat"]["ssim_weight"] == 0.3


def test_merge_leaves_inputs_alone() -> None:
    base = {"a": {"b": 1}}
    assert merge(base, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    assert base == {"a": {"b": 1}}


def test_fill_defaults_reaches_nested_objects() -> None:
    schema = {"properties": {"a": {"type": "object", "properties": {"b": {"default": 4}}}}}
    assert fill_defaults({}, schema) == {"a": {"b": 4}}


def options_of(config: dict[str, Any]) -> dict[str, Any]:
    row = {"scene": "a", "source": "b"}
    return scene_settings(workflow_settings(config, ROOT), config, row, ROOT)


@pytest.mark.parametrize(
    ("text", "section", "expected"),
    [
        ("bundle_web: {date: 2024-05-01}", "bundle_web", {"date": "2024-05-01"}),
        ("bundle_web: {date: 2024-05-01 10:30:00}", "bundle_web", {"date": "2024-05-01 10:30:00"}),
        ("bundle_web: {title: 1984, credit: Me}", "bundle_web", {"title": "1984", "credit": "Me"}),
        ("bundle_web:\n", "bundle_web", {"title": ""}),
        ("clean_splat: {max_drop_db: 5e-3}", "clean_splat", {"max_drop_db": 0.005}),
        ("{seed: 7, train_splat: {steps: 100.0}}", "train_splat", {"steps": 100, "seed": 7}),
        (
            "bundle_web: {annotations: [{title: 2024-05-01, position: [0, 0, 0]}]}",
            "bundle_web",
            {"annotations": [{"title": "2024-05-01", "position": [0, 0, 0]}]},
        ),
    ],
)
def test_yaml_as_people_write_it(text: str, section: str, expected: dict[str, Any]) -> None:
    """And jobs get it as JSON, which knows no dates."""
    found = options_of(yaml.safe_load(text))[section]
    assert json.dumps({key: found[key] for key in expected}) == json.dumps(expected)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "bundle_web: {title: 1.10}",
            "bundle_web.title is read as 1.1; write it in quotation marks",
        ),
        (
            "bundle_web:\n  background: #ff0000\n",
            "bundle_web.background has no value; remove it, or",
        ),
        (
            "bundle_web: {'title:1984': ''}",
            "'bundle_web.title:1984'; write a space after the colon",
        ),
        ("bundle_web: {title: yes}", "bundle_web.title is read as True; write it in quotation"),
        ("train_splat: {steps: .nan}", "'train_splat.steps' is infinite or not a number"),
        ("train_splat: 5", "'train_splat' is 5; its options must follow by name"),
        ("bundle_web: {annotations: {title: x}}", "it must be a list, in square brackets"),
        ("bundle_web: {annotations: [{title: x, position: [0, .inf, 0]}]}", "is infinite"),
        ("clean_splat: {crop: {ball: 3}}", "clean_splat.crop is"),
        ("train_splat: {steps: 1000000000}", "at least 1, at most 1000000"),
        ("train_splat: {steps: 1.0e+300}", "at least 1, at most 1000000"),
        ("undistort: {max_side: 5}", "allowed: 0 or integer, at least 64, at most 65500"),
        ("results: s3://bucket/x", "for a bucket, start with --profile config/profiles/aws-batch"),
        ("results: file:///x", "results go to a folder here"),
        ("results: out{1}", "without braces"),
        ("results: ''", "it is empty"),
        ("results: ~nobody-of-this-name/x", "there is no such user"),
        (f"results: {__file__}/out", f"but {__file__} is a file; choose a folder"),
        ("scenes: https://example.org/my.tsv", "the sheet must be a local file; download it"),
        ("publish_web: {to: s3://}", "publish_web.to is 's3://'; give s3://BUCKET/PREFIX"),
    ],
)
def test_bad_yaml_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        options_of(yaml.safe_load(text))
    assert sentence in str(caught.value)


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    config = {"results": "~/x", "scenes": "~/my.tsv", "publish_web": {"to": "~/public/"}}
    settings = workflow_settings(config, ROOT)
    assert (settings["results"], settings["scenes"]) == ("/home/me/x", "/home/me/my.tsv")
    assert options_of(config)["publish_web"]["to"] == "/home/me/public/"


def test_two_scenes_are_not_published_over_each_other() -> None:
    there = options_of({"publish_web": {"to": "s3://bucket/web/"}})
    named = options_of({"publish_web": {"to": "s3://bucket/web", "name": "yard"}})
    check_published({"a": there, "b": there, "c": options_of({})})
    with pytest.raises(UserError, match="scenes 'yard' and 'b' would both be published at s3://"):
        check_published({"yard": there, "b": named})


def test_yaml_is_read_once_and_never_shared(tmp_path: Path) -> None:
    """Every scene asks for schema and presets; what one of them changes is not seen by the next."""
    (tmp_path / "x.yaml").write_text("a: [1]\n")
    read_yaml(tmp_path / "x.yaml")["a"].append(2)
    assert read_yaml(tmp_path / "x.yaml") == {"a": [1]}
    (tmp_path / "x.yaml").write_text("a: [3]\n")
    assert read_yaml(tmp_path / "x.yaml") == {"a": [3]}


def test_sheet_with_comments_and_a_byte_order_mark(tmp_path: Path) -> None:
    sheet = tmp_path / "s.tsv"
    sheet.write_text("\ufeffscene\tsource\n# a comment\n\nyard\tphotos dir\n", encoding="utf-8")
    assert load_scenes(sheet, ROOT) == {"yard": {"scene": "yard", "source": "photos dir"}}


def test_sheet_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_scenes(tmp_path / "none.tsv", ROOT)
