"""What the neighbours of a photo make of its pixels, on planes at many depths (Collins, CVPR 1996)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 5  # pixels of the patch that is compared
SAME = 0.09  # mean difference of colours (of 1) up to which two patches are the same
BEYOND = 0.045  # the same, beyond the colours within half a pixel
FEWEST = 3  # neighbours that must see a place
NEIGHBOURS = 7  # whose median is taken below
# Exchanges after which the fourth of seven values is their median (Paeth, Graphics Gems, 1990).
EXCHANGES = (
    *(
        (0, 5),
        (0, 3),
        (1, 6),
        (2, 4),
        (0, 1),
        (3, 5),
        (2, 6),
        (2, 3),
        (3, 6),
        (4, 5),
        (1, 4),
        (1, 3),
    ),
    (3, 4),
)


@dataclass(frozen=True)
class Support:
    """What neighbours make of a photo's pixels, (H, W) each, as shares of those that see one at some depth:
    the most that agree with each other, the most that agree with the photo (`exactly`, or `about`, if a plane
    half a pixel off does not matter), and how many see it."""

    agreed: Tensor
    exactly: Tensor
    about: Tensor
    seen: Tensor


def sweep(photo: Tensor, others: Tensor, views: Tensor, depths: Tensor) -> Support:
    """Compare a photo (3, H, W) with seven others (7, 4, H', W') at `depths` (D,).

    The first three of the others' channels are colours in 0..1, as the photo's, the fourth is 0 where they
    tell nothing; views (7, 3, 4): from the photo's
    pixels (x, y, 1) times depth, and 1, to those of the others times depth.
    """
    height, width = photo.shape[1:]
    y, x = torch.meshgrid(
        torch.arange(height, device=photo.device) + 0.5,
        torch.arange(width, device=photo.device) + 0.5,
        indexing="ij",
    )
    rays = torch.stack([x, y, torch.ones_like(x)])
    turned = torch.einsum("kij,jhw->kihw", views[:, :, :3], rays)
    whole = torch.tensor([others.shape[3], others.shape[2]], device=photo.device)
    low, high = -around(-photo), around(photo)
    found = torch.zeros(4, height, width, device=photo.device)
    for depth in depths:
        places = turned * depth + views[:, :, 3, None, None]
        at = places[:, :2] / places[:, 2:].clamp_min(1e-6)
        grid = 2 * at.permute(0, 2, 3, 1) / whole - 1
        sampled = functional.grid_sample(others, grid, align_corners=False)
        colours, inside = sampled[:, :3], (sampled[:, 3] > 0.99) & (places[:, 2] > 1e-6)
        count = inside.sum(dim=0)
        # The median of those inside: the others stand aside in pairs, one above and one below.
        aside = (~inside).cumsum(dim=0) % 2 * 4.0 - 2.0
        middle = _median(torch.where(inside[:, None], colours, aside[:, None]))
        agree = torch.stack(
            [
                (alike & inside).sum(dim=0)
                for alike in (
                    _alike(colours, middle, middle, SAME),
                    _alike(colours, photo, photo, SAME),
                    _alike(colours, low, high, BEYOND),
                )
            ]
        )
        shares = torch.where(count >= FEWEST, agree / count.clamp_min(1), 0.0)
        found = torch.maximum(found, torch.cat([shares, count[None].float()]))
    return Support(*found)


def around(photo: Tensor) -> Tensor:
    """The largest value within half a pixel of each of `photo` (3, H, W): a picture that lies up to that much
    beside it stays below (Birchfield and Tomasi, PAMI 1998)."""
    padded = functional.pad(photo[None], (1, 1, 1, 1), mode="replicate")[0]
    height, width = photo.shape[1:]
    found = photo
    for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
        found = torch.maximum(
            found, (photo + padded[:, down : down + height, right : right + width]) / 2
        )
    return found


def _median(values: Tensor) -> Tensor:
    """The median of seven, along the first axis."""
    sorting = list(values.unbind())
    for low, high in EXCHANGES:
        a, b = sorting[low], sorting[high]
        sorting[low], sorting[high] = torch.minimum(a, b), torch.maximum(a, b)
    return sorting[3]


def _alike(colours: Tensor, low: Tensor, high: Tensor, most: float) -> Tensor:
    """Which of `colours` (K, 3, H, W) lie between `low` and `high` (3, H, W), or on average at most so far
    from there, in a patch around each pixel: (K, H, W)."""
    return patches((colours - colours.clamp(low, high)).abs_().mean(dim=1)) < most


def patches(values: Tensor) -> Tensor:
    """Means over a patch around each pixel of (K, H, W)."""
    half = WINDOW // 2
    padded = functional.pad(values, (half, half, half, half), mode="replicate")
    width, height = values.shape[2], values.shape[1]
    rows = torch.zeros_like(padded[:, :, :width])
    for shift in range(WINDOW):
        rows += padded[:, :, shift : shift + width]
    found = torch.zeros_like(values)
    for shift in range(WINDOW):
        found += rows[:, shift : shift + height]
    return found / WINDOW**2
