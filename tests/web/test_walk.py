"""Walking on the page, in a house whose walls and stairs are known: they hold whoever pushes against them.

The viewer's walker is stepped by hand, a sixtieth of a second at a time, so nothing depends on the machine.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts.lib.contracts.record import as_file
from scripts.lib.encode.codecs import sog
from scripts.lib.visit.plan import plan_visit
from scripts.lib.visit.walk import WalkOptions, plan_walk
from scripts.lib.visit.walk_file import write_walk
from scripts.lib.web.assemble import OPTIONAL, STAGES, Inputs, write_bundle
from scripts.lib.web.bundle import WebOptions
from tests.unit.stage_files import stage_values
from tests.unit.visit import rooms
from tests.web import browser
from tests.web.conftest import Opened

Show = Callable[..., Opened]
PHONE: dict[str, Any] = {"size": (390, 844), "has_touch": True, "is_mobile": True}
RADIUS, EYE = 0.2, 1.6

# Walks for `steps` sixtieths of a second at the keys' speed; where the walker was after each, in our frame.
WALK = """([heading, steps, jump]) => {
    const { cameras } = splatmake;
    const turn = (Math.PI / 180) * (heading - 90);
    const yaw = cameras.walker._angles.y * (Math.PI / 180);
    const [east, north] = [Math.cos(turn), -Math.sin(turn)];
    const ahead = [-Math.sin(yaw), Math.cos(yaw)], right = [Math.cos(yaw), Math.sin(yaw)];
    const speed = 4 / 60;
    const along = (way) => speed * (east * way[0] + north * way[1]);
    const places = [];
    for (let i = 0; i < steps; i++) {
        const up = jump && i % 120 < 10 ? 1 : 0;
        const move = [along(right), up, along(ahead)];
        cameras.update(1 / 60, { read: () => ({ move, rotate: [0, 0, 0] }) });
        places.push(splatmake.fromViewer(cameras.walker._position));
    }
    return places;
}"""
RIG = """([from, way, steps]) => {
    const rig = splatmake.viewer.app.root.findByName('camera').parent;
    rig.setPosition(...splatmake.toViewer(from));
    const head = rig.getPosition().clone();
    for (let i = 0; i < steps; i++) {
        const [x, y, z] = splatmake.toViewer(way);
        rig.translate(x / 60, y / 60, z / 60);
        head.copy(rig.getPosition());
        head.y += 1.65;
        splatmake.holdRig(rig, head, 1 / 60);
    }
    const found = splatmake.fromViewer(rig.getPosition());
    rig.setPosition(0, 0, 0);
    return found;
}"""
PLACE = """([x, y, z]) => {
    const { cameras } = splatmake;
    const { camera } = cameras;
    camera.position.set(...splatmake.toViewer([x, y, z]));
    camera.angles.set(0, 0, 0);
    cameras.snap();
}"""


def make_house(folder: Path) -> None:
    """A bundle of the house, on whose page one can walk, with the truth of its cells beside it."""
    gaussians, scene = rooms.house(), rooms.house_scene(folder)
    _, visit = plan_visit(gaussians, scene)
    walked = plan_walk(gaussians, scene, True, WalkOptions())
    write_walk(folder / "walk.zip", walked, 0.0)
    assert walked.free is not None and walked.low is not None
    np.savez_compressed(folder / "free.npz", free=walked.free, low=walked.low)
    (folder / "splat.sog").write_bytes(sog.encode(gaussians).data)
    Image.new("RGB", (1200, 630), (70, 90, 80)).save(folder / "poster.jpg")
    stages: dict[str, Any] = stage_values(12) | {"walk": as_file(walked.told)}
    (folder / "view.json").write_text(json.dumps(as_file(visit)))
    files = {}
    for name in (*STAGES, *OPTIONAL):
        if name in stages:
            files[name] = folder / f"{name}.json"
            files[name].write_text(json.dumps(stages[name]))
    write_bundle(
        Inputs(
            scene="house",
            sog=folder / "splat.sog",
            poster=folder / "poster.jpg",
            view=folder / "view.json",
            stage_files=files,
            options=WebOptions(),
            modules=browser.modules(),
            voxels=folder / "walk.zip",
        ),
        output=folder / "web",
        single=folder / "splat.html",
        site=folder / "site.zip",
    )


@pytest.fixture(scope="session")
def house(made_once: Callable[[str, Callable[[Path], Any]], Path]) -> Path:
    browser.chromium()
    return made_once("house", make_house)


def begin(page: Opened) -> None:
    """Press the walker's key, and wait until one stands."""
    page.keyboard.press("b")
    page.wait_for_selector(":root[data-walk=on]", state="attached", timeout=60_000)


