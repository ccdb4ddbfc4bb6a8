"""What a film says of its pixels is honoured: HDR, gamut, matrix, range, pixel aspect, fields, black bars."""

from __future__ import annotations

import io
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from numpy.typing import NDArray
from PIL import Image

from scripts.lib.photos.colour import (
    ADOBE_RGB,
    BT2020,
    DISPLAY_P3,
    HLG,
    LINEAR,
    PQ,
    SRGB,
    Coding,
    primaries_to_xyz,
    to_srgb,
)
from scripts.lib.photos.frame_picture import Deinterlacer, frame_picture, square_size
from scripts.lib.photos.options import ImportOptions, RejectedError
from scripts.lib.photos.video import choose_frames
from tests.unit.photo_files import imported, picture
from tests.unit.video_files import Tags, write_video

Floats = NDArray[np.float64]
LARGE = picture(5, 900, 240)
SMALL = ImportOptions(min_side=16)

# sRGB numbers of a chart (X-Rite's, as published, then black and pure colours).
CHART = np.array(
    [
        *[(115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177)],
        *[(214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64)],
        *[(56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149)],
        *[(243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (52, 52, 52)],
        *[(0, 0, 0), (20, 20, 20), (200, 10, 10), (10, 160, 10), (20, 20, 200)],
    ],
    np.uint8,
)
PATCH = 32  # pixels


def chart() -> NDArray[np.uint8]:
    """The patches as a picture of 160 x 160."""
    return CHART.reshape(5, 5, 3).repeat(PATCH, axis=0).repeat(PATCH, axis=1)


def middles(image: Image.Image | NDArray[Any]) -> Floats:
    """The colour at the middle of every patch, (25, 3)."""
    pixels = np.asarray(image, float)
    tall, wide = pixels.shape[0] // 5, pixels.shape[1] // 5
    return pixels[tall // 2 :: tall, wide // 2 :: wide].reshape(-1, 3)


def light(code: Floats) -> Floats:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def hdr(srgb: NDArray[np.uint8], transfer: int) -> NDArray[np.uint16]:
    """sRGB as BT.2100 numbers of 16 bits with its white at 203 cd/m2 (BT.2408; HLG on 1000 cd/m2).

    The functions are BT.2100's own, the matrix BT.2087's: none of it comes from what is tested.
    """
    to_2020 = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    shown = np.clip(light(srgb / 255) @ np.array(to_2020).T, 0, 1)
    if transfer == PQ:
        y = (shown * 203 / 10000) ** 0.1593017578125
        code = ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375
    else:
        screen = shown * 0.203
        luminance = np.maximum(screen @ [0.2627, 0.6780, 0.0593], 1e-9)
        scene = screen * luminance[..., None] ** (1 / 1.2 - 1)
        dark = np.sqrt(3 * np.minimum(scene, 1 / 12))
        bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        code = np.where(scene <= 1 / 12, dark, bright)
    return (np.clip(code, 0, 1) * 65535).round().astype(np.uint16)


H264 = {"preset": "ultrafast", "crf": "4"}


def first_frame(path: Path, folder: Path, options: ImportOptions = SMALL) -> Image.Image:
    chosen = choose_frames(path, folder, options)
    with Image.open(chosen.frames[0].jpeg) as image:
        image.load()
    return image


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_hdr_numbers_become_srgb(transfer: int) -> None:
    found = to_srgb(hdr(chart(), transfer), Coding(BT2020, transfer))
    assert np.abs(middles(found) - CHART).max() <= 2


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_light_above_white_is_rolled_off(transfer: int) -> None:
    """White stays near white, brighter is never darker, and grey stays grey to the last step."""
    ramp = np.arange(0, 65536, 64, dtype=np.uint16).repeat(3).reshape(1, -1, 3)
    found = to_srgb(ramp, Coding(BT2020, transfer)).astype(int)[0]
    assert (np.diff(found[:, 1]) >= 0).all() and found[-1].min() == 255
    assert np.ptp(found, axis=1).max() <= 1
    white = to_srgb(hdr(np.full((1, 1, 3), 255, np.uint8), transfer), Coding(BT2020, transfer))
    assert white.min() >= 248 and white.max() <= 252


@pytest.mark.parametrize(("transfer", "name"), [(HLG, "HLG"), (PQ, "PQ")])
def test_an_hdr_film_looks_like_its_sdr_twin(tmp_path: Path, transfer: int, name: str) -> None:
    frames = [hdr(chart(), transfer)] * 2
    path = write_video(
        tmp_path / ("IMG_0001.MOV" if transfer == HLG else "a.mp4"),
        frames,
        codec="libx264",
        pix_fmt="yuv420p10le",
        tags=Tags(BT2020, transfer, 9, 1),
        options=H264,
    )
    run = imported(path, tmp_path, min_side=16, min_photos=1)
    (entry,) = run.report["photos"]
    assert entry["changed"] == f"HDR ({name}, BT.2020) converted to SDR"
    assert entry["changed"] in run.report["others"][0]["note"]
    with zipfile.ZipFile(run.archive) as photos:
        image = Image.open(io.BytesIO(photos.read(entry["file"])))
    assert np.abs(middles(image) - CHART).max() <= 5


def test_tags_of_the_container_count_where_frames_have_none(tmp_path: Path) -> None:
    """As after remuxing, or from encoders that leave the stream's own description out."""
    tags = Tags(BT2020, HLG, 9, 1)
    path = write_video(
        tmp_path / "v.mp4",
        [hdr(chart(), HLG)] * 2,
        codec="libx264",
        pix_fmt="yuv420p10le",
        tags=tags,
        options=H264,
    )
    bare = "colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"
    with av.open(str(path)) as whole, av.open(str(tmp_path / "w.mov"), "w") as out:
        source = whole.streams.video[0]
        target = out.add_stream_from_template(source)
        strip = BitStreamFilterContext(f"h264_metadata={bare}", source, target)
        for packet in whole.demux(source):
            for stripped in strip.filter(packet if packet.size else None):
                stripped.stream = target
                out.mux(stripped)
    assert np.abs(middles(first_frame(tmp_path / "w.mov", tmp_path)) - CHART).max() <= 5


def test_hdr_without_primaries_is_bt2020(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "v.mkv",
        [hdr(chart(), HLG)] * 2,
        codec="libx264",
        pix_fmt="yuv420p10le",
        tags=Tags(2, HLG, 9, 1),
        options=H264,
    )
    assert np.abs(middles(first_frame(path, tmp_path)) - CHART).max() <= 5


@pytest.mark.parametrize("primaries", [BT2020, DISPLAY_P3, ADOBE_RGB])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_wide_gamuts_become_srgb(primaries: int, kind: type) -> None:
    """Greys keep their numbers, and colours of sRGB written in the wider gamut come back."""
    to_wide = np.linalg.inv(primaries_to_xyz(primaries)) @ primaries_to_xyz(1)
    shown = np.clip(light(CHART / 255) @ to_wide.T, 0, 1)
    curve = (
        shown ** (256 / 563)
        if primaries == ADOBE_RGB
        else np.where(
            shown <= 0.0031308, shown * 12.92, 1.055 * np.maximum(shown, 1e-9) ** (1 / 2.4) - 0.055
        )
    )
    code = (curve * np.iinfo(kind).max).round().astype(kind)[None]
    transfer = 4 if primaries == ADOBE_RGB else SRGB
    found = to_srgb(code, Coding(primaries, transfer))[0].astype(int)
    assert np.abs(found - CHART).max() <= (
        2 if kind is np.uint16 else 10
    )  # 8 bits are coarse in the dark
    assert np.abs(found - CHART).mean() < 1


def test_linear_light_becomes_srgb() -> None:
    code = (light(CHART / 255) * 65535).round().astype(np.uint16)[None]
    assert np.abs(to_srgb(code, Coding(1, LINEAR))[0].astype(int) - CHART).max() <= 1


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("levels", [1, 2])
def test_matrix_and_range_are_honoured(tmp_path: Path, matrix: int, levels: int) -> None:
    path = write_video(
        tmp_path / "v.mp4",
        [chart()] * 2,
        codec="libx264",
        tags=Tags(1, 1, matrix, levels),
        options=H264,
    )
    assert np.abs(middles(first_frame(path, tmp_path)) - CHART).max() <= 5


@pytest.mark.parametrize(("scale", "matrix"), [(1, 6), (5, 1)])
def test_an_untagged_film_is_read_as_players_do(tmp_path: Path, scale: int, matrix: int) -> None:
    """BT.601 for small pictures, BT.709 for large ones."""
    pixels = chart().repeat(scale, axis=0).repeat(scale, axis=1)
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
        format="yuv444p", dst_colorspace=matrix, dst_color_range=1
    )
    frame.colorspace = 2
    image, _ = frame_picture(frame, None, 0)
    assert np.abs(middles(image) - CHART).max() <= 3


def test_colours_on_axes_that_are_not_read_are_refused() -> None:
    frame = av.VideoFrame(32, 32, "yuv420p10le")
    frame.colorspace = 14
    with pytest.raises(RejectedError, match="ICtCp"):
        frame_picture(frame, None, 0)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(4, 3), (427, 240)),
        (Fraction(8, 9), (320, 270)),
        (Fraction(1), (320, 240)),
        (Fraction(1000, 1001), (320, 240)),
        (Fraction(1, 1000), (320, 240)),
        (None, (320, 240)),
    ],
)
def test_pixels_become_square(
    tmp_path: Path, aspect: Fraction | None, size: tuple[int, int]
) -> None:
    assert square_size(320, 240, aspect) == size
    if aspect is None or not 0.5 < aspect < 2:
        return
    path = write_video(tmp_path / "v.mp4", [LARGE.crop((0, 0, 320, 240))] * 2, aspect=aspect)
    chosen = choose_frames(path, tmp_path, SMALL)
    with Image.open(chosen.frames[0].jpeg) as image:
        assert image.size == size
    assert ("pixels made square" in chosen.frames[0].changes) == (size != (320, 240))


