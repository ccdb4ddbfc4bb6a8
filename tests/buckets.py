"""Buckets of moto, whose backends all servers and tests of a process share."""

from __future__ import annotations

from typing import Any


def remove_bucket(s3: Any, name: str) -> None:
    """Remove the bucket `name` with all that is in it, so that the next test finds none."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)
