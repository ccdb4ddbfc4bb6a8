"""Records of a run travel between machines by the bucket, the newer winning, other runs' left alone."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.contracts.cost import LedgerEntry
from scripts.lib.contracts.record import from_json
from scripts.lib.core.console import UserError
from scripts.lib.workflow import records as records_module
from scripts.lib.workflow.background import Background
from scripts.lib.workflow.records import RunRecords, newest, packed, read_ledger, record_key

RUN = "s3://bkt/runs/one"
JOB = "01234567-89ab-cdef-0123-456789abcdef"


ENTRY = {
    "run": RUN,
    "rule": "train_splat",
    "scene": "yard",
    "job": "j1",
    "queue": "s-gpu-spot",
    "status": "SUCCEEDED",
    "instance_type": "g6.xlarge",
    "attempts": 1,
    "seconds": 5.0,
    "vcpus": 4,
    "memory_mib": 13352,
    "gpus": 1,
}


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
    (here / "ledger" / f"{JOB}.json").write_text(json.dumps(ENTRY))
    (here / "ledger" / "j2.json").write_text(json.dumps({"run": "s3://bkt/runs/two"}))
    progress = tmp_path / "progress.json"
    progress.write_text("{}")
    RunRecords(RUN, here).store(progress)
    second = RunRecords(RUN, there)
    assert second.fetch() == 2
    copied = there / path.relative_to(here)
    assert copied.read_bytes() == path.read_bytes()
    assert read_ledger(there, RUN) == [from_json(LedgerEntry, ENTRY)]
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
    assert stream.getvalue().count("The records of the run were not saved") == 1


def put_archive(s3: Any, *members: tuple[str | zipfile.ZipInfo, bytes]) -> None:
    """records.zip as somebody else may have put it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    s3.put_object(Bucket="bkt", Key="runs/one/records.zip", Body=buffer.getvalue())


def encoded(path: str) -> str:
    return base64.urlsafe_b64encode(path.encode()).decode()


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "metadata/../../evil.txt",
        "metadata/x/../../../evil.txt",
        "/tmp/evil.txt",
        "//tmp/evil.txt",
        "C:evil.txt",
        "metadata/C:/evil.txt",
        "metadata\\..\\..\\evil.txt",
        "metadata/..",
        "metadata/",
        "metadata/" + encoded("s3://bkt/runs/two/splat.ply"),
        "metadata/" + encoded(f"{RUN}/a") + "/../../../evil.txt",
        "metadata/@../" + encoded(f"{RUN}/a"),
        "ledger/evil.json",
        f"ledger/../{JOB}.json",
        f"ledger/{JOB}.json/evil",
        "ledger/" + JOB + ".json\n",
        "scripts/evil.py",
        "conda/evil.sh",
        link("metadata/" + encoded(f"{RUN}/a")),
        link(f"ledger/{JOB}.json"),
    ],
)
def test_nothing_but_records_is_unpacked(
    s3: Any, tmp_path: Path, name: str | zipfile.ZipInfo
) -> None:
    """Every job of the bucket may write this file; the machine that reads it may do much more."""
    put_archive(s3, (name, b"{}"), ("metadata/" + encoded(f"{RUN}/good"), b'{"endtime": 1}'))
    stream = io.StringIO()
    folder = tmp_path / "checkout" / ".snakemake"
    records = RunRecords(RUN, folder, stream)
    assert records.fetch() == 1
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == [folder / "metadata" / encoded(f"{RUN}/good")]
    assert not Path("/tmp/evil.txt").exists()
    told = stream.getvalue()
    assert len(told.splitlines()) == 1 and "1 file(s) that are not records of this run" in told
    record(folder, "more", 2.0)
    records.store()  # what is stored next is clean again
    assert RunRecords(RUN, tmp_path / "other", stream).fetch() == 2
    assert stream.getvalue() == told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"no zip at all", "it is damaged"),
        (lambda data: data[:60] + b"?" + data[61:], "it is damaged"),
        (lambda data: data[: len(data) // 2], "it is damaged"),
    ],
)
def test_a_damaged_archive_is_a_sentence(
    s3: Any, tmp_path: Path, change: Callable[[bytes], bytes], words: str
) -> None:
    data = change(packed({"metadata/" + encoded(f"{RUN}/a"): b"0123456789" * 20}))
    s3.put_object(Bucket="bkt", Key="runs/one/records.zip", Body=data)
    with pytest.raises(UserError, match=rf"runs/one/records\.zip: {words}.*; delete it"):
        RunRecords(RUN, tmp_path).fetch()


