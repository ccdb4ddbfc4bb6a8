"""Undistortion holds few photos at a time, however many there are; and tests.bench.scale fits exponents."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from scripts import undistort
from tests.bench.scale import exponents
from tests.bench.scaling import capture

HELD = 6_000  # bytes of a photo that may stay: its name and its place in the zip


def peak(folder: Path, count: int) -> int:
    """The most bytes that Python held while it undistorted so many photos."""
    made, out = folder / str(count), folder / f"{count}.out"
    made.mkdir()
    out.mkdir()
    capture.make_imported(count, made)
    size = (made / "photos.zip").stat().st_size / count
    assert size > 5 * HELD
    tracemalloc.start()
    capture.straighten(count, made, out)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (out / "undistorted.zip").stat().st_size > count * 5 * HELD
    return most


def test_memory_does_not_grow_by_the_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert capture.undistort is undistort
    monkeypatch.setattr(capture, "WIDTH", 360)
    monkeypatch.setattr(capture, "HEIGHT", 270)
    peak(tmp_path, 9)  # what is loaded once
    few, many = peak(tmp_path, 10), peak(tmp_path, 60)
    assert many - few < 50 * HELD, (few, many)


def test_exponents_are_those_of_the_growth() -> None:
    of_sizes = {
        str(n): {"cpu_s": 0.5 * n**1.2, "peak_mb": 30 * n**0.5, "found": 0, "said": "x"}
        for n in (100, 300, 1000)
    }
    found = exponents(of_sizes)
    assert found == {"cpu_s": 1.2, "peak_mb": 0.5}
