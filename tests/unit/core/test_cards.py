"""Cards are hidden from a process that is to compute on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import extract_features, map_scene, match_photos
from scripts.lib.core.cards import use_device, visible_cards
from scripts.lib.core.console import UserError


def test_cards_are_hidden_where_the_cpu_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    environment: dict[str, str] = {}
    for wanted, seen in (("auto", 1), ("cuda", 1), ("cpu", 0)):
        use_device(wanted, environment)
        assert visible_cards(tmp_path, environment) == seen
    with pytest.raises(UserError, match="device is 'tpu'; choose auto, cuda, cpu"):
        use_device("tpu", environment)


PROGRAMS: dict[Callable[[list[str]], None], tuple[str, ...]] = {
    extract_features.main: ("photos", "photos-report", "database"),
    match_photos.main: ("database", "photos-report", "output", "pairs"),
    map_scene.main: (
        "database",
        "photos",
        "photos-report",
        "sparse",
        "metrics",
        "georef",
        "further",
    ),
}


@pytest.mark.parametrize("main", PROGRAMS, ids=lambda main: main.__module__)
def test_sfm_leaves_gpus_alone_where_the_cpu_is_asked_for(
    main: Callable[[list[str]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They use a free card without reserving it: `device: cpu` has to reach them too."""
    files = [f"--{name}={tmp_path / name}" for name in PROGRAMS[main]]
    for wanted, shown in (("auto", "0"), ("cpu", "")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
        with pytest.raises(UserError, match="does not exist"):
            main([*files, "--device", wanted])
        assert os.environ["CUDA_VISIBLE_DEVICES"] == shown
