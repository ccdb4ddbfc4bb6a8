"""Our CUDA rasteriser on a GPU or on its stand-in: pictures and gradients against plain torch."""

from __future__ import annotations

import pytest
import torch

from scripts.lib.render.rasterise import cuda as ours
from scripts.lib.render.rasterise import rasterise
from scripts.lib.render.rasterise.passes import Cameras, Shapes
from tests.stages.cuda_stand_in import DEVICES, kernels_on

SIZE = (110, 90)  # no multiples of a tile; more tiles than a warp has lanes


def scene(count: int = 300, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Means, quats, scales, opacities, harmonics and two cameras in float64 on the CPU."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    means = draw(count, 3) * torch.tensor([1.0, 1.0, 0.5]) + torch.tensor([0, 0, 4.0])
    scales = torch.exp(draw(count, 3) * 0.7 - 2.5)
    # Some that cover many tiles, and some beyond the picture's edge, where the linearisation is held.
    scales[:5] *= 10
    scales[5:40] *= 5
    means[5:40, :2] *= 4
    poses = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    turn = torch.tensor(0.2)
    poses[1, 0, 0] = poses[1, 2, 2] = torch.cos(turn)
    poses[1, 0, 2], poses[1, 2, 0] = torch.sin(turn), -torch.sin(turn)
    K = torch.tensor([[80.0, 0, 46], [0, 75.0, 33], [0, 0, 1]], dtype=torch.float64).repeat(2, 1, 1)
    opacities = torch.sigmoid(draw(count) + 1)
    return means, draw(count, 4), scales, opacities, draw(count, 1, 3), poses, K


def on(device: str, value: torch.Tensor) -> torch.Tensor:
    """As the kernels take it."""
    return value.detach().float().to(device).contiguous()


@pytest.mark.parametrize("device", DEVICES)
def test_lists_of_an_assumed_length(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They give the same pictures; too short ones are cut, and the ledger tells what they should have had."""
    *given, poses, K = (on(device, value) for value in scene(100))
    shapes, cameras = Shapes(*given[:4]), Cameras(poses, K, SIZE, 0.01, 1e10)
    shade = given[4][:, 0].abs().expand(2, -1, 3).contiguous()
    kind, room = (2, *SIZE), ours.Room(torch.device(device))
    monkeypatch.setattr(torch, "empty", torch.zeros)  # nobody's memory has the first tile in it
    with kernels_on(device, ours):
        projected = ours.project(shapes, cameras, False)
        wanted = ours.draw(projected, shade, cameras)
        needed = int(projected.ends[-1])
        for _ in range(2):  # not knowing, and knowing
            found = ours.draw(projected, shade, cameras, room)
            assert torch.equal(found.image, wanted.image)
        assert room.ledger[: ours.room.FIRST + 1].tolist() == [0, 0, 0, needed]
        assert len(found.sorted) == room.length(kind) > needed
        room._lengths[0] = needed // 3
        cut = ours.draw(projected, shade, cameras, room)
        moments, v_made = ours.draw_backward(projected, cut, cameras, torch.ones_like(cut.image))
    assert room.ledger[: ours.room.FIRST + 1].tolist() == [1, 0, 0, needed]
    assert len(cut.sorted) == needed // 3 and not torch.equal(cut.image, wanted.image)
    assert moments.isfinite().all() and v_made.isfinite().all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("antialiased", "warps"), [(False, ours.WARPS), (True, ours.WARPS_OF_LITTLE)]
)
def test_pictures_and_gradients_are_those_of_plain_torch(
    antialiased: bool, warps: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "warps_on", lambda device: warps)
    *given, poses, K = scene()
    leaves = [value.clone().requires_grad_() for value in given]
    poses.requires_grad_()
    image, alpha = rasterise(*leaves, poses, K, SIZE, backend="reference", antialiased=antialiased)
    random = torch.Generator().manual_seed(1)
    slope = torch.randn(image.shape, generator=random, dtype=torch.float64)
    slope_alpha = torch.randn(alpha.shape, generator=random, dtype=torch.float64)
    ((image * slope).sum() + (alpha * slope_alpha).sum()).backward()

    def put(value: torch.Tensor) -> torch.Tensor:
        return on(device, value)

    g = Shapes(*(put(value) for value in given[:4]))
    cameras = Cameras(put(poses), put(K), SIZE, 0.01, 1e10)
    shade = (0.28209479177387814 * given[4][:, 0] + 0.5).clamp_min(0)
    with kernels_on(device, ours):
        projected = ours.project(g, cameras, antialiased)
        drawn = ours.draw(projected, put(shade.expand(2, -1, 3)), cameras)
        moments, v_made = ours.draw_backward(
            projected, drawn, cameras, put(slope), put(slope_alpha[..., 0])
        )
        found = ours.project_backward(
            g, cameras, antialiased, projected, moments, v_made, poses=True
        )
    torch.testing.assert_close(drawn.image.cpu().double(), image.detach(), atol=2e-5, rtol=1e-4)
    shown = 1 - drawn.transmittance[..., None].cpu().double()
    torch.testing.assert_close(shown, alpha.detach(), atol=2e-5, rtol=1e-4)
    by_sh = (v_made.sum(dim=0).cpu() * 0.28209479177387814) * (shade > 0)
    for name, mine, wanted in [
        ("means", found.means, leaves[0].grad),
        ("quats", found.quats, leaves[1].grad),
        ("scales", found.scales, leaves[2].grad),
        ("opacities", found.opacities, leaves[3].grad),
        ("harmonics", by_sh, leaves[4].grad[:, 0]),
    ]:
        error = mine.cpu().double() - wanted
        assert error.norm() < 1e-3 * wanted.norm(), (name, float(error.norm() / wanted.norm()))
        # And of every Gaussian by itself, unless it hardly matters.
        rows, sizes = (value.reshape(len(value), -1).norm(dim=1) for value in (error, wanted))
        assert (rows < 5e-3 * (sizes + 1e-4 * sizes.max())).all(), name
    # The reference sorts by depth, which has no gradient; the centre of view moves the harmonics alone.
    assert found.cameras is not None and poses.grad is not None
    error = (found.cameras.cpu().double()[:, :3] - poses.grad[:, :3]).norm() / poses.grad.norm()
    assert error < 1e-3
