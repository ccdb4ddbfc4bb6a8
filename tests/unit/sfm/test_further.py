"""Further models beside the largest one: which are finished, and a scene that is made of one."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from scripts import take_component
from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.pairs import Pairs
from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read, write
from scripts.lib.contracts.sfm import Sfm
from scripts.lib.core.console import UserError
from scripts.lib.sfm.further import ELSEWHERE, write_further
from scripts.lib.sfm.gate import further_note
from scripts.lib.sfm.mapping import Attempt
from scripts.lib.sfm.options import MapOptions
from tests.photo_lines import line
from tests.unit.sfm_scene import looking, room_points, true_model

Finished = tuple[pycolmap.Reconstruction, Sfm, Georef]
HERE = Georef(
    georeferenced=False,
    reason="0 registered photos have GPS",
    scale=1.0,
    world_from_sfm=tuple(map(tuple, np.eye(4).tolist())),  # type: ignore[arg-type]
)


def group(first: int, count: int) -> pycolmap.Reconstruction:
    """A model of photos a, b, .. from number `first` on."""
    poses = [looking([-2 + 0.3 * k, -3, 0], [0.1 * k, 3, 0]) for k in range(count)]
    model = true_model(poses, room_points(800, seed=first))
    for number in model.reg_image_ids():
        model.image(number).name = f"{chr(ord('a') + first + number - 1)}.jpg"
    return model


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Photos]:
    """components.zip and the other files of 8, 4 and 6 photos that form three groups, and photos.json."""
    names = [f"{chr(ord('a') + n)}.jpg" for n in range(18)]
    photos = tuple(line(name) for name in names)
    content = Photos(source="p", kept=18, dropped=0, photos=photos)
    database = tmp_path / "matches.db"
    pycolmap.Database.open(database).close()
    models = [group(0, 8), group(8, 4), group(12, 6)]
    best = Attempt("incremental", models, 1.0, database)
    asked: list[str] = []

    def finish(attempt: Attempt, report: Sfm, own: Photos, options: MapOptions) -> Finished:
        asked.append(options.up)
        assert len(attempt.models) == 1 and own.kept == attempt.registered == report.registered
        return attempt.models[0], report, HERE

    # The check before training is told of less in test_gate.py; these models have no matches to judge by.
    options = MapOptions(up="a, b", force=True)
    sizes = write_further(tmp_path / "components.zip", best, content, options, finish)
    assert sizes == (6,) and asked == [
        "auto"
    ]  # four photos are too few; a and b are not among these
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in names:
            archive.writestr(name, name.encode())
        archive.writestr("masks/m.jpg.png", b"mask of m")
        archive.writestr("masks/a.jpg.png", b"mask of a")
    links = (("a.jpg", "b.jpg", 40), ("m.jpg", "n.jpg", 30), ("h.jpg", "m.jpg", 15))
    write(
        tmp_path / "pairs.json",
        Pairs(
            strategy="exhaustive", reason="", photos=18, pairs=9, verified=3, alone=(), links=links
        ),
    )
    (tmp_path / "features.json").write_text("{}")
    (tmp_path / "contact.jpg").write_bytes(b"contact")
    return tmp_path, content


def take(home: Path, number: int) -> Path:
    """The folder that take_component makes of this group."""
    folder = home / f"yard_{number}"
    files: Mapping[str, str] = {
        **{name: f"{name}.json" for name in ("pairs", "features")},
        "components": "components.zip",
        "photos": "photos.zip",
        "contact": "contact.jpg",
    }
    told = [word for name, file in files.items() for word in (f"--{name}", str(home / file))]
    take_component.main(
        [*told, "--number", str(number), "--scene", "yard", "--folder", str(folder)]
    )
    return folder


def test_a_further_group_is_a_scene_of_its_own(made: tuple[Path, Photos]) -> None:
    """Its photos, masks, pairs and model, and nothing of the other groups."""
    home, content = made
    folder = take(home, 2)
    names = [f"{name}.jpg" for name in "mnopqr"]
    model = pycolmap.Reconstruction(folder / "sparse")
    assert sorted(model.image(n).name for n in model.reg_image_ids()) == names
    told = read(Photos, folder / "photos.json")
    assert [photo.file for photo in told.used] == names and (told.kept, told.dropped) == (6, 12)
    assert {photo.reason for photo in told.photos if not photo.kept} == {ELSEWHERE}
    assert len(told.photos) == len(content.photos)
    with zipfile.ZipFile(folder / "photos.zip") as archive:
        assert archive.namelist() == [*names, "masks/m.jpg.png"]
        assert archive.read("n.jpg") == b"n.jpg"
    pairs = read(Pairs, folder / "pairs.json")
    assert pairs.links == (("m.jpg", "n.jpg", 30),) and (pairs.photos, pairs.verified) == (6, 1)
    report = read(Sfm, folder / "sfm.json")
    assert (report.photos, report.registered, report.models) == (6, 6, (6,))
    assert read(Georef, folder / "georef.json") == HERE
    assert (folder / "contact.jpg").read_bytes() == b"contact"


def test_a_group_that_is_not_there_is_told(made: tuple[Path, Photos]) -> None:
    with pytest.raises(UserError, match="yard form 2 groups .* no number 3; set components to 2"):
        take(made[0], 3)


def test_how_to_get_the_pages_is_told() -> None:
    assert further_note(()) == ""
    assert "a group of 7 photos can have a page of its own: set components to 2" in further_note(
        (7,)
    )
    assert "2 groups of 9, 7 photos" in further_note((9, 7))
    assert "set components to 3" in further_note((9, 7))
