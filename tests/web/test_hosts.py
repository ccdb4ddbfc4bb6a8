"""The page where it is opened in other ways than meant: it works, or one true sentence says what to do."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.web import browser
from tests.web.conftest import Opened
from tests.web.hosts import host

Show = Callable[..., Opened]
SERVER_ADVICE = '"python -m http.server" in this folder'


@pytest.fixture(scope="module")
def site(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """site.zip, unpacked."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(bundle.parent / "site.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("form", ["web", "site"])
def test_a_host_without_the_final_slash(form: str, bundle: Path, site: Path, show: Show) -> None:
    """The page's files are looked for one folder too high; the page finds them. Its poster as well."""
    with host(bundle if form == "web" else site) as address:
        page = show(f"{address}/scene?utm=x")
        assert browser.state(page) == "ready"
        assert page.evaluate("document.getElementById('poster').naturalWidth") == 1200
        assert (
            page.evaluate("getComputedStyle(document.querySelector('#tools')).position") == "fixed"
        )


def test_a_host_without_the_slash_whose_policy_forbids_inline_scripts(
    bundle: Path, show: Show
) -> None:
    """Then no script of the page runs at all, and a sentence is there from the start."""
    with host(bundle, policy="script-src 'self'") as address:
        page = show(f"{address}/scene", wait=False)
        assert page.is_visible("#stuck")
        assert "if its address does not end in a slash, add one" in page.inner_text("#stuck")


def test_a_host_that_lost_the_pages_script(bundle: Path, show: Show, tmp_path: Path) -> None:
    folder = browser.copied(bundle, tmp_path)
    (folder / "page.js").unlink()
    with browser.served(folder) as address:
        page = show(address, wait=False)
        page.wait_for_selector("#stuck", state="visible")
        assert "could not be loaded" in page.inner_text("#stuck")


@pytest.mark.parametrize(
    ("policy", "directive"),
    [
        ("script-src 'self'", "script-src-elem"),
        ("connect-src 'none'", "connect-src"),
        ("worker-src 'self'", "worker-src"),
    ],
)
def test_a_host_with_a_content_policy_of_its_own(
    policy: str, directive: str, bundle: Path, show: Show
) -> None:
    """Neither the visitor's connection nor the browser is to blame."""
    with host(bundle, policy=policy) as address:
        page = show(f"{address}/scene/")
        told = page.inner_text("#reason")
        assert f"content policy blocks parts of the page ({directive})" in told
        assert "connection" not in told and "browser" not in told


def test_a_frame_with_a_sandbox(bundle: Path, show: Show) -> None:
    with host(bundle) as address:
        page = show(f"{address}/frame", wait=False)
        frame = page.frame_locator("iframe")
        frame.locator("#error").wait_for(state="visible", timeout=browser.SECONDS * 1000)
        told = frame.locator("#reason").inner_text()
        assert "must add allow-same-origin to its sandbox" in told and "connection" not in told
        link = frame.locator("#way-out a")
        assert link.get_attribute("href") == f"{address}/scene/"
        assert link.get_attribute("target") == "_blank"


def test_a_frame_with_a_sandbox_that_allows_it(bundle: Path, show: Show) -> None:
    with host(bundle, sandbox="allow-scripts allow-same-origin") as address:
        page = show(f"{address}/frame", wait=False)
        ready = page.frame_locator("iframe").locator(":root[data-state=ready]")
        ready.wait_for(state="attached", timeout=browser.SECONDS * 1000)


def test_a_double_click_on_the_page_names_a_file_that_is_there(bundle: Path, show: Show) -> None:
    page = show((bundle / "index.html").as_uri())
    told = page.inner_text("#reason")
    assert "Open splat.html, the same page in one file" in told and SERVER_ADVICE in told
    page.click("#way-out a")
    page.wait_for_url((bundle.parent / "splat.html").as_uri())


def test_a_double_click_on_an_unpacked_site_names_no_file(site: Path, show: Show) -> None:
    page = show((site / "index.html").as_uri())
    told = page.inner_text("#reason")
    assert SERVER_ADVICE in told and ".html" not in told.replace("index.html", "")
    assert not page.is_visible("#way-out")


def test_a_page_on_a_disk_shares_no_link(bundle: Path, show: Show) -> None:
    page = show((bundle.parent / "splat.html").as_uri())
    assert browser.state(page) == "ready"
    page.click("#share-open")
    assert "a link to it works for nobody else" in page.inner_text("#share-not")
    for part in ("#share-text", "#share-copy", "#share-kinds"):
        assert not page.is_visible(part)
    assert "file:" not in page.input_value("#share-text")


def test_a_page_on_this_computers_server_says_so(bundle: Path, show: Show) -> None:
    with browser.served(bundle) as address:
        page = show(address)
        assert page.locator("#stuck").count() == 0 and page.complaints == []
        page.click("#share-open")
        assert page.input_value("#share-text").startswith(address)
        assert page.inner_text("#share-not") == "Only this computer can open this address."
