"""How true the files for surveyors are: `python -m tests.bench.survey results/courtyard`.

Of a run of the sample that delivered points, ortho and dsm. Prints one JSON line: the heights of dsm.tif and
points.laz against those of the model, and ortho.tif against a picture of the model without perspective. The
scene is brought onto the model by its cameras; how well it lies on the Earth is not measured here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.record import read
from scripts.lib.geo.map_frame import map_frame
from scripts.lib.scene.scene import load_scene
from tests.conftest import ROOT
from tests.truth import align, read_truth

HALF, STEP = 9.0, 0.05  # metres, of above.npz
YARD = 6.3  # metres from the middle to the walls: beyond, the photos show grass at a low angle
Float = npt.NDArray[np.float64]


def errors(found: Float, true: Float) -> dict[str, float]:
    """Median error with its sign, and median, 68 % and 95 % without it, metres."""
    away = found - true
    sizes = np.quantile(np.abs(away), [0.5, 0.68, 0.95])
    names = ("median_m", "within_68_m", "within_95_m")
    told = {"bias_m": float(np.median(away)), **dict(zip(names, map(float, sizes), strict=True))}
    return {name: round(value, 4) for name, value in told.items()} | {"count": len(found)}


def main() -> None:
    """Measure and print."""
    import laspy
    import rasterio

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="a scene's folder, made from the sample")
    results = parser.parse_args().results
    sample = ROOT / "tests" / "data" / "sample"
    height = np.load(sample / "above.npz")["height"].astype(np.float64)
    above = np.asarray(Image.open(sample / "above.jpg"), np.float64) / 255
    sim3, _ = align(load_scene(results / "undistorted.zip"), read_truth(sample))
    frame = map_frame(read(Georef, results / "georef.json"))

    axis = np.arange(-HALF + STEP / 2, HALF, STEP)
    east, north = np.meshgrid(axis, -axis)
    yard = (np.abs(east) < YARD) & (np.abs(north) < YARD)
    places = frame.project(sim3.apply(np.stack([east, north, height], axis=-1).reshape(-1, 3)))
    told: dict[str, Any] = {"bench": "survey"}
    with rasterio.open(results / "geo" / "dsm.tif") as file:
        found = np.array([row[0] for row in file.sample(places[:, :2])]).reshape(east.shape)
        known = found != file.nodata
    true = places[:, 2].reshape(east.shape)
    for name, where in (("everywhere", known), ("yard", known & yard)):
        told[f"dsm_{name}"] = errors(found[where], true[where])
    told["dsm_yard_known"] = round(float(known[yard].mean()), 3)
    with rasterio.open(results / "geo" / "ortho.tif") as file:
        rgb = np.array(list(file.sample(places[:, :2]))).reshape(*east.shape, 3) / 255
    for name, where in (("everywhere", known), ("yard", known & yard)):
        told[f"ortho_{name}_psnr"] = round(
            float(-10 * np.log10(((rgb - above)[where] ** 2).mean())), 2
        )

    las = laspy.read(results / "geo" / "points.laz")
    local = (frame.unproject(np.asarray(las.xyz)) - sim3.translation) @ sim3.rotation / sim3.scale
    row = np.floor((HALF - local[:, 1]) / STEP).astype(int)
    column = np.floor((local[:, 0] + HALF) / STEP).astype(int)
    inside = (np.abs(local[:, :2]) < YARD).all(axis=1)
    under = height[np.where(inside, row, 0), np.where(inside, column, 0)]
    # Of walls and what stands under leaves, there are points below what lies uppermost.
    top = inside & (np.abs(local[:, 2] - under) < 0.5)
    told["points"] = len(local)
    told["points_on_top"] = errors(local[top, 2], under[top])
    print(json.dumps(told))


if __name__ == "__main__":
    main()
