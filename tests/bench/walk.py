"""How true the walkable part is: `python -m tests.bench.walk results/courtyard`.

Of a run of the sample (splat.clean.ply, undistorted.zip, georef.json). Prints one JSON line: the walkable
floor against the heights of the model from above, within its yard. `wrong` is floor on which the model has
something higher than a step and lower than a head; `missed` is floor of the model, away from all that stands
on it or hangs over it, on which nobody walks.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import ndimage

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.record import read
from scripts.lib.scene.scene import load_scene
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.visit.standing import Cells
from scripts.lib.visit.walk import WalkOptions, plan_walk
from tests.bench.survey import HALF, STEP, YARD
from tests.conftest import ROOT
from tests.truth import align, read_truth

HIGH = 0.35  # metres: a step
HEAD = 1.7  # metres; the flags and leaves of the sample hang higher
ROOM = 0.45  # metres from what stands on the floor within which a walker of 40 cm need not be


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="a scene's folder, made from the sample")
    results = parser.parse_args().results
    scene = load_scene(results / "undistorted.zip")
    metric = read(Georef, results / "georef.json").metric
    found = plan_walk(read_ply(results / "splat.clean.ply"), scene, metric, WalkOptions())
    assert found.free is not None and found.low is not None and found.told.octree is not None
    sample = ROOT / "tests" / "data" / "sample"
    height = np.load(sample / "above.npz")["height"].astype(np.float64)
    sim3, _ = align(scene, read_truth(sample))

    axis = np.arange(-HALF + STEP / 2, HALF, STEP)
    east, north = np.meshgrid(axis, -axis)
    yard: Cells = np.asarray((np.abs(east) < YARD) & (np.abs(north) < YARD))
    places = sim3.apply(np.stack([east, north, 0 * east], axis=-1).reshape(-1, 3))
    cells = np.floor((places - found.low) / found.told.octree.cell).astype(int)[:, :2]
    shape = found.free.shape[:2]
    inside = np.asarray(((cells >= 0) & (cells < shape)).all(axis=1))
    cells = np.where(inside[:, None], cells, 0)
    column = found.free[cells[:, 0], cells[:, 1]]
    walked: Cells = np.logical_and(inside, column.any(axis=1)).reshape(height.shape)
    floor = found.low[2] + column.argmax(axis=1).reshape(height.shape) * found.told.octree.cell
    true = sim3.apply(np.stack([east, north, height], axis=-1).reshape(-1, 3))[:, 2]
    above = true.reshape(height.shape) - floor  # of what lies uppermost
    ground = height < HIGH
    near = ndimage.distance_transform_edt(ground) * STEP
    on = walked & yard & ground
    hit = (above > HIGH) & (above < HEAD)
    # More than a cell inside of what stands there.
    deep = hit & (ndimage.distance_transform_edt(~ground) * STEP > found.told.octree.cell)
    told = {
        "bench": "walk",
        "cell_m": found.told.octree.cell,
        "walked_m2": round(float((walked & yard).sum()) * STEP**2, 1),
        "wrong": round(float(hit[walked & yard].mean()), 4),
        "wrong_beyond_a_cell": round(float(deep[walked & yard].mean()), 4),
        "missed": round(float((~walked)[yard & (near > ROOM)].mean()), 4),
        "floor_bias_m": round(float(np.median(-above[on])), 3),
        "floor_within_95_m": round(float(np.quantile(np.abs(above[on]), 0.95)), 3),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
