"""What training may correct about the photos themselves: how bright they came out, and where they stood.

Both are small tensors with an Adam of their own. Neither goes into the splat: the exposures are kept at
zero mean, so that the splat keeps the colours of the photos together, and photos that were not trained
on are rendered without any correction.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scripts.lib.train.parameters import ADAM

EXPOSURE_RATE = 2e-3  # of the logarithm of the gain, and of the offset where white is 1
POSE_RATE = 1e-4  # radians, and units of a scene of radius 1


class Corrections:
    """V rows of numbers that start at zero and follow their gradients."""

    def __init__(self, rows: int, columns: int, device: torch.device) -> None:
        self.values = torch.zeros(rows, columns, device=device)
        self.first, self.second = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.steps = torch.zeros(rows, 1, device=device)

    @torch.no_grad()
    def move(self, numbers: Tensor, gradient: Tensor, rate: float) -> Tensor:
        """One Adam step of the rows `numbers` (M,) alone, which it returns (M, C): what they moved by.

        Each row counts its own steps: a photo is seen once in a while.
        """
        self.steps[numbers] += 1
        steps = self.steps[numbers]
        first = torch.lerp(gradient, self.first[numbers], ADAM["beta1"])
        second = torch.lerp(gradient**2, self.second[numbers], ADAM["beta2"])
        self.first[numbers], self.second[numbers] = first, second
        mean = first / (1 - ADAM["beta1"] ** steps)
        spread = (second / (1 - ADAM["beta2"] ** steps)).sqrt()
        moved = -rate * mean / (spread + ADAM["epsilon"])
        self.values[numbers] += moved
        return moved

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue, on the CPU."""
        names = ("values", "first", "second", "steps")
        return {name: getattr(self, name).cpu() for name in names}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue where `state()` was taken."""
        for name, value in state.items():
            getattr(self, name).copy_(value)


class Exposures(Corrections):
    """Gain and offset of each colour channel for V photos: a render is compared as gain * render + offset."""

    def __init__(self, photos: int, device: torch.device) -> None:
        super().__init__(photos, 6, device)

    def of(self, number: Tensor) -> tuple[Tensor, Tensor]:
        """Gain (3,) and offset (3,) of one photo, given as (1,) so that nothing waits for the GPU."""
        row = self.values[number][0]
        return torch.exp(row[:3]), row[3:]

    def learn(self, numbers: Tensor, gradient: Tensor) -> None:
        """Follow `gradient` (M, 6) by the logarithm of the gains and the offsets, then take out the mean."""
        self.move(numbers, gradient, EXPOSURE_RATE)
        self.values -= self.values.mean(dim=0)


class Poses(Corrections):
    """Turns and shifts of V cameras, (radians, units), applied on the camera's side: world_to_camera grows
    a small motion at its left in each step."""

    def __init__(self, photos: int, device: torch.device) -> None:
        super().__init__(photos, 6, device)

    @staticmethod
    def by_gaussians(
        means: Tensor, quats: Tensor, v_means: Tensor, v_quats: Tensor, world_to_camera: Tensor
    ) -> Tensor:
        """Slope (6,) by a turn and a shift of one camera (4, 4), from the slopes of what it sees (N, ...).

        Moving a camera is moving everything it sees the other way. Colours that change with the direction
        would have to be turned along; that small part is left out.
        """
        R = world_to_camera[:3, :3]
        seen, pulls = means @ R.T + world_to_camera[:3, 3], v_means @ R.T
        w, v = quats[:, :1], quats[:, 1:]
        # A small turn p of the world makes the quaternion q + (0, p) q / 2.
        by_turn = v_quats[:, 1:] * w - v_quats[:, :1] * v + torch.linalg.cross(v, v_quats[:, 1:])
        turn = torch.linalg.cross(seen, pulls) + by_turn @ R.T / 2
        return torch.cat([turn.sum(dim=0), pulls.sum(dim=0)])

    @staticmethod
    def gradient(world_to_camera: Tensor, v_world_to_camera: Tensor) -> Tensor:
        """Slope (M, 6) by a turn and a shift at the left of world_to_camera (M, 4, 4), from its own slope."""
        turn = v_world_to_camera[:, :3] @ world_to_camera[:, :3].mT
        axes = (turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0])
        last = turn[:, 1, 0] - turn[:, 0, 1]
        return torch.cat([torch.stack([*axes, last], dim=1), v_world_to_camera[:, :3, 3]], dim=1)

    def learn(self, numbers: Tensor, world_to_camera: Tensor, slopes: Tensor) -> Tensor:
        """The cameras (M, 4, 4) after one step along their `slopes` (M, 6)."""
        moved = self.move(numbers, slopes, POSE_RATE)
        small = torch.zeros_like(world_to_camera)
        small[:, 0, 1], small[:, 0, 2], small[:, 1, 2] = -moved[:, 2], moved[:, 1], -moved[:, 0]
        small[:, :3, :3] -= small[:, :3, :3].mT.clone()
        small[:, :3, 3] = moved[:, 3:]
        motion: Tensor = torch.linalg.matrix_exp(small)
        return motion @ world_to_camera
