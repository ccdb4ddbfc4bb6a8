"""Records of a run travel between machines by the bucket, the newer winning, other runs' left alone."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from scripts.lib.records import RunRecords, newest, read_ledger, record_key

RUN = "s3://bkt/runs/one"


def record(folder: Path, name: str, endtime: float, run: str = RUN) -> Path:
    """A record as Snakemake leaves it: names longer than 254 letters are cut into folders."""
    text = base64.urlsafe_b64encode(f"{run}/{name}".encode()).decode()
    parts = [text[start : start + 254] for start in range(0, len(text), 254)]
    path = folder.joinpath("metadata", *(f"@{part}" for part in parts[:-1]), parts[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"endtime": endtime, "params": [name]}))
    return path


def test_the_file_of_a_record() -> None:
    assert record_key(base64.urlsafe_b64encode(b"s3://bkt/x/y").decode()) == "s3://bkt/x/y"
    assert record_key("not base64!") == ""


def test_long_names_are_put_together_again(tmp_path: Path) -> None:
    name = "n" * 600
    path = record(tmp_path, name, 1.0)
    assert record_key(path.relative_to(tmp_path / "metadata").as_posix()) == f"{RUN}/{name}"


def test_the_later_record_wins() -> None:
    old, new = b'{"endtime": 1}', b'{"endtime": 2}'
    assert newest({"a": new}, {"a": old}) == newest({"a": old}, {"a": new}) == {"a": new}


def test_a_second_machine_gets_what_the_first_noted(s3: Any, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    path = record(here, "splat.ply", 10.0)
    record(here, "other.ply", 10.0, run="s3://bkt/runs/two")
    (here / "ledger").mkdir()
    (here / "ledger" / "j1.json").write_text(json.dumps({"run": RUN, "seconds": 5}))
    (here / "ledger" / "j2.json").write_text(json.dumps({"run": "s3://bkt/runs/two"}))
    progress = tmp_path / "progress.json"
    progress.write_text("{}")
    RunRecords(RUN, here).store(progress)
    second = RunRecords(RUN, there)
    assert second.fetch() == 2
    copied = there / path.relative_to(here)
    assert copied.read_bytes() == path.read_bytes()
    assert read_ledger(there, RUN) == [{"run": RUN, "seconds": 5}]
    assert second.fetch() == 0
    assert s3.get_object(Bucket="bkt", Key="runs/one/progress.json")["Body"].read() == b"{}"
    # The second goes on; the first, older, neither loses its own nor overwrites the newer.
    record(there, "splat.ply", 20.0)
    second.store()
    record(here, "page.html", 15.0)
    first = RunRecords(RUN, here)
    first.store()
    assert first.fetch() == 1
    assert json.loads(path.read_text())["endtime"] == 20.0


def test_a_bucket_that_refuses_is_told_once(s3: Any, tmp_path: Path) -> None:
    stream = io.StringIO()
    record(tmp_path, "a", 1.0, run="s3://nowhere/run")
    records = RunRecords("s3://nowhere/run", tmp_path, stream)
    records.store()
    records.store()
    assert stream.getvalue().count("The run's records were not kept") == 1
