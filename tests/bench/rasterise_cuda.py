"""Our CUDA rasteriser against gsplat's: milliseconds a photo from Gaussians to gradients, harmonics apart.

    python -m tests.bench.rasterise_cuda splat.ply undistorted.zip [--side 1600] [--views 12]

The same splat, photos and slopes go through both in one process, one photo at a time; one JSON line.
`*_ms` are medians of the time from one part's call to its end, so they hold the CPU's time to launch kernels.
`gpu_ms` is the time that the kernels themselves take, as torch's profiler has it; `kernels` counts them.
There "ours, harmonics" begins with raw parameters and includes the harmonics, their gradient and Adam on
them, as a training step does it. Faster-GS, where it is installed, includes activations, harmonics and their
gradient.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from scripts.lib.render.rasterise import cuda as ours
from scripts.lib.render.rasterise.constants import EPS2D, FAR, NEAR
from scripts.lib.render.rasterise.cuda.room import Room
from scripts.lib.render.rasterise.gsplat import gsplat_kernels
from scripts.lib.render.rasterise.passes import Cameras, Shapes
from scripts.lib.scene.scene import Scene, load_scene
from scripts.lib.splat.gaussians import Gaussians, read_ply
from scripts.lib.train.kernels.geometry_cuda import activate
from scripts.lib.train.kernels.harmonics_cuda import colours, slopes_of, step_harmonics
from scripts.lib.train.parameters import ADAM, SH_REST
from tests.bench.fastergs import FasterGs, fastergs

REPEATS = 5
PEERS = ("gsplat", "faster-gs")
Timer = Callable[[str, Callable[[], Any]], Any]


class Clock:
    """Milliseconds of the GPU by name."""

    def __init__(self) -> None:
        self.spans: dict[str, list[float]] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        """Do `work` and note how long it took."""
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        result = work()
        end.record()
        torch.cuda.synchronize()
        self.spans.setdefault(name, []).append(begin.elapsed_time(end))
        return result

    def medians(self) -> dict[str, float]:
        """Median of each name."""
        return {name: round(float(np.median(spans)), 3) for name, spans in self.spans.items()}


class Kernels:
    """What torch's profiler sees on the GPU while some works are done, by name."""

    def __init__(self) -> None:
        self.works: dict[str, list[Callable[[], Any]]] = {}

    def add(self, name: str, work: Callable[[], Any]) -> None:
        """One more photo."""
        self.works.setdefault(name, []).append(work)

    def measured(self) -> tuple[dict[str, float], dict[str, float]]:
        """Milliseconds of kernels, and how many of them, a photo."""
        spent, counts = {}, {}
        for name, works in self.works.items():
            for work in works:  # warm, and nothing is measured once
                work()
            torch.cuda.synchronize()
            with profile(activities=[ProfilerActivity.CUDA]) as seen:
                for _ in range(REPEATS):
                    for work in works:
                        work()
                torch.cuda.synchronize()
            found = [
                event.time_range.elapsed_us()
                for event in seen.events()
                if event.device_type == DeviceType.CUDA
            ]
            many = REPEATS * len(works)
            spent[name] = round(sum(found) / 1000 / many, 4)
            counts[name] = round(len(found) / many, 1)
        return spent, counts


def unclocked(_: str, work: Callable[[], Any]) -> Any:
    """In the place of a clock."""
    return work()


