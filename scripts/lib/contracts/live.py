"""live.json: how far a training is, beside live.jpg, what it looks like; only while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import HandedOn


@dataclass(frozen=True, kw_only=True)
class Live(HandedOn):
    """A training that goes on, on the machine that watches it."""

    file: ClassVar = "live.json"
    stage: ClassVar = "train_splat"

    updated: str  # ISO 8601, UTC
    step: int
    steps: int  # in all
    eta_seconds: float | None  # until the end of the training, at its pace so far
    gaussians: int
    psnr: float | None  # dB on validation photos, when last measured
    picture: str | None  # the photo whose view live.jpg shows; null before the first
    pictured: int = 0  # step of that
