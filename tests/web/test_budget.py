"""What a visit costs and who can use it: bytes and requests as the browser counts them, names, keys, zoom."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from scripts.lib.encode.codecs import sog
from tests.web import browser
from tests.web.conftest import Opened

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
PHONE["is_mobile"] = True
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
# Bytes over the wire, headers included, as Lighthouse counts them.
CODE_BYTES, POSTER_BYTES, REQUESTS = 1_200_000, 150_000, 8


@pytest.fixture(scope="module")
def two_splats(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with a smaller splat for phones, as a real scene has."""
    folder = browser.copied(bundle, tmp_path_factory.mktemp("two"))
    light = sog.encode(browser.courtyard().take(np.arange(800))).data
    (folder / "scene.mobile.sog").write_bytes(light)
    text = (folder / "index.html").read_text()
    entry = json.loads(re.search(r'"scene": (\{[^}]*\})', text)[1])  # type: ignore[index]
    mobile = {
        "name": "scene.mobile.sog",
        "bytes": len(light),
        "sha256": hashlib.sha256(light).hexdigest(),
        "url": "scene.mobile.sog",
    }
    whole = f'"scene": {json.dumps(entry)}'
    assert whole in text
    (folder / "index.html").write_text(
        text.replace(whole, f'{whole}, "mobile": {json.dumps(mobile)}')
    )
    return folder


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., tuple[Counter[str], list[str]]]]:
    """`visit(folder, options)` opens the page once: bytes transferred by file, and what was asked for."""
    contexts = []

    def go(folder: Path, options: dict[str, Any]) -> tuple[Counter[str], list[str]]:
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        devtools = context.new_cdp_session(page)
        devtools.send("Network.enable")
        names: dict[str, str] = {}
        asked: list[str] = []
        bytes_of: Counter[str] = Counter()

        def sent(event: dict[str, Any]) -> None:
            address = urlsplit(event["request"]["url"])
            if address.scheme.startswith("http"):
                names[event["requestId"]] = address.path.lstrip("/") or "index.html"
                asked.append(names[event["requestId"]])

        def finished(event: dict[str, Any]) -> None:
            if event["requestId"] in names:
                bytes_of[names[event["requestId"]]] += int(event["encodedDataLength"])

        devtools.on("Network.requestWillBeSent", sent)
        devtools.on("Network.loadingFinished", finished)
        with browser.served(folder) as address:
            page.goto(address)
            page.wait_for_selector(
                browser.SETTLED, state="attached", timeout=browser.SECONDS * 1000
            )
            assert browser.state(page) == "ready"
            page.wait_for_timeout(1500)  # whatever it would fetch after the first frame
        return bytes_of, asked

    yield go
    for context in contexts:
        context.close()


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_budget_as_transferred(
    two_splats: Path, visit: Callable[..., Any], options: dict[str, Any]
) -> None:
    bytes_of, asked = visit(two_splats, options)
    print(f"\n{len(asked)} requests, {sum(bytes_of.values())} bytes: {dict(bytes_of)}")
    assert len(asked) == len(set(asked)), f"loaded twice: {sorted(asked)}"
    assert len(asked) <= REQUESTS
    splat = "scene.mobile.sog" if options is PHONE else "scene.sog"
    assert [name for name in asked if name.endswith(".sog")] == [splat]
    assert bytes_of[splat] >= (two_splats / splat).stat().st_size
    code = sum(size for name, size in bytes_of.items() if not name.endswith((".sog", "poster.jpg")))
    assert 0 < bytes_of["poster.jpg"] <= POSTER_BYTES
    assert 100_000 < code <= CODE_BYTES


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_phones_with_a_budget_load_their_file_where_others_stream(
    bundle: Path,
    two_splats: Path,
    visit: Callable[..., Any],
    tmp_path: Path,
    options: dict[str, Any],
) -> None:
    folder = browser.copied(two_splats, tmp_path)
    with zipfile.ZipFile(bundle.parent / "lod.zip") as archive:
        archive.extractall(folder / "lod")
    text = (folder / "index.html").read_text()
    more = '"stream": "lod/lod-meta.json", "streamPhones": false, "scene": {'
    (folder / "index.html").write_text(text.replace('"scene": {', more, 1))
    _, asked = visit(folder, options)
    assert ("scene.mobile.sog" in asked) == (options is PHONE)
    assert ("lod/lod-meta.json" in asked) == (options is DESKTOP)


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_assistive_technology_finds_a_name_for_everything(
    bundle: Path, show: Callable[..., Opened], options: dict[str, Any]
) -> None:
    """The browser's own accessibility tree, with every panel open that can be."""
    size = (options["viewport"]["width"], options["viewport"]["height"])
    more = {key: value for key, value in options.items() if key != "viewport"}
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", size=size, reduced_motion="reduce", **more)
        page.evaluate("document.querySelectorAll('[hidden]').forEach(e => e.hidden = false)")
        devtools = page.context.new_cdp_session(page)
        nodes = devtools.send("Accessibility.getFullAXTree")["nodes"]
        used = {"button", "slider", "textbox", "link", "dialog", "toolbar", "img", "progressbar"}
        found = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"] and node["role"]["value"] in {*used, "image", "application"}
        ]
        assert len([role for role, _ in found if role == "button"]) >= 12
        assert [role for role, name in found if not name.strip()] == []
        headings = [node for node in nodes if node["role"]["value"] == "heading"]
        assert headings and page.get_attribute("html", "lang") == "en"


def test_zoom_is_not_locked(bundle: Path) -> None:
    text = (bundle / "index.html").read_text()
    (viewport,) = re.findall(r'<meta name="viewport" content="([^"]*)"', text)
    assert not re.search(r"user-scalable\s*=\s*(no|0)|maximum-scale", viewport)
    assert "gesturestart" not in (bundle / "page.js").read_text()


def test_keys_reach_every_tool_and_show_where_they_are(
    bundle: Path, show: Callable[..., Opened]
) -> None:
    with browser.served(bundle) as address:
        page = show(f"{address}?animate=0", size=(1280, 800), reduced_motion="reduce")
        wanted = page.locator("#tools button:visible").evaluate_all("all => all.map(b => b.id)")
        reached: dict[str, str] = {}
        for _ in range(60):
            page.keyboard.press("Tab")
            name, outline = page.evaluate(
                "(() => { const e = document.activeElement, s = getComputedStyle(e);"
                " return [e.id, `${s.outlineStyle} ${s.outlineWidth} ${s.boxShadow}`]; })()"
            )
            reached.setdefault(name, outline)
        assert set(wanted) <= set(reached)
        unseen = [
            name
            for name in wanted
            if reached[name].startswith("none") and "none" in reached[name][5:]
        ]
        assert unseen == [], "focus does not show"
