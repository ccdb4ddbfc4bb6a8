"""One browser and one finished bundle for all browser tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.web import node
from tests.conftest import ROOT
from tests.web import browser

READERS = ROOT / "tests" / "web" / "readers"  # their package.json, and pages that use them
Opened = Any  # a Playwright page with its list of complaints


@pytest.fixture(scope="session")
def readers() -> Path:
    """node_modules with other programs that open our files. Skips when npm cannot install them."""
    try:
        return node.install(READERS, ROOT / "build" / "readers")
    except UserError as error:
        pytest.skip(f"CesiumJS and three.js are not here: {error}")


@pytest.fixture(scope="session")
def bundle(made_once: Callable[[str, Callable[[Path], Any]], Path]) -> Path:
    """A finished bundle, shared and never changed."""
    browser.chromium()
    return made_once("bundle", browser.make_bundle) / "web"


def note(page: Opened, address: SplitResult) -> None:
    """Remember what a page asked its server for; what it made itself (blob:) is not asked for."""
    if address.scheme.startswith("http"):
        page.asked.append(address.path)


@pytest.fixture
def show(chromium: Any) -> Iterator[Callable[..., Opened]]:
    """`show(address, size, ...)` opens a page and waits until it is ready or has failed."""
    contexts = []

    def open_page(
        address: str, size: tuple[int, int] = browser.SIZE, wait: bool = True, **options: Any
    ) -> Opened:
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.hosts, page.asked = [], set(), []
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.hosts.add(urlsplit(request.url).netloc))
        page.on("request", lambda request: note(page, urlsplit(request.url)))
        page.goto(address)
        if wait:
            page.wait_for_selector(
                browser.SETTLED, state="attached", timeout=browser.SECONDS * 1000
            )
        return page

    yield open_page
    for context in contexts:
        context.close()
