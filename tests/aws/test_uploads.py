"""Uploads in parts, against moto: as a browser or the client does it, interrupted and resumed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from scripts.lib.cloud import multipart, uploads
from scripts.lib.cloud.messages import MOST_UPLOAD_BYTES
from tests.aws.cloud import BUCKET, Cloud
from tests.aws.gateway import asked

Call = Callable[..., tuple[int, dict[str, Any]]]
EACH = multipart.LEAST_PART
CONTENT = bytes(range(251)) * (2 * EACH // 251 + 1000)
NEW = {"name": "yard.zip", "bytes": len(CONTENT)}


def put(part: dict[str, Any], each: int = EACH) -> None:
    start = (part["number"] - 1) * each
    data = CONTENT[start : start + part["bytes"]]
    assert len(data) == part["bytes"] and requests.put(part["url"], data=data, timeout=30).ok


def test_an_upload_goes_on_where_it_stopped(
    cloud: Cloud, call: Call, started: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "URLS", 2)
    key = {"idempotency-key": "yard"}
    code, upload = call("POST /uploads", NEW, headers=key)
    assert code == 200 and (upload["state"], upload["missing"]) == ("open", 3)
    assert [part["number"] for part in upload["parts"]] == [1, 2]
    put(upload["parts"][1])
    code, answer = call("POST /uploads/{id}/complete", job=upload["id"])
    assert code == 409 and "2 parts are missing" in answer["error"]
    assert call("POST /jobs", asked(source=upload["source"]))[0] == 400  # not uploaded yet
    again = call("POST /uploads", NEW, headers=key)[1]
    assert again["id"] == upload["id"] and [p["number"] for p in again["parts"]] == [1, 3]
    assert call("POST /uploads", {**NEW, "bytes": 5}, headers=key)[1]["id"] != upload["id"]
    for part in call("GET /uploads/{id}", job=upload["id"])[1]["parts"]:
        put(part)
    done = call("POST /uploads/{id}/complete", job=upload["id"])
    assert done[0] == 200 and (done[1]["state"], done[1]["missing"]) == ("done", 0)
    # Neither once more does harm, nor does a link from before change what is there.
    assert call("POST /uploads/{id}/complete", job=upload["id"]) == done
    assert call("POST /uploads", NEW, headers=key) == done
    assert not requests.put(upload["parts"][0]["url"], data=CONTENT[1:][:EACH], timeout=30).ok
    name = upload["source"].removeprefix(f"s3://{BUCKET}/")
    assert cloud.client("s3").get_object(Bucket=BUCKET, Key=name)["Body"].read() == CONTENT
    assert call("POST /jobs", asked(source=upload["source"]))[0] == 202
    assert call("DELETE /uploads/{id}", job=upload["id"])[1]["state"] == "deleted"
    assert not cloud.keys(name.rpartition("/")[0])
    assert call("GET /uploads/{id}", job=upload["id"])[0] == 404


def test_a_link_is_for_one_part_of_its_size(call: Call) -> None:
    """S3, "Signature Calculations ... Query Parameters": a signed header must be sent as it was signed."""
    upload = call("POST /uploads", NEW)[1]
    for part in upload["parts"]:
        query = parse_qs(urlsplit(part["url"]).query)
        assert query["X-Amz-SignedHeaders"] == ["content-length;host"]
        assert query["partNumber"] == [str(part["number"])]
        assert query["X-Amz-Expires"] == ["3600"]


def test_an_upload_that_s3_gave_up_begins_anew(cloud: Cloud, call: Call) -> None:
    """The bucket's lifecycle ends unfinished ones after two days."""
    key = {"idempotency-key": "slow"}
    upload = call("POST /uploads", NEW, headers=key)[1]
    name = upload["source"].removeprefix(f"s3://{BUCKET}/")
    (query,) = {parse_qs(urlsplit(part["url"]).query)["uploadId"][0] for part in upload["parts"]}
    cloud.client("s3").abort_multipart_upload(Bucket=BUCKET, Key=name, UploadId=query)
    code, answer = call("GET /uploads/{id}", job=upload["id"])
    assert code == 410 and "begin it anew" in answer["error"]
    again = call("POST /uploads", NEW, headers=key)[1]
    assert again["id"] == upload["id"] and again["missing"] == 3
    assert call("DELETE /uploads/{id}", job=upload["id"])[0] == 200


@pytest.mark.parametrize(
    "size", [1, EACH, EACH + 1, 5 * 10**9, EACH * 10_000 + 1, MOST_UPLOAD_BYTES]
)
def test_parts_are_as_s3_takes_them(size: int) -> None:
    """S3, "Multipart upload limits": at most 10 000, each of 5 MiB to 5 GiB but the last."""
    each = multipart.part_bytes(size)
    parts = multipart.parts_of(size, each)
    assert sum(parts.values()) == size and len(parts) <= 10_000
    assert list(parts) == list(range(1, len(parts) + 1))
    assert all(bytes == each for bytes in list(parts.values())[:-1])
    assert 5 * 2**20 <= each <= 5 * 2**30 and each % 2**20 == 0


def test_tokens_are_as_sources_name_them(call: Call) -> None:
    source = call("POST /uploads", {"name": "DJI_1.MP4", "bytes": 3})[1]["source"]
    assert re.fullmatch(rf"s3://{BUCKET}/uploads/[0-9a-f]{{16}}/[0-9a-f]{{16}}/DJI_1.MP4", source)
