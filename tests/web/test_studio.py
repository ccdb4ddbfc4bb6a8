"""The studio's page in Chromium, from an empty folder to a scene that is walked through and deleted.

Snakemake is a stand-in here (tests/unit/studio/stand_in.py), and the scene the other tests' bundle.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts.lib.cloud import multipart
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.record import read, write
from scripts.lib.contracts.request import RunRequest
from scripts.lib.core.console import UserError
from scripts.lib.studio.detector import detector_of
from scripts.lib.studio.home import Home
from scripts.lib.web.node import install
from tests.unit.studio.conftest import Served, Serving, serve, studio, work  # noqa: F401
from tests.web import browser
from tests.web.studio_page import drop, fill_and_start, flags, violations

AXE = Path(__file__).with_name("axe")
MILLISECONDS = browser.SECONDS * 1000
Open = Callable[..., Any]


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core. Skips when it cannot be installed (no network)."""
    try:
        folder = install(AXE, Path("build") / "axe")
    except UserError as error:
        pytest.skip(f"axe-core is not here: {error}")
    return (folder / "axe-core" / "axe.min.js").read_text()


@pytest.fixture
def show(chromium: Any) -> Iterator[Open]:
    """`show(url, size, ...)` opens the studio's page; nothing on it may complain."""
    contexts, pages = [], []

    def open_page(url: str, size: tuple[int, int] = (1280, 860), **options: Any) -> Any:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, **{"locale": "en-US", **options}
        )
        context.set_default_timeout(MILLISECONDS)
        page = context.new_page()
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda m: note(page, m))
        page.goto(url)
        page.wait_for_selector(":root[data-state=ready]")
        contexts.append(context)
        pages.append(page)
        return page

    def note(page: Any, message: Any) -> None:
        # That a server is away is the browser's own word; the page says it too, and the tests look for that.
        if message.type == "error" and "Failed to load resource" not in message.text:
            page.complaints.append(message.text)

    yield open_page
    for page in pages:
        assert not [said for said in page.complaints if "net::ERR" not in said]
    for context in contexts:
        context.close()


def photos_of(lens: Path, count: int = 8) -> list[Path]:
    return sorted((lens / "photos").glob("*.jpg"))[:count]


