"""The configuration: presets, config.yaml, the scenes sheet, all checked against the JSON schemas.

Later wins: schema defaults, then the preset, then config.yaml and --config, then the sheet's row.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, relevance

from scripts.lib.console import UserError

Settings = dict[str, Any]


def read_yaml(path: Path) -> Any:
    """Read a YAML file. Raises UserError when it is missing or not YAML."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        detail = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML ({detail}); mend that line") from None


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


def allowed_values(part: Mapping[str, Any]) -> str:
    """What a schema allows, in words: `auto or integer, at least 1`."""
    if "anyOf" in part:
        return " or ".join(allowed_values(choice) for choice in part["anyOf"])
    if "const" in part:
        return str(part["const"])
    if "enum" in part:
        return ", ".join(map(str, part["enum"]))
    words = [part["type"]]
    words += [f"at least {part['minimum']}"] if "minimum" in part else []
    words += [f"above {part['exclusiveMinimum']}"] if "exclusiveMinimum" in part else []
    words += [f"at most {part['maximum']}"] if "maximum" in part else []
    return ", ".join(words)


def parse_scalars(values: Mapping[str, Any], schema: Mapping[str, Any]) -> Settings:
    """`values` with numbers and booleans that arrived as text made what the schema asks for.

    `--config 'train_splat={steps: -5}'` hands over the text "-5".
    """
    parsed: Settings = {}
    for key, value in values.items():
        part = schema.get("properties", {}).get(key, {})
        if isinstance(value, Mapping):
            parsed[key] = parse_scalars(value, part)
        elif isinstance(value, str) and part.get("type") != "string":
            parsed[key] = yaml.safe_load(value)
        else:
            parsed[key] = value
    return parsed


def _suggestion(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(names)}"


def _sentence(error: ValidationError, where: str) -> str:
    """One sentence for a schema violation: which key, what is wrong, what is allowed."""
    schema: Any = error.schema
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = schema.get("properties", {})
        instance: Any = error.instance
        word = next(key for key in instance if key not in known)
        full = f"{path}.{word}" if path else str(word)
        if path and word == "device":
            return (
                f"{where}: {full!r} is now one key for all rules; write 'device: {instance[word]}' at the"
                " top of the configuration, or give the sheet a column device"
            )
        return f"{where}: unknown key {full!r}; {_suggestion(str(word), known)}"
    what = f"{path!r} is {error.instance!r}" if path else "the file"
    allowed = {
        "anyOf": f"allowed: {allowed_values(schema)}",
        "enum": f"allowed: {', '.join(map(str, schema.get('enum', [])))}",
        "minimum": f"the least is {schema.get('minimum')}",
        "maximum": f"the most is {schema.get('maximum')}",
        "exclusiveMinimum": f"it must be above {schema.get('exclusiveMinimum')}",
        "type": f"it must be of type {schema.get('type')}",
        "pattern": str(schema.get("description", "it does not match the pattern")),
    }.get(str(error.validator), error.message)
    return f"{where}: {what}; {allowed}"


def check(values: Any, schema: Mapping[str, Any], where: str) -> None:
    """Raise UserError with one sentence when `values` break the schema."""
    validator = Draft202012Validator(dict(schema))
    # Not `best_match`, which goes down into one branch of an anyOf and forgets the others.
    error = max(validator.iter_errors(values), key=relevance, default=None)
    if error is not None:
        raise UserError(_sentence(error, where))


def workflow_settings(config: Mapping[str, Any], root: Path) -> Settings:
    """The checked configuration without any preset or scene: `scenes`, `results`, `preset`.

    Raises UserError on an unknown key or a value out of bounds.
    """
    schema = load_schema(root, "config")
    values = parse_scalars({k: v for k, v in config.items() if v is not None}, schema)
    check(values, schema, "config")
    return fill_defaults(values, schema)


def scene_settings(
    settings: Mapping[str, Any], config: Mapping[str, Any], row: Mapping[str, str], root: Path
) -> dict[str, Settings]:
    """Every rule's options for one scene: {rule: {option: value}}.

    `row` is the scene's line of the sheet; its columns named `rule.option` override everything.
    Raises UserError on an unknown key or a value out of bounds.
    """
    schema = load_schema(root, "config")
    names = sections(schema)
    presets = read_yaml(root / "config" / "presets.yaml")
    preset = row.get("preset") or settings["preset"]
    if preset not in presets:
        raise UserError(
            f"scene {row['scene']!r}: preset {preset!r} is unknown; allowed: {', '.join(presets)}"
        )
    given = parse_scalars({key: config[key] for key in names if config.get(key)}, schema)
    overrides: Settings = {}
    for column, text in row.items():
        section, dot, option = column.partition(".")
        if dot and text != "":
            overrides.setdefault(section, {})[option] = text
    merged = merge(presets[preset] or {}, given, parse_scalars(overrides, schema))
    check(merged, schema, f"scene {row['scene']!r}")
    filled = fill_defaults(merged, schema)
    return {name: filled[name] for name in names}


def scene_device(settings: Mapping[str, Any], row: Mapping[str, str], root: Path) -> str:
    """Where one scene is trained and rendered: the sheet's column `device`, else the configuration's key.

    Raises UserError on an unknown name.
    """
    device = row.get("device") or settings["device"]
    part = load_schema(root, "config")["properties"]["device"]
    where = f"scene {row['scene']!r}"
    check({"device": device}, {"type": "object", "properties": {"device": part}}, where)
    return str(device)


def load_scenes(sheet: Path, root: Path) -> dict[str, dict[str, str]]:
    """The scenes sheet: {scene: row}. Tab-separated, `#` starts a comment line.

    Raises UserError on a missing file or column, a bad or repeated name, or no scene at all.
    """
    try:
        lines = sheet.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(
            f"the scenes sheet {sheet} does not exist; make one with the columns scene and source,"
            " or pass --config scenes=FILE"
        ) from None
    except (IsADirectoryError, UnicodeDecodeError):
        raise UserError(f"the scenes sheet {sheet} is not a tab-separated text file") from None
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    schema = load_schema(root, "scenes")
    reader = csv.DictReader(lines, delimiter="\t")
    columns = reader.fieldnames or []
    for needed in schema["required"]:
        if needed not in columns:
            raise UserError(
                f"{sheet}: there is no column {needed!r} in the first line; columns are separated"
                " by tabs and two are needed: scene and source"
            )
    scenes: dict[str, dict[str, str]] = {}
    for number, raw in enumerate(reader, start=2):
        row = {key: (value or "").strip() for key, value in raw.items() if key is not None}
        if None in raw:
            raise UserError(f"{sheet}: line {number} has more cells than there are columns")
        check({k: v for k, v in row.items() if v}, schema, f"{sheet}, line {number}")
        if row["scene"] in scenes:
            raise UserError(f"{sheet}: scene {row['scene']!r} stands twice; names must differ")
        scenes[row["scene"]] = row
    if not scenes:
        raise UserError(f"{sheet} names no scene; add a line with a name and a folder of photos")
    return scenes