def walk(page: Opened, heading: float, steps: int = 3600, jump: bool = False) -> np.ndarray:
    """Positions (steps, 3) of the eye while walking `heading` degrees clockwise from north."""
    return np.array(page.evaluate(WALK, [float(heading), steps, bool(jump)]))


def put(page: Opened, x: float, y: float, floor: float = 0.0) -> None:
    page.evaluate(PLACE, [x, y, floor + EYE])


@pytest.fixture(scope="module")
def yard(house: Path, chromium: Any) -> Iterator[Opened]:
    """A page on which somebody walks; tests put the walker where they want."""
    with browser.served(house / "web") as address:
        page = chromium.new_page(viewport={"width": 640, "height": 400})
        page.complaints, page.asked = [], []
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(f"{address}?animate=0")
        page.wait_for_selector(browser.SETTLED, state="attached", timeout=browser.SECONDS * 1000)
        page.first = page.evaluate("splatmake.whereAmI().position")
        page.asked_before = list(page.asked)
        begin(page)
        yield page
        assert page.complaints == []
        page.close()


def test_a_minute_against_every_wall(house: Path, yard: Opened) -> None:
    """Pushed in all directions, walking and jumping, from the room, the platform and the yard."""
    with np.load(house / "free.npz") as truth:
        free, low = truth["free"], truth["low"]
    for heading in np.arange(0, 360, 22.5):
        for x, y, floor in ((3.3, 1.2, 0.0), (5.0, 4.4, 1.0), (7.5, 3.5, 0.0)):
            put(yard, x, y, floor)
            places = walk(yard, heading, 1200, jump=heading % 45 == 0)
            cells = np.floor((places - [0, 0, EYE - 0.6] - low) / 0.1).astype(int)
            assert (cells >= 0).all() and (cells < free.shape).all()
            assert free[tuple(cells.T)].all(), (heading, x, y)
            inside = places[places[:, 0] < rooms.WIDE - 0.1]
            assert (inside[:, 0] > RADIUS - 0.05).all()
            off = np.abs(inside[:, 1] - rooms.DEEP / 2)
            assert (off < rooms.DEEP / 2 - RADIUS + 0.05).all()
            # The yard ends without a wall: half a body can lean over its edge.
            edge = np.clip(places[-1, :2], 0, [rooms.YARD[1], rooms.DEEP])
            assert np.abs(edge - places[-1, :2]).max() < RADIUS
            ground = rooms.floor_at(*edge)
            assert ground is not None and ground - 0.15 < places[-1, 2] - EYE < ground + 1.1


def test_stairs_are_climbed_and_descended(yard: Opened) -> None:
    put(yard, 0.7, 4.4)
    up = walk(yard, 90, 300)
    assert up[0, 2] == pytest.approx(EYE, abs=0.1)
    assert up[-1, 2] == pytest.approx(EYE + 1.0, abs=0.1)
    assert np.diff(up[:, 2]).max() < 0.06, "no step is a jolt"
    down = walk(yard, 270, 300)
    assert down[-1, 2] == pytest.approx(EYE, abs=0.1)


