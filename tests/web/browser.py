"""What the browser tests share: Chromium, a static server, a small splat with its bundle, comparing."""

from __future__ import annotations

import http.server
import io
import json
import math
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from scripts.lib.contracts.record import as_file
from scripts.lib.core.console import UserError
from scripts.lib.encode import formats as compress
from scripts.lib.encode.codecs import sog
from scripts.lib.scene.scene import Scene
from scripts.lib.scene.start_view import StartView, look_at
from scripts.lib.splat.gaussians import Gaussians, write_ply
from scripts.lib.visit.plan import plan_visit
from scripts.lib.web.assemble import Inputs, write_bundle
from scripts.lib.web.bundle import WebOptions
from scripts.lib.web.node import node_modules
from scripts.lib.web.server import make_server
from tests.unit.stage_files import stage_values

Picture = npt.NDArray[np.float32]

SIZE = (480, 320)
FOV = 50.0  # degrees, vertical
BACKGROUND = (0x10 / 255, 0x12 / 255, 0x14 / 255)
# A selector, because the page's content policy forbids the `eval` behind Playwright's wait_for_function.
SETTLED = ":root[data-state=ready], :root[data-state=error]"
SECONDS = 180  # a loaded machine without a GPU draws slowly

VIEW = StartView(
    name="photo_03.jpg",
    position=np.array([3.2, -4.1, 2.4]),
    target=np.array([0.0, 0.0, 0.7]),
    fov=65.0,
)


def chromium() -> str:
    """The browser's program: SPLATMAKE_CHROMIUM, else chromium on PATH. Skips when there is none."""
    found = os.environ.get("SPLATMAKE_CHROMIUM") or shutil.which("chromium")
    if not found:
        pytest.skip("no chromium: install Debian's package, or set SPLATMAKE_CHROMIUM to a program")
    return found


def launch(playwright: Any) -> Any:
    """A headless browser. Skips when there is none."""
    return playwright.chromium.launch(
        executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
    )


def modules() -> Path:
    """node_modules with the viewer. Skips when it cannot be installed (no network)."""
    try:
        return node_modules()
    except UserError as error:
        pytest.skip(f"the viewer's npm package is not here: {error}")


def courtyard(seed: int = 5) -> Gaussians:
    """A floor, two walls of different colours and a tower, Z up: nothing about it is symmetric.

    Its harmonics of degree 1 change the colour with the direction it is seen from.
    """
    random = np.random.default_rng(seed)

    def patch(count: int, low: list[float], high: list[float], tint: list[float]) -> list[Any]:
        means = random.uniform(low, high, (count, 3))
        sh0 = (np.array(tint) - 0.5) / 0.28209 + random.normal(0, 0.35, (count, 3))
        return [means, sh0]

    parts = [
        patch(900, [-2, -2, -0.02], [2, 2, 0.02], [0.55, 0.5, 0.42]),
        patch(500, [-2, 1.96, 0], [2, 2.04, 1.5], [0.75, 0.3, 0.2]),
        patch(400, [-2.04, -2, 0], [-1.96, 2, 1], [0.2, 0.4, 0.7]),
        patch(400, [0.5, -0.6, 0], [0.9, -0.2, 2], [0.9, 0.8, 0.3]),
    ]
    means = np.concatenate([part[0] for part in parts])
    count = len(means)
    return Gaussians(
        means=means.astype(np.float32),
        quats=random.normal(size=(count, 4)).astype(np.float32),
        scales=random.normal(math.log(0.07), 0.4, (count, 3)).astype(np.float32),
        opacities=random.normal(2, 1.5, count).astype(np.float32),
        sh0=np.concatenate([part[1] for part in parts]).astype(np.float32),
        shN=random.normal(0, 0.12, (count, 3, 3)).astype(np.float32),
    )


def ring_scene(folder: Path, gaussians: Gaussians, count: int = 12) -> Scene:
    """`courtyard` as seen by a ring of cameras with VIEW among them; no photos are behind it."""
    angles = np.arange(count) / count * 2 * np.pi + np.arctan2(-4.1, 3.2)
    radius = math.hypot(3.2, 4.1)
    places = np.column_stack(
        [radius * np.cos(angles), radius * np.sin(angles), np.full(count, 2.4)]
    )
    K = np.array([[380.0, 0, 240], [0, 380.0, 160], [0, 0, 1]])
    return Scene(
        path=folder / "undistorted.zip",
        names=tuple(f"photo_{(i + 3) % count:02d}.jpg" for i in range(count)),
        sizes=np.array([[480, 320]] * count),
        K=np.array([K] * count),
        world_to_camera=np.array([look_at(place, VIEW.target) for place in places]),
        points=gaussians.means[::4].astype(float),
        colours=np.full((len(gaussians.means[::4]), 3), 128, np.uint8),
    )


