"""3D Tiles as CesiumJS draws them, without a network: in their place, the right way up, in their colours."""

from __future__ import annotations

import io
import math
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from scripts.lib.encode.formats import with_degree
from scripts.lib.geo.placing import PlaceOptions, placement
from scripts.lib.geo.tiles import TilesOptions, write_tiles
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.start_view import look_at
from scripts.lib.splat.gaussians import write_ply
from tests.unit.geo.test_placing import HERE
from tests.web import browser
from tests.web.conftest import READERS

SYDNEY = placement(HERE, PlaceOptions(), True)  # south of the equator
SIZE = browser.SIZE
FOCAL = 380.0  # pixels
K = np.array([[FOCAL, 0, SIZE[0] / 2], [0, FOCAL, SIZE[1] / 2], [0, 0, 1]])
POSE = look_at(browser.VIEW.position, browser.VIEW.target)
TOP = np.array([0.7, -0.4, 2.0])  # of the yellow tower
Page = Any
Picture = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def globe(readers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with CesiumJS and the tiles of a courtyard in Sydney, in two levels."""
    folder = tmp_path_factory.mktemp("globe")
    write_ply(folder / "splat.ply", browser.courtyard())
    options = TilesOptions(tile_gaussians=1000, sh_degree=1)
    write_tiles(folder / "splat.ply", folder / "tiles.3tz", options, SYDNEY)
    www = folder / "www"
    with zipfile.ZipFile(folder / "tiles.3tz") as archive:
        archive.extractall(www / "tiles")
    (www / "cesium").symlink_to(readers / "cesium" / "Build" / "Cesium")
    (www / "index.html").write_bytes((READERS / "globe.html").read_bytes())
    (www / "globe.js").write_bytes((READERS / "globe.js").read_bytes())
    with browser.served(www) as address:
        yield address


def wait(page: Page, condition: str) -> None:
    """Until `condition` is true. The picture needs frames, which a loaded machine draws slowly."""
    end = time.monotonic() + browser.SECONDS
    while not page.evaluate(condition):
        assert not page.evaluate("state.failed"), page.evaluate("state.failed")
        assert time.monotonic() < end, page.evaluate("state.ready ? shown() : state")
        page.wait_for_timeout(250)


def drawn(page: Page, pose: np.ndarray, splats: int, error: float) -> Picture:
    """CesiumJS's picture from a camera of the scene, once it shows so many Gaussians."""
    to_world = np.linalg.inv(pose)
    to_world[:3, 1:3] *= -1  # OpenGL's cameras look along -Z, with Y up
    to_earth = SYDNEY.earth_from_local @ to_world
    fov = 2 * math.atan(SIZE[0] / 2 / FOCAL)
    page.evaluate(
        "([m, fov, error]) => look(m, fov, error)", [to_earth.ravel().tolist(), fov, error]
    )
    wait(page, f"shown().splats === {splats} && shown().loaded")
    frame = page.evaluate("shown().frame")
    wait(page, f"shown().frame > {frame + 5}")  # sorted for this camera
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), np.float32) / 255


def psnr(a: Picture, b: Picture) -> float:
    return float(-10 * np.log10(np.mean((a - b) ** 2)))


@pytest.fixture(scope="module")
def page(chromium: Any, globe: str) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": SIZE[0], "height": SIZE[1]})
    opened = context.new_page()
    opened.hosts, opened.complaints = set(), []
    opened.on("request", lambda request: opened.hosts.add(request.url.split("/")[2]))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.goto(globe, timeout=browser.SECONDS * 1000)
    wait(opened, "state.ready")
    yield opened
    context.close()


def test_cesium_draws_what_we_render(page: Page, globe: str) -> None:
    ours = Renderer(browser.courtyard(), "cpu").picture(POSE, K, np.array(SIZE))
    found = drawn(page, POSE, 2200, 1.0)
    # 45.2 dB; a picture that is off by one pixel has 38.6.
    assert psnr(found, ours) > 42
    for other in (
        found[:, ::-1],
        found[::-1],
        np.roll(found, 1, axis=1),
        np.roll(found, 1, axis=0),
    ):
        assert psnr(other, ours) < 41
    assert not page.complaints
    assert page.hosts <= {globe.removeprefix("http://").rstrip("/"), ""}  # no ion, no network


def test_colours_change_with_the_direction_as_in_our_renderer(page: Page) -> None:
    """Harmonics turned by the wrong frame would show the wrong side's colour."""
    for around in (1.5, 3.0):
        turn = np.array(
            [[np.cos(around), -np.sin(around), 0], [np.sin(around), np.cos(around), 0], [0, 0, 1]]
        )
        pose = look_at(turn @ browser.VIEW.position, browser.VIEW.target)
        found = drawn(page, pose, 2200, 1.0)
        with_them, without = (
            Renderer(some, "cpu").picture(pose, K, np.array(SIZE))
            for some in (browser.courtyard(), with_degree(browser.courtyard(), 0))
        )
        assert psnr(found, with_them) > psnr(found, without) + 1


def test_north_up_and_metres_are_right(page: Page) -> None:
    """CesiumJS's own projection of places on the Earth, and the tower in its picture."""
    found = drawn(page, POSE, 2200, 1.0)
    for local in (TOP, [2.0, 0, 0], [0, 2.0, 0], [0, 0, 1.5], [-2.0, -2.0, 0]):
        earth = SYDNEY.earth_from_local @ np.append(local, 1.0)
        seen = K @ (POSE @ np.append(local, 1.0))[:3]
        there = page.evaluate("([x, y, z]) => place(x, y, z)", earth[:3].tolist())
        np.testing.assert_allclose(there, seen[:2] / seen[2], atol=0.5)
    red, green, blue = found.transpose(2, 0, 1)
    yellow = np.argwhere((red > 0.6) & (green > 0.55) & (blue < 0.45))
    seen = K @ (POSE @ np.append([0.7, -0.4, 1.0], 1.0))[:3]
    np.testing.assert_allclose(np.median(yellow, axis=0)[::-1], seen[:2] / seen[2], atol=8)


def test_from_afar_the_coarse_level_is_drawn(page: Page) -> None:
    """Where its Gaussians are a pixel off, by its geometric error, it looks as the finest does."""
    target = browser.VIEW.target
    far = look_at(target + 9 * (browser.VIEW.position - target), target)
    coarse = drawn(page, far, 736, 16.0)[130:190, 200:280]
    ours = Renderer(browser.courtyard(), "cpu").picture(far, K, np.array(SIZE))[130:190, 200:280]
    assert psnr(coarse, ours) > 22
    assert psnr(np.roll(coarse, 4, axis=1), ours) < psnr(coarse, ours) - 2
