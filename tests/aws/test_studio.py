"""The studio's page in the cloud, in Chromium: signed in, against the API's handlers and moto's S3.

The page is the one that `scripts.tools.deploy_studio` publishes, behind the headers and the CORS rules of the
template; each server has an origin of its own (tests/aws/studio_site.py).
"""

from __future__ import annotations

import io
import json
import secrets
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import moto.s3.models
import pytest
from PIL import Image

from scripts.lib.cloud import handlers, multipart
from scripts.lib.cloud.caller import caller_of
from scripts.lib.contracts.outcome import SceneOutcome
from scripts.lib.core.console import UserError
from scripts.tools import deploy_studio
from tests.aws import coordinator
from tests.aws.cloud import BUCKET, STACK, Cloud
from tests.aws.issuer import CLIENT, SCOPE, Issuer, running_issuer
from tests.aws.studio_site import FILES, Site, running_site
from tests.web import browser
from tests.web.studio_page import violations
from tests.web.test_studio import axe  # noqa: F401

PART = 100_000
OLDER = """{
    const kept = JSON.parse(sessionStorage.getItem('signed-in'));
    sessionStorage.setItem('signed-in', JSON.stringify({ ...kept, since: 0 }));
}"""
SOON = 60_000  # milliseconds; a loaded machine is slow
Open = Callable[..., Any]


def outputs(site: Site, issuer: Issuer) -> dict[str, str]:
    """Those of the stack, with the addresses of this machine."""
    return {
        "Studio": site.home,
        "StudioFiles": FILES,
        "StudioIssuer": issuer.address,
        "StudioClient": CLIENT,
        "StudioScopes": SCOPE,
        "Api": site.api,
        "Bucket": BUCKET,
        "Web": site.pages,
    }


@pytest.fixture(scope="module")
def deployed(account: Cloud) -> Iterator[tuple[Site, Issuer]]:
    """The studio as it is deployed, and where people sign in."""
    with (
        running_issuer() as issuer,
        running_site(account, issuer) as made,
        pytest.MonkeyPatch.context() as patch,
    ):
        # Links that the API gives lead to this S3, which browsers may call only by the stack's rules.
        for name, value in (account.environment() | {"AWS_ENDPOINT_URL": made.storage}).items():
            patch.setenv(name, value)
        patch.setattr(deploy_studio, "outputs_of", lambda _: outputs(made, issuer))
        deploy_studio.main(["--stack", STACK])
        yield made, issuer
    handlers._account.cache_clear()


@pytest.fixture
def issuer(deployed: tuple[Site, Issuer]) -> Issuer:
    """The provider, with nobody known; who signs in has no scenes yet."""
    _, found = deployed
    somebody = f"ann-{secrets.token_hex(4)}"
    vars(found).update(vars(Issuer(found.address, found.homes, somebody)))
    return found


@pytest.fixture
def site(
    deployed: tuple[Site, Issuer],
    call: Any,
    started: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """The studio, with nothing asked of it yet."""
    found, _ = deployed
    found.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.storage)
    handlers._account.cache_clear()
    yield found
    assert found.complaints == []


@pytest.fixture
def show(chromium: Any, site: Site) -> Iterator[Open]:
    """`show(size)` opens the studio; nothing on it may complain."""
    contexts = []

    def open_page(size: tuple[int, int] = (1280, 860), **options: Any) -> Any:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, **{"locale": "en-US", **options}
        )
        context.set_default_timeout(SOON)
        page = context.new_page()
        page.on("pageerror", lambda error: site.complaints.append(str(error)))
        page.on("console", note)
        page.goto(f"{site.home}/")
        page.wait_for_selector(browser.SETTLED)
        contexts.append(context)
        return page

    def note(message: Any) -> None:
        # That an answer was no is the browser's own word; the page says it too, and the tests look for that.
        own = "Failed to load resource" in message.text
        own = own or (site.bare and "blocked by CORS policy" in message.text)
        if message.type == "error" and not own:
            site.complaints.append(message.text)

    yield open_page
    for context in contexts:
        context.close()


def sign_in(page: Any) -> None:
    """As a person does it, on the page's own and on the provider's."""
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("link", name="Continue").click()
    page.get_by_role("button", name="Sign out").wait_for()


def mark_of(issuer: Issuer) -> str:
    """The folder of whoever is signed in."""
    claims = {"iss": issuer.address, "sub": issuer.subject}
    return caller_of({"requestContext": {"authorizer": {"jwt": {"claims": claims}}}}).mark