@pytest.fixture
def working(
    studio: Any,  # noqa: F811
    serve: Serving,  # noqa: F811
    work: Callable[..., Any],  # noqa: F811
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Served:
    """A studio that makes each scene into the test's bundle."""
    monkeypatch.setenv("SPLATMAKE_TEST_BUNDLE", str(bundle.parent))
    served = serve(studio)
    work(studio)
    return served


def test_from_photos_to_a_scene(
    working: Served,
    show: Open,
    lens: Path,
    axe: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = tmp_path / "gate"  # the run ends only after it was seen running
    monkeypatch.setenv("SPLATMAKE_TEST_GATE", str(gate))
    page = show(working.url)
    assert not violations(page, axe)
    page.get_by_role("link", name="Make your first scene").click()
    assert not violations(page, axe)
    drop(page, photos_of(lens, 10))
    # A photo is judged again when others of the same things are known.
    for flag, count in (("Blurred", 1), ("Copy", 1), ("Good", 8)):
        page.locator(".photo .flags", has_text=flag).nth(count - 1).wait_for()
    said = flags(page)
    assert said["phone_06_soft.jpg"] == "Blurred" and "Copy" in {
        said["phone_04.jpg"],
        said["phone_04_copy.jpg"],
    }
    assert list(said.values()).count("Good") == 8
    assert page.locator(".photo.out").count() == 2
    assert "10 positions" in page.locator(".map").get_attribute("aria-label")
    # A mask over a part of the first photo.
    page.get_by_role("button", name="Hide parts of phone_01.jpg").click()
    page.get_by_role("button", name="Box").click()
    place = page.locator("canvas.paint").bounding_box()
    page.mouse.move(place["x"], place["y"])
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2, steps=3)
    page.mouse.up()
    assert not violations(page, axe)
    page.get_by_role("button", name="Keep").click()
    page.locator(".flag.masked").wait_for()
    assert not violations(page, axe)
    fill_and_start(page)
    page.wait_for_url("**/#/job/*")
    page.locator(".stages li.running").wait_for()
    assert not violations(page, axe)
    gate.touch()
    scene = page.frame_locator("iframe.scene")
    scene.locator(":root[data-state=ready]").wait_for(state="attached")
    assert not violations(page, axe)
    check_upload(working)
    assert page.locator("h1").inner_text() == "The old mill"
    with page.expect_popup() as report:
        page.get_by_role("link", name="The report").click()
    assert "Quality" in report.value.content()
    page.get_by_role("link", name="All scenes").click()
    page.locator(".scene img").wait_for()
    assert not violations(page, axe)
    page.get_by_role("searchbox").fill("windmill")
    assert page.locator(".scene").count() == 0
    page.get_by_role("searchbox").fill("OLD")
    page.locator(".scene a").click()
    page.get_by_role("button", name="Delete").click()
    assert not violations(page, axe)
    page.get_by_role("button", name="Delete it").click()
    page.get_by_role("link", name="Make your first scene").wait_for()
    assert not list((working.studio.home.path / "jobs").iterdir())
    assert not list((working.studio.home.path / "uploads").iterdir())


# As config/detector.md asks for it: hides the left half of the first photo of each call.
DETECTOR = """
import sys
from pathlib import Path
from PIL import Image
photos, masks = map(Path, sys.argv[-2:])
size = Image.open(photos / "0.jpg").size
made = Image.new("L", size, 255)
made.paste(0, (0, 0, size[0] // 2, size[1]))
made.save(masks / "0.jpg.png")
"""


def test_what_a_detector_finds_is_looked_at_before_it_is_used(
    studio: Any,  # noqa: F811
    serve: Serving,  # noqa: F811
    show: Open,
    lens: Path,
    axe: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "half.py").write_text(DETECTOR)
    detector = detector_of(f"'{sys.executable}' '{tmp_path / 'half.py'}'")
    served = serve(replace(studio, detector=detector))
    page = show(f"{served.url}/#/new")
    drop(page, photos_of(lens, 3))
    page.wait_for_selector(".photo:not(.wait) >> nth=2")
    page.get_by_role("button", name="Find what to hide").click()
    page.locator(".detect", has_text="Something is hidden in 1 photo now").wait_for()
    page.get_by_role("button", name="Masked 1").wait_for()
    assert flags(page) == {"phone_01.jpg": "Masked"}, "only what was found is shown"
    page.wait_for_selector(".photo .cover[src^='blob:']")
    assert not violations(page, axe)
    # A person hides more of it.
    page.get_by_role("button", name="Hide parts of phone_01.jpg").click()
    page.get_by_role("button", name="Box").click()
    place = page.locator("canvas.paint").bounding_box()
    page.mouse.move(place["x"] + 1, place["y"] + 1)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] - 1, place["y"] + place["height"] / 2, steps=3)
    page.mouse.up()
    page.get_by_role("button", name="Keep").click()
    fill_and_start(page)
    page.wait_for_url("**/#/job/*")
    (path,) = (served.studio.home.path / "uploads").glob("*/*.zip")
    with zipfile.ZipFile(path) as archive:
        data = archive.read("masks/phone_01.jpg.png")
        assert len(archive.namelist()) == 4
    mask = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    height, width = mask.shape
    assert (mask[:, : width // 2 - 4] == 0).all() and (mask[4 : height // 2 - 4, 4:-4] == 0).all()
    assert (mask[height // 2 + 4 :, width // 2 + 4 :] == 255).all()


def check_upload(working: Served) -> None:
    """The zip that the page laid out: the photos as they are, without those left out, and the mask."""
    (path,) = (working.studio.home.path / "uploads").glob("*/*.zip")
    assert path.name == "The-old-mill.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == 9 and "masks/phone_01.jpg.png" in names
        assert "phone_06_soft.jpg" not in names
        mask = np.asarray(
            Image.open(io.BytesIO(archive.read("masks/phone_01.jpg.png"))).convert("L")
        )
    height, width = mask.shape
    assert (mask[: height // 2 - 4, : width // 2 - 4] == 0).all()
    assert (mask[height // 2 + 4 :] == 255).all()


def test_an_upload_goes_on_after_the_page_was_closed(
    working: Served, show: Open, lens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "LEAST_PART", 32 * 1024)
    monkeypatch.setattr(multipart, "MIB", 1024)
    arrived: set[str] = set()

    def part(message: Any) -> str | None:
        found = re.search(r"parts/(\d+)", message.url)
        return found[1] if found else None

    def note(response: Any) -> None:
        if response.ok and (number := part(response)):
            arrived.add(number)

    def few(route: Any) -> None:
        if len(arrived) < 3:
            route.continue_()
        else:
            route.abort()

    page = show(f"{working.url}/#/new")
    page.on("response", note)
    drop(page, photos_of(lens))
    page.wait_for_selector(".photo:not(.wait) >> nth=7")
    page.wait_for_timeout(1000)  # which of them are copies is told once all are there
    page.route("**/parts/*", few)
    fill_and_start(page)
    page.get_by_text("The connection is lost").wait_for()
    page.close()
    page = page.context.new_page()
    page.goto(f"{working.url}/#/new")
    page.get_by_text("Drop the same files again").wait_for()
    again: list[str] = []
    page.on("request", lambda request: again.extend(filter(None, [part(request)])))
    drop(page, photos_of(lens))
    page.wait_for_selector(".photo:not(.wait) >> nth=7")
    page.wait_for_timeout(1000)  # which of them are copies is told once all are there
    fill_and_start(page)
    page.wait_for_url("**/#/job/*")
    assert again and len(arrived) >= 3 and not arrived & set(again)


def test_the_page_waits_for_a_studio_that_is_away(
    studio: Any,  # noqa: F811
    serve: Serving,  # noqa: F811
    work: Callable[..., Any],  # noqa: F811
    show: Open,
) -> None:
    served = serve(studio)
    job = served.submitted(options={"bundle_web": {"title": "count"}})
    page = show(f"{served.url}/#/job/{job}")
    page.get_by_text("Waiting for its turn").wait_for()
    port = int(served.url.rsplit(":", 1)[1])
    serve.stop()
    page.get_by_text("The studio does not answer").wait_for()
    serve(studio, port)
    work(studio)
    page.locator(".dot.done").wait_for()
    page.get_by_text("The studio does not answer").wait_for(state="hidden")


def test_a_problem_is_told_with_what_to_do(
    studio: Any,  # noqa: F811
    serve: Serving,  # noqa: F811
    work: Callable[..., Any],  # noqa: F811
    show: Open,
    axe: str,
) -> None:
    served = serve(studio)
    work(studio)
    job = served.submitted(options={"bundle_web": {"title": "fail"}})
    page = show(f"{served.url}/#/job/{job}", size=(390, 844), color_scheme="dark")
    page.get_by_text("too few photos fit together").wait_for()
    assert not violations(page, axe)
    with page.expect_popup() as log:
        page.get_by_role("link", name="What the stage said").click()
    assert "photograph with more overlap" in log.value.content()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_disk_that_is_gone_or_full_is_told(
    studio: Any,  # noqa: F811
    serve: Serving,  # noqa: F811
    show: Open,
    axe: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = serve(studio)
    job = served.submitted(options={"bundle_web": {"title": "The quarry"}})
    jobs = served.studio.home.path / "jobs"
    away = jobs.rename(jobs.with_name("pulled out"))
    page = show(served.url)
    page.get_by_text("is gone; connect its disk again").wait_for()
    assert not violations(page, axe)
    away.rename(jobs)
    page.locator(".scene", has_text="The quarry").wait_for()
    page.get_by_text("is gone; connect its disk again").wait_for(state="hidden")
    monkeypatch.setattr(Home, "free_bytes", lambda _: 10**8)
    page.goto(f"{served.url}/#/new")
    page.get_by_role("link", name="Scenes", exact=True).click()
    page.get_by_text("The disk is almost full").wait_for()
    # What the workflow's check of the photos says, and what to do about it, without the option's name.
    said = "11 of 40 photos are registered. To continue anyway, set map_scene.force to true."
    write(served.studio.home.job(job) / Outcome.file, Outcome(state="failed", cause=said))
    page.goto(f"{served.url}/#/job/{job}")
    page.get_by_text("11 of 40 photos are registered.", exact=True).wait_for()
    page.get_by_role("button", name="Change and run again").click()
    page.get_by_role("dialog").get_by_label("Title").fill("The old quarry")
    page.get_by_role("dialog").get_by_text("Files for other programs").click()
    page.get_by_label("glTF with Gaussians").check()
    assert not violations(page, axe)
    served.studio.store.set_state(job, "ended", only_from="queued")
    page.get_by_role("button", name="Run again", exact=True).click()
    page.get_by_role("heading", name="The old quarry").wait_for()
    request = read(RunRequest, served.studio.home.job(job) / RunRequest.file)
    assert request.options["deliver"] == "glb"


def test_german(studio: Any, serve: Serving, show: Open) -> None:  # noqa: F811
    page = show(serve(studio).url, locale="de-AT")
    page.get_by_role("link", name="Die erste Szene machen").wait_for()
    page.get_by_label("Sprache").select_option("en")
    page.get_by_role("link", name="Make your first scene").wait_for()


def test_a_team_enters_by_its_token(
    studio: Any,  # noqa: F811
    serve: Serving,  # noqa: F811
    show: Open,
) -> None:
    served = serve(replace(studio, token="a-token-of-the-team"))
    page = show(f"{served.url}/#token=a-token-of-the-team")
    page.get_by_role("link", name="Make your first scene").wait_for()
    assert "token" not in page.url
