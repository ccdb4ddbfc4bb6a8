"""Memory, time and the largest tile of 3D Tiles of many made-up Gaussians.

python -m tests.bench.tiles [MILLIONS] [--sh DEGREE]

The PLY is written a part at a time beside the tiles, in a temporary folder of the working directory. Prints
one JSON line: peak memory of the export alone, which runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from scripts.lib.core.geo import Sim3
from scripts.lib.core.place import Place
from scripts.lib.splat.gaussians import SH_COEFFICIENTS

PART = 25_000


def write_ply(path: Path, count: int, degree: int) -> None:
    """A town of `count` Gaussians on a square kilometre: ground, and boxes of different heights."""
    bands = SH_COEFFICIENTS[degree]
    names = [*"xyz", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3))]
    names += [f"f_rest_{i}" for i in range(3 * bands)]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    head += [f"property float {name}" for name in names]
    rng = np.random.default_rng(0)
    at = {name: index for index, name in enumerate(names)}
    with open(path, "wb") as handle:
        handle.write(("\n".join([*head, "end_header"]) + "\n").encode())
        for start in range(0, count, PART):
            some = min(PART, count - start)
            rows = rng.normal(0, 0.1, (some, len(names))).astype("<f4")
            ground = rng.uniform(-500, 500, (some, 2))
            block = np.floor(ground / 25).astype(int)
            height = (block[:, 0] * 7919 + block[:, 1] * 104729) % 17 * 2.0
            rows[:, :2] = ground
            rows[:, 2] = rng.uniform(0, 1, some) * height + rng.normal(0, 0.05, some)
            rows[:, at["scale_0"] : at["scale_0"] + 3] = rng.normal(np.log(0.12), 0.5, (some, 3))
            rows[:, at["rot_0"] : at["rot_0"] + 4] = rng.normal(size=(some, 4))
            rows[:, at["opacity"]] = rng.normal(2, 1.5, some)
            handle.write(rows.tobytes())


def export(ply: Path, path: Path) -> None:
    """Write the tiles in this process, and print what that took."""
    from scripts.lib.geo.placing import Placement, earth_from_local
    from scripts.lib.geo.tiles import TilesOptions, write_tiles

    there = Placement(earth_from_local(Place(47, 8, 400)), Sim3(1, np.eye(3), np.zeros(3)), "", ())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = write_tiles(ply, path, TilesOptions(), there)
    used = resource.getrusage(resource.RUSAGE_SELF)
    with zipfile.ZipFile(path) as archive:
        members = len(archive.namelist())
    line = {
        "gaussians": told.gaussians,
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
        "peak_mb_before": round(before / 1024),
        "ply_mb": round(ply.stat().st_size / 1e6),
        "archive_mb": round(path.stat().st_size / 1e6, 1),
        "tiles": told.tiles,
        "levels": told.levels,
        "members": members,
        "largest_tile_mb": round(told.largest_bytes / 1e6, 2),
        "largest_tile_gaussians": told.largest_gaussians,
    }
    print(json.dumps(line))


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("millions", type=float, nargs="?", default=5.0)
    parser.add_argument("--sh", type=int, default=3, help="degree of the harmonics in the PLY")
    parser.add_argument("--ply", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ply:
        export(given.ply, given.ply.with_suffix(".3tz"))
        return
    with tempfile.TemporaryDirectory(dir=os.curdir) as folder:
        ply = Path(folder) / "town.ply"
        write_ply(ply, int(given.millions * 1e6), given.sh)
        command = [sys.executable, "-m", "tests.bench.tiles", "--ply", str(ply.absolute())]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
