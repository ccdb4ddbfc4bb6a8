"""Model and render the sample scene: photos, held-back views and their exact poses.

Needs bpy (5.0), numpy and pillow; see sample/README.md. Frames that lie in the scratch
folder already are not rendered again, so a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
from sample_scene import cameras, depth, masonry, materials, plants, props, visitors

SEED = 20260514
SUN_ELEVATION, SUN_ROTATION = 37.0, 216.0
EXPOSURE = -0.55
QUALITY = 80  # 42 pictures in less than 4 MB


def build_scene(moved: Sequence[tuple[float, float, float]] = props.FIRST) -> None:
    """Model the yard. One generator per part, so that editing one leaves the others alone."""
    bpy.ops.wm.read_factory_settings(use_empty=True)

    def rng(part: int) -> np.random.Generator:
        return np.random.default_rng([SEED, part])

    masonry.ground(rng(0))
    masonry.cobbles(rng(1))
    masonry.walls(rng(2))
    masonry.house(rng(3))
    pots = props.furnish(rng(4), moved)
    plants.plant(rng(5), pots)
    plants.grass(rng(6))
    plants.landscape(rng(7))
    materials.sky(SUN_ELEVATION, SUN_ROTATION, 0.12)


def set_up_render(samples: int, scale: int) -> Any:
    """Cycles on the CPU with a fixed exposure and seed; returns the camera object."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.samples = samples
    cycles.use_adaptive_sampling = True
    cycles.adaptive_threshold = 0.03
    cycles.use_denoising = True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.seed = 1
    cycles.max_bounces = 5
    cycles.diffuse_bounces = 3
    cycles.glossy_bounces = 2
    cycles.transmission_bounces = 2
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    scene.render.use_persistent_data = True
    scene.render.threads_mode = "FIXED"
    scene.render.threads = 2
    scene.render.resolution_x, scene.render.resolution_y = cameras.WIDTH, cameras.HEIGHT
    scene.render.resolution_percentage = scale
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.view_settings.exposure = EXPOSURE
    data = bpy.data.cameras.new("camera")
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = cameras.SENSOR_WIDTH_MM
    data.lens = cameras.FOCAL_MM[0] / cameras.FOCAL_MM[1]
    data.clip_start, data.clip_end = 0.05, 1000.0
    camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def render(camera: Any, view: cameras.View, path: Path) -> None:
    """Render one view to a PNG, written whole or not at all."""
    from mathutils import Matrix

    to_world = np.linalg.inv(view.world_to_camera()) @ np.diag([1.0, -1.0, -1.0, 1.0])
    camera.matrix_world = Matrix(to_world.tolist())
    part = path.with_suffix(".part.png")
    bpy.context.scene.render.filepath = str(part)
    bpy.ops.render.render(write_still=True)
    part.rename(path)


def render_above(png: Path, path: Path) -> None:
    """Render the place straight down without perspective: two pixels a side for each height of above.npz."""
    from mathutils import Matrix

    camera, scene = set_up_render(12, 100), bpy.context.scene
    camera.data.type, camera.data.ortho_scale = "ORTHO", 2 * depth.ABOVE_HALF
    pixels = round(2 * depth.ABOVE_HALF / depth.ABOVE_STEP)
    scene.render.resolution_x = scene.render.resolution_y = 2 * pixels
    camera.matrix_world = Matrix.Translation((0, 0, 60.0))
    scene.render.filepath = str(png)
    bpy.ops.render.render(write_still=True)
    small = Image.open(png).convert("RGB").resize((pixels, pixels), Image.Resampling.BOX)
    small.save(path, quality=92, subsampling=0)


def write_jpeg(png: Path, path: Path, exif: bytes | None, quality: int = QUALITY) -> None:
    """Save a frame as JPEG, with EXIF where given."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {} if exif is None else {"exif": exif}
    Image.open(png).convert("RGB").save(
        buffer, "JPEG", quality=quality, optimize=True, subsampling="4:2:0", **options
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())


def visited(out: Path, scratch: Path, samples: int, only: list[str]) -> None:
    """Write the photos that have visitors in them, two of three."""
    build_scene()
    camera = set_up_render(samples, 100)
    scratch.mkdir(parents=True, exist_ok=True)
    for number, view in enumerate(cameras.photos()):
        if number % 3 == 2 or (only and view.name not in only):
            continue
        frame = scratch / f"visited_{view.name}.png"
        if not frame.exists():
            share = visitors.place(view, number, SEED)
            print(f"{view.name}: visitors cover {share:.0%}", flush=True)
            render(camera, view, frame)
        write_jpeg(frame, out / "visited" / f"{view.name}.jpg", cameras.exif(view, number))


def to_sun() -> Any:
    """The unit direction (3,) to the sun: Blender's sky turns it clockwise from north."""
    up, turn = np.radians([SUN_ELEVATION, SUN_ROTATION])
    return np.array([np.cos(up) * np.sin(turn), np.cos(up) * np.cos(turn), np.sin(up)])


