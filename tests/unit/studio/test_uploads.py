"""Uploads in parts: they go on where they stopped, are confined to their folder, and do not fill the disk."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from scripts.lib.cloud import multipart
from scripts.lib.studio import home
from scripts.lib.studio.store import Store
from scripts.lib.studio.uploads import forget_unused
from tests.unit.studio.conftest import Served

PART = multipart.LEAST_PART
DATA = bytes(range(256)) * (PART // 256) * 2 + b"the end"


def begun(served: Served, key: str = "k") -> dict[str, Any]:
    body = {"name": "yard.zip", "bytes": len(DATA)}
    code, told = served.call("POST", "/uploads", body, {"Idempotency-Key": key})
    assert code == 200
    return dict(told)


def test_an_upload_goes_on_where_it_stopped(served: Served) -> None:
    told = begun(served)
    assert [part["bytes"] for part in told["parts"]] == [PART, PART, 7]
    assert served.call("PUT", told["parts"][1]["url"], DATA[PART : 2 * PART])[0] == 200
    again = begun(served)
    assert again["id"] == told["id"] and [p["number"] for p in again["parts"]] == [1, 3]
    code, error = served.call("POST", f"/uploads/{told['id']}/complete")
    assert code == 409 and "2 parts are missing" in error["error"]
    served.call("PUT", again["parts"][0]["url"], DATA[:PART])
    served.call("PUT", again["parts"][1]["url"], DATA[2 * PART :])
    code, done = served.call("POST", f"/uploads/{told['id']}/complete")
    assert (code, done["state"], done["missing"]) == (200, "done", 0)
    path = served.studio.home.source(done["source"])
    assert path is not None and path.read_bytes() == DATA
    assert begun(served)["state"] == "done"  # the same photos again are there already


def test_parts_that_came_survive_the_server(served: Served) -> None:
    told = begun(served)
    served.call("PUT", told["parts"][0]["url"], DATA[:PART])
    another = Store(served.studio.home.database)
    assert another.parts(told["id"]) == {1}
    another.close()


@pytest.mark.parametrize(("sent", "code"), [(b"abc", 400), (b"more than 7", 413)])
def test_a_part_of_another_size_does_not_count(served: Served, sent: bytes, code: int) -> None:
    told = begun(served)
    answer = served.call("PUT", told["parts"][2]["url"], sent)
    assert answer[0] == code and "7 bytes" in answer[1]["error"]
    assert served.call("GET", f"/uploads/{told['id']}")[1]["missing"] == 3


def test_parts_that_nobody_waits_for_are_refused(served: Served) -> None:
    told = begun(served)
    for path in (f"/uploads/{told['id']}/parts/4", f"/uploads/{told['id']}/parts/0"):
        assert served.call("PUT", path, b"x")[0] == 404
    assert served.call("PUT", f"/uploads/{'0' * 16}/parts/1", b"x")[0] == 404


@pytest.mark.parametrize("name", ["../evil.zip", "a/b.zip", ".zip", "x.exe", "ü.zip", "a.zip\n"])
def test_names_cannot_lead_elsewhere(served: Served, name: str) -> None:
    assert served.call("POST", "/uploads", {"name": name, "bytes": 5})[0] == 400


def test_a_file_that_does_not_fit_is_refused(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home.Home, "free_bytes", lambda _: 9)
    assert served.call("POST", "/uploads", {"name": "a.zip", "bytes": 4})[0] == 200
    code, told = served.call("POST", "/uploads", {"name": "b.zip", "bytes": 5})
    assert code == 413 and "the disk has 0.0 GB left" in told["error"]


def test_a_full_disk_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    told = begun(served)
    monkeypatch.setattr("scripts.lib.studio.uploads.os.pwrite", full)
    code, error = served.call("PUT", told["parts"][2]["url"], DATA[2 * PART :])
    assert code == 507 and "No space left on device" in error["error"]


def test_a_hundred_gigabytes_in_parts(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets beyond 32 bits; the file has holes where nothing was sent."""
    monkeypatch.setattr(home.Home, "free_bytes", lambda _: 10**12)
    size = 100 * 10**9 - 7
    body = {"name": "tour.zip", "bytes": size}
    told = served.call("POST", "/uploads", body, {"Idempotency-Key": "k"})[1]
    count = -(-size // told["part_bytes"])
    assert told["missing"] == count <= multipart.MOST_PARTS and len(told["parts"]) == 100
    with served.studio.store._change() as db:  # all but the last have come
        parts = [(told["id"], number) for number in range(1, count)]
        db.executemany("INSERT INTO parts VALUES (?, ?)", parts)
    left = served.call("GET", f"/uploads/{told['id']}")[1]
    (last,) = left["parts"]
    start = (count - 1) * told["part_bytes"]
    assert (last["number"], last["bytes"]) == (count, size - start)
    data = b"x" * (last["bytes"] - 3) + b"end"
    assert served.call("PUT", last["url"], data)[0] == 200
    code, done = served.call("POST", f"/uploads/{told['id']}/complete")
    assert (code, done["state"]) == (200, "done")
    path = served.studio.home.source(done["source"])
    assert path is not None and path.stat().st_size == size
    assert path.stat().st_blocks * 512 < 2 * told["part_bytes"]
    with path.open("rb") as handle:
        handle.seek(size - 3)
        assert handle.read() == b"end"


def test_a_deleted_upload_is_gone(served: Served) -> None:
    source = served.uploaded()
    token = source.split("/")[-2]
    assert served.call("DELETE", f"/uploads/{token}")[1]["state"] == "deleted"
    assert not served.studio.home.upload(token).exists()
    assert served.call("GET", f"/uploads/{token}")[0] == 404
    body = {"scenes": [{"scene": "yard", "source": source}]}
    assert served.call("POST", "/jobs", body)[0] == 400


def test_uploads_that_nobody_uses_are_deleted_after_two_weeks(served: Served) -> None:
    used = served.submitted()
    open_one, done = begun(served)["id"], served.uploaded().split("/")[-2]
    now = time.time()
    assert forget_unused(served.studio, now + 13 * 86_400) == 0
    assert forget_unused(served.studio, now + 15 * 86_400) == 2
    for token in (open_one, done):
        assert served.call("GET", f"/uploads/{token}")[0] == 404
        assert not served.studio.home.upload(token).exists()
    source = served.call("GET", f"/jobs/{used}")[1]["scenes"][0]["source"]
    assert served.call("GET", f"/uploads/{source.split('/')[-2]}")[1]["state"] == "done"


def test_links_end_after_an_hour_and_are_for_one_path(served: Served) -> None:
    studio = replace(served.studio, token="t" * 16)
    path = "/files/x/ü b.ply"
    query = studio.signed(path, now=1000.0).split("?")[1]
    until, signature = (pair.split("=")[1] for pair in query.split("&"))
    assert studio.is_signed(path, until, signature, now=4600.0)
    assert not studio.is_signed(path, until, signature, now=4601.0)
    assert not studio.is_signed(f"{path}x", until, signature, now=1000.0)
    assert not studio.is_signed(path, str(int(until) + 1), signature, now=1000.0)
    assert not studio.is_signed(path, "²", signature, now=1000.0)
