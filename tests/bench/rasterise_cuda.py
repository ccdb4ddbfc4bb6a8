"""Our CUDA rasteriser against gsplat's: milliseconds a photo from Gaussians to gradients, harmonics apart.

    python -m tests.bench.rasterise_cuda splat.ply undistorted.zip [--side 1600] [--views 12]

The same splat, photos and slopes go through both in one process, one photo at a time; medians, one JSON line.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scripts.lib.render.rasterise import cuda as ours
from scripts.lib.render.rasterise.constants import EPS2D, FAR, NEAR
from scripts.lib.render.rasterise.gsplat import gsplat_kernels
from scripts.lib.render.rasterise.passes import Cameras, Shapes
from scripts.lib.scene.scene import load_scene
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.train.kernels.harmonics_cuda import colours

REPEATS = 5


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


def by_gsplat(g: Shapes, made: Tensor, view: Cameras, slope: Tensor, clock: Clock) -> Any:
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


def by_ours(g: Shapes, made: Tensor, view: Cameras, slope: Tensor, clock: Clock) -> Any:
    """The same by ours."""
    projected = clock("project", lambda: ours.project(g, view, False))
    drawn = clock("bin and forward", lambda: ours.draw(projected, made, view))
    moments, v_made = clock("backward", lambda: ours.draw_backward(projected, drawn, view, slope))
    found = clock(
        "project back", lambda: ours.project_backward(g, view, False, projected, moments, v_made)
    )
    gradients = (found.means, found.quats, found.scales, found.opacities, v_made)
    return drawn.image, gradients, len(drawn.sorted)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("splat", type=Path)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--side", type=int, default=1600)
    parser.add_argument("--views", type=int, default=12)
    args = parser.parse_args(argv)
    splat, scene = read_ply(args.splat), load_scene(args.scene, args.side)

    def tensor(values: Any) -> Tensor:
        return torch.tensor(np.asarray(values, np.float32), device="cuda").contiguous()

    g = Shapes(
        tensor(splat.means),
        tensor(splat.quats),
        tensor(splat.scales).exp(),
        tensor(splat.opacities).sigmoid(),
    )
    sh = torch.cat([tensor(splat.sh0)[:, None], tensor(splat.shN)], dim=1).contiguous()
    clocks, pairs, apart, differ = (Clock(), Clock()), [], 0.0, [0.0] * 5
    for number in np.linspace(0, len(scene) - 1, args.views).astype(int):
        view = Cameras(
            tensor(scene.world_to_camera[number])[None],
            tensor(scene.K[number])[None],
            (int(scene.sizes[number][0]), int(scene.sizes[number][1])),
            NEAR,
            FAR,
        )
        width, height = view.size
        slope = torch.randn((1, height, width, 3), device="cuda") / (width * height)
        seen = torch.ones((1, len(sh), 2), dtype=torch.int32, device="cuda")
        made = colours(g.means, sh, view.world_to_camera, seen, splat.sh_degree)
        for repeat in range(REPEATS):
            used = clocks if repeat else (Clock(), Clock())
            image1, gradients1, pairs1 = by_gsplat(g, made, view, slope, used[0])
            image2, gradients2, pairs2 = by_ours(g, made, view, slope, used[1])
        pairs.append((pairs1 / len(sh), pairs2 / len(sh)))
        apart = max(apart, float((image1 - image2).abs().max()))
        for k, (one, other) in enumerate(zip(gradients1, gradients2, strict=True)):
            share = float((one - other).norm() / one.norm())
            differ[k] = max(differ[k], share)
    theirs, mine = (clock.medians() for clock in clocks)
    total = sum(theirs.values()), sum(mine.values())
    print(
        json.dumps(
            {
                "gaussians": len(sh),
                "size": view.size,
                "gsplat_ms": theirs,
                "ours_ms": mine,
                "sums_ms": [round(t, 3) for t in total],
                "ratio": round(total[1] / total[0], 3),
                "pairs_a_gaussian": np.mean(pairs, axis=0).round(2).tolist(),
                "largest_difference_of_pictures": apart,
                "gradients_apart": [round(d, 6) for d in differ],
                "gpu": torch.cuda.get_device_name(),
            }
        )
    )


if __name__ == "__main__":
    main()
