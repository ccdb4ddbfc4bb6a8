"""How fast CesiumJS draws our 3D Tiles, against the same splat as one flat SPZ in one tile.

python -m tests.bench.tiles_drawn [THOUSANDS] [--frames N]

A made-up town of a square kilometre (`tests.bench.tiles`) in headless Chromium, which draws on the CPU. Both
are open at once, each draws only when it is told to, and they take turns, so that whatever else the machine
does slows both alike: only the ratio means anything. The camera turns a little before each frame, as a
visitor's does. Prints one JSON line for each distance.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from scripts.lib.core.geo import Sim3
from scripts.lib.core.place import Place
from scripts.lib.geo.placing import Placement, earth_from_local
from scripts.lib.geo.tiles import TilesOptions, write_tiles
from scripts.lib.scene.start_view import look_at
from scripts.lib.web import node
from tests.bench.tiles import write_ply
from tests.conftest import ROOT
from tests.web import browser
from tests.web.conftest import READERS

THERE = Placement(earth_from_local(Place(47, 8, 400)), Sim3(1, np.eye(3), np.zeros(3)), "", ())
SIZE = (640, 400)
FOV = math.radians(60)
ERROR = 16.0  # CesiumJS's own maximumScreenSpaceError
ROUNDS = 3
# Where a camera is and what it looks at, metres in the town.
VIEWS = {
    "street": ((-180.0, -180.0, 12.0), (-60.0, -60.0, 6.0)),
    "roofs": ((-350.0, -350.0, 120.0), (0.0, 0.0, 10.0)),
    "afar": ((-1500.0, -1500.0, 900.0), (0.0, 0.0, 10.0)),
}
# Milliseconds of each frame. Reading a pixel waits until the frame is really drawn.
DRAW = """async ([poses, fov, error]) => {
    const { scene } = state;
    const gl = scene.canvas.getContext('webgl2');
    const pixel = new Uint8Array(4);
    const took = [];
    for (const pose of poses) {
        const began = performance.now();
        look(pose, fov, error);
        scene.requestRender();
        scene.render();
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
        took.push(performance.now() - began);
        await new Promise((go) => setTimeout(go, 0));
    }
    return took;
}"""


def pose_of(view: str, turn: float) -> list[float]:
    """The camera of a view, turned about the scene's middle by some degrees, as CesiumJS takes it."""
    position, target = (np.array(place) for place in VIEWS[view])
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    position = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ (position - target) + target
    to_world = np.linalg.inv(look_at(position, target))
    to_world[:3, 1:3] *= -1
    return list(map(float, (THERE.earth_from_local @ to_world).ravel()))


def serve_folder(folder: Path, ply: Path, options: TilesOptions, cesium: Path) -> dict[str, Any]:
    """A folder with CesiumJS and tiles; what was written."""
    told = write_tiles(ply, folder.with_suffix(".3tz"), options, THERE)
    with zipfile.ZipFile(folder.with_suffix(".3tz")) as archive:
        archive.extractall(folder / "tiles")
    (folder / "cesium").symlink_to(cesium)
    (folder / "index.html").write_bytes((READERS / "globe.html").read_bytes())
    (folder / "globe.js").write_bytes((READERS / "globe.js").read_bytes())
    return {"tiles": told.tiles, "levels": told.levels}


def settle(page: Any, view: str) -> dict[str, Any]:
    """Draw until all tiles of the view have come; what is shown."""
    end = time.monotonic() + browser.SECONDS
    before: dict[str, Any] = {}
    while time.monotonic() < end:
        page.evaluate(DRAW, [[pose_of(view, 0.0)] * 3, FOV, ERROR])
        found: dict[str, Any] = page.evaluate("shown()")
        assert not found["failed"], found["failed"]
        if found["loaded"] and found["splats"] and found["splats"] == before.get("splats"):
            return found
        before = found
        page.wait_for_timeout(500)
    raise TimeoutError(f"{view}: the tiles did not come")


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "thousands", type=int, nargs="?", default=200, help="at most 250: one flat tile"
    )
    parser.add_argument("--frames", type=int, default=6, help="of each form in each round")
    given = parser.parse_args()
    cesium = node.install(READERS, ROOT / "build" / "readers") / "cesium" / "Build" / "Cesium"
    with tempfile.TemporaryDirectory(dir=os.curdir) as name, sync_playwright() as playwright:
        folder = Path(name).absolute()
        count = given.thousands * 1000
        write_ply(folder / "town.ply", count, 1)
        forms = {"tiles": TilesOptions(tile_gaussians=max(1000, count // 25))}
        forms["flat"] = TilesOptions(tile_gaussians=count)
        program = browser.launch(playwright)
        pages: dict[str, Any] = {}
        written: dict[str, Any] = {}
        servers = []
        for form, options in forms.items():
            written[form] = serve_folder(folder / form, folder / "town.ply", options, cesium)
            server = browser.served(folder / form)
            servers.append(server)
            pages[form] = program.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
            pages[form].goto(server.__enter__(), timeout=browser.SECONDS * 1000)
            pages[form].wait_for_function("state.ready || state.failed", timeout=60_000)
            pages[form].evaluate(
                "state.scene.requestRenderMode = true, state.scene.maximumRenderTimeChange = Infinity"
            )
        for view in VIEWS:
            splats = {form: settle(page, view)["splats"] for form, page in pages.items()}
            took: dict[str, list[float]] = {form: [] for form in forms}
            for turn in range(ROUNDS):
                for form, page in pages.items():
                    first = turn * given.frames
                    poses = [pose_of(view, 0.2 * (first + n)) for n in range(given.frames)]
                    took[form] += page.evaluate(DRAW, [poses, FOV, ERROR])
            ratio = statistics.median(took["flat"]) / statistics.median(took["tiles"])
            line = {"bench": "tiles_drawn", "view": view, "gaussians": count, "shown": splats}
            print(json.dumps({**line, "frames_a_second_ratio": round(ratio, 2), "of": written}))
        for server in servers:
            server.__exit__(None, None, None)
        program.close()


if __name__ == "__main__":
    main()
