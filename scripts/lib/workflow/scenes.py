"""The scenes to build: the sheet's rows, checked against the schemas."""

from __future__ import annotations

from pathlib import Path

from scripts.lib.core.console import UserError
from scripts.lib.core.local_paths import expanded
from scripts.lib.core.source_files import RUN_FOLDERS
from scripts.lib.workflow.old_keys import advice
from scripts.lib.workflow.settings import check, load_schema, sections, suggestion
from scripts.lib.workflow.sheet import Row, read_rows

DEFAULT_SHEET = "config/scenes.tsv"


def load_scenes(sheet: Path, root: Path) -> dict[str, dict[str, str]]:
    """The scenes sheet: {scene: row}; `~` in front of a source is the home folder.

    The checkout's sheet, with paths from there, stands in when the working folder lacks the default one.
    Raises UserError on a missing file or column, a bad or repeated name, or no scene at all.
    """
    base = Path()
    if sheet == Path(DEFAULT_SHEET) and not sheet.exists():
        sheet, base = root / sheet, root
    columns, rows = read_rows(sheet)
    _check_columns(sheet, columns, root)
    schema = load_schema(root, "scenes")
    scenes: dict[str, dict[str, str]] = {}
    lines: dict[str, int] = {}
    for number, cells in rows:
        where = f"{sheet}, line {number}"
        check({key: cell for key, cell in cells.items() if cell}, schema, where)
        name = cells["scene"]
        if name in RUN_FOLDERS:
            raise UserError(
                f"{where}: no scene can be called {name!r}, because results has a folder of that name;"
                " choose another"
            )
        if name in scenes:
            raise UserError(
                f"{sheet}: scene {name!r} appears twice, in lines {lines[name]} and {number};"
                " names must differ"
            )
        if set("{}") & set(cells["source"]):
            raise UserError(
                f"{where}: source is {cells['source']!r}, but Snakemake reads braces as wildcards; "
                "rename the folder or file, or use a link to it"
            )
        cells["source"] = expanded(f"{where}: source", cells["source"])
        if base != Path() and "://" not in cells["source"]:
            cells["source"] = str(base / cells["source"])
        scenes[name], lines[name] = Row(cells, where), number
    if not scenes:
        raise UserError(f"{sheet} contains no scene; add a line with a name and a folder of photos")
    return scenes


def _check_columns(sheet: Path, columns: list[str], root: Path) -> None:
    """Raise UserError when a needed column is missing, or one is nothing that a scene has."""
    scenes, config = load_schema(root, "scenes"), load_schema(root, "config")
    for needed in scenes["required"]:
        if needed not in columns:
            raise UserError(
                f"{sheet}: there is no column {needed!r} in the first line; columns are separated"
                " by tabs and two are needed: scene and source"
            )
    options = [
        f"{rule}.{key}"
        for rule in sections(config)
        for key in config["properties"][rule]["properties"]
    ]
    known = [*scenes["properties"], *options]
    for column in filter(None, columns):
        if column not in known and (old := advice(column)):
            raise UserError(f"{sheet}: {old}")
        if column not in known:
            # An option without its rule, as people write it who know only one.
            whole = [option for option in options if option.endswith(f".{column}")]
            rule = column.partition(".")[0]
            of_rule = [option for option in options if option.startswith(f"{rule}.")]
            hint = f"did you mean {whole[0]!r}?" if whole else suggestion(column, of_rule or known)
            raise UserError(f"{sheet}: unknown key {column!r} in the first line; {hint}")