def test_a_wall_is_followed_and_a_door_passed(yard: Opened) -> None:
    put(yard, 3.0, 0.6)
    slid = walk(yard, 135, 120)  # into the south wall, at 45 degrees
    assert slid[-1, 0] > 3.8 and slid[-1, 1] > RADIUS - 0.05
    put(yard, 5.0, 1.4)
    assert walk(yard, 90, 120)[-1, 0] > rooms.WIDE + 0.5
    put(yard, 3.6, 0.3)
    assert walk(yard, 90, 120)[-1, 0] < rooms.RAILING[0][0], "the railing stops nobody"


def test_a_headset_is_kept_out_of_walls_and_on_the_ground(yard: Opened) -> None:
    """What a headset's controllers do to the rig, without one: a way into the wall, and one upstairs."""
    assert not yard.get_by_role("button", name="Walk in virtual reality").is_visible()
    x, y, z = yard.evaluate(RIG, [[3.0, 1.2, 0.0], [0, -1.5, 0], 240])
    assert RADIUS - 0.05 < y < 0.5 and x == pytest.approx(3.0, abs=0.1)
    assert z == pytest.approx(0, abs=0.1)
    x, y, z = yard.evaluate(RIG, [[0.7, 4.4, 0.0], [1.5, 0, 0], 240])
    assert x > 4 and z == pytest.approx(1.0, abs=0.1)


def test_start_and_flight_are_as_without(house: Path, yard: Opened) -> None:
    start = json.loads((house / "view.json").read_text())["position"]
    assert np.allclose(yard.first, start, atol=1e-3)
    assert not any("walk" in path for path in yard.asked_before), "nobody had asked to walk"
    assert any("walk.bin.gz" in path for path in yard.asked)
    yard.get_by_role("button", name="Fly freely").click()
    assert yard.evaluate("splatmake.cameras.walker.collision") is None
    assert yard.evaluate("document.documentElement.dataset.walk") == "off"
    yard.keyboard.press("b")
    yard.wait_for_selector(":root[data-walk=on]", state="attached", timeout=60_000)
    yard.keyboard.press("b")
    assert yard.evaluate("splatmake.viewer.state.cameraMode") == "orbit"
    begin(yard)


def test_a_phone_tells_of_a_damaged_file_and_has_a_stick(house: Path, show: Show) -> None:
    with browser.served(house / "web") as address:
        page = show(f"{address}?animate=0", **PHONE)
        assert not page.locator("#stick").is_visible()
        page.evaluate("splatmake.config.walk.octree.nodes += 1")
        page.get_by_role("button", name="Walk", exact=True).tap()
        page.locator("#hint", has_text="The ground to walk on is not the one this page").wait_for()
        page.evaluate("splatmake.config.walk.octree.nodes -= 1")
        page.get_by_role("button", name="Walk", exact=True).tap()
        page.wait_for_selector(":root[data-walk=on]", state="attached", timeout=60_000)
        box = page.locator("#stick").bounding_box()
        assert box and box["x"] >= 0 and box["y"] + box["height"] <= 844
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        devtools = page.context.new_cdp_session(page)
        touch = "Input.dispatchTouchEvent"
        before = np.array(page.evaluate("splatmake.whereAmI().position"))
        for kind, up in (("touchStart", 0), ("touchMove", 50)):
            point = {"x": middle[0], "y": middle[1] - up}
            devtools.send(touch, {"type": kind, "touchPoints": [point]})
        page.wait_for_timeout(1500)
        devtools.send(touch, {"type": "touchEnd", "touchPoints": []})
        after = np.array(page.evaluate("splatmake.whereAmI().position"))
        assert np.linalg.norm((after - before)[:2]) > 0.15
        assert page.complaints == []


def test_every_form_of_the_page_can_walk(house: Path, show: Show, tmp_path: Path) -> None:
    page = show((house / "splat.html").as_uri() + "?animate=0", size=(320, 240))
    begin(page)
    with zipfile.ZipFile(house / "site.zip") as archive:
        archive.extractall(tmp_path)
    with browser.served(tmp_path) as address:
        hosted = show(f"{address}?animate=0", size=(320, 240))
        begin(hosted)
        assert any(path.startswith("/walk.") and path.endswith(".bin.gz") for path in hosted.asked)
        assert page.complaints == [] and hosted.complaints == []