NOTE = {"title": "The <tower>", "text": "Yellow & tall.", "position": [0.7, -0.4, 2.0]}


def make_bundle(
    folder: Path, gaussians: Gaussians | None = None, shipped: Sequence[Path] = ()
) -> Path:
    """A whole bundle of `courtyard`, or of `gaussians` there, under `folder`/web, with splat.ply, splat.html
    and the files `shipped` beside it."""
    gaussians = gaussians or courtyard()
    _, visit = plan_visit(gaussians, ring_scene(folder, gaussians))
    # The tests know this one.
    position, target = (tuple(place.tolist()) for place in (VIEW.position, VIEW.target))
    visit = replace(visit, name=VIEW.name, position=position, target=target, fov=VIEW.fov)
    # A quarter of the Gaussians, of which the scene's points are, is too few to measure by.
    visit = replace(visit, known=tuple((x, y, z) for x, y, z in gaussians.means.tolist()))
    write_ply(folder / "splat.ply", gaussians)
    (folder / "splat.sog").write_bytes(sog.encode(gaussians).data)
    encoding = compress.Encoding.of(compress.CompressOptions(stream_min_gaussians=1))
    compress.write_lod(folder / "lod.zip", gaussians, encoding)
    Image.new("RGB", (1200, 630), (70, 90, 80)).save(folder / "poster.jpg")
    stages: dict[str, Any] = stage_values(12)
    del stages["manifest"], stages["pairs"]
    stages["georef"].update(
        rmse_horizontal_m=0.1,
        rmse_vertical_m=None,
        origin={"latitude": 50.8, "longitude": -0.1, "altitude": 30},
    )
    figures = {"median": 0.002, "within_90": 0.005, "within_95": 0.006, "bias": 0.0, "missed": 0.0}
    figures |= {"mean_depth_median": 0.004, "mean_depth_within_90": 0.01, "points": 900}
    errors = {"name": "all", "nearest": 3.0, "farthest": 9.0, **figures}
    stages["eval"]["depth_errors"] = {"all": errors, "bands": [], "known_to": 0.001, "views": 3}
    for photo in stages["photos"]["photos"]:
        photo["time"] = None
    stages["view"] = as_file(visit)
    files = {name: folder / f"{name}.json" for name in stages}
    for name, path in files.items():
        path.write_text(json.dumps(stages[name]))
    write_bundle(
        Inputs(
            scene="test_yard",
            sog=folder / "splat.sog",
            poster=folder / "poster.jpg",
            view=files.pop("view"),
            stage_files=files,
            options=WebOptions(
                title="A <small> yard", credit="Photos & splat: nobody", annotations=[NOTE]
            ),
            modules=modules(),
            lod=folder / "lod.zip",
            shipped=shipped,
        ),
        output=folder / "web",
        single=folder / "splat.html",
        site=folder / "site.zip",
    )
    return folder / "web"


@contextmanager
def running(server: http.server.HTTPServer) -> Iterator[str]:
    """The address, without a slash at its end, of a server on 127.0.0.1 that runs during the block."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a static server for `folder`."""
    with make_server(folder, "127.0.0.1", 0) as server, running(server) as address:
        yield f"{address}/"


def posed(world_to_camera: npt.NDArray[np.floating], fov: float = FOV) -> str:
    """The address's query that fixes the camera and shows the picture alone."""
    numbers = ",".join(repr(float(value)) for value in world_to_camera.ravel())
    return f"?ui=0&animate=0&fov={fov!r}&pose={numbers}"


def intrinsics(size: tuple[int, int] = SIZE, fov: float = FOV) -> npt.NDArray[np.float64]:
    """K (3, 3) of a picture with that vertical field of view."""
    focal = size[1] / 2 / math.tan(math.radians(fov) / 2)
    return np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]])


def drawn(page: Any) -> Picture:
    """What the window shows (H, W, 3), once two looks half a second apart agree."""

    def look() -> Picture:
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        return np.asarray(image, np.float32) / np.float32(255)

    before = look()
    for _ in range(20):
        page.wait_for_timeout(500)
        after = look()
        if np.abs(after - before).max() < 2 / 255:
            return after
        before = after
    return before


def copied(bundle: Path, folder: Path) -> Path:
    """A copy of the bundle to spoil."""
    return Path(shutil.copytree(bundle, folder / "web"))


def state(page: Any) -> str:
    """What the page says of itself: loading, ready or error."""
    return str(page.evaluate("document.documentElement.dataset.state"))
