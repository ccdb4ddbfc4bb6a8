"""From stage files to the report's HTML: gathers what the template shows, decides nothing about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scripts.lib.core.console import duration
from scripts.lib.report import (
    advice,
    cameras,
    capture,
    charts,
    compared,
    delivered,
    making,
    photos_used,
    stages,
    summary,
    training,
    values,
    verdicts,
    views,
)
from scripts.lib.report.cleaning import cleaning
from scripts.lib.report.film import MaskFilm
from scripts.lib.report.formats import read_formats, read_rate
from scripts.lib.report.html import render
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.measures import measures
from scripts.lib.report.photographed import photographed
from scripts.lib.report.summary import Summary
from scripts.lib.report.values import DASH, decimals

FILES = {  # in the scene's folder, besides those in the formats table
    "web/index.html": "the web page (with its folder: any static host serves it)",
    "splat.html": "the web page in one file, which opens with a double click",
    "site.zip": "the web page to unpack on a web host; its file names let caches keep the files for ever",
    "splat.ply": "the scene as it was trained, before cleaning",
    "tour.mp4": "the guided tour as a film",
    "left_out.zip": "what training left out of the photos, as masks",
    "undistorted.zip": "photos and camera positions, for other trainers",
    "photos.zip": "the photos that were used",
    "renders.zip": "test views in full size",
    "poster.jpg": "the poster",
    "photos.json": "every photo, kept or not, and why",
    "sfm.json": "camera positions: numbers",
    "georef.json": "position and scale on the Earth",
    "train.json": "training: numbers",
    "eval.json": "test views: numbers",
    "clean.json": "cleaning: what was removed and why",
    "compress.json": "compressed files: what was tried",
    "features.json": "features found in each photo",
    "pairs.json": "photo pairs: numbers",
    "undistort.json": "undistorting photos: settings",
    "tour.json": "the film: settings",
    "codecs.json": "compressed files: numbers",
    "view.json": "start view, tour, limits and map of the page",
    "web/manifest.json": "versions, options and checksums",
}
COMPARED = {
    "compare.html": "before and after in one file, which opens with a double click",
    "registration.json": "bringing the two captures together: numbers",
    "changes.json": "what changed: numbers",
    "changes.zip": "what changed: pictures",
}


@dataclass(frozen=True)
class Pictures:
    """Data URIs: the poster, and per test view the kinds `photo`, `render`, `error`."""

    poster: str
    views: dict[str, dict[str, str]]
    contact: str = ""  # thumbnails of every photo, kept and dropped
    stops: str = ""  # the tour's views side by side
    left_out: MaskFilm | None = None  # parts of photos that training left out
    changed: Mapping[str, str] = field(default_factory=dict)  # of changes.zip, by name


def build_report(files: StageFiles, pictures: Pictures) -> str:
    """The report of one scene as one self-contained HTML document."""
    record = summary.summarise(files)
    shown = capture.shown_names(files)
    photo_facts = photographed(files, record, shown)
    moved, corrected = cameras.motions(files.sfm)
    advices = [
        *(advice.renamed(one.sentence, shown) for one in files.sfm.suspicious or ()),
        *advice.advise(photo_facts),
        *advice.further_groups(files.sfm.further, files.scene),
        *([moved] if moved and not corrected else []),
        *(files.georef.notes if files.georef else ()),
    ]
    formats = read_formats(files.codecs)
    return render(
        "report.html.j2",
        scene=files.scene,
        title=(files.manifest.title if files.manifest else "") or files.scene,
        unseen=record.held_out is not False,
        used=photos_used.sentence(files),
        judged_apart=photos_used.one_set(files) is False,
        headline=summary.headline(record),
        level=record.verdict,
        summary=record,
        poster=pictures.poster,
        taken=_taken(files),
        tiles=_tiles(record),
        advice=advices,
        flown=photo_facts.flown,
        measures=measures(record, files),
        photos=capture.photos(files, shown),
        moved=moved if corrected else "",
        plan=capture.plan(files),
        contact=pictures.contact,
        stops=pictures.stops,
        cleaning=cleaning(files),
        views=views.rows(files, pictures.views, shown),
        view_chart=views.chart(files),
        bands=views.bands(files),
        unequal=views.unequal(files),
        metres=bool(files.georef and files.georef.metric),
        curve=training.curve(files),
        training=training.facts(files, record),
        left_out=pictures.left_out,
        left_out_of=[shown.get(name, name) for name in pictures.left_out.names]
        if pictures.left_out
        else [],
        formats=[(item, verdicts.format_loss(item.loss_db)) for item in formats],
        rate_chart=_rate_chart(files, formats),
        stages=stages.rows(files),
        cost=stages.cost(files),
        time_chart=stages.chart(files),
        total=None if record.total_seconds is None else duration(record.total_seconds),
        facts=making.facts(files, record),
        options=making.options(files),
        delivered=delivered.shown(files.deliver),
        compared=compared.shown(files, pictures.changed),
        links=[*FILES.items(), *(COMPARED.items() if files.changes else ())],
    )


def _taken(files: StageFiles) -> str:
    """When and with which cameras, as one line; empty when the photos do not say."""
    kept = files.photos.used if files.photos else []
    cameras = sorted({photo.camera for photo in kept if photo.camera})
    days = []
    for photo in kept:
        try:
            days.append(datetime.fromisoformat(photo.time or "").date())
        except ValueError:
            continue
    parts = []
    if days:
        first, last = (f"{day.day} {day:%B %Y}" for day in (min(days), max(days)))
        parts.append(first if first == last else f"{first} to {last}")
    if cameras:
        parts.append(advice.listed(cameras))
    return ", ".join(parts)


def _tiles(record: Summary) -> list[tuple[str, str]]:
    """The four figures at the top: (value, what it is)."""
    registered = DASH
    if record.registered is not None:
        registered = f"{record.registered}" + (f" of {record.kept}" if record.kept else "")
    spent = record.total_seconds or record.train_seconds
    said = "from photos to page" if record.total_seconds else "training"
    return [
        (registered, f"{summary.noun(record.panoramas, record.kept or 0)} registered"),
        (decimals(record.psnr, 1, "dB"), "quality of new views (PSNR)"),
        (values.size(record.sog_bytes), "to load on the page"),
        (DASH if spent is None else duration(spent), said),
    ]


def _rate_chart(files: StageFiles, formats: Sequence[Any]) -> Any:
    points = [(f.name, f.bytes / 1e6, f.psnr) for f in formats if f.bytes and f.psnr is not None]
    return charts.rate_curve(read_rate(files.codecs), points) if len(points) > 1 else ""
