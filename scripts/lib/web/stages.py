"""The stages' files that a page is made from, each read by its own type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.contracts.clean import Clean
from scripts.lib.contracts.codecs import Codecs
from scripts.lib.contracts.compress import Compress
from scripts.lib.contracts.deliver import Deliver
from scripts.lib.contracts.eval import Eval
from scripts.lib.contracts.features import Features
from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.pairs import Pairs
from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import HandedOn, read, to_json
from scripts.lib.contracts.sfm import Sfm
from scripts.lib.contracts.train import Train
from scripts.lib.contracts.undistort import Undistort
from scripts.lib.contracts.walk import Walk
from scripts.lib.core.json_type import Json

OTHERS: Mapping[str, type[HandedOn]] = {
    "train": Train,
    "eval": Eval,
    "codecs": Codecs,
    "features": Features,
    "pairs": Pairs,
    "undistort": Undistort,
    "clean": Clean,
    "compress": Compress,
    "deliver": Deliver,
    "walk": Walk,
}


@dataclass(frozen=True)
class Stages:
    """What the page itself tells of, and the other stages that the manifest has excerpts of, by name."""

    photos: Photos
    sfm: Sfm
    georef: Georef
    others: Mapping[str, HandedOn]

    def as_json(self) -> dict[str, Mapping[str, Json]]:
        """The content of each file by its stage's name."""
        own = {"photos": self.photos, "sfm": self.sfm, "georef": self.georef}
        return {name: to_json(record) for name, record in {**own, **self.others}.items()}


def read_stages(files: Mapping[str, Path]) -> Stages:
    """The stages in these files, by their names. Raises UserError as `contracts.record.read` does."""
    return Stages(
        photos=read(Photos, files["photos"]),
        sfm=read(Sfm, files["sfm"]),
        georef=read(Georef, files["georef"]),
        others={name: read(OTHERS[name], path) for name, path in files.items() if name in OTHERS},
    )
