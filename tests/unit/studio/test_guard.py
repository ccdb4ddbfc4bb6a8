"""Who may call: other sites' pages may not, other names may not, and in a network only the token may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from scripts.lib.cloud.request import RefusedError
from scripts.lib.core.console import UserError
from scripts.lib.studio.guard import HEADERS, LOOPBACK, Guard
from scripts.lib.studio.serving import Asked, guard_for, is_loopback, token_for
from scripts.lib.studio.studio import Studio
from tests.unit.studio.conftest import Served

TOKEN = "a-token-of-the-team"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/jobs"), ("DELETE", f"/jobs/{'0' * 16}")])
def test_strangers_are_refused(
    served: Served, headers: dict[str, str], method: str, path: str
) -> None:
    code, told = served.call(method, path, headers=headers)
    assert code == 403 and "error" in told


def test_our_own_page_is_let_in(served: Served) -> None:
    own = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    assert served.call("GET", "/jobs", headers=own)[0] == 200
    # A link in a mail may open the page, and nothing else.
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert served.call("GET", "/", headers=link)[0] == 200
    assert served.call("GET", "/jobs", headers=link)[0] == 403


def test_every_answer_has_the_headers_of_safety(served: Served) -> None:
    import urllib.request

    with urllib.request.urlopen(f"{served.url}/jobs") as answer:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value


@pytest.fixture
def team(studio: Studio, serve: Callable[..., Served]) -> Served:
    return serve(replace(studio, token=TOKEN))


def test_in_a_network_the_token_is_asked_for(team: Served) -> None:
    assert team.call("GET", "/jobs")[0] == 401
    assert team.call("GET", "/studio.json")[0] == 401
    assert team.call("GET", "/openapi.json")[0] == 401
    assert team.call("GET", "/")[0] == 200  # where it can be typed in
    assert team.call("POST", "/session", b"wrong")[0] == 401
    assert team.call("GET", "/jobs", headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200
    assert team.call("GET", "/jobs", headers={"Authorization": "Bearer wrong"})[0] == 401
    assert team.call("GET", "/jobs", headers={"Cookie": f"splatmake_studio={TOKEN}"})[0] == 200
    assert team.call("GET", "/jobs", headers={"Cookie": "splatmake_studio="})[0] == 401


def test_links_work_without_the_token(team: Served) -> None:
    team.headers = {"Authorization": f"Bearer {TOKEN}"}
    source = team.uploaded()  # sends it with the parts, too
    body: dict[str, Any] = {"name": "b.zip", "bytes": 3}
    url = team.call("POST", "/uploads", body)[1]["parts"][0]["url"]
    team.headers = {}
    assert source and team.call("PUT", url, b"abc")[0] == 200
    assert team.call("PUT", url.split("?")[0], b"abc")[0] == 401
    assert team.call("PUT", url.replace("parts/1", "parts/2"), b"abc")[0] == 401


@pytest.mark.parametrize(
    ("host", "good"),
    [("192.168.1.5:8765", True), ("[fe80::1]:8765", True), ("studio.example.org", True)]
    + [("evil.example", False), ("localhost:8765", True)],
)
def test_names_in_a_network(studio: Studio, host: str, good: bool) -> None:
    guard = guard_for(Asked(studio.home.path, "0.0.0.0", names=("Studio.example.org",)), studio)
    if good:
        guard.check("GET", "/jobs", "", {"host": host}, "")
    else:
        with pytest.raises(RefusedError, match="not called"):
            guard.check("GET", "/jobs", "", {"host": host}, "")


def test_numbers_are_no_names_on_loopback(studio: Studio) -> None:
    with pytest.raises(RefusedError):
        Guard(studio, frozenset(LOOPBACK)).check("GET", "/", "", {"host": "192.168.1.5"}, "")


def test_a_token_only_where_others_can_reach_it(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPLATMAKE_STUDIO_TOKEN", raising=False)
    assert token_for(Asked(studio.home.path), studio.home) == ""
    network = Asked(studio.home.path, "0.0.0.0")
    made = token_for(network, studio.home)
    assert len(made) >= 32 and token_for(network, studio.home) == made
    assert (studio.home.path / "token").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("SPLATMAKE_STUDIO_TOKEN", "short")
    with pytest.raises(UserError, match="at least 16"):
        token_for(network, studio.home)
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "0.0.0.0", "box")] == [
        True,
        True,
        False,
        False,
    ]
