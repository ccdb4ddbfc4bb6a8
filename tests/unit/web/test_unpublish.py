"""A published page is gone again, with its versions and copies, and nothing else is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from scripts.lib.contracts.record import write
from scripts.lib.core.console import UserError
from scripts.lib.storage.copies import forget_copies
from scripts.lib.storage.places import Bucket, Folder, place
from scripts.lib.web.publish import PublishOptions, publish
from scripts.lib.web.unpublish import page_files, page_of
from scripts.tools.unpublish import main
from tests.unit.web.test_publish_web import version


@pytest.fixture(params=["folder", "bucket"])
def there(request: pytest.FixtureRequest, s3: Any, tmp_path: Path) -> Iterator[Folder | Bucket]:
    """Where the page `yard` is published, in its second version, beside somebody's own file."""
    s3.put_bucket_versioning(Bucket="bkt", VersioningConfiguration={"Status": "Enabled"})
    to = "s3://bkt/web" if request.param == "bucket" else f"{tmp_path}/public"
    for number in (1, 2):
        published = publish(
            version(tmp_path, number), PublishOptions(to, "https://d1.example.org/sub"), "yard"
        )
    write(tmp_path / "published.json", published)
    there = place(f"{to}/yard")
    (tmp_path / "own.txt").write_text("x")
    there.put("robots.txt", tmp_path / "own.txt")
    publish(version(tmp_path, 1), PublishOptions(to), "yard-2")
    yield there
    Bucket("s3://bkt").forget(())  # versions too keep a bucket from being removed


def test_a_page_is_gone_and_nothing_else(there: Folder | Bucket, tmp_path: Path, s3: Any) -> None:
    main([str(tmp_path / "published.json")])
    assert there.tree() == ["robots.txt"]
    assert len(place(f"{there}-2").tree()) == 4
    versions = s3.list_object_versions(Bucket="bkt", Prefix="web/yard/")
    assert [one["Key"] for one in versions.get("Versions", [])] == (
        ["web/yard/robots.txt"] if isinstance(there, Bucket) else []
    )
    assert not versions.get("DeleteMarkers")


def test_what_visitors_ask_for_goes_first(there: Folder | Bucket) -> None:
    """And the list of the files last, so that an interrupted run can be repeated."""
    names = page_files(there)
    assert (names[0], names[-1]) == ("index.html", "manifest.json") and len(names) == 6
    there.remove(names[0])
    main([str(there)])
    assert there.tree() == ["robots.txt"]


def test_no_page_is_a_sentence(s3: Any, tmp_path: Path) -> None:
    for where in ("s3://bkt/web/none", str(tmp_path / "none")):
        with pytest.raises(UserError, match=r"holds no page: there is no manifest\.json"):
            main([where])


def test_the_path_on_the_host(there: Folder | Bucket, tmp_path: Path) -> None:
    """By published.json as visitors see it; by the place alone as the stack's CloudFront shows it."""
    assert page_of(str(tmp_path / "published.json")).path == "/sub/yard/"
    assert page_of("s3://bkt/web/yard/").path == "/yard/"


@pytest.fixture
def distribution(s3: Any) -> str:
    """The id of a CloudFront of moto."""
    origin = {
        "Id": "o",
        "DomainName": "bkt.s3.amazonaws.com",
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }
    config = {
        "CallerReference": str(uuid.uuid4()),
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all"},
        "Comment": "",
        "Enabled": True,
    }
    made = boto3.client("cloudfront").create_distribution(DistributionConfig=config)
    return str(made["Distribution"]["Id"])


def test_cloudfront_forgets_its_copies(there: Folder | Bucket, distribution: str) -> None:
    """CloudFront, "Invalidate files": paths as visitors ask, with a leading / and * for all below."""
    main([str(there), "--distribution", distribution])
    client = boto3.client("cloudfront")
    (listed,) = client.list_invalidations(DistributionId=distribution)["InvalidationList"]["Items"]
    found = client.get_invalidation(DistributionId=distribution, Id=listed["Id"])
    assert found["Invalidation"]["InvalidationBatch"]["Paths"]["Items"] == ["/yard/*"]


def test_copies_that_stay_are_told_of(s3: Any) -> None:
    with pytest.raises(
        UserError, match=r"create-invalidation --distribution-id E1 --paths '/yard/\*'"
    ):
        forget_copies("E1", ["/yard/*"])


def test_versions_that_stay_are_told_of(
    there: Folder | Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise UserError("AccessDenied")

    told = "the page is gone, but not its earlier versions: AccessDenied"
    with monkeypatch.context() as patch, pytest.raises(UserError, match=told):
        patch.setattr(type(there), "forget", refuse)
        main([str(there)])
    assert there.tree() == ["robots.txt"]
