"""Before and after in the report: how exactly two captures meet, and what changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.core.files import writing_zip
from tests.unit.comparison import write_comparison
from tests.unit.report.test_report import report
from tests.unit.stage_files import stage_values


def test_residual_and_places_are_told(tmp_path: Path) -> None:
    write_comparison(tmp_path)
    names = ("registration", "changes")
    given = [word for name in names for word in (f"--{name}", str(tmp_path / f"{name}.json"))]
    text = report(tmp_path, stage_values(24), *given, "--changed", str(tmp_path / "changes.zip"))
    assert "Before and after" in text and 'href="compare.html"' in text
    assert (
        "800 of 900 that were matched" in text and "0.30 px (median), 0.80 px (nine of ten)" in text
    )
    assert "1.0 cm (median), 2.0 cm (nine of ten)" in text and "1.4 m apart" in text
    assert "The two would lie elsewhere by GPS." in text
    assert "2 places differ" in text and "1. Gone, about 2.0 m long" in text and "2. New" in text
    assert text.count("from the camera of photo_03.jpg") == 6


def test_nothing_of_it_without_another_capture(tmp_path: Path) -> None:
    assert "Before and after" not in report(tmp_path, stage_values(24))


def test_pictures_of_another_run_are_refused(tmp_path: Path) -> None:
    write_comparison(tmp_path)
    with writing_zip(tmp_path / "changes.zip"):
        pass
    names = ("registration", "changes")
    given = [word for name in names for word in (f"--{name}", str(tmp_path / f"{name}.json"))]
    with pytest.raises(UserError, match="lacks a.jpg; run find_changes again"):
        report(tmp_path, stage_values(24), *given, "--changed", str(tmp_path / "changes.zip"))
