"""The locks of envs/: read, compared, and turned into conda environments."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scripts.tools.conda_envs import STAGES, conda_env
from scripts.tools.locks import requirements, versions


def test_a_lock_with_hashes_and_markers(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(
        "# Locked from x.in (sha256 0123456789abcdef) by envs/lock.sh\n"
        "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        "numpy==2.5.5 ; python_full_version >= '3.12'\n"
        "pyreadline3==3.5.6 ; sys_platform == 'win32'\n"
        "torch==2.13.0+cpu \\\n    --hash=sha256:cc\n"
    )
    assert [pin.name for pin in requirements(lock)] == ["numpy", "numpy", "pyreadline3", "torch"]
    assert versions(lock) == {"numpy": "2.4.6", "torch": "2.13.0"}


@pytest.mark.parametrize(
    "image", ["build", "kernels", "runner", "sfm", "train", "train-cpu", "web"]
)
def test_every_package_of_an_image_has_a_hash(root: Path, image: str) -> None:
    text = (root / "envs" / "images" / f"{image}.txt").read_text()
    packages = [part for part in text.split("\n") if part and part[0] not in " #"]
    assert packages and all(line.endswith("\\") for line in packages)
    assert text.count("\n    --hash=sha256:") >= len(packages)


@pytest.mark.parametrize("stage", STAGES)
def test_conda_twins_are_up_to_date(root: Path, stage: str) -> None:
    written = (root / "envs" / f"{stage}.yaml").read_text()
    assert written == conda_env(root / "envs", stage)
    environment = yaml.safe_load(written)
    pip = environment["dependencies"][-1]["pip"]
    assert pip == [
        str(pin).replace('"', "'") for pin in requirements(root / "envs" / f"{stage}.txt")
    ]
    assert all("==" in pin for pin in pip)
