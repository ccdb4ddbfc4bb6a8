"""3D Tiles of a scene: written, read back, measured on test photos and from afar, and told of."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from scripts.lib.contracts.deliver import Delivered
from scripts.lib.core.deliverables import DELIVERABLES
from scripts.lib.core.files import sha256
from scripts.lib.geo.judging import Judge
from scripts.lib.geo.placing import Placement
from scripts.lib.geo.tiles import TilesOptions, Written, read_tiles, write_tiles
from scripts.lib.splat.gaussians import Gaussians

NAME = "tiles"


def export_tiles(
    ply: Path, path: Path, options: TilesOptions, place: Placement, judge: Judge
) -> Delivered:
    """Write the tileset, read it back, and tell of it. Raises as `write_tiles` does."""
    began = time.monotonic()
    written = write_tiles(ply, path, options, place)
    leaves = read_tiles(path, place)
    loss = judge.loss(leaves)
    far = far_psnr(path, place, written, leaves, judge)
    checked = [
        "every tile was read back: its Gaussians are as near to what was written as SPZ allows",
        f"all {written.tiles} tiles were read out of the archive",
    ]
    if far is not None:
        checked.append(
            f"the coarsest level has {far:.1f} dB against the finest where viewers change over"
        )
    return Delivered(
        name=NAME,
        file=DELIVERABLES[NAME].file,
        bytes=path.stat().st_size,
        sha256=sha256(path),
        seconds=time.monotonic() - began,
        frame=place.frame,
        placed=True,
        gaussians=len(leaves),
        sh_degree=leaves.sh_degree,
        psnr=loss.psnr,
        ssim=loss.ssim,
        delta_psnr=loss.delta_psnr,
        views=loss.views,
        checked=tuple(checked),
        notes=notes(leaves, place, options),
        facts={
            "tiles": written.tiles,
            "levels": written.levels,
            "largest_tile_bytes": written.largest_bytes,
            "largest_tile_gaussians": written.largest_gaussians,
            "far_psnr": far,
        },
    )


def far_psnr(
    path: Path, place: Placement, written: Written, leaves: Gaussians, judge: Judge
) -> float | None:
    """PSNR in dB of the root tile against all leaves, from where viewers leave one for the other.

    That is where the root's box is so far away that its Gaussians are a pixel off. None where the root is the
    only tile.
    """
    from scripts.lib.measure.evaluate import visible_psnr
    from scripts.lib.render.renderer import Renderer
    from scripts.lib.scene.start_view import look_at

    if written.levels == 1:
        return None
    scene, index = judge.views.scene, judge.views.indices[0]
    K, size = scene.K[index], scene.sizes[index]
    away = (written.root_shift * K[0, 0] + written.root_radius) / place.local_from_scene.scale
    middle = np.median(leaves.means, axis=0).astype(np.float64)
    pose = scene.world_to_camera[index]
    behind = -pose[:3, :3].T @ pose[:3, 3] - middle
    behind /= np.linalg.norm(behind)
    camera = look_at(middle + behind * away, middle)
    pictures = [
        Renderer(some, judge.device).picture(camera, K, size)
        for some in (read_tiles(path, place, leaves=False), leaves)
    ]
    return visible_psnr(pictures[0], pictures[1])


def notes(leaves: Gaussians, place: Placement, options: TilesOptions) -> tuple[str, ...]:
    """Sentences for who opens the file."""
    told = [
        *place.notes,
        "Unpack the archive (it is a zip) where a web server finds it, for CesiumJS.",
    ]
    if options.radius:
        told.append(f"What is farther than {options.radius:g} m is left out, which counts as loss.")
    if leaves.antialiased:
        told.append("The splat was trained with antialiasing, which 3D Tiles cannot say.")
    return tuple(told)
