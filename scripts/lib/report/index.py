"""All scenes of a run side by side: a table for spreadsheets and a page for people."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.lib.core.console import duration
from scripts.lib.report import charts, summary, verdicts
from scripts.lib.report.html import render
from scripts.lib.report.summary import Summary
from scripts.lib.report.values import dollars


@dataclass(frozen=True)
class Row:
    """A scene of the index: its record, where its folder is from the index, and its thumbnail."""

    record: Summary
    folder: str  # relative to the index's own folder
    thumbnail: str  # data URI, or empty
    rate: tuple[tuple[str, float, float], ...] = ()  # other settings: (name, MB, dB)


def summary_table(records: Sequence[Summary]) -> str:
    """Tab-separated text, one line per scene; an empty cell is a number that was not measured."""
    columns = [field.name for field in dataclasses.fields(Summary)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    for record in records:
        writer.writerow([_cell(getattr(record, column)) for column in columns])
    return buffer.getvalue()


def _cell(value: Any) -> str:
    """A cell of the table: no tabs or line breaks, at most four decimals, booleans as 0 and 1."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return " ".join(str(value).split())


def build_index(rows: Sequence[Row]) -> str:
    """The index of all scenes as one self-contained HTML document."""
    records = [row.record for row in rows]
    good = sum(record.verdict == verdicts.Level.GOOD for record in records)
    return render(
        "index.html.j2",
        rows=[_shown(row) for row in rows],
        good=good,
        charts=_charts(rows),
        priced=any(record.cost_usd is not None for record in records),
    )


@dataclass(frozen=True)
class Shown:
    """A row of the page, in words where the page shows words."""

    record: Summary
    folder: str
    thumbnail: str
    verdict: verdicts.Verdict
    time: str | None
    whole_time: bool  # from photos to page, else of training
    cost: str


def _shown(row: Row) -> Shown:
    record = row.record
    seconds = record.total_seconds or record.train_seconds
    return Shown(
        record=record,
        folder=row.folder,
        thumbnail=row.thumbnail,
        verdict=summary.judge(record),
        time=None if seconds is None else duration(seconds),
        whole_time=record.total_seconds is not None,
        cost=dollars(record.cost_usd),
    )


def _charts(rows: Sequence[Row]) -> list[Any]:
    """Quality against size, time and cost over all scenes; settings of a scene as trails."""
    measured = [row for row in rows if row.record.quality is not None]
    drawn = []

    def points(value: Callable[[Summary], float | None]) -> list[tuple[str, float, float]]:
        return [
            (row.record.scene, found, float(row.record.quality or 0))
            for row in measured
            if (found := value(row.record))
        ]

    sizes = points(lambda record: (record.sog_bytes or 0) / 1e6)
    if len(sizes) > 1:
        trails = [[(size, psnr) for _, size, psnr in row.rate] for row in measured if row.rate]
        drawn.append(charts.pareto("sizes", "size of the page's splat, MB", sizes, trails))
    times = points(lambda record: (record.total_seconds or record.train_seconds or 0) / 60)
    if len(times) > 1:
        drawn.append(charts.pareto("times", "time, minutes", times))
    costs = points(lambda record: record.cost_usd)
    if len(costs) > 1:
        drawn.append(charts.pareto("costs", "cost, dollars", costs))
    return drawn
