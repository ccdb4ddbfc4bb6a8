"""The program itself: it prints its address, has its folder for itself, and ends when it is told to."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.studio.serving import Asked, bound, serve
from tests.conftest import ROOT


def test_it_starts_alone_in_its_folder_and_stops_cleanly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.studio", "--no-browser", "--port", "0"]
    command += ["--home", str(tmp_path / "my scenes")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert address
        with urllib.request.urlopen(address[0]) as answer:
            assert b"splatmake studio" in answer.read()
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert second.returncode == 1 and "is running in" in second.stderr
        assert "Traceback" not in second.stderr
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read().splitlines()[-1] == "stopped"
    assert process.returncode == 0


def test_what_cannot_be_begins_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give a number of processors"):
        serve(Asked(tmp_path, cores="many"))
    with (
        bound(Asked(tmp_path, port=0)) as taken,
        pytest.raises(UserError, match="try another --port"),
    ):
        bound(Asked(tmp_path, port=taken.getsockname()[1]))
    with pytest.raises(UserError, match="try another --host"):
        bound(Asked(tmp_path, host="203.0.113.7"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="choose another folder with --home"):
        serve(Asked(tmp_path / "file"))
