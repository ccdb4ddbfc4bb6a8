"""Write config/README.md from the JSON schemas: `python -m scripts.tools.config_manual`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.core.checkout import ROOT
from scripts.lib.core.files import write_bytes
from scripts.lib.workflow.settings import allowed_values, load_schema, read_yaml, sections

HEAD = """\
# Configuration

*Generated from `config/schemas/` by `python -m scripts.tools.config_manual`: edit the schemas instead.*

Choices live in YAML (`config/config.yaml`, or any file given with `--configfile`, or `--config key=value`);
the things to build live in a sheet (`config/scenes.tsv`, or `--config scenes=my.tsv`). Later wins: the
defaults below, then the preset, then the YAML, then the sheet's row. An unknown key, a value out of
bounds, options that contradict each other, and a source that is not there stop the run before its first job.
"""


def _table(properties: Mapping[str, Any]) -> list[str]:
    rows = ["| key | default | allowed | meaning |", "|---|---|---|---|"]
    for key, part in properties.items():
        default = part.get("default", "")
        shown = f"`{default!r}`" if isinstance(default, str) else f"`{default}`"
        text = " ".join(part["description"].split())
        rows.append(f"| `{key}` | {shown} | {allowed_values(part)} | {text} |")
    return rows


def manual(root: Path) -> str:
    """The text of config/README.md."""
    schema = load_schema(root, "config")
    properties = schema["properties"]
    names = sections(schema)
    lines = [HEAD, "## Workflow", ""]
    lines += _table({key: part for key, part in properties.items() if key not in names})
    scenes = load_schema(root, "scenes")
    lines += ["", "## The scenes sheet", "", f"{scenes['description']} Columns:", ""]
    columns = scenes["properties"] | {
        "<rule>.<option>": next(iter(scenes["patternProperties"].values()))
    }
    lines += [
        f"- `{key}`{' (required)' if key in scenes['required'] else ''}: {part['description']}"
        for key, part in columns.items()
    ]
    lines += ["", "## Presets", "", "What each preset sets (`config/presets.yaml`):", "", "```yaml"]
    presets = read_yaml(root / "config" / "presets.yaml")
    lines += [yaml.safe_dump(presets, sort_keys=False).strip(), "```"]
    for name in names:
        part = properties[name]
        lines += ["", f"## {name}", "", " ".join(part["description"].split()), ""]
        options = part["properties"]
        lines += _table(options) if options else ["No options."]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Write the manual beside the schemas."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    write_bytes(ROOT / "config" / "README.md", manual(ROOT).encode())


if __name__ == "__main__":
    main()
