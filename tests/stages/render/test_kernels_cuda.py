"""The kernels of the fused step against plain torch in double precision, on a GPU or on its stand-in."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.lib.render.cuda.compile import Source
from scripts.lib.render.rasterise.cuda.room import BROKEN, DONE, LOST, Room
from scripts.lib.render.rasterise.reference import sh_basis
from scripts.lib.train.densify import shorten
from scripts.lib.train.kernels import adam_cuda, geometry_cuda, harmonics_cuda
from scripts.lib.train.kernels.adam import adam as cpu_adam
from scripts.lib.train.options import Precision
from scripts.lib.train.parameters import ADAM, TYPES
from tests.stages import cuda_stand_in
from tests.stages.cuda_stand_in import DEVICES, kernels_on, needs_compiler

COUNT, VIEWS = 150, 2  # more Gaussians than two blocks have, and no multiple


def cameras() -> torch.Tensor:
    """world_to_camera (V, 4, 4) of cameras that look any way."""
    made = torch.eye(4).repeat(VIEWS, 1, 1)
    made[:, :3, :3] = torch.linalg.qr(torch.randn(VIEWS, 3, 3))[0]
    made[:, :3, 3] = 3 * torch.randn(VIEWS, 3)
    return made


def stepped(
    leaf: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    rate: float | torch.Tensor,
    steps: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`leaf` after Adam's step `steps`, and its moments."""
    m = ADAM["beta1"] * first.double() + (1 - ADAM["beta1"]) * leaf.grad
    v = ADAM["beta2"] * second.double() + (1 - ADAM["beta2"]) * leaf.grad**2
    mean, spread = m / (1 - ADAM["beta1"] ** steps), v / (1 - ADAM["beta2"] ** steps)
    return leaf.detach() - rate * mean / (spread.sqrt() + ADAM["epsilon"]), m, v


def moments_of(
    value: torch.Tensor, precision: Precision = "single"
) -> tuple[torch.Tensor, torch.Tensor]:
    """As earlier steps may have left them."""
    dtype = TYPES[precision][1]
    return torch.randn(value.shape).to(dtype), (torch.rand(value.shape) + 0.5).to(dtype)


def is_near(found: torch.Tensor, aim: torch.Tensor) -> bool:
    """Whether float32 has `aim` but for rounding; or 16 bits one of the two numbers about it."""
    spacing = {torch.float32: 1e-5, torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}[found.dtype]
    return torch.allclose(found.cpu().double(), aim, rtol=spacing, atol=2e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["single", "half"])
