"""What can be told of a source before the first job, without reading a photo."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.lib.core.console import UserError
from scripts.lib.photos.positions import find_position_files
from scripts.lib.photos.source import list_source
from scripts.lib.workflow.sheet import where_of


def check_sources(
    scenes: Mapping[str, Mapping[str, str]],
    options: Mapping[str, Mapping[str, Mapping[str, Any]]],
    results: Path,
) -> None:
    """Raise UserError for the first scene that is still to be imported, from a source of no use.

    A scene whose photos are in `results` already may have its source on a disk that is not there today.
    """
    for name, row in scenes.items():
        own = results / name
        if "://" not in row["source"] and not (own / "photos.zip").exists():
            check_source(row["source"], options[name]["import_photos"], where_of(row), own)


def check_source(source: str, options: Mapping[str, Any], where: str, results: Path) -> None:
    """Raise UserError when a local source is not there or of no use, or lacks the positions asked for.

    `options` are those of import_photos; `results` is the scene's own folder, in which no photos should lie.
    """
    try:
        names = [file.name for file in list_source(source, tell=lambda _: None)]
        find_position_files(names, options["positions"])
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if Path(source).resolve() == results.resolve():
        raise UserError(
            f"{where}: {source} is also where this scene's results would go; choose another results or scene"
        )
