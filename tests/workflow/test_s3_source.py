"""Photos that lie in S3, against moto's server: a prefix, a .zip, a video, and all that can be wrong."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from PIL import Image

from tests.unit.photo_files import picture
from tests.unit.video_files import write_video
from tests.workflow.conftest import Checkout, copy_checkout


class Yard:
    """A checkout with one scene in the bucket."""

    def __init__(self, run: Checkout, bucket: str) -> None:
        self.run, self.bucket, self.s3 = run, bucket, boto3.client("s3")

    def put(self, key: str, data: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)

    def imported(self, source: str, *more: str) -> str:
        """What Snakemake says when it imports `source`; the report lies in results/yard."""
        (self.run.path / "yard.tsv").write_text(f"scene\tsource\nyard\t{source}\n")
        self.code, said = self._run(*more)
        return said

    def _run(self, *more: str) -> tuple[int, str]:
        done = self.run.snakemake("results/yard/photos.json", "--config", "scenes=yard.tsv", *more)
        return done.returncode, done.stdout

    @property
    def report(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(
            (self.run.path / "results" / "yard" / "photos.json").read_text()
        )
        return content

    @property
    def kept(self) -> list[str]:
        return [photo["original"] for photo in self.report["photos"] if photo["kept"]]


@pytest.fixture
def yard(bucket: str, tmp_path: Path) -> Yard:
    return Yard(copy_checkout(tmp_path), bucket)


def photo_bytes(sample: Path, count: int) -> list[bytes]:
    return [path.read_bytes() for path in sorted((sample / "photos").glob("*.jpg"))[:count]]


def test_a_prefix_of_photos(yard: Yard, sample: Path) -> None:
    """Nested folders, the sheet's name in the report; changes in the bucket are seen, also deletions."""
    photos = photo_bytes(sample, 5)
    for number, data in enumerate(photos[:4]):
        yard.put(f"trip/yard/{'deep/' if number == 3 else ''}{number}.jpg", data)
    yard.put("trip/yard/", b"")  # the folder that S3's own console makes
    yard.put("trip/yard-next-door/9.jpg", photos[4])
    said = yard.imported("s3://splats/trip/yard/")
    assert yard.code == 0, said
    assert yard.kept == ["0.jpg", "1.jpg", "2.jpg", "deep/3.jpg"]
    assert yard.report["source"] == "s3://splats/trip/yard/"
    assert "Nothing to be done" in yard.imported("s3://splats/trip/yard/")

    yard.s3.delete_object(Bucket=yard.bucket, Key="trip/yard/0.jpg")
    yard.put("trip/yard/4.jpg", photos[4])
    said = yard.imported("s3://splats/trip/yard/")
    assert yard.code == 0, said
    assert yard.kept == ["1.jpg", "2.jpg", "4.jpg", "deep/3.jpg"]


def test_a_zip_and_a_video(yard: Yard, sample: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for number, data in enumerate(photo_bytes(sample, 3)):
            archive.writestr(f"{number}.jpg", data)
    yard.s3.upload_file(str(tmp_path / "in.zip"), yard.bucket, "my photos.zip")
    said = yard.imported("s3://splats/my photos.zip")
    assert yard.code == 0, said
    assert yard.kept == ["0.jpg", "1.jpg", "2.jpg"]

    large: Image.Image = picture(5, 900, 240)
    frames = [large.crop((12 * number, 0, 12 * number + 320, 240)) for number in range(40)]
    yard.s3.upload_file(str(write_video(tmp_path / "walk.mp4", frames)), yard.bucket, "walk.mp4")
    said = yard.imported("s3://splats/walk.mp4")
    assert yard.code == 0, said
    assert len(yard.kept) >= 3 and yard.report["photos"][0]["kind"] == "frame"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "s3://splats/nowhere",
            "s3://splats/nowhere: bucket 'splats' has nothing by this name; give a prefix with photos",
        ),
        ("s3://nobodys-bucket/yard", "s3://nobodys-bucket/yard cannot be read: "),
        (
            "s3://splats",
            "names a whole bucket; give a prefix or an object in it, such as s3://splats/",
        ),
        ("gs://splats/yard", "gs://splats/yard: only s3:// is read from afar"),
        ("s3://splats/sly", "s3://splats/sly/../../out.jpg points outside the folder"),
    ],
)
def test_what_is_not_there_is_one_sentence(yard: Yard, source: str, sentence: str) -> None:
    yard.put("sly/../../out.jpg", b"x")
    said = yard.imported(source)
    assert yard.code != 0 and sentence in said and "Traceback" not in said
    assert not (yard.run.path / "results" / "yard" / "photos.json").exists()


def test_without_credentials(yard: Yard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    yard.put("yard/0.jpg", b"x")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.aws
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    said = yard.imported("s3://splats/yard")
    assert yard.code != 0 and "Traceback" not in said
    assert "s3://splats/yard cannot be read: Unable to locate credentials; check" in said


def test_a_bad_prefix_of_text_files(yard: Yard) -> None:
    """The script's own sentence names the prefix, not the copy on this machine."""
    yard.put("notes/a.txt", b"hello")
    said = yard.imported("s3://splats/notes")
    assert yard.code != 0
    assert "Error: s3://splats/notes has no usable photo" in said