def later(out: Path, scratch: Path, samples: int, only: list[str]) -> None:
    """Write the later capture: its photos, its truth, and what changed in the held-back views.

    changed.npz has for every held-back view (H / 4, W / 4) uint8: 1 where what is seen is nearer or farther
    by 3 cm and more in the later capture, 2 where it only lost or gained the sun's light, else 0.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    frames = {v.name: scratch / f"{v.name}.png" for v in cameras.later()}
    if any(not frame.exists() for frame in frames.values()):
        build_scene(props.LATER)
        camera = set_up_render(samples, cameras.LATER_SCALE)
    for number, view in enumerate(cameras.later()):
        if only and view.name not in only:
            continue
        if not frames[view.name].exists():
            print(f"rendering {view.name}", flush=True)
            render(camera, view, frames[view.name])
        exif = cameras.exif(view, number, cameras.LATER_START, cameras.LATER_SCALE)
        write_jpeg(frames[view.name], out / "later" / "photos" / f"{view.name}.jpg", exif, 72)
    if only:
        return
    (out / "later" / "truth.json").write_text(json.dumps(cameras.later_truth()) + "\n")
    found = []
    for moved in (props.FIRST, props.LATER):
        build_scene(moved)
        found.append({v.name: depth.seen(v, to_sun()) for v in cameras.heldback()})
    changed = {}
    for name, (far, lit) in found[0].items():
        far_later, lit_later = found[1][name]
        other = np.abs(far - far_later) > 0.03
        changed[f"{name}.jpg"] = np.where(other, 1, np.where(lit != lit_later, 2, 0)).astype(
            np.uint8
        )
    np.savez_compressed(out / "later" / "changed.npz", **changed)


def main(argv: list[str] | None = None) -> int:
    """Render what is asked for and, once every frame is there, write the data set."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=here / "sample", help="the data set's folder")
    parser.add_argument("--scratch", type=Path, required=True, help="where rendered PNGs are kept")
    parser.add_argument("--samples", type=int, default=64, help="paths a pixel")
    parser.add_argument("--scale", type=int, default=100, help="per cent of the size (previews)")
    parser.add_argument("--only", nargs="*", default=[], help="render only these views (previews)")
    parser.add_argument("--depths", action="store_true", help="write heldback_depth.npz alone")
    parser.add_argument(
        "--visitors",
        action="store_true",
        help="write visited/ alone: photos with people, a car and laundry",
    )
    parser.add_argument("--above", action="store_true", help="write above.npz and above.jpg alone")
    parser.add_argument(
        "--later", action="store_true", help="write later/ alone: three things moved, another day"
    )
    args = parser.parse_args(argv)
    if args.later:
        later(args.out, args.scratch, args.samples, args.only)
        return 0
    if args.visitors:
        visited(args.out, args.scratch, args.samples, args.only)
        return 0
    if args.depths:
        build_scene()
        found = {f"{view.name}.jpg": depth.depth(view) for view in cameras.heldback()}
        np.savez_compressed(args.out / "heldback_depth.npz", **found)
        return 0
    args.scratch.mkdir(parents=True, exist_ok=True)
    if args.above:
        build_scene()
        np.savez_compressed(args.out / "above.npz", height=depth.heights())
        render_above(args.scratch / "above.png", args.out / "above.jpg")
        return 0
    shown, hidden = cameras.photos(), cameras.heldback()
    wanted = [v for v in shown + hidden if not args.only or v.name in args.only]
    missing = [v for v in wanted if not (args.scratch / f"{v.name}.png").exists()]
    if missing:
        build_scene()
        camera = set_up_render(args.samples, args.scale)
        for k, view in enumerate(missing):
            print(f"rendering {view.name} ({k + 1} of {len(missing)})", flush=True)
            render(camera, view, args.scratch / f"{view.name}.png")
    if args.only:
        return 0
    for k, view in enumerate(shown):
        write_jpeg(
            args.scratch / f"{view.name}.png",
            args.out / "photos" / f"{view.name}.jpg",
            cameras.exif(view, k),
        )
    for view in hidden:
        write_jpeg(
            args.scratch / f"{view.name}.png", args.out / "heldback" / f"{view.name}.jpg", None
        )
    (args.out / "truth.json").write_text(json.dumps(cameras.truth(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
