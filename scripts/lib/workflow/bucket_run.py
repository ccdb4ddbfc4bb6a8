"""A run whose results go to a bucket: its records are brought here, and its cost is told before it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.lib.workflow.cost import PRICES, forecast, read_prices
from scripts.lib.workflow.records import RunRecords


def open_records(
    run: str, scenes: Mapping[str, Mapping[str, str]], tell: Callable[[str], None]
) -> tuple[RunRecords, dict[str, int]]:
    """The records of the run at `run`, s3://BUCKET/PREFIX, up to date; and {scene: photos, 0 for unknown}.

    With the records, a fresh clone sees what has changed since the run began. `tell` hears what the run will
    cost. Raises UserError when S3 refuses.
    """
    records = RunRecords(run, Path(".snakemake"))
    records.fetch()
    photos = {name: records.photos_of(row["source"]) for name, row in scenes.items()}
    tell(forecast(read_prices(PRICES), photos))
    return records, photos
