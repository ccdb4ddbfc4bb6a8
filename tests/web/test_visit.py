"""What a visitor does on the page: tour, measuring, map, notes, sharing, and staying within limits."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.lib.measure.metrics import psnr
from scripts.lib.splat.gaussians import read_ply
from tests.web import browser
from tests.web.conftest import Opened

pytest.importorskip("torch", reason="the render to compare with needs torch")

Show = Callable[..., Opened]
PHONE: dict[str, Any] = {"size": (390, 844), "has_touch": True, "is_mobile": True}
SLOW = browser.SECONDS * 1000  # picking without a GPU takes seconds on a busy machine


def camera_of(page: Opened) -> np.ndarray:
    """Where the visitor is, in our frame."""
    return np.array(page.evaluate("splatmake.whereAmI().position"))


def tap(page: Opened, x: float, y: float) -> None:
    """A finger's tap: it rests for a moment, which the viewer wants to see in two of its frames."""
    devtools = page.context.new_cdp_session(page)
    touch = "Input.dispatchTouchEvent"
    devtools.send(touch, {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    page.wait_for_timeout(400)
    devtools.send(touch, {"type": "touchEnd", "touchPoints": []})


def config_of(bundle: Path) -> dict[str, Any]:
    text = (bundle / "index.html").read_text()
    found = re.search(r'<script type="application/json" id="config">(.*?)</script>', text)
    assert found
    return json.loads(found.group(1))


def test_the_tour_moves_stops_and_ends(bundle: Path, show: Show) -> None:
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", size=(640, 480))
        bar = page.get_by_role("toolbar", name="Guided tour")
        assert not bar.is_visible()
        assert not page.get_by_role("button", name="Walk", exact=True).is_visible()
        page.keyboard.press("t")
        assert bar.is_visible()
        start = camera_of(page)
        moved = False
        for _ in range(60):
            page.wait_for_timeout(500)
            if moved := bool(np.linalg.norm(camera_of(page) - start) > 0.05):
                break
        assert moved, "the tour stands still"
        page.get_by_role("button", name="Pause").click()
        page.wait_for_timeout(300)
        still = camera_of(page)
        page.wait_for_timeout(700)
        assert np.allclose(camera_of(page), still)
        page.get_by_role("button", name="Next stop").click()
        page.wait_for_timeout(500)
        stops = config_of(bundle)["tour"]["stops"]
        at = page.evaluate("splatmake.viewer.state.animationTime")
        assert min(abs(at - stop["time"]) for stop in stops[1:]) < 0.05
        page.get_by_role("button", name="Leave the tour").click()
        assert not bar.is_visible()
        assert page.complaints == []


def test_less_motion_makes_the_tour_a_row_of_views(bundle: Path, show: Show) -> None:
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", size=(640, 480), reduced_motion="reduce")
        page.get_by_role("button", name="Guided tour").click()
        page.wait_for_timeout(600)
        first = camera_of(page)
        page.wait_for_timeout(800)
        assert np.allclose(camera_of(page), first), "it moves by itself"
        page.get_by_role("button", name="Next stop").click()
        page.wait_for_timeout(600)
        second = camera_of(page)
        assert np.linalg.norm(second - first) > 0.1
        assert "Stop 2" in page.inner_text("#said")


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ({"size": (1280, 800)}, [[-1.2, -1.5, 0.0], [0.8, -1.2, 0.0]]),
        (PHONE, [[-0.3, -0.8, 0.0], [0.0, -0.6, 0.0]]),
    ],
    ids=["desktop", "phone"],
)
def test_measuring_by_click_or_tap(
    bundle: Path, show: Show, options: dict[str, Any], ends: list[list[float]]
) -> None:
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", **options)
        width, height = options["size"]
        page.get_by_role("button", name="Measure a distance").click()
        said = page.locator("#measured")
        assert "one end" in said.inner_text()
        before = camera_of(page)
        # Two places of the floor, pressed where the page itself projects them.
        pixels = page.evaluate("ends => ends.map(splatmake.project)", ends)
        for number, (x, y) in enumerate(pixels):
            assert 0 < x < width and 0 < y < height
            if options.get("has_touch"):
                tap(page, x, y)
            else:
                page.mouse.click(x, y)
            wanted = "other end" if number == 0 else " m"
            page.locator("#measured", has_text=wanted).wait_for(timeout=SLOW)
        points = page.evaluate("splatmake.measureLines[0]")
        assert np.allclose(points, ends, atol=0.25), "the picked places lie elsewhere"
        whole, half, digits = stated(said.inner_text())
        length = float(np.linalg.norm(np.subtract(*points)))
        assert whole == pytest.approx(length, abs=0.51 / 10**digits)
        # Scale, cameras, surfaces and click make 3 cm at least, and a floor of blobs is rough.
        assert 0.03 < half < 0.9 and half < length
        label = page.locator("#marks .length").text_content()
        assert stated(label) == (whole, half, digits)
        assert np.allclose(camera_of(page), before, atol=1e-3), (
            "a click to measure moved the camera"
        )
        page.get_by_role("button", name="Done").click()
        assert page.locator("#marks .dot").count() == 0
        assert page.complaints == []


