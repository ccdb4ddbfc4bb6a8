"""The stage files of one scene, read once. A missing file is the user's to mend, a missing key is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.lib.contracts.benchmark import Benchmark, read_benchmark
from scripts.lib.core.console import UserError
from scripts.lib.core.files import read_json

Json = dict[str, Any]


@dataclass(frozen=True)
class StageFiles:
    """The JSON of every stage of one scene; `{}` where a stage was not given."""

    scene: str
    photos: Json
    pairs: Json
    sfm: Json
    georef: Json
    train: Json
    eval: Json
    codecs: Json
    manifest: Json
    clean: Json = field(default_factory=dict)
    view: Json = field(default_factory=dict)
    cost: Json = field(default_factory=dict)
    features: Json = field(default_factory=dict)
    undistort: Json = field(default_factory=dict)
    compress: Json = field(default_factory=dict)
    tour: Json = field(default_factory=dict)
    benchmarks: tuple[Benchmark, ...] = ()


STAGES = ("photos", "sfm", "georef", "train", "eval", "codecs")  # of every finished scene
OPTIONAL = ("features", "pairs", "undistort", "clean", "compress", "view", "tour", "cost")


def read_object(path: Path | None) -> Json:
    """Read a stage's JSON; `{}` for None. Raises UserError when it is missing or not an object."""
    if path is None:
        return {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} is not a JSON object; delete it and run its stage again")
    return value


def read_stages(
    scene: str, paths: Mapping[str, Path | None], benchmarks: Iterable[Path] = ()
) -> StageFiles:
    """The files of a scene by their names in `StageFiles`; None and what is missing give `{}`.

    Raises UserError as `read_object` and `read_benchmark` do.
    """
    names = (*STAGES, "manifest", *OPTIONAL)
    stages = {name: read_object(paths.get(name)) for name in names}
    return StageFiles(scene, **stages, benchmarks=tuple(map(read_benchmark, benchmarks)))
