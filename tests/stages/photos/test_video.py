"""Frames of a video: sharp, apart from one another, and whatever can be saved of a damaged file."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from scripts.lib.core.console import UserError
from scripts.lib.photos import video
from scripts.lib.photos.motion import motion_between
from scripts.lib.photos.options import ImportOptions, RejectedError
from scripts.lib.photos.room import Room
from scripts.lib.photos.video import choose_frames, frame_time
from scripts.lib.photos.video_span import seconds
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


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [(1, 2.5, range(10, 26)), ("0:03", 0, range(30, 40)), (0, "00:00:00.5", range(6))],
)
def test_a_part_of_a_video(
    tmp_path: Path, start: float | str, end: float | str, frames: range
) -> None:
    """Ten frames a second; frames keep the numbers that they have in the whole video."""
    path = write_video(tmp_path / "v.mp4", pan(40))
    span = {"video_start": start, "video_end": end}
    run = imported(path, tmp_path, video_per_second=10, **span)
    found = numbers(run)
    assert set(found) <= set(frames) and len(found) > len(frames) / 2
    assert run.report["others"][0]["note"].startswith(f"{len(found)} of {len(frames)} frames")


def test_a_part_that_a_video_does_not_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_video(tmp_path / "v.mp4", pan(12))
    error = refusal(path, tmp_path, capsys, video_start=90)
    assert "no frame lies from 90 s on; the last one read is at 1.1 s" in error
    for start, end in ((5, 3), ("1:00", "0:59.5")):
        with pytest.raises(UserError, match=f"video_end is {end!r} and video_start {start!r}, so"):
            choose_frames(path, tmp_path, ImportOptions(video_start=start, video_end=end))


def test_places_in_a_video() -> None:
    for place, wanted in ((0, 0), (12.5, 12.5), ("1:05", 65), ("01:02:03.25", 3723.25)):
        assert seconds(place) == wanted
    for place in ("1:5", "1:60", "-1:00", "one", "1:00:60", 90_000, -1):
        with pytest.raises(
            UserError, match="option video_start is .*; allowed: number, at least 0"
        ):
            ImportOptions(video_start=place)


def test_a_standing_camera_gives_one_frame_for_the_pause(tmp_path: Path) -> None:
    moving = pan(40)
    path = write_video(tmp_path / "v.mp4", [*moving[:15], *[moving[15]] * 30, *moving[16:]])
    found = numbers(imported(path, tmp_path, video_per_second=10))
    assert len([n for n in found if 15 <= n <= 44]) <= 2
    assert len(found) > 20


@pytest.mark.parametrize("shake", [0.0, 2.0])
def test_of_a_pause_the_sharpest_frame_stays(tmp_path: Path, shake: float) -> None:
    """The camera comes to rest blurred, on a tripod or in a hand that trembles by up to .6 % of the width."""
    moving, moves = pan(40), np.random.default_rng(4).uniform(-shake, shake, (20, 2))
    rest = [
        moving[15].transform(
            moving[15].size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BICUBIC
        )
        for x, y in moves
    ]
    blurred = [one.filter(ImageFilter.BoxBlur(1)) for one in rest]
    sharp = 12  # of the rest, the only one
    film = [*moving[:15], *blurred[:sharp], rest[sharp], *blurred[sharp + 1 :], *moving[16:]]
    path = write_video(tmp_path / "v.mp4", film)
    # Later, blurred photos are left out anyway: what a film gives is looked at alone.
    options = {"video_per_second": 10, "video_min_frames": 2, "drop_blurred": False}
    found = numbers(imported(path, tmp_path, **options))
    assert 15 + sharp in found
    assert len([n for n in found if 15 <= n < 35]) == 1
    assert len(found) > 20


def orbit(count: int, near: float, far: float, seed: int = 1) -> list[Image.Image]:
    """Near things before far ones, which move `near` and `far` pixels in all, with a sensor's noise."""
    noise = np.random.default_rng(seed)
    things = Image.new("L", (320, 240))
    for left in (20, 130, 240):
        things.paste(255, (left, 40, left + 64, 200))

    def moved(image: Image.Image, pixels: float) -> Image.Image:
        shift = (1, 0, pixels, 0, 1, 0)
        return image.transform((320, 240), Image.Transform.AFFINE, shift, Image.Resampling.BICUBIC)

    frames = []
    for number in range(count):
        part = number / (count - 1)
        frame = moved(LARGE, 100 + far * part)
        frame.paste(moved(picture(6), near * part), (0, 0), moved(things, near * part))
        grain = noise.normal(0, 3, (240, 320, 3))
        frames.append(Image.fromarray((np.asarray(frame) + grain).clip(0, 255).astype(np.uint8)))
    return frames