def test_square_pixels_of_a_turned_film(tmp_path: Path) -> None:
    frames = [LARGE.crop((0, 0, 320, 240))] * 2
    path = write_video(tmp_path / "v.mov", frames, aspect=Fraction(4, 3), turn=90)
    assert first_frame(path, tmp_path).size == (240, 427)


def fields(count: int, step: int) -> list[NDArray[np.uint8]]:
    """Frames whose even lines are `step` pixels of movement before their odd lines."""
    frames = []
    for number in range(count):
        first, second = (
            np.asarray(LARGE.convert("L").convert("RGB").crop((x, 0, x + 320, 240)))
            for x in (2 * number * step, (2 * number + 1) * step)
        )
        frame = first.copy()
        frame[1::2] = second[1::2]
        frames.append(frame)
    return frames


def test_interlaced_films_have_no_combs(tmp_path: Path) -> None:
    options = {**H264, "x264-params": "interlaced=1:bff=1"}
    path = write_video(tmp_path / "v.mp4", fields(12, 9), codec="libx264", options=options)
    chosen = choose_frames(path, tmp_path, ImportOptions(video_per_second=30))
    assert len(chosen.frames) == 12
    for frame in chosen.frames:
        with Image.open(frame.jpeg) as image:
            grey = np.asarray(image.convert("L"), float)
        near = np.abs(np.diff(grey, axis=0)).mean()
        next_but_one = np.abs(grey[2:] - grey[:-2]).mean()
        assert near < next_but_one  # combs: neighbours differ more than lines of one field
        assert "deinterlaced" in frame.changes
    assert [round(frame.second, 3) for frame in chosen.frames[:3]] == [0.0, 0.1, 0.2]


