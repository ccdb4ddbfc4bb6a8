"""registration.json: what brings a scene into the frame of another capture of the same place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.georef import Matrix
from scripts.lib.contracts.record import Measured


@dataclass(frozen=True)
class Spread:
    """How large some distances are."""

    median: float
    within_90: float  # nine of ten are smaller


@dataclass(frozen=True, kw_only=True)
class Registration(Measured):
    """The scene's frame in that of the reference, told by features that photos of both captures saw."""

    file: ClassVar = "registration.json"
    stage: ClassVar = "register_captures"

    scene: str
    reference: str  # the scene whose frame both are shown in
    reference_from_scene: Matrix  # 4 x 4, a similarity, on columns
    scale: float  # units of the reference in one of the scene's own
    photos: int  # of the scene, registered
    reference_photos: int
    pairs: int  # of photos that were compared
    verified: int  # of these, those that a geometry explains
    matches: int  # of features in them
    points: int  # of both models that a match joins
    common: (
        int  # of these, those that agree with the similarity: the others are wrong, or have moved
    )
    seen_in: int  # photos of the scene that see a common point
    reference_seen_in: int
    residual_px: Spread  # of matches that agree: features against the other capture's points
    own_px: float  # median of the same within each capture, by its own points
    residual: Spread  # between the two places of a common point, in units of the reference
    residual_m: Spread | None  # the same in metres; None where neither frame is metric
    metres: float | None  # in one unit of the reference
    scale_within_95_percent: float
    turn_within_95_deg: float
    gps_apart_m: float | None  # on the ground, between the two captures as their own GPS has them
    seconds: float
    device: str
    notes: tuple[str, ...] = ()  # sentences for the user