def test_a_slow_orbit_gives_enough_frames(tmp_path: Path) -> None:
    """The picture moves by 5 % of its width in all: a fixed distance of 3 % gave two or three."""
    path = write_video(tmp_path / "v.mp4", orbit(36, near=24, far=-12), fps=3)
    run = imported(path, tmp_path)
    assert 12 <= len(run.kept) <= 30 and not run.report["dropped"]
    found = numbers(run)
    assert found[0] == 0 and found[-1] >= 33 and max(np.diff(found)) <= 4


@pytest.mark.parametrize("shake", [0.0, 1.2])
def test_a_camera_that_stands_gives_hardly_any(tmp_path: Path, shake: float) -> None:
    """On a tripod, and in a hand that trembles by 0.4 % of the width: noise alone is no motion."""
    still = orbit(2, 0, 0)[0]
    move = np.random.default_rng(2).uniform(-shake, shake, (30, 2))
    frames = []
    for number, (x, y) in enumerate(move):
        grain = np.random.default_rng(number).normal(0, 3, (240, 320, 3))
        shifted = still.transform(
            (320, 240), Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BICUBIC
        )
        pixels = (np.asarray(shifted) + grain).clip(0, 255).astype(np.uint8)
        frames.append(Image.fromarray(pixels))
    path = write_video(tmp_path / "v.mp4", frames, fps=3)
    assert len(choose_frames(path, tmp_path, ImportOptions()).frames) <= (2 if shake else 1)


def test_a_blank_wall_does_not_move(tmp_path: Path) -> None:
    walls = []
    for number in range(10):
        grain = np.random.default_rng(number).normal(128, 2, (240, 320, 1)).repeat(3, axis=2)
        walls.append(Image.fromarray(grain.clip(0, 255).astype(np.uint8)))
    path = write_video(tmp_path / "v.mp4", walls)
    chosen = choose_frames(path, tmp_path, ImportOptions(video_per_second=10))
    assert len(chosen.frames) == 1


def test_a_long_film_never_fills_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is read no more than four times the wanted frames lie in the folder."""
    seen = []
    whole = video.frame_picture

    def counted(*rest: Any) -> Any:
        seen.append(len(list(tmp_path.glob("*.jpg"))))
        return whole(*rest)

    monkeypatch.setattr(video, "frame_picture", counted)
    path = write_video(tmp_path / "v.mp4", pan(45))
    chosen = choose_frames(path, tmp_path, ImportOptions(video_per_second=30, video_max_frames=4))
    assert len(seen) == 45 and max(seen) <= 16
    assert len(chosen.frames) == 4 == len(list(tmp_path.glob("*.jpg")))
    assert max(np.diff([frame.number for frame in chosen.frames])) <= 18


def test_damage_that_is_found_late_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What PyAV raises when a frame is converted is a ValueError of its own, not only an FFmpegError."""
    path = write_video(tmp_path / "v.mp4", pan(6))
    whole = video.frame_picture

    def damaged(frame: av.VideoFrame, *rest: Any) -> Any:
        if frame.pts and frame.time < 0.35:
            raise av.error.InvalidDataError(1094995529, "Invalid data found")
        return whole(frame, *rest)

    monkeypatch.setattr(video, "frame_picture", damaged)
    run = imported(path, tmp_path, video_per_second=30, min_photos=1)
    assert numbers(run) == [0, 4, 5]
    assert "damaged: Invalid data found" in run.report["others"][0]["note"]
    monkeypatch.setattr(video, "frame_grey", damaged_always)
    message = "no frame could be decoded"
    with pytest.raises(RejectedError, match=message):
        choose_frames(path, tmp_path, ImportOptions())


