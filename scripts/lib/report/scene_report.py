"""One scene's report, written from the files of its stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scripts.lib.core.files import reading_zip, write_bytes
from scripts.lib.core.options import Options, option
from scripts.lib.report.compared import change_uris
from scripts.lib.report.film import mask_film
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.page import Pictures, build_report
from scripts.lib.report.pictures import file_uri, view_uris
from scripts.lib.report.views import worst_first

CONTACT_SIDE = 1600  # pixels of the contact sheet's longer side


@dataclass(frozen=True)
class ReportOptions(Options):
    """The report of one scene."""

    max_views: int = option(
        12,
        "Test views shown as pictures, the worst first; the rest are listed in a table.",
        0,
        10_000,
    )
    picture_side: int = option(
        640,
        "Longer side of each picture; three of them are shown side by side.",
        64,
        4096,
        unit="pixels",
    )


def report_scene(
    files: StageFiles,
    renders: Path,
    poster: Path,
    options: ReportOptions,
    output: Path,
    contact: Path | None = None,
    stops: Path | None = None,
    left_out: Path | None = None,
    changed: Path | None = None,
) -> None:
    """Write the report of one scene to `output`; `contact` is the contact sheet of all photos, `stops` the
    strip of the tour's views, `left_out` the masks of what training left out, `changed` changes.zip, where
    there are any.

    Raises UserError on a missing or damaged input.
    """
    with reading_zip(renders) as archive:
        shown = [view.name for view in worst_first(files)[: options.max_views]]
        views = {name: view_uris(archive, name, options.picture_side) for name in shown}
    sheet = file_uri(contact, CONTACT_SIDE) if contact else ""
    strip = file_uri(stops, CONTACT_SIDE) if stops else ""
    film = mask_film(left_out) if left_out else None
    differing: dict[str, str] = {}
    if changed and files.changes:
        with reading_zip(changed) as archive:
            differing = change_uris(archive, files.changes, options.picture_side)
    large = file_uri(poster, 2 * options.picture_side)
    pictures = Pictures(large, views, sheet, strip, film, differing)
    write_bytes(output, build_report(files, pictures).encode())
