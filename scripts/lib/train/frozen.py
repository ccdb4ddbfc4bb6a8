"""Gaussians that are drawn with the trained ones and never change: what stands around a block of a scene.

They have no moments and no gradients of harmonics, and are neither grown nor moved.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from scripts.lib.train.parameters import NAMES


@dataclass(frozen=True)
class Frozen:
    """F Gaussians as they are drawn, in training's frame, contiguous float32: means (F, 3), quats (F, 4)
    wxyz, scales (F, 3) standard deviations, opacities (F,) in 0..1, sh (F, K, 3)."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    sh: Tensor

    def __len__(self) -> int:
        return len(self.means)

    @classmethod
    def of(cls, raw: dict[str, Tensor]) -> Frozen:
        """From raw parameters by name."""
        values = {name: raw[name].detach().float().contiguous() for name in NAMES}
        values["scales"] = torch.exp(values["scales"])
        values["opacities"] = torch.sigmoid(values["opacities"])
        return cls(**values)

    def raw(self) -> dict[str, Tensor]:
        """As raw parameters by name."""
        values = {name: getattr(self, name) for name in NAMES}
        values["scales"] = torch.log(values["scales"])
        values["opacities"] = torch.logit(values["opacities"])
        return values

    def take(self, rows: Tensor) -> Frozen:
        """Those at `rows` (M,) or where a mask (F,) is true."""
        return Frozen(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def joined(own: Tensor, frozen: Frozen | None, name: str) -> Tensor:
    """Values of the trained Gaussians (N, ...), then the `name` of the frozen ones, of as many bands."""
    if frozen is None:
        return own
    others: Tensor = getattr(frozen, name)
    return torch.cat([own, others[:, : own.shape[1]] if name == "sh" else others])
