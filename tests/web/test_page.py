"""The finished page in a real browser: what it draws is compared with our own render of the PLY.

A page can report that it is ready and count every splat while it shows nothing, so only the picture
counts; each way of being wrong is shown to fail the same comparison.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from scripts.lib.measure.metrics import psnr
from scripts.lib.scene.start_view import look_at
from scripts.lib.splat.gaussians import read_ply
from tests.web import browser
from tests.web.conftest import Opened

pytest.importorskip("torch", reason="the render to compare with needs torch")

GOOD_DB = 30.0


@pytest.fixture(scope="module")
def render(bundle: Path) -> browser.Picture:
    """The PLY from the test's pose by our own rasteriser: it never saw the browser."""
    from scripts.lib.visit.poster import render

    gaussians = read_ply(bundle.parent / "splat.ply")
    pose, K = browser.VIEW.world_to_camera, browser.intrinsics()
    return render(gaussians, pose, K, browser.SIZE, browser.BACKGROUND)


def test_it_draws_what_the_ply_holds(
    bundle: Path, show: Callable[..., Opened], render: browser.Picture
) -> None:
    with browser.served(bundle) as address:
        page = show(address + browser.posed(browser.VIEW.world_to_camera))
        assert browser.state(page) == "ready"
        assert psnr(browser.drawn(page), render) > GOOD_DB
        assert page.complaints == []
        assert page.hosts - {""} == {urlsplit(address).netloc}, "the page asks another host"
        assert len(page.asked) == len(set(page.asked)), "something is loaded twice"


def test_an_antialiased_splat_is_drawn_as_it_was_trained(
    show: Callable[..., Opened], tmp_path: Path
) -> None:
    """Small Gaussians are dimmed; told the other way, the same page fails the same comparison."""
    small = browser.courtyard()
    small = replace(small, scales=small.scales - 2.5, opacities=small.opacities + 2)
    pose, K = browser.VIEW.world_to_camera, browser.intrinsics()
    from scripts.lib.visit.poster import render

    wanted = render(replace(small, antialiased=True), pose, K, browser.SIZE, browser.BACKGROUND)
    close = {}
    for antialiased in (True, False):
        folder = tmp_path / str(antialiased)
        folder.mkdir()
        bundle = browser.make_bundle(folder, replace(small, antialiased=antialiased))
        with browser.served(bundle) as address:
            page = show(address + browser.posed(pose))
            close[antialiased] = psnr(browser.drawn(page), wanted)
    assert close[True] > GOOD_DB + 5, close
    assert close[False] < close[True] - 5, close


def test_a_wrong_pose_fails_the_comparison(
    bundle: Path, show: Callable[..., Opened], render: browser.Picture
) -> None:
    mirrored = look_at(browser.VIEW.position * [-1, 1, 1], browser.VIEW.target)
    with browser.served(bundle) as address:
        page = show(address + browser.posed(mirrored))
        assert psnr(browser.drawn(page), render) < GOOD_DB - 5
        # And the same page, told the right pose by its script hook, passes.
        numbers = browser.VIEW.world_to_camera.ravel().tolist()
        page.evaluate("([pose, fov]) => splatmake.setPose(pose, fov)", [numbers, browser.FOV])
        assert psnr(browser.drawn(page), render) > GOOD_DB


def test_the_visit_starts_at_the_chosen_camera(bundle: Path, show: Callable[..., Opened]) -> None:
    from scripts.lib.visit.poster import render

    view, size = browser.VIEW, (480, 252)
    K = view.intrinsics(*size)
    wanted = render(read_ply(bundle.parent / "splat.ply"), view.world_to_camera, K, size)
    with browser.served(bundle) as address:
        page = show(f"{address}?ui=0&animate=0", size=size)
        assert browser.state(page) == "ready"
        assert psnr(browser.drawn(page), wanted) > GOOD_DB


def spoil_missing(scene: Path) -> None:
    scene.unlink()


def spoil_empty(scene: Path) -> None:
    scene.write_bytes(b"")


def spoil_truncated(scene: Path) -> None:
    scene.write_bytes(scene.read_bytes()[: scene.stat().st_size // 2])


def spoil_one_byte(scene: Path) -> None:
    data = bytearray(scene.read_bytes())
    data[len(data) // 2] ^= 1
    scene.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoil_missing, "missing"),
        (spoil_empty, "incomplete"),
        (spoil_truncated, "incomplete"),
        (spoil_one_byte, "not the one this page was made for"),
    ],
)
def test_a_spoilt_scene_is_explained_and_can_be_tried_again(
    bundle: Path,
    show: Callable[..., Opened],
    render: browser.Picture,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    sentence: str,
) -> None:
    folder = browser.copied(bundle, tmp_path)
    spoil(folder / "scene.sog")
    with browser.served(folder) as address:
        page = show(address + browser.posed(browser.VIEW.world_to_camera))
        assert browser.state(page) == "error"
        assert sentence in page.inner_text("[role=alert]")
        assert psnr(browser.drawn(page), render) < GOOD_DB - 5
        # Mended on the server, the button is enough.
        shutil.copyfile(bundle / "scene.sog", folder / "scene.sog")
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector(
            ":root[data-state=ready]", state="attached", timeout=browser.SECONDS * 1000
        )
        assert psnr(browser.drawn(page), render) > GOOD_DB


