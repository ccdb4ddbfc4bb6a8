"""The configuration: presets, config.yaml, the scenes sheet, all checked against the JSON schemas.

Later wins: schema defaults, then the preset, then config.yaml and --config, then the sheet's row.
"""

from __future__ import annotations

import copy
import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, relevance

from scripts.lib.core.console import UserError
from scripts.lib.core.local_paths import expanded, file_in_the_way, local_path
from scripts.lib.core.options import allowed_values
from scripts.lib.workflow.old_keys import advice
from scripts.lib.workflow.option_checks import check_options
from scripts.lib.workflow.sheet import where_of
from scripts.lib.workflow.typed_values import not_finite, parse_scalars, whole_numbers

Settings = dict[str, Any]

# Snakemake reads these in the names of outputs as wildcards and as variables.
NOT_IN_RESULTS = "{}<>\n"


def read_yaml(path: Path) -> Any:
    """Read a YAML file. Raises UserError when it is missing or not YAML."""
    try:
        return copy.deepcopy(_parsed(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        detail = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML ({detail}); fix that line") from None


@functools.cache
def _parsed(text: str) -> Any:
    """A YAML text's content, kept: schema and presets are asked for once for every scene."""
    return yaml.safe_load(text)


def load_schema(root: Path, name: str) -> Settings:
    """The JSON schema `config/schemas/<name>.schema.yaml`."""
    schema: Settings = read_yaml(root / "config" / "schemas" / f"{name}.schema.yaml")
    return schema


def sections(schema: Mapping[str, Any]) -> list[str]:
    """Names of the schema's per-rule sections, in order."""
    return [key for key, value in schema["properties"].items() if value.get("type") == "object"]


def merge(*layers: Mapping[str, Any]) -> Settings:
    """Merge nested mappings; a later layer wins, key by key. The inputs stay as they are."""
    merged: Settings = {}
    for layer in layers:
        for key, value in layer.items():
            known = merged.get(key)
            if isinstance(value, Mapping):
                merged[key] = merge(known if isinstance(known, dict) else {}, value)
            else:
                merged[key] = value
    return merged


def fill_defaults(values: Mapping[str, Any], schema: Mapping[str, Any]) -> Settings:
    """`values` with the schema's default for every key not given, nested objects included."""
    filled = dict(values)
    for key, part in schema.get("properties", {}).items():
        if part.get("type") == "object":
            filled[key] = fill_defaults(filled.get(key) or {}, part)
        elif key not in filled and "default" in part:
            filled[key] = part["default"]
    return filled


def suggestion(word: str, known: Iterable[str]) -> str:
    """Words that help who wrote `word`: the known one most like it, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(word, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(names)}"


def _sentence(error: ValidationError, where: str) -> str:
    """One sentence for a schema violation: which key, what is wrong, what is allowed."""
    schema: Any = error.schema
    instance: Any = error.instance
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = schema.get("properties", {})
        word = next(key for key in instance if key not in known)
        full = f"{path}.{word}" if path else str(word)
        if old := advice(full, instance[word]):
            return f"{where}: {old}"
        name, colon, _ = str(word).partition(":")
        if colon and name in known:  # YAML takes `title:x` for a key without a value
            return f"{where}: unknown key {full!r}; write a space after the colon"
        return f"{where}: unknown key {full!r}; {suggestion(str(word), known)}"
    what = f"{path!r} is {error.instance!r}" if path else "the file"
    if error.validator == "required":
        missing = next(key for key in schema["required"] if key not in instance)
        return f"{where}: {missing!r} is missing"
    if error.validator == "type" and schema.get("type") == "object":
        return f"{where}: {what}; its options must follow by name, as in {{option: value}}"
    if error.validator == "type" and schema.get("type") == "array":
        return f"{where}: {what}; it must be a list, in square brackets"
    allowed = {
        "anyOf": f"allowed: {allowed_values(schema)}",
        "enum": f"allowed: {', '.join(map(str, schema.get('enum', [])))}",
        "minimum": f"the least is {schema.get('minimum')}",
        "maximum": f"the most is {schema.get('maximum')}",
        "exclusiveMinimum": f"it must be above {schema.get('exclusiveMinimum')}",
        "type": f"it must be of type {schema.get('type')}{_hint(instance, schema.get('type'))}",
        "minLength": "it is empty",
        "maxLength": f"the most are {schema.get('maxLength')} characters",
        "pattern": f"allowed: {schema['x-form']}"
        if "x-form" in schema
        else str(schema.get("description", "it does not match the pattern")),
    }.get(str(error.validator), error.message)
    return f"{where}: {what}; {allowed}"


def _hint(value: Any, kind: Any) -> str:
    """How to write a value that is nearly right; empty when nothing is known."""
    comma = isinstance(value, str) and re.fullmatch(r"[-+]?\d+,\d+", value)
    return f", with a point: {value.replace(',', '.')}" if comma and kind == "number" else ""


def check(values: Any, schema: Mapping[str, Any], where: str) -> None:
    """Raise UserError with one sentence when `values` break the schema or hold an endless number."""
    if place := not_finite(values):  # a bound does not catch .nan: no comparison with it is true
        raise UserError(f"{where}: {place!r} is infinite or not a number; give a finite one")
    validator = Draft202012Validator(dict(schema))
    # Not `best_match`, which goes down into one branch of an anyOf and forgets the others.
    error = max(validator.iter_errors(values), key=relevance, default=None)
    if error is not None:
        raise UserError(_sentence(error, where))


def workflow_settings(config: Mapping[str, Any], root: Path) -> Settings:
    """The checked configuration without any preset or scene: `scenes`, `results`, `preset`.

    A `~` in front of a path is the home folder. Raises UserError on an unknown key or a value out of bounds.
    """
    schema = load_schema(root, "config")
    given = {key: _listed(value) if key == "deliver" else value for key, value in config.items()}
    values = parse_scalars({k: v for k, v in given.items() if v is not None}, schema, "config")
    check(values, schema, "config")
    filled = fill_defaults(values, schema)
    filled["results"] = local_path("results", filled["results"])
    if any(mark in filled["results"] for mark in NOT_IN_RESULTS):
        raise UserError(
            f"results is {filled['results']!r}; choose a folder without braces and angle brackets in its path"
        )
    if (file := file_in_the_way(Path(filled["results"]))) is not None:
        raise UserError(f"results is {filled['results']!r}, but {file} is a file; choose a folder")
    filled["scenes"] = local_path("scenes", filled["scenes"])
    return filled


def _listed(value: Any) -> Any:
    """Names in a YAML list as the sheet writes them: separated by commas."""
    texts = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return ", ".join(value) if texts else value


def scene_settings(
    settings: Mapping[str, Any], config: Mapping[str, Any], row: Mapping[str, str], root: Path
) -> dict[str, Settings]:
    """Every rule's options for one scene: {rule: {option: value}}.

    `row` is the scene's line of the sheet; its columns named `rule.option` override everything. What stands
    at the top for all rules is among the options of those that use it.
    Raises UserError on an unknown key, on a value out of bounds, and on options that contradict each other.
    """
    where = where_of(row)
    schema = load_schema(root, "config")
    names = sections(schema)
    common = scene_top(settings, row, root)
    presets = read_yaml(root / "config" / "presets.yaml")
    given = parse_scalars({key: config[key] for key in names if config.get(key)}, schema, "config")
    overrides: Settings = {}
    for column, text in row.items():
        section, dot, option = column.partition(".")
        if dot and text != "":
            overrides.setdefault(section, {})[option] = text
    merged = merge(presets[common["preset"]], given, parse_scalars(overrides, schema, where))
    check(merged, schema, where)
    filled = whole_numbers(fill_defaults(merged, schema), schema)
    filled["publish_web"]["to"] = expanded("publish_web.to", filled["publish_web"]["to"])
    options = {name: filled[name] | _shared(schema, name, common) for name in names}
    check_options(options, where)
    return options


def _shared(schema: Mapping[str, Any], rule: str, common: Mapping[str, Any]) -> Settings:
    """Of what stands at the top, the options that a rule's program reads."""
    return {key: common[key] for key in schema["properties"][rule].get("x-shared", ())}


def scene_top(settings: Mapping[str, Any], row: Mapping[str, str], root: Path) -> Settings:
    """What stands at the top of the configuration and may differ by scene: preset, device and seed.

    The sheet's column wins. Raises UserError on a value that is not allowed.
    """
    schema = load_schema(root, "config")
    parts = {key: part for key, part in schema["properties"].items() if part.get("x-per-scene")}
    own = {key: row[key] for key in parts if row.get(key)}
    part = {"type": "object", "properties": parts}
    values = parse_scalars(own, part, where_of(row))
    check(values, part, where_of(row))
    given = {key: settings.get(key, part["default"]) for key, part in parts.items()}
    return whole_numbers(given | values, part)
