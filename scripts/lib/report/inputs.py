"""The files of one scene that the report and the index are made from, each read once by its own type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.contracts.benchmark import Benchmark, read_benchmarks
from scripts.lib.contracts.changes import Changes
from scripts.lib.contracts.clean import Clean
from scripts.lib.contracts.codecs import Codecs
from scripts.lib.contracts.compress import Compress
from scripts.lib.contracts.cost import Cost
from scripts.lib.contracts.deliver import Deliver
from scripts.lib.contracts.eval import Eval
from scripts.lib.contracts.features import Features
from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.manifest import Manifest
from scripts.lib.contracts.pairs import Pairs
from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import File, Measured, read
from scripts.lib.contracts.registration import Registration
from scripts.lib.contracts.sfm import Sfm
from scripts.lib.contracts.tour import Film
from scripts.lib.contracts.train import Train
from scripts.lib.contracts.undistort import Undistort
from scripts.lib.contracts.view import View

STAGES = ("photos", "sfm", "georef", "train", "eval", "codecs")  # of every finished scene
OPTIONAL = (
    "features",
    "pairs",
    "undistort",
    "clean",
    "compress",
    "view",
    "tour",
    "cost",
    "deliver",
    "registration",
    "changes",
)


@dataclass(frozen=True)
class StageFiles:
    """The files of one scene; None where one was not given. The index does without photos and georef."""

    scene: str
    sfm: Sfm
    train: Train
    eval: Eval
    codecs: Codecs
    photos: Photos | None = None
    georef: Georef | None = None
    pairs: Pairs | None = None
    manifest: Manifest | None = None
    clean: Clean | None = None
    view: View | None = None
    cost: Cost | None = None
    features: Features | None = None
    undistort: Undistort | None = None
    compress: Compress | None = None
    tour: Film | None = None
    deliver: Deliver | None = None
    registration: Registration | None = None
    changes: Changes | None = None
    benchmarks: tuple[Benchmark, ...] = ()

    @property
    def measured(self) -> list[Measured]:
        """Every file that tells how its stage was run, in the order in which they run."""
        made = (
            *(self.photos, self.features, self.pairs, self.sfm, self.undistort, self.train),
            *(self.eval, self.clean, self.compress, self.codecs, self.view, self.tour),
            *(self.registration, self.changes),
        )
        return [one for one in made if one is not None]


def read_stages(
    scene: str, paths: Mapping[str, Path | None], benchmarks: Iterable[Path] = ()
) -> StageFiles:
    """The files of a scene by their names in `StageFiles`; what is None or missing was not given.

    Raises UserError as `contracts.record.read` and `read_benchmarks` do.
    """

    def maybe(kind: type[File], name: str) -> File | None:
        path = paths.get(name)
        return None if path is None else read(kind, path)

    def needed(kind: type[File], name: str) -> File:
        path = paths[name]
        assert path is not None  # programs ask for it
        return read(kind, path)

    return StageFiles(
        scene,
        sfm=needed(Sfm, "sfm"),
        train=needed(Train, "train"),
        eval=needed(Eval, "eval"),
        codecs=needed(Codecs, "codecs"),
        photos=maybe(Photos, "photos"),
        georef=maybe(Georef, "georef"),
        pairs=maybe(Pairs, "pairs"),
        manifest=maybe(Manifest, "manifest"),
        clean=maybe(Clean, "clean"),
        view=maybe(View, "view"),
        cost=maybe(Cost, "cost"),
        features=maybe(Features, "features"),
        undistort=maybe(Undistort, "undistort"),
        compress=maybe(Compress, "compress"),
        tour=maybe(Film, "tour"),
        deliver=maybe(Deliver, "deliver"),
        registration=maybe(Registration, "registration"),
        changes=maybe(Changes, "changes"),
        benchmarks=tuple(read_benchmarks(benchmarks).values()),
    )