def by_gsplat(g: Shapes, made: Tensor, view: Cameras, slope: Tensor, clock: Timer) -> Any:
    """Gradients of one photo by gsplat's functions."""
    kernels = gsplat_kernels()
    means, quats, scales, opacities = g.means, g.quats, g.scales, g.opacities
    w2c, K, (width, height) = view.world_to_camera, view.K, view.size
    pinhole = kernels.CameraModelType.PINHOLE
    gaussians, camera = (means, None, quats, scales), (w2c, K, width, height, EPS2D)
    across, down = -(-width // 16), -(-height // 16)

    def bin_them() -> Any:
        radii, means2d, depths, conics, _ = kernels.projection_ewa_3dgs_fused_fwd(
            *gaussians, opacities, *camera, NEAR, FAR, 0.0, False, pinhole
        )
        _, keys, order = kernels.intersect_tile(
            means2d, radii, depths, None, None, 1, 16, across, down, True, False
        )
        offsets = kernels.intersect_offset(keys, 1, across, down).view(1, down, across)
        return radii, means2d, depths, conics, order, offsets

    radii, means2d, depths, conics, order, offsets = clock("gsplat project and bin", bin_them)
    drawn = (means2d, conics, made, opacities[None], None, None, width, height, 16, offsets, order)
    image, alpha, last = clock(
        "gsplat forward", lambda: kernels.rasterize_to_pixels_3dgs_fwd(*drawn)
    )
    back = clock(
        "gsplat backward",
        lambda: kernels.rasterize_to_pixels_3dgs_bwd(
            *drawn, alpha, last, slope, torch.zeros_like(alpha), False
        ),
    )
    _, v_means2d, v_conics, v_made, v_shown = back
    found = clock(
        "gsplat project back",
        lambda: kernels.projection_ewa_3dgs_fused_bwd(
            *gaussians, *camera, pinhole, radii, conics, None, v_means2d, torch.zeros_like(depths),
            v_conics, None, False,
        ),
    )  # fmt: skip
    return image, (found[0], found[2], found[3], v_shown[0], v_made), len(order)


def by_ours(
    g: Shapes,
    made: Tensor,
    view: Cameras,
    slope: Tensor,
    clock: Timer,
    room: Room | None = None,
) -> Any:
    """The same by ours."""
    projected = clock("project", lambda: ours.project(g, view, False))
    drawn = clock("bin and forward", lambda: ours.draw(projected, made, view, room))
    moments, v_made = clock("backward", lambda: ours.draw_backward(projected, drawn, view, slope))
    found = clock(
        "project back", lambda: ours.project_backward(g, view, False, projected, moments, v_made)
    )
    gradients = (found.means, found.quats, found.scales, found.opacities, v_made)
    return drawn.image, gradients, int(projected.ends[-1]) if room is None else 0


class Whole:
    """Ours as in a training step: from raw parameters to all gradients, and Adam on the harmonics."""

    def __init__(self, splat: Gaussians, room: Room) -> None:
        self.means, self.quats = tensor(splat.means), tensor(splat.quats)
        self.scales, self.opacities = tensor(splat.scales), tensor(splat.opacities)
        self.sh = torch.cat([tensor(splat.sh0)[:, None], tensor(splat.shN)], dim=1).contiguous()
        self.moments = torch.zeros_like(self.sh), torch.zeros_like(self.sh)
        self.degree, self.room = splat.sh_degree, room

    def __call__(self, view: Cameras, slope: Tensor) -> None:
        """One photo; the harmonics stay as they are."""
        scales, opacities = activate(self.scales, self.opacities, 1, 0.0)
        g, w2c = Shapes(self.means, self.quats, scales, opacities), view.world_to_camera
        drawing = ours.CudaPass(g, view, False, self.room)
        made = colours(self.means, self.sh, w2c, drawing.seen, self.degree)
        drawing.draw(made)
        found = drawing.backward(slope, None, poses=False)
        slopes = torch.empty_like(made)
        slopes_of(drawing.seen, made, found.colours, slopes, self.sh)
        step_harmonics(
            self.means, self.sh, self.moments, w2c, slopes, found.means, self.degree, 0.0, SH_REST, 1000,
            seed=1, **ADAM,
        )  # fmt: skip


def tensor(values: Any) -> Tensor:
    """On the GPU, in single precision."""
    return torch.tensor(np.asarray(values, np.float32), device="cuda").contiguous()


def camera(scene: Scene, number: int) -> Cameras:
    """One of the scene's."""
    return Cameras(
        tensor(scene.world_to_camera[number])[None],
        tensor(scene.K[number])[None],
        (int(scene.sizes[number][0]), int(scene.sizes[number][1])),
        NEAR,
        FAR,
    )


def apart(one: Sequence[Tensor], other: Sequence[Tensor]) -> list[float]:
    """Norms of the differences against those of the first."""
    return [float((a - b).norm() / a.norm()) for a, b in zip(one, other, strict=True)]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("splat", type=Path)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--side", type=int, default=1600)
    parser.add_argument("--views", type=int, default=12)
    args = parser.parse_args(argv)
    splat, scene = read_ply(args.splat), load_scene(args.scene, args.side)
    room = Room(torch.device("cuda"))
    whole, peer = Whole(splat, room), fastergs()
    g = Shapes(whole.means, whole.quats, whole.scales.exp(), whole.opacities.sigmoid())
    theirs = FasterGs(peer, splat) if peer else None
    clocks, kernels = {name: Clock() for name in ("gsplat", "ours", "faster-gs")}, Kernels()
    pairs, pictures, gradients = [], [0.0, 0.0], [0.0] * 5
    for number in np.linspace(0, len(scene) - 1, args.views).astype(int):
        view = camera(scene, int(number))
        width, height = view.size
        slope = torch.randn((1, height, width, 3), device="cuda") / (width * height)
        seen = torch.ones((1, len(whole.sh), 2), dtype=torch.int32, device="cuda")
        made = colours(g.means, whole.sh, view.world_to_camera, seen, splat.sh_degree)
        for repeat in range(REPEATS):
            used = clocks if repeat else {name: Clock() for name in clocks}
            image1, gradients1, pairs1 = by_gsplat(g, made, view, slope, used["gsplat"])
            image2, gradients2, pairs2 = by_ours(g, made, view, slope, used["ours"])
            if theirs:
                image3, _ = theirs(view, slope, used["faster-gs"])
        pairs.append((pairs1 / len(whole.sh), pairs2 / len(whole.sh)))
        pictures[0] = max(pictures[0], float((image1 - image2).abs().max()))
        pictures[1] = max(pictures[1], float((image1 - image3).abs().max())) if theirs else 0.0
        gradients = list(map(max, gradients, apart(gradients1, gradients2)))
        kernels.add("gsplat", partial(by_gsplat, g, made, view, slope, unclocked))
        kernels.add("ours", partial(by_ours, g, made, view, slope, unclocked, room))
        kernels.add("ours, harmonics", partial(whole, view, slope))
        if theirs:
            kernels.add("faster-gs", partial(theirs, view, slope, unclocked))
    medians = {name: clock.medians() for name, clock in clocks.items() if clock.spans}
    sums = {name: sum(spans.values()) for name, spans in medians.items()}
    spent, counts = kernels.measured()
    print(
        json.dumps(
            {
                "gaussians": len(whole.sh),
                "size": view.size,
                **{f"{name}_ms": spans for name, spans in medians.items()},
                "sums_ms": {name: round(total, 3) for name, total in sums.items()},
                "ratio": round(sums["ours"] / sums["gsplat"], 3),
                "gpu_ms": spent,
                "kernels": counts,
                "gpu_ratios": {
                    name: {peer: round(own / spent[peer], 3) for peer in PEERS if peer in spent}
                    for name, own in spent.items()
                    if name not in PEERS and all(spent.values())
                },
                "pairs_a_gaussian": np.mean(pairs, axis=0).round(2).tolist(),
                "largest_difference_of_pictures": pictures,
                "gradients_apart": [round(share, 6) for share in gradients],
                "gpu": torch.cuda.get_device_name(),
            }
        )
    )


if __name__ == "__main__":
    main()