@pytest.mark.parametrize(
    ("degree", "bands"), [(0, 0), (0, 3), (1, 1), (1, 3), (2, 2), (2, 3), (3, 3)]
)
def test_harmonics(degree: int, bands: int, precision: Precision, device: str) -> None:
    """Colours, their gradient through the viewing direction, and Adam on the coefficients, unless a step is
    lost."""
    torch.manual_seed(degree)
    means, sh = torch.randn(COUNT, 3), 0.5 * torch.randn(COUNT, (bands + 1) ** 2, 3)
    sh = sh.to(TYPES[precision][0])
    views, radii = cameras(), torch.ones(VIEWS, COUNT, 2, dtype=torch.int32)
    radii[0, ::3] = 0
    radii[1, ::2] = 0  # every sixth is seen by none
    seen, used = radii[..., 0] > 0, (degree + 1) ** 2
    leaf, place = sh.double().requires_grad_(), means.double().requires_grad_()
    eye = views.double()
    centres = -(eye[:, :3, :3].mT @ eye[:, :3, 3:])[..., 0]
    directions = torch.nn.functional.normalize(place - centres[:, None], dim=-1)
    basis = torch.stack([sh_basis(part, used) for part in directions])
    wanted = (torch.einsum("vnk,nkc->vnc", basis, leaf[:, :used]) + 0.5).clamp_min(0)
    upstream = torch.randn(VIEWS, COUNT, 3)
    (wanted * upstream * seen[..., None]).sum().backward()

    first, second = moments_of(sh, precision)
    state = [value.clone().to(device) for value in (sh, first, second)]
    gradient = torch.full((COUNT, 3), 0.25, device=device)
    given, radii = (means.to(device), state[0]), radii.to(device)
    slopes = torch.empty(VIEWS, COUNT, 3, device=device)
    # What no view sees may hold anything, and must stay out of every sum.
    upstream[~seen] = torch.nan
    with kernels_on(device, harmonics_cuda):
        made = harmonics_cuda.colours(*given, views.to(device), radii, degree)
        harmonics_cuda.slopes_of(radii, made, upstream.to(device), slopes, state[0])
        harmonics_cuda.step_harmonics(
            *given, (state[1], state[2]), views.to(device), slopes, gradient, degree, 0.01, 0.1, 5, seed=3,
            **ADAM,
        )  # fmt: skip
        after = [value.clone() for value in (*state, gradient)]
        ledger = Room(torch.device(device)).ledger
        ledger[LOST] = 1
        harmonics_cuda.step_harmonics(
            *given, (state[1], state[2]), views.to(device), slopes, gradient, degree, 0.01, 0.1, 6, seed=3,
            ledger=ledger, **ADAM,
        )  # fmt: skip
    assert all(map(torch.equal, after, (*state, gradient)))
    assert torch.allclose(made.cpu()[seen].double(), wanted.detach()[seen], atol=2e-6)
    rates = torch.full((used, 1), 0.001, dtype=torch.float64)
    rates[0] = 0.01
    part = leaf.detach()[:, :used].clone()
    part.grad = leaf.grad[:, :used]
    aims = stepped(part, first[:, :used], second[:, :used], rates, 5)
    for found, before in zip(state, (sh, first, second), strict=True):
        assert torch.equal(found.cpu()[:, used:], before[:, used:])
    value, one, two = (found.cpu()[:, :used] for found in state)
    assert is_near(value, aims[0]) and is_near(two, aims[2])
    if precision == "single":
        assert is_near(one, aims[1])
    else:  # what rounding added to a value has gone into its first moment
        spread = (two.double() / (1 - ADAM["beta2"] ** 5)).sqrt()
        steps = rates / (1 - ADAM["beta1"] ** 5) * ADAM["beta1"] / (1 - ADAM["beta1"])
        back = (value.double() - aims[0]) * spread / steps
        rounding = 2.0**-7 * (aims[1].abs() + (aims[1] + back).abs()) + 1e-2 * back.abs() + 1e-3
        assert back.abs().max() > 0.01 and ((one - aims[1] - back).abs() <= rounding).all()
    through = place.grad if degree else torch.zeros_like(place)
    assert torch.allclose(gradient.cpu().double(), 0.25 + through, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_harmonics_of_16_bits_do_not_walk_about(device: str) -> None:
    """Over many steps, each a fraction of their spacing, they stay beside those in single precision."""
    torch.manual_seed(6)
    views, found = torch.eye(4)[None].to(device), {}
    start = 0.25 + 0.25 * torch.rand(COUNT, 1, 3)  # a quarter of a thousandth apart
    pulls = torch.randn(600, 1, COUNT, 3)
    for precision in ("single", "half"):
        harmonics, moments = TYPES[precision]
        sh = start.half().to(harmonics).to(device)
        first, second = (torch.full_like(sh, size, dtype=moments) for size in (0.0, 1.0))
        with kernels_on(device, harmonics_cuda):
            for number, pull in enumerate(pulls):
                harmonics_cuda.step_harmonics(
                    torch.ones(COUNT, 3, device=device), sh, (first, second), views, pull.to(device),
                    torch.zeros(COUNT, 3, device=device), 0, 2e-4, 1.0, 3000, seed=number, **ADAM,
                )  # fmt: skip
        found[precision] = sh.cpu().double()
    apart = (found["half"] - found["single"]) / 2.0**-12
    assert apart.square().mean().sqrt() < 1


SHAPES = {"means": (COUNT, 3), "quats": (COUNT, 4), "scales": (COUNT, 3), "opacities": (COUNT,)}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["single", "half"])
def test_geometry(precision: Precision, device: str) -> None:
    """Activations, the chain rule back through them, the regularisers and Adam; no noise, nothing dropped.

    A lost step changes nothing.
    """
    torch.manual_seed(3)
    start = {name: torch.randn(shape) for name, shape in SHAPES.items()}
    start["opacities"][::10] = 9.3  # above 0.9999, where the opacity is held and has no slope
    raw = {name: value.double().requires_grad_() for name, value in start.items()}
    upstream = [torch.randn(shape) for shape in SHAPES.values()]
    scales, opacities = torch.exp(raw["scales"]), torch.sigmoid(raw["opacities"])
    shown = opacities.clamp_max(0.9999)
    loss = (raw["means"] * upstream[0]).sum() + (raw["quats"] * upstream[1]).sum()
    loss = loss + (scales * upstream[2]).sum() + (shown * upstream[3]).sum()
    (loss + 0.1 * opacities.sum() + 0.2 * scales.sum()).backward()

    first, second = zip(*(moments_of(value, precision) for value in start.values()), strict=True)
    state = [
        [value.clone().to(device) for value in part] for part in (start.values(), first, second)
    ]
    rates = (0.01, 0.02, 0.03, 0.04)
    with kernels_on(device, geometry_cuda):
        made = geometry_cuda.activate(state[0][2], state[0][3], 7, 0.0)
        norms, ledger = torch.ones(COUNT, device=device), Room(torch.device(device)).ledger
        given = (
            *(tuple(part) for part in state), tuple(value.to(device) for value in upstream), rates, 3,
        )  # fmt: skip
        options = OPTIONS | {"opacity_cost": 0.1, "scale_cost": 0.2}
        options |= {"seed": 7, "position_gradients": norms, "ledger": ledger}
        geometry_cuda.step_geometry(*given, **options)
        after = [value.clone() for part in state for value in part]
        ledger[LOST] = 1
        geometry_cuda.step_geometry(*given, **options)
    assert ledger[DONE] == 1
    assert all(map(torch.equal, after, [value for part in state for value in part]))
    assert torch.allclose(made[0].cpu().double(), scales.detach(), rtol=1e-5)
    assert torch.allclose(made[1].cpu().double(), opacities.detach().clamp_max(0.9999), rtol=1e-5)
    for number, (leaf, rate) in enumerate(zip(raw.values(), rates, strict=True)):
        aims = stepped(leaf, first[number], second[number], rate, 3)
        for part, aim in zip(state, aims, strict=True):
            assert is_near(part[number], aim)
    wanted = torch.linalg.vector_norm(upstream[0], dim=1) * scales.detach().amax(dim=1)
    assert torch.allclose(norms.cpu().double() - 1, wanted, rtol=1e-5, atol=1e-6)