def stated(text: str) -> tuple[float, float, int]:
    """Length, uncertainty and decimals of `3.42 m ± 0.04 m`."""
    found = re.match(r"(\d+(?:\.(\d+))?) m ± ([\d.]+) m", text)
    assert found, text
    return float(found[1]), float(found[3]), len(found[2] or "")


def test_what_would_be_fiction_is_refused(bundle: Path, show: Show) -> None:
    """A place that no photo shows from near enough, and a length below its uncertainty."""
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", size=(1280, 800))
        page.get_by_role("button", name="Measure a distance").click()
        said = page.locator("#measured")
        [[x, y], [beside, _]] = page.evaluate(
            "[[-1.2, -1.5, 0], [-1.17, -1.5, 0]].map(splatmake.project)"
        )
        page.evaluate("splatmake.config.measure.surfaces[0][0] = 0.5")
        page.mouse.click(x, y)
        page.locator("#measured", has_text="do not tell exactly enough").wait_for(timeout=SLOW)
        assert page.locator("#marks .dot").count() == 0
        page.evaluate("splatmake.config.measure.surfaces[0] = [99, 0.1]")
        page.mouse.click(x, y)
        page.locator("#measured", has_text="other end").wait_for(timeout=SLOW)
        page.mouse.click(beside, y)
        page.locator("#measured", has_text="Too short").wait_for(timeout=SLOW)
        assert page.locator("#marks .length").count() == 0
        assert "uncertainty of" in said.inner_text() and page.complaints == []


def test_no_metres_no_measuring(bundle: Path, show: Show, tmp_path: Path) -> None:
    folder = browser.copied(bundle, tmp_path)
    text = (folder / "index.html").read_text()
    changed = re.sub(r'"measure": \{[^}]*\}', '"measure": null', text)
    assert changed != text
    (folder / "index.html").write_text(changed)
    with browser.served(folder) as address:
        page = show(address)
        assert browser.state(page) == "ready"
        assert page.get_by_role("button", name="Measure").count() == 0
        page.keyboard.press("m")
        assert "no scale" in page.inner_text("#measured")


def test_the_limits_hold(bundle: Path, show: Show) -> None:
    limits = config_of(bundle)["limits"]
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", size=(640, 480))
        # Drag the view up from below, again and again: without limits this ends under the floor.
        for _ in range(4):
            page.mouse.move(320, 420)
            page.mouse.down()
            page.mouse.move(320, 60, steps=6)
            page.mouse.up()
        page.wait_for_timeout(1200)
        floor = page.evaluate(
            "(() => { const [x, y] = splatmake.whereAmI().position; return splatmake.groundAt(x, y); })()"
        )
        assert camera_of(page)[2] >= floor + 0.99 * limits["margin"]
        # Scroll out, far beyond the place.
        for _ in range(30):
            page.mouse.wheel(0, 600)
        page.wait_for_timeout(1500)
        x, y, z = camera_of(page)
        away = np.hypot(x - limits["centre"][0], y - limits["centre"][1])
        assert away <= 1.001 * limits["radius"] and z <= limits["top"] + 1e-3
        assert page.evaluate("splatmake.bumped ?? 0") > 0, "nothing ran into a limit"
        # And the way back is open.
        for _ in range(12):
            page.mouse.wheel(0, -400)
        page.wait_for_timeout(1200)
        assert np.linalg.norm(camera_of(page)) < np.linalg.norm([x, y, z])


def test_the_map_leads_to_photos_and_tells_no_place(bundle: Path, show: Show) -> None:
    for name in ("index.html", "settings.json", "manifest.json", "page.js"):
        text = (bundle / name).read_text()
        assert "latitude" not in text and "50.8" not in text and "32630" not in text, name
    photos = config_of(bundle)["map"]["photos"]
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", size=(640, 480), reduced_motion="reduce")
        page.keyboard.press("p")
        assert page.get_by_role("region", name="Map of the photos").is_visible()
        page.get_by_role("button", name="Next photo").click()
        page.wait_for_timeout(500)
        assert np.allclose(camera_of(page), photos[0][:3], atol=0.02)
        page.get_by_role("button", name="Next photo").click()
        page.wait_for_timeout(500)
        assert np.allclose(camera_of(page), photos[1][:3], atol=0.02)
        assert "photo 2 of 12" in page.inner_text("#said")