def a_run(cloud: Cloud, issuer: Issuer) -> str:
    """The one run in the bucket."""
    keys = cloud.keys(f"runs/{mark_of(issuer)}/")
    (job,) = {key.split("/")[2] for key in keys} - {"keys"}
    return job


def poster() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (120, 63), (70, 90, 80)).save(made, "JPEG")
    return made.getvalue()


def points(count: int = 30) -> bytes:
    """A sparse cloud (COLMAP, "Output Format", points3D.bin), of points that no photo sees."""
    made = [struct.pack("<QdddBBBdQ", n, n, n % 7, n % 3, 90, 80, 70, 0.5, 0) for n in range(count)]
    return struct.pack("<Q", count) + b"".join(made)


def start(page: Any, photos: list[Path]) -> None:
    """Choose photos, and make a scene of them."""
    page.locator("#files").set_input_files([str(photo) for photo in photos])
    page.wait_for_selector(f".photo:not(.wait) >> nth={len(photos) - 1}")  # each has its verdict
    page.get_by_label("Title").fill("The yard")
    page.get_by_role("button", name="Make the scene").click()


def test_from_the_sign_in_to_a_deleted_scene(
    site: Site,
    show: Open,
    issuer: Issuer,
    cloud: Cloud,
    started: dict[str, Any],
    lens: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(multipart, "LEAST_PART", PART)
    monkeypatch.setattr(multipart, "part_bytes", lambda size: PART)
    monkeypatch.setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", 1)
    page = show()
    page.goto(f"{site.home}/#/new")
    sign_in(page)
    # Back where the sign-in began, and the answer is not in the address any more.
    assert page.url == f"{site.home}/#/new"
    assert issuer.asked["authorization_code"] == 1
    kept = page.evaluate("JSON.stringify({ ...localStorage })")
    assert not any(token in kept for token in (*issuer.access, *issuer.refresh))

    photos = sorted((lens / "photos").glob("*.jpg"))[:8]
    site.fails = {2: 503}
    start(page, photos)
    page.get_by_role("button", name="Stop").wait_for()
    assert site.puts[2] == 2 and {n: c for n, c in site.puts.items() if c != 1} == {2: 2}
    (upload,) = [k for k in cloud.keys(f"uploads/{mark_of(issuer)}") if k.endswith(".zip")]
    size = cloud.client("s3").head_object(Bucket=BUCKET, Key=upload)["ContentLength"]
    assert len(site.puts) == -(-size // PART) > 3
    job = a_run(cloud, issuer)

    # Without events from a server, the page asks again and again.
    key = f"runs/{mark_of(issuer)}/{job}/results/The-yard/sparse/points3D.bin"
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=points())
    coordinator.goes_on(mark_of(issuer), job, "The-yard")
    page.get_by_text("40 %").wait_for()
    page.get_by_text("Training the scene").wait_for()
    page.locator("canvas.cloud").wait_for()  # the bucket lets the page read by its links
    outcome = SceneOutcome(state="done", url=f"{site.pages}/yard/index.html", usd=0.5)
    results = {
        "The-yard/poster.jpg": poster(),
        "The-yard/report.html": b"<p>",
        "The-yard/tour.mp4": b"",
    }
    coordinator.finish(cloud, started, mark_of(issuer), results, scenes={"The-yard": outcome})
    page.frame_locator("iframe").get_by_role("heading", name="Published").wait_for()
    report = page.get_by_role("link", name="The report")
    assert report.get_attribute("href").startswith(f"{site.storage}/{BUCKET}/runs/")
    film = page.get_by_role("link", name="A film")
    assert film.get_attribute("target") == "_blank"  # a browser would play it in place of the page
    assert f"{site.pages}/yard/" in page.get_by_label("web page").input_value()

    page.get_by_role("link", name="All scenes").click()
    picture = page.locator(".scene img")
    picture.wait_for()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 120
    assert not page.locator(".disk").inner_text()
    page.get_by_role("link", name="The yard").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_role("heading", name="Photos in").wait_for()
    left = cloud.keys()
    assert upload not in left and not [key for key in left if f"{job}/results" in key]

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in to the studio").wait_for()
    assert issuer.asked["/revoke"] == issuer.asked["/logout"] == 1 and not issuer.refresh


def test_a_session_is_renewed_and_asked_for_only_when_it_has_ended(
    site: Site, show: Open, issuer: Issuer, lens: Path
) -> None:
    page = show()
    sign_in(page)
    for bare in (False, True):
        issuer.forget_everybody(access_only=True)  # as the API sees a token that has ended
        site.bare = bare
        page.evaluate(OLDER)
        page.reload()
        page.get_by_role("heading", name="Photos in").wait_for()
        # A token that works once has taken the place of the one before.
        assert issuer.asked["refresh_token"] == 1 + bare
        assert len(issuer.access) == len(issuer.refresh) == 1
    site.bare = False
    # It ends while photos go up: they wait for a person, and go on after that.
    page.get_by_role("link", name="New scene").click()
    issuer.forget_everybody()
    start(page, sorted((lens / "photos").glob("*.jpg"))[:2])
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Your session has ended").wait_for()
    with page.context.expect_page() as opened:
        dialog.get_by_role("button", name="Sign in").click()
    opened.value.get_by_role("link", name="Continue").click()
    dialog.wait_for(state="detached")
    page.get_by_role("button", name="Stop").wait_for()
    assert site.puts and issuer.asked["authorization_code"] == 2
    if not opened.value.is_closed():
        opened.value.wait_for_event("close")


def test_a_wrong_answer_lets_nobody_in(show: Open, issuer: Issuer) -> None:
    page = show()
    wrong = [{"nonce": "another"}, {"aud": "another"}, {"iss": "https://another"}, {"exp": 1}]
    for claims in wrong:
        issuer.claims = claims
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Continue").click()
        page.get_by_role("alert").filter(has_text="does not fit").wait_for()
    issuer.denies = True
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").filter(has_text="was cancelled").wait_for()
    assert issuer.asked["authorization_code"] == len(wrong)
    assert page.evaluate("sessionStorage.length") == 0


def test_an_answer_that_nobody_asked_for_lets_nobody_in(
    site: Site, show: Open, issuer: Issuer
) -> None:
    """A link from elsewhere cannot sign anybody in as somebody else (RFC 6749, 10.12)."""
    page = show()
    page.goto(f"{site.home}/?code=stolen&state=made-up&iss={issuer.address}")
    page.get_by_role("alert").filter(has_text="begin again").wait_for()
    assert not issuer.asked["authorization_code"] and page.url == f"{site.home}/"


def test_what_is_wrong_is_told(site: Site, show: Open, issuer: Issuer) -> None:
    page = show()
    site.forbids = True
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Continue").click()
    page.get_by_role("alert").filter(has_text="may not use the studio").wait_for()
    assert page.get_by_text(f"{issuer.subject}@example.org").is_visible()
    site.forbids, site.down = False, True
    page.reload()
    page.get_by_text("does not answer").wait_for()
    site.down = False
    page.get_by_role("heading", name="Photos in").wait_for()


def test_whoever_cannot_see_the_door_gets_in(
    site: Site,
    show: Open,
    issuer: Issuer,
    axe: str,  # noqa: F811
) -> None:
    """No violation of WCAG 2.2 AA: the door, nobody let in, the dialog of a session that has ended."""
    page = show((390, 844))
    assert not violations(page, axe)
    site.forbids = True
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Continue").click()
    page.get_by_role("alert").filter(has_text="may not use the studio").wait_for()
    assert not violations(page, axe)
    site.forbids = False
    issuer.forget_everybody()
    page.reload()
    page.get_by_role("dialog").wait_for()
    assert not violations(page, axe)


def test_a_deployment_that_cannot_work_is_told(
    site: Site, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's address is another than the one that the API and the bucket know."""
    closed = outputs(site, issuer) | {"Studio": site.pages}
    monkeypatch.setattr(deploy_studio, "outputs_of", lambda _: closed)
    with pytest.raises(UserError, match="does not let http.*; and the bucket takes no uploads"):
        deploy_studio.main(["--stack", STACK])


def test_the_page_names_the_very_hosts(site: Site, cloud: Cloud, issuer: Issuer) -> None:
    s3 = cloud.client("s3")
    names = [item["Key"] for item in s3.list_objects_v2(Bucket=FILES)["Contents"]]
    page = s3.get_object(Bucket=FILES, Key="index.html")
    text = page["Body"].read().decode()
    assert page["CacheControl"] == "no-cache"
    policy = text.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    assert f"connect-src &#x27;self&#x27; {site.api} {site.storage} {issuer.address};" in policy
    settings = json.loads(s3.get_object(Bucket=FILES, Key="studio.json")["Body"].read())
    assert settings["events"] is False and settings["login"]["client_id"] == CLIENT
    parts = [name for name in names if name.startswith("studio/")]
    assert len({name.split("/")[1] for name in parts}) == 1
    for name in parts:
        kept = s3.head_object(Bucket=FILES, Key=name)
        assert "immutable" in kept["CacheControl"]
        if name.endswith(".js"):
            assert kept["ContentType"] == "text/javascript"