def test_progressive_films_are_not_filtered() -> None:
    deinterlacer = Deinterlacer()
    frame = av.VideoFrame(32, 32, "yuv420p")
    assert list(deinterlacer.frames(iter([frame]))) == [frame] and not deinterlacer.used


@pytest.mark.parametrize(
    ("window", "turn"),
    [((220, 0, 420, 240), 0), ((0, 30, 640, 210), 0), ((100, 30, 540, 210), 90)],
)
def test_black_bars_are_cut(tmp_path: Path, window: tuple[int, int, int, int], turn: int) -> None:
    left, top, right, bottom = window
    frames = []
    for number in range(12):
        wide = Image.new("RGB", (640, 240))
        wide.paste(LARGE.crop((number * 20, 0, number * 20 + right - left, bottom - top)), window)
        frames.append(wide)
    path = write_video(tmp_path / "v.mov", frames, turn=turn)
    chosen = choose_frames(path, tmp_path, ImportOptions(video_per_second=30, min_side=16))
    assert len(chosen.frames) >= 10
    wanted = (right - left, bottom - top)
    wanted = wanted[::-1] if turn else wanted
    for frame in chosen.frames:
        assert "black bars cut" in frame.changes
        with Image.open(frame.jpeg) as image:
            assert image.convert("L").crop((0, 0, 2, image.height)).getextrema()[1] > 60
            for found, all_of_it in zip(image.size, wanted, strict=True):
                assert all_of_it - 32 <= found <= all_of_it


def test_a_narrow_picture_between_bars_is_no_thumbnail(tmp_path: Path) -> None:
    """An upright clip in a wide frame: what is left of it is narrower than `min_side`."""
    frames = []
    for number in range(12):
        wide = Image.new("RGB", (640, 240))
        wide.paste(LARGE.crop((number * 20, 0, number * 20 + 200, 240)), (220, 0))
        frames.append(wide)
    path = write_video(tmp_path / "upright.mp4", frames)
    run = imported(path, tmp_path, min_side=200, min_photos=1, video_per_second=30)
    kept = [photo for photo in run.report["photos"] if photo["kept"]]
    assert len(kept) >= 10 and all(photo["width"] < 200 for photo in kept)


def test_a_dark_film_is_no_film_with_bars(tmp_path: Path) -> None:
    """A lamp that moves through the night: what is dark in one frame is lit in another."""
    frames = []
    for number in range(12):
        night = Image.new("RGB", (320, 240))
        night.paste(picture(3, 60, 60), (10 + 20 * number, 30))
        frames.append(night)
    path = write_video(tmp_path / "v.mp4", frames)
    chosen = choose_frames(path, tmp_path, ImportOptions(video_per_second=30, min_side=16))
    with Image.open(chosen.frames[0].jpeg) as image:
        assert image.height == 240
