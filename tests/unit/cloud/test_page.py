"""The studio's page as it is published: one folder for each version, the very hosts, a provider that fits."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.cloud.page import FOLDER, PARTS, Backend, outdated, site
from scripts.lib.cloud.page_checks import may_connect
from scripts.lib.cloud.provider import Provider, fetch_description, provider_of
from scripts.lib.core.console import UserError
from scripts.tools.deploy_studio import KEPT, remove_old

ISSUER = "https://id.example.org/realm"
HOME = "https://studio.example.org/"
SAID = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": "https://tokens.example.org/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "end_session_endpoint": f"{ISSUER}/logout",
}


def provider(**more: Any) -> Provider:
    return provider_of(ISSUER, "page", "openid email", HOME, {**SAID, **more})


def backend() -> Backend:
    return Backend(
        api="https://api.example.org",
        storage="https://bucket.example.org",
        pages="https://pages.example.org/web",
        login=provider(),
    )


def test_a_version_lies_in_a_folder_of_its_own(tmp_path: Path) -> None:
    made = site(backend())
    own = {name.split("/")[1] for name in made if name.startswith(PARTS)}
    assert len(own) == 1
    text = made["index.html"].data.decode()
    named = [word.split('"')[0] for word in text.split('="studio/')[1:]]
    assert len(named) > 5 and all(f"studio/{name}" in made for name in named)
    # The page comes last, its settings before it: whoever loads it meanwhile finds all that it names.
    assert list(made)[-2:] == ["studio.json", "index.html"]
    changed = Path(shutil.copytree(FOLDER, tmp_path / "page"))
    (changed / "js" / "text.js").write_text("// other\n")
    other = site(backend(), changed)
    assert {n.split("/")[1] for n in other if n.startswith(PARTS)}.isdisjoint(own)
    assert set(outdated([*made, *other], other)) == {n for n in made if n.startswith(PARTS)}


def test_the_settings_hold_no_secret_and_the_policy_no_host_but_these() -> None:
    made = site(backend())
    told = json.loads(made["studio.json"].data)
    assert told["api"] == "https://api.example.org/" and told["events"] is False
    assert set(told) == {"version", "events", "api", "login"}
    assert told["login"]["token"] == "https://tokens.example.org/token"
    assert backend().policy() == (
        "connect-src 'self' https://api.example.org https://bucket.example.org"
        " https://tokens.example.org https://id.example.org;"
        " img-src 'self' blob: data: https://bucket.example.org;"
        " media-src 'self' blob: https://bucket.example.org; frame-src 'self' https://pages.example.org"
    )
    text = made["index.html"].data.decode()
    assert text.index("Content-Security-Policy") < text.index("<script")


def test_a_provider_ends_its_own_session_and_sends_home() -> None:
    back = "client_id=page&post_logout_redirect_uri=https%3A%2F%2Fstudio.example.org%2F"
    assert provider().end == f"{ISSUER}/logout?{back}"
    bare = provider(end_session_endpoint=None, revocation_endpoint=None)
    assert bare.end == bare.revoke == ""
    pool = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc"
    domain = "https://splats-1.auth.eu-central-1.amazoncognito.com"
    said = {"issuer": pool, "token_endpoint": f"{domain}/oauth2/token"}
    said |= {"authorization_endpoint": f"{domain}/oauth2/authorize"}
    found = provider_of(pool, "page", "openid", HOME, dict(said))
    assert found.revoke == f"{domain}/oauth2/revoke"
    back = "client_id=page&logout_uri=https%3A%2F%2Fstudio.example.org%2F"
    assert found.end == f"{domain}/logout?{back}"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"issuer": f"{ISSUER}/"}, "down to a slash"),
        ({"token_endpoint": "http://id.example.org/token"}, "no token_endpoint with https"),
        ({"authorization_endpoint": None}, "no authorization_endpoint"),
        ({"code_challenge_methods_supported": ["plain"]}, "no PKCE"),
    ],
)
def test_a_provider_that_does_not_fit_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        provider(**more)


def test_an_issuer_that_describes_nothing_is_told() -> None:
    for wrong, said in [("ftp://id", "no https"), ("http://127.0.0.1:9", "does not describe")]:
        with pytest.raises(UserError, match=said):
            fetch_description(wrong)


def test_a_policy_names_origins() -> None:
    policy = "default-src 'none'; connect-src 'self' https://a.org"
    assert may_connect(policy, "https://a.org/token")
    assert not may_connect(policy, "https://b.org/token") and may_connect("", "https://b.org")


def test_parts_of_older_versions_go_after_a_week() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    dates = {
        "studio/old/a.js": now - KEPT - timedelta(hours=1),
        "studio/young/a.js": now - timedelta(days=1),
        "studio/new/a.js": now - KEPT - timedelta(days=9),
        "index.html": now - KEPT - timedelta(days=9),
    }

    class S3:
        gone: list[str] = []

        def get_paginator(self, _: str) -> Any:
            return self

        def paginate(self, **_: Any) -> Any:
            return [{"Contents": [{"Key": k, "LastModified": d} for k, d in dates.items()]}]

        def delete_object(self, **given: Any) -> None:
            self.gone.append(given["Key"])

    made: Any = {"studio/new/a.js": None, "index.html": None}
    assert remove_old(S3(), "bucket", made, now) == 1 and S3.gone == ["studio/old/a.js"]