def test_what_is_too_large_is_not_read(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "MOST_BYTES", 10_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata/" + encoded(f"{RUN}/a"), bytes(20_000))
    s3.put_object(Bucket="bkt", Key="runs/one/records.zip", Body=buffer.getvalue())
    with pytest.raises(UserError, match="unpacks to more than"):
        RunRecords(RUN, tmp_path).fetch()
    s3.put_object(Bucket="bkt", Key="runs/one/records.zip", Body=bytes(20_000))
    with pytest.raises(UserError, match="has 20000 bytes, at most 10000 are read"):
        RunRecords(RUN, tmp_path).fetch()
    assert not list(tmp_path.iterdir())


def test_submitters_that_store_at_the_same_moment_lose_nothing(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one writes between every look and put of the first, twice."""
    here, there = tmp_path / "here", tmp_path / "there"
    first, second = RunRecords(RUN, here), RunRecords(RUN, there)
    record(here, "a", 1.0)
    put, ends = first.place.write_after, iter([10.0, 20.0])

    def interrupted(*arguments: Any) -> str | None:
        if end := next(ends, None):
            record(there, f"b{end}", end)
            second.store()
        return put(*arguments)

    monkeypatch.setattr(first.place, "write_after", interrupted)
    first.store()
    assert RunRecords(RUN, tmp_path / "third").fetch() == 3


def test_who_never_gets_a_turn_says_so(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    records = RunRecords(RUN, tmp_path, stream)
    record(tmp_path, "a", 1.0)
    monkeypatch.setattr(records.place, "write_after", lambda *_: None)
    records.store()
    assert "were not saved: others changed" in stream.getvalue()


def test_storing_reads_what_has_changed_only(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every record again after every job, on this machine or in the bucket."""
    records = RunRecords(RUN, tmp_path)
    for number in range(5):
        record(tmp_path, f"file{number}", 1.0)
    records.store()
    opened = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (opened.append(path), read_bytes(path))[1])
    monkeypatch.setattr(records.place, "read", None)  # must not be called
    changed = record(tmp_path, "new", 2.0)
    records.store()
    assert opened == [changed]
    monkeypatch.setattr(records.place, "write_after", None)
    records.store()  # nothing is new


def test_half_a_file_of_the_ledger_costs_only_itself(tmp_path: Path) -> None:
    """As a machine leaves it that lost its power."""
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / f"{JOB}.json").write_text(json.dumps(ENTRY))
    for number, text in enumerate(("", '{"run": "s3', "[1]", "\0\0\0")):
        (tmp_path / "ledger" / f"{number}.json").write_text(text)
    assert read_ledger(tmp_path, RUN) == [from_json(LedgerEntry, ENTRY)]


def test_background_does_not_wait_and_takes_the_latest() -> None:
    began, may_end, seen = threading.Event(), threading.Event(), []

    def work(path: Path) -> None:
        began.set()
        assert may_end.wait(60)
        seen.append(path.name)

    later = Background(work, rest=0.0)
    later(Path("1"))
    assert began.wait(60)
    for name in ("2", "3", "4"):
        later(Path(name))  # returns although the work on 1 goes on
    assert seen == []
    may_end.set()
    assert later.close()
    assert seen == ["1", "4"]
    assert later.close(), "nothing to do is done"
    later(Path("5"))
    assert later.close() and seen == ["1", "4", "5"]


def test_background_that_hangs_does_not_hold_the_program() -> None:
    never = threading.Event()
    later = Background(lambda _: never.wait(60), rest=0.0)
    later(Path("1"))
    assert not later.close(most=0.01)
    never.set()


def test_a_note_of_another_executor_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / f"{JOB}.json").write_text(json.dumps({"run": RUN, "seconds": 5}))
    with pytest.raises(UserError, match=rf"{JOB}\.json: 'rule' is missing; another version"):
        read_ledger(tmp_path, RUN)