def test_notes_are_read_and_escaped(bundle: Path, show: Show) -> None:
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", size=(1280, 800), reduced_motion="reduce")
        mark = page.get_by_role("button", name="The <tower> (note 1 of 1)")
        mark.click()
        assert page.locator("#note-title").inner_text() == "The <tower>"
        assert page.locator("#note-text").inner_text() == "Yellow & tall."
        page.wait_for_timeout(600)
        box = mark.bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert np.allclose(middle, [640, 400], atol=3), "the note is not in the middle of its view"
        page.locator("#note").get_by_role("button", name="Close").click()
        assert not page.locator("#note").is_visible()
        assert page.complaints == []


def test_a_shared_link_opens_the_same_view(bundle: Path, show: Show) -> None:
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", size=(640, 480), reduced_motion="reduce")
        page.keyboard.press("p")
        page.get_by_role("button", name="Previous photo").click()
        page.wait_for_timeout(500)
        place = camera_of(page)
        page.get_by_role("button", name="Share").click()
        link = page.input_value("#share-text")
        page.get_by_role("button", name="Lines for a web page").click()
        assert page.input_value("#share-text").startswith(f'<iframe src="{address}"')
        other = show(link, size=(640, 480))
        assert np.allclose(camera_of(other), place, atol=0.01)
        broken = show(f"{address}#view=1,2,nonsense", size=(640, 480))
        assert np.allclose(camera_of(broken), browser.VIEW.position, atol=0.01)


def test_the_one_file_opens_from_a_disk(bundle: Path, show: Show) -> None:
    from scripts.lib.visit.poster import render

    gaussians = read_ply(bundle.parent / "splat.ply")
    pose = browser.VIEW.world_to_camera
    wanted = render(gaussians, pose, browser.intrinsics(), browser.SIZE, browser.BACKGROUND)
    page = show((bundle.parent / "splat.html").as_uri() + browser.posed(pose))
    assert browser.state(page) == "ready"
    assert psnr(browser.drawn(page), wanted) > 30
    assert page.complaints == []
    assert page.hosts == {""}, "the file asks the network"


def test_a_host_gets_hashed_names_and_a_streamed_scene(
    bundle: Path, show: Show, tmp_path: Path
) -> None:
    from scripts.lib.visit.poster import render

    with zipfile.ZipFile(bundle.parent / "site.zip") as archive:
        archive.extractall(tmp_path / "site")
    rules = (tmp_path / "site" / "_headers").read_text()
    gaussians, pose = read_ply(bundle.parent / "splat.ply"), browser.VIEW.world_to_camera
    wanted = render(gaussians, pose, browser.intrinsics(), browser.SIZE, browser.BACKGROUND)
    with browser.served(tmp_path / "site") as address:
        page = show(address + browser.posed(pose))
        assert browser.state(page) == "ready"
        assert psnr(browser.drawn(page), wanted) > 28  # levels of detail settle on the full one
        assert any(path.endswith("lod-meta.json") for path in page.asked)
        assert not any("scene" in path for path in page.asked), "the whole scene came as well"
        kept = re.findall(r"^/(\S+)\n  Cache-Control: .*immutable$", rules, re.MULTILINE)
        for path in set(page.asked) - {"/"}:
            assert any(fnmatch(path[1:], pattern) for pattern in kept), f"{path} is asked for anew"
        assert page.complaints == []


def test_the_budget_of_the_page(bundle: Path) -> None:
    code = sum(
        len(data if data[:2] == b"\x1f\x8b" else gzip.compress(data))
        for name in ("index.html", "style.css", "page.js", "viewer.js.gz", "settings.json")
        for data in [(bundle / name).read_bytes()]
    )
    assert code <= 1_200_000
    assert (bundle / "poster.jpg").stat().st_size <= 150_000


def test_cache_rules_name_files_that_carry_a_hash(bundle: Path) -> None:
    page, rules = (bundle / "index.html").read_text(), (bundle / "_headers").read_text()
    kept = re.findall(r"^/(\S+)\n  Cache-Control: .*immutable$", rules, re.MULTILINE)
    assert {"scene.sog", "viewer.js.gz", "page.js", "style.css"} <= set(kept)
    assert "walk.bin.gz" not in kept, "nobody walks here"
    for name in set(kept) - {"scene.mobile.sog"}:  # the same as scene.sog here, so not offered
        assert re.search(rf"{re.escape(name)}\?v=[0-9a-f]{{12}}", page), f"{name} has no hash"
    assert "/index.html\n  Cache-Control: no-cache" in rules