def damaged_always(*_: Any) -> Any:
    raise av.error.InvalidDataError(1094995529, "Invalid data found")


def test_frames_too_large_for_the_memory_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", pan(3))
    with pytest.raises(RejectedError, match="reading it takes 3 MB of memory"):
        choose_frames(path, tmp_path, ImportOptions(), room=Room(1 << 20))
    assert choose_frames(path, tmp_path, ImportOptions(), room=Room(1 << 30)).frames


def test_a_codec_that_is_not_known_is_told(tmp_path: Path) -> None:
    data = write_video(tmp_path / "v.mkv", pan(3)).read_bytes()
    (tmp_path / "v.mkv").write_bytes(data.replace(b"V_MPEG4/ISO/ASP", b"V_ZZZZZ/ISO/ASP"))
    with pytest.raises(RejectedError, match="video codec is not supported"):
        choose_frames(tmp_path / "v.mkv", tmp_path, ImportOptions())


@pytest.mark.parametrize("second", [0.0, 1e9, 1e18])
def test_a_time_that_no_calendar_has(second: float) -> None:
    told = frame_time(datetime(9999, 12, 31), second)
    assert (told is None) == (second > 0)


def test_the_sharpest_frame_of_a_window_is_taken(tmp_path: Path) -> None:
    frames = [soft(frame, 3) if n % 5 else frame for n, frame in enumerate(pan(40))]
    found = numbers(imported(write_video(tmp_path / "v.mp4", frames), tmp_path, video_per_second=2))
    assert found and all(n % 5 == 0 for n in found)


def test_a_long_video_is_thinned_evenly(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", pan(45))
    found = numbers(imported(path, tmp_path, video_per_second=10, video_max_frames=8))
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
    assert moved.shift == pytest.approx(pixels / 288, abs=0.001)
    assert moved.parallax < 0.004


def test_motion_of_something_else_is_all() -> None:
    a, b = (np.asarray(picture(seed, 288, 216).convert("L"), np.float32) for seed in (1, 2))
    assert motion_between(a, b).shift == 1.0


@pytest.mark.parametrize("pixels", [0.25, 0.5, 1.3, 7.75])
def test_motion_to_a_part_of_a_pixel(pixels: float) -> None:
    """Pictures of four times the size, averaged: what a lens and a sensor do."""
    fine = picture(5, 1400, 864).convert("L")
    a, b = (
        np.asarray(
            fine.crop((start, 0, start + 1152, 864)).resize((288, 216), Image.Resampling.BOX),
            np.float32,
        )
        for start in (100, 100 + round(4 * pixels))
    )
    assert motion_between(a, b).shift * 288 == pytest.approx(round(4 * pixels) / 4, abs=0.1)


def test_frames_stand_where_the_subtitles_say(tmp_path: Path) -> None:
    """An SRT file beside a drone's video gives each frame the position of its second."""
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "DJI_0001.MP4", pan(40))
    lines = [
        f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n[latitude: {46 + n / 1000:.6f}] [longitude: 9.500000]"
        f" [rel_alt: {10 + n}.000 abs_alt: {500 + n}.000]\n"
        for n in range(5)
    ]
    (folder / "DJI_0001.SRT").write_text("\n".join(lines))
    run = imported(folder, tmp_path, video_per_second=5)
    frames = [photo for photo in run.report["photos"] if photo["kept"]]
    assert len(frames) == len(run.kept) > 10
    for photo in frames:
        second = int(photo["original"][-6:]) / 10
        assert photo["position_source"] == "DJI_0001.SRT" and photo["longitude"] == 9.5
        assert photo["latitude"] == pytest.approx(46 + second / 1000, abs=1e-6)
        assert photo["altitude"] == pytest.approx(500 + second, abs=1e-3)
        assert photo["relative_altitude"] == pytest.approx(10 + second, abs=1e-3)
    told = f"positions of {len(frames)} of {len(frames)} frames of DJI_0001.MP4"
    assert told in [line["note"] for line in run.report["others"]]
