"""The GPU's photo loss against autograd in double precision, on a GPU or on its stand-in."""

from __future__ import annotations

import pytest
import torch

from scripts.lib.render.losses import cuda, reference
from tests.stages.cuda_stand_in import DEVICES, kernels_on

WEIGHT, SHARE = 0.3, 0.25
# Width and height: the least; strips that end within rows of shared memory; more blocks than one either way.
SIZES = [(11, 11), (60, 47), (53, 90), (150, 30)]


def images(views: int, size: tuple[int, int], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Renders (V, H, W, 3) with values a little outside 0..1, and photos uint8 that resemble them."""
    random = torch.Generator().manual_seed(seed)
    shape = (views, size[1], size[0], 3)
    renders = 1.2 * torch.rand(shape, generator=random) - 0.1
    photos = renders + 0.2 * torch.randn(shape, generator=random)
    return renders, (photos.clamp(0, 1) * 255).to(torch.uint8)


def masks_of(kind: str, shape: torch.Size, seed: int) -> torch.Tensor | None:
    random = torch.Generator().manual_seed(seed)
    shares = torch.rand(shape[:3], generator=random).round(decimals=1)
    return {"all": None, "shares": shares, "bytes": (255 * shares).to(torch.uint8)}[kind]


@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize("kind", ["all", "shares", "bytes"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("device", DEVICES)
def test_losses_and_gradients_agree(
    device: str, size: tuple[int, int], kind: str, exposed: bool
) -> None:
    renders, photos = images(2, size, seed=size[0])
    masks = masks_of(kind, renders.shape, size[1])
    exposures = 0.2 * torch.randn(2, 6) if exposed else None
    with kernels_on(device, cuda):
        found = cuda.judge(
            renders.to(device),
            photos.to(device),
            WEIGHT,
            None if masks is None else masks.to(device),
            None if exposures is None else exposures.to(device),
            SHARE,
        )

    leaf, values = renders.double().requires_grad_(), torch.zeros(2, 6, dtype=torch.float64)
    if exposures is not None:
        values = exposures.double()
    values.requires_grad_()
    losses = []
    for number in range(2):
        compared = leaf[number] * values[number, :3].exp() + values[number, 3:]
        mask = None if masks is None else masks[number].double() / (255 if kind == "bytes" else 1)
        photo = photos[number].double() / 255
        losses.append(reference.photo_loss(compared, photo, WEIGHT, mask))
    wanted = torch.stack(losses)
    (SHARE * wanted.sum()).backward()
    assert torch.allclose(found.losses.cpu().double(), wanted.detach(), rtol=1e-5)
    pairs = [(found.gradients, leaf.grad)]
    if exposed:
        pairs.append((found.by_exposures, values.grad))
    else:
        assert found.by_exposures is None
    for mine, true in pairs:
        assert (mine.cpu() - true).abs().max() < 2e-5 * true.abs().max()


@pytest.mark.parametrize("device", DEVICES)
def test_one_photo_is_judged_as_among_others(device: str) -> None:
    """The same bits, whoever is judged beside it."""
    renders, photos = (value.to(device) for value in images(3, (40, 52), 1))
    with kernels_on(device, cuda):
        together = cuda.judge(renders, photos, 0.2)
        loss, gradient = cuda.loss_and_gradient(renders[1], photos[1], 0.2)
    assert torch.equal(loss, together.losses[1])
    assert torch.equal(gradient, together.gradients[1])


@pytest.mark.parametrize("device", DEVICES)
def test_what_masks_hide_does_not_matter(device: str) -> None:
    renders, photos = images(1, (48, 32), 2)
    masks = torch.full((1, 32, 48), 255, dtype=torch.uint8)
    masks[..., 24:] = 0
    spoilt = renders.clone()
    spoilt[:, :, 24:] += 5
    with kernels_on(device, cuda):
        one, other = (
            cuda.judge(value.to(device), photos.to(device), 0.2, masks.to(device))
            for value in (renders, spoilt)
        )
    assert torch.allclose(one.losses, other.losses, rtol=1e-6)
    assert not other.gradients[:, :, 24:].any() and other.gradients[:, :, :24].abs().sum() > 0


def test_too_small_for_ssim() -> None:
    renders, photos = images(1, (40, 10), 3)
    with pytest.raises(ValueError, match="at least 11"):
        cuda.judge(renders, photos, 0.2)
