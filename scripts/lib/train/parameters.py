"""The trained tensors and their optimiser, which grow and change rows together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scripts.lib.gaussians import Gaussians

# Adam's learning rates in a scene of radius 1, the values 3D Gaussian splatting is usually run with.
LEARNING_RATES = {
    "means": 1.6e-4,
    "quats": 1e-3,
    "scales": 5e-3,
    "opacities": 5e-2,
    "sh0": 2.5e-3,
    "shN": 2.5e-3 / 20,
}
NAMES = tuple(LEARNING_RATES)


class Parameters:
    """N Gaussians as raw (PLY-native) torch tensors, one Adam group each.

    means (N, 3), quats (N, 4) wxyz, scales (N, 3) log, opacities (N,) logit, sh0 (N, 1, 3),
    shN (N, K, 3).
    """

    def __init__(self, tensors: dict[str, Tensor], factor: float) -> None:
        self.factor = factor
        groups: list[dict[str, Any]] = [
            {
                "params": [tensors[name].detach().clone().requires_grad_()],
                "lr": LEARNING_RATES[name] * factor,
                "name": name,
            }
            for name in NAMES
        ]
        self.optimiser = torch.optim.Adam(groups, eps=1e-15, fused=True)
        for (
            group
        ) in self.optimiser.param_groups:  # moments exist from the start: saved, grown alike
            tensor = group["params"][0]
            self.optimiser.state[tensor] = {
                "step": torch.zeros((), dtype=torch.float32, device=tensor.device),
                "exp_avg": torch.zeros_like(tensor),
                "exp_avg_sq": torch.zeros_like(tensor),
            }

    def __getitem__(self, name: str) -> Tensor:
        group = self.optimiser.param_groups[NAMES.index(name)]
        tensor: Tensor = group["params"][0]
        return tensor

    def __len__(self) -> int:
        return len(self["means"])

    def set_rate(self, name: str, share: float) -> None:
        """Scale one group's learning rate to `share` of its initial value."""
        group = self.optimiser.param_groups[NAMES.index(name)]
        group["lr"] = LEARNING_RATES[name] * self.factor * share

    def sh(self, degree: int) -> Tensor:
        """Coefficients (N, (degree + 1)^2, 3) of the bands in use."""
        rest = (degree + 1) ** 2 - 1
        return torch.cat([self["sh0"], self["shN"][:, :rest]], dim=1) if rest else self["sh0"]

    @torch.no_grad()
    def replace_rows(self, rows: Tensor, values: dict[str, Tensor]) -> None:
        """Overwrite `rows` (M,) with `values` by name, and forget their moments."""
        for name in NAMES:
            tensor = self[name]
            if name in values:
                tensor[rows] = values[name]
            state = self.optimiser.state[tensor]
            state["exp_avg"][rows] = 0
            state["exp_avg_sq"][rows] = 0

    @torch.no_grad()
    def append(self, values: dict[str, Tensor]) -> None:
        """Add Gaussians given by every name's rows (M, ...), with empty moments."""
        for name, group in zip(NAMES, self.optimiser.param_groups, strict=True):
            old = group["params"][0]
            state = self.optimiser.state.pop(old)
            grown = torch.cat([old.detach(), values[name]]).requires_grad_()
            for key in ("exp_avg", "exp_avg_sq"):
                state[key] = torch.cat([state[key], torch.zeros_like(values[name])])
            group["params"][0] = grown
            self.optimiser.state[grown] = state

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Everything needed to continue: tensor and moments by name."""
        return {
            name: {"value": self[name].detach(), **self.optimiser.state[self[name]]}
            for name in NAMES
        }

    @classmethod
    def restored(
        cls, state: dict[str, dict[str, Tensor]], factor: float, device: torch.device
    ) -> Parameters:
        """The parameters that `state()` described, on `device`."""
        made = cls({name: state[name]["value"].to(device) for name in NAMES}, factor)
        for name in NAMES:
            moments = made.optimiser.state[made[name]]
            for key in moments:
                moments[key] = state[name][key].to(device)
        return made

    @torch.no_grad()
    def export(self, centre: Tensor, radius: float) -> Gaussians:
        """The Gaussians in world units, with those too faint to be seen (alpha < 1/255) left out."""
        seen = torch.sigmoid(self["opacities"]) >= 1 / 255
        rows = {name: self[name].detach()[seen].cpu().double() for name in NAMES}
        quats = torch.nn.functional.normalize(rows["quats"], dim=1)
        scales = rows["scales"] + torch.log(torch.tensor(radius, dtype=torch.float64))
        return Gaussians(
            means=(rows["means"] * radius + centre.cpu().double()).float().numpy(),
            quats=quats.float().numpy(),
            scales=scales.float().numpy(),
            opacities=rows["opacities"].float().numpy(),
            sh0=rows["sh0"][:, 0].float().numpy(),
            shN=rows["shN"].float().numpy(),
        )