def still(values: tuple[torch.Tensor, ...]) -> tuple[tuple[torch.Tensor, ...], ...]:
    """No moments, first and second, and no gradients."""
    moments = [tuple(torch.zeros_like(value) for value in values) for _ in range(2)]
    return *moments, tuple(torch.zeros_like(value) for value in values)


OPTIONS = {
    "opacity_cost": 0.0, "scale_cost": 0.0, "axis_ratio": 0.0, "noise": 0.0, "drop": 0.0, **ADAM
}  # fmt: skip
NO_RATES = (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("device", DEVICES)
def test_drop(device: str) -> None:
    """A share of the opacities becomes 0, the rest grow; the way back knows which, and seeds differ."""
    count = 2000
    scales = torch.full((count, 3), -2.0, device=device)
    opacities = torch.full((count,), -2.0, device=device)
    values = (torch.zeros_like(scales), torch.ones(count, 4, device=device), scales, opacities)
    first, second, gradients = still(values)
    gradients[3][:] = 1
    with kernels_on(device, geometry_cuda):
        drawn = [
            geometry_cuda.activate(scales, opacities, seed, 0.3)[1] for seed in (7, 7, 2**30 - 1)
        ]
        geometry_cuda.step_geometry(
            values, first, second, gradients, NO_RATES, 1, seed=7,
            position_gradients=torch.zeros_like(opacities), **{**OPTIONS, "drop": 0.3},
        )  # fmt: skip
    dropped = drawn[0] == 0
    assert 0.26 < dropped.float().mean() < 0.34
    assert torch.allclose(drawn[0][~dropped], torch.sigmoid(opacities[~dropped]) / 0.7, rtol=1e-5)
    assert torch.equal(drawn[0], drawn[1])
    both = ((drawn[2] == 0) & dropped).float().mean()
    assert 0.06 < both < 0.12  # 0.09 of independent draws
    assert torch.equal(first[3] == 0, dropped)


@pytest.mark.parametrize("device", DEVICES)
def test_the_longest_axis_is_held(device: str) -> None:
    """Within three times the second, whichever axes these are, as in plain torch; a disc stays one."""
    torch.manual_seed(6)
    scales = 2 * torch.randn(500, 3)
    scales[::50] = torch.tensor([-1.0, -1.0, -9.0])
    held = scales.clone()
    shorten(held, 3.0)
    ordered = held.sort(dim=1).values
    assert 100 < (held != scales).sum() < 400
    assert (ordered[:, 2] - ordered[:, 1]).max() <= math.log(3) + 1e-6
    assert torch.equal(ordered[:, :2], scales.sort(dim=1).values[:, :2])
    values = (torch.zeros(500, 3), torch.ones(500, 4), scales, torch.zeros(500))
    moved = tuple(value.clone().to(device) for value in values)
    with kernels_on(device, geometry_cuda):
        geometry_cuda.step_geometry(
            moved, *still(moved), NO_RATES, 1, seed=9, position_gradients=torch.zeros_like(moved[3]),
            **{**OPTIONS, "axis_ratio": 3.0},
        )  # fmt: skip
    assert torch.allclose(moved[2].cpu(), held, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_noise(device: str) -> None:
    """Faint Gaussians are shaken within their size, solid ones are not."""
    count = 4000
    torch.manual_seed(4)
    scales = torch.tensor([-6.0, -2.0, -3.0]).expand(count, 3).contiguous()
    opacities = torch.full((count,), -9.0)
    opacities[count // 2 :] = 3.0
    quats = torch.randn(count, 4)
    values = tuple(value.to(device) for value in (torch.zeros(count, 3), quats, scales, opacities))
    with kernels_on(device, geometry_cuda):
        geometry_cuda.step_geometry(
            values, *still(values), NO_RATES, 1, seed=9, position_gradients=torch.zeros_like(values[3]),
            **{**OPTIONS, "noise": 2.0},
        )  # fmt: skip
    moved = values[0].cpu().double()
    assert moved[count // 2 :].abs().max() < 1e-20
    w, x, y, z = torch.nn.functional.normalize(quats.double(), dim=1).unbind(dim=1)
    axes = torch.stack(  # columns of the rotation: the Gaussians' own axes
        [
            torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], dim=1),
            torch.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], dim=1),
            torch.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], dim=1),
        ],
        dim=1,
    )
    along = (axes * moved[:, None]).sum(dim=2)[: count // 2]
    gate = torch.sigmoid(-100 * (torch.sigmoid(torch.tensor(-9.0)) - 0.005))
    unit = along / (2.0 * torch.exp(2 * scales[0].double()) * gate)  # should be normal
    assert (unit.mean(dim=0).abs() < 0.1).all()
    assert torch.allclose(unit.T @ unit / len(unit), torch.eye(3, dtype=torch.float64), atol=0.1)
    within = (unit.abs() < 1).double().mean(dim=0)
    assert torch.allclose(within, torch.full((3,), 0.6827, dtype=torch.float64), atol=0.04)
    assert (unit.abs() > 2.5).any(dim=0).all() and unit.isfinite().all()


NUMBERS = """
extern "C" __global__ void numbers(const VALUE* from, float* to, const int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) to[i] = number_of(from[i]);
}
extern "C" __global__ void rounded(const float* from, VALUE* to, const int count, const int seed) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) set(to[i], from[i], bits_of(key_of(seed, HARMONIC), i));
}
"""


@pytest.mark.parametrize(("name", "dtype"), [("Half", torch.float16), ("Brain", torch.bfloat16)])
@needs_compiler
def test_numbers_of_16_bits_are_torch_s_and_right_on_average(
    name: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    path = tmp_path / "numbers.cu"
    path.write_text(NUMBERS, encoding="utf-8")
    source = Source(path, geometry_cuda.HEADERS, ("numbers", "rounded"))
    macros = (("VALUE", name),)
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    found = torch.empty(2**16)
    cuda_stand_in.launch(source, "numbers", (256,), 256, every, found, 2**16, macros=macros)
    finite = every.isfinite()
    assert torch.equal(found[finite], every[finite].float())

    exact = every[finite].float()
    draws = 2000
    many = torch.tensor([1.003, -0.7123, 3e-6, -2.2e-8, 60001.0, 0.0]).repeat(draws)
    broken = torch.tensor([math.nan, math.inf, -math.inf])
    given = torch.cat([exact, many, broken])
    made = torch.empty(len(given), dtype=dtype)
    grid = (-(-len(given) // 256),)
    cuda_stand_in.launch(source, "rounded", grid, 256, given, made, len(given), 4, macros=macros)
    assert torch.equal(made[: len(exact)].float(), exact)
    assert not made[-len(broken) :].isfinite().any()
    drawn = made[len(exact) : -len(broken)].double().view(draws, -1)
    for column, aim in zip(drawn.T, many[:6].double(), strict=True):
        values = column.unique()
        low, high = values[0], values[-1]
        assert len(values) <= 2 and low <= aim <= high
        assert (column.mean() - aim).abs() <= 0.05 * (high - low)


WORDS = """
extern "C" void words(const int* given, int* made) {
    Four counter;
    for (int k = 0; k < 4; ++k) counter.v[k] = given[k];
    const Four four = philox(counter, given[4], given[5]);
    for (int k = 0; k < 4; ++k) made[k] = four.v[k];
}
"""


# Counter, key, and the words of Random123, the library of the paper.
KNOWN = [
    ([0] * 6, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 6, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@needs_compiler
def test_random_words_are_philox_s(tmp_path: Path) -> None:
    path = tmp_path / "words.cu"
    path.write_text(WORDS, encoding="utf-8")
    ours = geometry_cuda.GAUSSIANS
    source = Source(path, (*ours.headers, ours.path), ("words",))
    for given, wanted in KNOWN:
        made = torch.zeros(4, dtype=torch.int32)
        words = torch.from_numpy(np.array(given, np.uint32).view(np.int32))
        cuda_stand_in.launch(source, "words", (1,), 1, words, made, macros=geometry_cuda.HALF)
        assert made.numpy().view(np.uint32).tolist() == wanted


@pytest.mark.parametrize("device", DEVICES)
def test_adam(device: str) -> None:
    """The plain kernel steps as the CPU's does, a rate for each column."""
    torch.manual_seed(5)
    tensors = [torch.randn(300, 4) for _ in range(3)]
    tensors.append(torch.rand(300, 4))  # the second moment
    rates = np.array([0.1, 0.2, 0.3, 0.4])
    found = [tensor.clone().to(device) for tensor in tensors]
    with kernels_on(device, adam_cuda):
        adam_cuda.adam(*found, rates, 4, **ADAM)
    cpu_adam(*tensors, rates, 4, **ADAM)
    for mine, wanted in zip(found, tensors, strict=True):
        assert torch.allclose(mine.cpu(), wanted, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e25])
@pytest.mark.parametrize("precision", ["single", "half"])
def test_numbers_that_are_not_finite_are_noted(
    number: float, precision: Precision, device: str
) -> None:
    """In any gradient, or where a square is too large; and in no other step."""
    made, moments = TYPES[precision]
    starts = [torch.zeros(shape, device=device) for shape in SHAPES.values()]
    starts[1][:, 0] = 1
    ledger = Room(torch.device(device)).ledger
    sh = torch.zeros(COUNT, 4, 3, device=device, dtype=made)
    slopes = torch.zeros(1, COUNT, 3, device=device)
    means, views = torch.randn(COUNT, 3).to(device), torch.eye(4, device=device)[None]
    for which in range(-1, 5):
        values = tuple(value.clone() for value in starts)
        kept = [tuple(torch.zeros_like(v, dtype=moments) for v in values) for _ in range(2)]
        gradients = tuple(torch.zeros_like(value) for value in values)
        for place, gradient in enumerate((*gradients, slopes[0])):
            gradient.view(-1)[-1] = number if place == which else 0
        ledger.zero_()
        with kernels_on(device, geometry_cuda, harmonics_cuda):
            if which < 4:
                geometry_cuda.step_geometry(
                    values, *kept, gradients, (0.1, 0.1, 0.1, 0.1), 1, seed=7, ledger=ledger,
                    position_gradients=torch.zeros_like(values[3]), **OPTIONS,
                )  # fmt: skip
            if which in (-1, 4):
                one, two = (torch.zeros_like(sh, dtype=moments) for _ in range(2))
                harmonics_cuda.step_harmonics(
                    means, sh.clone(), (one, two), views, slopes, torch.zeros_like(means), 1, 0.1, 0.1, 1,
                    seed=7, ledger=ledger, **ADAM,
                )  # fmt: skip
        assert int(ledger[BROKEN]) == (which >= 0), which
