"""Lines of photos.json for tests and benchmarks that start from photos already imported."""

from __future__ import annotations

from typing import Any

from scripts.lib.contracts.photos import Photo, Photos


def line(file: str, **facts: Any) -> Photo:
    """A kept photo of which only this is known."""
    return Photo(**{"file": file, "original": file, "kept": True, "reason": "usable", **facts})


def report(*photos: Photo) -> Photos:
    """The photos.json of these photos."""
    kept = sum(photo.kept for photo in photos)
    return Photos(source="in", kept=kept, dropped=len(photos) - kept, photos=photos)