def test_a_scene_that_cannot_be_decoded_is_explained(
    bundle: Path, show: Callable[..., Opened], tmp_path: Path
) -> None:
    # The page was made for these very bytes, so only drawing them can find out.
    folder = browser.copied(bundle, tmp_path)
    old, junk = (bundle / "scene.sog").read_bytes(), b"not a splat at all " * 50
    (folder / "scene.sog").write_bytes(junk)
    import hashlib

    page_text = (folder / "index.html").read_text()
    page_text = page_text.replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(junk).hexdigest())
    page_text = page_text.replace(f'"bytes": {len(old)}', f'"bytes": {len(junk)}')
    (folder / "index.html").write_text(page_text)
    with browser.served(folder) as address:
        page = show(address)
        assert browser.state(page) == "error"
        assert "damaged" in page.inner_text("[role=alert]")


def test_no_webgl_is_explained(bundle: Path, show: Callable[..., Opened], chromium: Any) -> None:
    context = chromium.new_context()
    context.add_init_script(
        "const real = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        "  return /webgl/.test(kind) ? null : real.call(this, kind, ...rest); };"
    )
    page = context.new_page()
    with browser.served(bundle) as address:
        page.goto(address)
        page.wait_for_selector(browser.SETTLED, state="attached")
        assert browser.state(page) == "error"
        assert "WebGL" in page.inner_text("[role=alert]")
    context.close()


def test_a_visitor_cannot_point_the_page_elsewhere(
    bundle: Path, show: Callable[..., Opened]
) -> None:
    with browser.served(bundle) as address:
        page = show(
            f"{address}?content=https://example.org/other.sog&settings=https://example.org/s.json"
            "&poster=https://example.org/p.jpg&skybox=https://example.org/sky.jpg"
        )
        assert browser.state(page) == "ready"
        assert page.hosts - {""} == {urlsplit(address).netloc}


@pytest.mark.parametrize(
    ("size", "options"),
    [((1280, 800), {}), ((390, 844), {"has_touch": True, "is_mobile": True})],
    ids=["desktop", "phone"],
)
def test_words_and_buttons(
    bundle: Path, show: Callable[..., Opened], size: tuple[int, int], options: dict[str, Any]
) -> None:
    with browser.served(bundle) as address:
        page = show(address, size=size, **options)
        assert page.title() == "A <small> yard"
        assert page.locator("h1").inner_text() == "A <small> yard"
        assert page.locator("#credit").inner_text() == "Photos & splat: nobody"
        names = page.locator("button").evaluate_all(
            "all => all.map(b => b.getAttribute('aria-label') || b.textContent.trim())"
        )
        assert all(names), "every button has a name"
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size[0], "the page is wider than the window"
        for button in page.locator("#tools button:visible").all():
            box = button.bounding_box()
            assert box and box["width"] >= 44 and box["height"] >= 44, "too small for a finger"
            assert box["x"] >= 0 and box["x"] + box["width"] <= size[0]
        # Buttons do what they say.
        page.get_by_role("button", name="Help").click()
        assert page.get_by_role("dialog").is_visible()
        page.get_by_role("button", name="Close").click()
        assert not page.get_by_role("dialog").is_visible()
        page.get_by_role("button", name="Fly freely").click()
        assert page.evaluate("splatmake.viewer.state.cameraMode") == "fly"
        page.get_by_role("button", name="Turn about the scene").click()
        assert page.evaluate("splatmake.viewer.state.cameraMode") == "orbit"
        assert page.complaints == []


def test_dragging_turns_the_view_and_the_button_brings_it_back(
    bundle: Path, show: Callable[..., Opened]
) -> None:
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", size=(640, 480))
        first = browser.drawn(page)
        page.mouse.move(320, 200)
        page.mouse.down()
        page.mouse.move(470, 220, steps=8)
        page.mouse.up()
        turned = browser.drawn(page)
        assert np.abs(turned - first).mean() > 0.01
        page.get_by_role("button", name="Back to the first view").click()
        page.wait_for_timeout(1500)
        page.mouse.move(320, 200)
        assert np.abs(browser.drawn(page) - first).mean() < 0.005


def test_without_javascript_the_poster_and_a_sentence_remain(bundle: Path, chromium: Any) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    with browser.served(bundle) as address:
        page.goto(address)
        assert "needs JavaScript" in page.inner_text("noscript")
        assert page.locator("#poster").is_visible()
    context.close()
