"""Frames of a video: sharp, apart from one another, and whatever can be saved of a damaged file."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from scripts.lib.photos.motion import motion_between
from scripts.lib.photos.options import ImportOptions, RejectedError
from scripts.lib.photos.video import choose_frames
from tests.unit.photo_files import Imported, imported, jpeg, picture, refusal, soft
from tests.unit.video_files import write_video

LARGE = picture(5, 900, 240)


def pan(steps: int, pixels: float = 12.0) -> list[Image.Image]:
    """A window that moves over a large picture."""
    starts = (int(number * pixels) for number in range(steps))
    return [LARGE.crop((start, 0, start + 320, 240)) for start in starts]


def numbers(run: Imported) -> list[int]:
    """Numbers of the frames that were kept."""
    return [int(re.search(r"frame (\d+)", name)[1]) for name in run.kept]  # type: ignore[index]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
def test_a_video_becomes_photos(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"walk{suffix}", pan(40))
    run = imported(path, tmp_path, video_per_second=5)
    assert 15 <= len(run.kept) <= 20
    assert run.report["others"][0]["note"] == f"{len(run.kept)} of 40 frames taken"
    with zipfile.ZipFile(run.archive) as photos:
        names = photos.namelist()
        with Image.open(io.BytesIO(photos.read(names[0]))) as image:
            assert image.size == (320, 240)
    assert all(re.fullmatch(r"walk_\d{6}\.jpg", name) for name in names)


def test_a_standing_camera_gives_one_frame_for_the_pause(tmp_path: Path) -> None:
    moving = pan(40)
    path = write_video(tmp_path / "v.mp4", [*moving[:15], *[moving[15]] * 30, *moving[16:]])
    found = numbers(imported(path, tmp_path, video_per_second=10))
    assert len([n for n in found if 15 <= n <= 44]) <= 2
    assert len(found) > 20


def test_the_sharpest_frame_of_a_window_is_taken(tmp_path: Path) -> None:
    frames = [soft(frame, 3) if n % 5 else frame for n, frame in enumerate(pan(40))]
    found = numbers(imported(write_video(tmp_path / "v.mp4", frames), tmp_path, video_per_second=2))
    assert found and all(n % 5 == 0 for n in found)


def test_a_long_video_is_thinned_evenly(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", pan(45))
    found = numbers(imported(path, tmp_path, video_per_second=10, video_frames=8))
    assert len(found) == 8 and found[0] <= 1 and found[-1] >= 43
    assert max(np.diff(found)) <= 2 * min(np.diff(found))


def test_videos_beside_photos(tmp_path: Path) -> None:
    write_video(tmp_path / "in" / "a.mp4", pan(30))
    (tmp_path / "in" / "b.jpg").write_bytes(jpeg(3))
    run = imported(tmp_path / "in", tmp_path)
    kinds = {photo["kind"] for photo in run.report["photos"]}
    assert kinds == {"frame", "photo"} and "b.jpg" in run.kept


def test_a_truncated_video_gives_what_it_has(tmp_path: Path) -> None:
    data = write_video(tmp_path / "v.webm", pan(60, 8)).read_bytes()
    (tmp_path / "v.webm").write_bytes(data[: len(data) // 2])
    run = imported(tmp_path / "v.webm", tmp_path, video_per_second=5)
    assert 4 <= len(run.kept) < 30


def test_a_frame_count_that_lies(tmp_path: Path) -> None:
    """The sample table claims a million frames more than there are."""
    data = write_video(tmp_path / "v.mp4", pan(30)).read_bytes()
    at = data.index(b"mvhd") + 20
    (tmp_path / "v.mp4").write_bytes(data[:at] + (2**31 - 1).to_bytes(4, "big") + data[at + 4 :])
    assert len(imported(tmp_path / "v.mp4", tmp_path, video_per_second=5).kept) > 8


@pytest.mark.parametrize(
    "data", [b"", b"not a video at all" * 20, b"\0\0\0\x18ftypmp42" + b"\0" * 90]
)
def test_what_is_no_video_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    (tmp_path / "v.mp4").write_bytes(data)
    message = refusal(tmp_path / "v.mp4", tmp_path, capsys)
    assert "v.mp4: not a readable video" in message or "no video track" in message


def test_a_bad_video_among_photos_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(jpeg(number))
    (folder / "v.mp4").write_bytes(b"")
    run = imported(folder, tmp_path)
    assert len(run.kept) == 3 and "video" in run.reason("v.mp4")


VIDEO: list[bytes] = []


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=20))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_videos_never_crash(tmp_path: Path, edits: list[tuple[float, int]]) -> None:
    if not VIDEO:
        VIDEO.append(write_video(tmp_path / "good.mp4", pan(10)).read_bytes())
    data = bytearray(VIDEO[0])
    for place, value in edits:
        data[int(place * (len(data) - 1))] = value
    (tmp_path / "bad.mp4").write_bytes(bytes(data))
    try:
        chosen = choose_frames(tmp_path / "bad.mp4", tmp_path, ImportOptions())
    except RejectedError as rejection:
        assert str(rejection)
    else:
        assert all(frame.jpeg.exists() for frame in chosen.frames)


# Motion


@pytest.mark.parametrize("pixels", [0, 3, 10, 20])
def test_motion_of_a_pan(pixels: int) -> None:
    a, b = (
        np.asarray(LARGE.crop((start, 0, start + 288, 216)).convert("L"), np.float32)
        for start in (100, 100 + pixels)
    )
    moved = motion_between(a, b)
    assert moved.shift == pytest.approx(pixels / 288, abs=0.003)
    assert moved.parallax < 0.004


def test_motion_of_something_else_is_all() -> None:
    a, b = (np.asarray(picture(seed, 288, 216).convert("L"), np.float32) for seed in (1, 2))
    assert motion_between(a, b).shift == 1.0
