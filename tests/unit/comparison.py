"""registration.json and changes.json of a made-up pair of captures, with changes.zip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from scripts.lib.contracts.changes import ChangedPlace, Changes
from scripts.lib.contracts.georef import Matrix
from scripts.lib.contracts.record import write
from scripts.lib.contracts.registration import Registration, Spread
from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.core.geo import Sim3
from scripts.lib.sfm.joint.register import matrix_rows
from tests.unit.stage_files import jpeg


def matrix(sim3: Sim3) -> Matrix:
    """As the JSON has it."""
    return matrix_rows(sim3)


def write_comparison(folder: Path, sim3: Sim3 | None = None) -> None:
    """The three files in `folder`; `sim3` leads from the later capture's frame to the first one's."""
    sim3 = sim3 or Sim3(1.0, np.eye(3), np.zeros(3))
    registration = Registration(
        scene="after", reference="before", reference_from_scene=matrix(sim3), scale=sim3.scale, photos=12,
        reference_photos=12, pairs=144, verified=60, matches=5000, points=900, common=800, seen_in=11,
        reference_seen_in=12, residual_px=Spread(0.3, 0.8), own_px=0.25, residual=Spread(0.01, 0.02),
        residual_m=Spread(0.01, 0.02), metres=1.0, scale_within_95_percent=0.01, turn_within_95_deg=0.01,
        gps_apart_m=1.4, seconds=1.0, device="cpu", notes=("the two would lie elsewhere by GPS",),
    )  # fmt: skip
    place = ChangedPlace(
        position=(0.7, -0.4, 1.0), kind="gone", size=2.0, size_m=2.0, percent=3.0, view="photo_03.jpg",
        eye=(3.2, -4.1, 2.4), fov=65.0, pictures=("a.jpg", "b.jpg", "c.jpg"),
    )  # fmt: skip
    other = replace(place, position=(-1.5, 1.0, 0.3), kind="appeared", size_m=None)
    changes = Changes(
        scene="after", reference="before", views=24, resolution=480, compared_percent=80.0,
        changed_percent=3.0, noise_before=0.02, noise_after=0.02, gain=(1, 1, 1), offset=(0, 0, 0),
        places=(place, other), smaller=0, device="cpu", seconds=1.0,
    )  # fmt: skip
    write(folder / "registration.json", registration)
    write(folder / "changes.json", changes)
    with writing_zip(folder / "changes.zip") as archive:
        for number, name in enumerate(place.pictures):
            add_to_zip(archive, name, jpeg(90, 60, number))
