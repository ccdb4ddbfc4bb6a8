"""Render panoramas of the sample scene, with their exact poses: truth for captures by 360 cameras.

Needs bpy (5.0), numpy and pillow; see sample/README.md. The pictures are not committed: at a size worth
training on they take more than the whole sample. Frames that lie in the folder already stay.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import bpy
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
import make_sample
from sample_scene import cameras

COUNT, RADIUS = 14, 4.0  # stations two metres apart, metres
LOW, HIGH = 1.7, 5.2  # heights: a pole that is raised and lowered on the way, metres
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'
    ' GPano:ProjectionType="equirectangular"/></rdf:RDF></x:xmpmeta>'
)


def stations() -> list[cameras.View]:
    """One round of the yard with a camera on a pole; the middle column looks inwards."""
    views = []
    for k in range(COUNT):
        azimuth = 2 * math.pi * (k + 0.3) / COUNT
        x, y = RADIUS * math.cos(azimuth), RADIUS * math.sin(azimuth) - 0.4
        z = (LOW + HIGH) / 2 - (HIGH - LOW) / 2 * math.cos(2 * azimuth)
        views.append(cameras.View(f"sphere_{k + 1:02d}", (x, y, z), (0.3, 0.5, z)))
    return views


def truth(views: list[cameras.View]) -> dict[str, Any]:
    """Poses of the panoramas: OpenCV's axes, the camera looking at the middle of the picture."""
    return {
        "photos": {
            f"{view.name}.jpg": {
                "world_to_camera": view.world_to_camera().round(9).tolist(),
                "centre": list(view.eye),
            }
            for view in views
        },
        "scene_size_m": 16.0,
    }


def main(argv: list[str] | None = None) -> int:
    """Render what is missing and write JPEGs with GPano XMP and truth.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for photos/ and truth.json")
    parser.add_argument("--samples", type=int, default=16, help="paths a pixel")
    parser.add_argument("--width", type=int, default=1600, help="pixels; the height is half of it")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    (args.out / "photos").mkdir(parents=True, exist_ok=True)
    (args.out / "truth.json").write_text(json.dumps(truth(stations()), indent=1) + "\n")
    make_sample.build_scene()
    camera = make_sample.set_up_render(args.samples, 100)
    camera.data.type = "PANO"
    camera.data.panorama_type = "EQUIRECTANGULAR"
    render = bpy.context.scene.render
    render.threads = args.threads
    render.resolution_x, render.resolution_y = args.width, args.width // 2
    for k, view in enumerate(stations()):
        path, png = args.out / "photos" / f"{view.name}.jpg", args.out / f"{view.name}.png"
        if path.exists():
            continue
        make_sample.render(camera, view, png)
        Image.open(png).convert("RGB").save(
            path, "JPEG", quality=92, xmp=XMP.encode(), exif=cameras.exif(view, k)
        )
        print(f"rendered {view.name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
