"""Positions of the frames of a drone's film, from the subtitles beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lib.photos.telemetry import Fix, position_at, read_srt

HEAD = "1\n00:00:01,500 --> 00:00:01,533\n"
MAVIC = (
    '<font size="28">FrameCnt: 45, DiffTime: 33ms\n2026-05-01 12:00:01.500\n[iso: 100] [shutter: 1/500.0]'
    " [latitude: 46.843210] [longitude: -9.531200] [rel_alt: 30.100 abs_alt: 612.500] [ct: 5500]</font>"
)
MAVIC_2 = "[iso : 100] [latitude : 46.843210] [longtitude : -9.531200] [altitude: 612.500]"
PHANTOM = "HOME(-9.5300,46.8400) 2026.05.01 12:00:01\nGPS(-9.531200,46.843210,15) BAROMETER:30.1"
MINI = "F/2.8, SS 206.14, ISO 100, EV 0, GPS (-9.531200, 46.843210, 15), D 12.01m, H 30.10m, H.S 1.2m/s"


@pytest.mark.parametrize(
    ("said", "altitude", "relative"),
    [(MAVIC, 612.5, 30.1), (MAVIC_2, 612.5, None), (PHANTOM, None, 30.1), (MINI, None, 30.1)],
)
def test_dialects(said: str, altitude: float | None, relative: float | None) -> None:
    assert read_srt(f"{HEAD}{said}\n\n") == [Fix(1.5, 46.84321, -9.5312, altitude, relative)]


@pytest.mark.parametrize(
    "said",
    [
        "[latitude: 0.000000] [longitude: 0.000000]",  # before the first fix
        "[latitude: 146.8] [longitude: 9.5]",
        "Hello, my name is GPS",
        "",
    ],
)
def test_what_tells_no_position(said: str) -> None:
    assert read_srt(f"{HEAD}{said}\n\n") == []


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    for fix in read_srt(f"{HEAD}{text}"):
        assert abs(fix.latitude) <= 90 and abs(fix.longitude) <= 180


@given(
    st.floats(0, 3599),
    st.floats(-89.99, 89.99).filter(lambda value: abs(value) > 1e-3),
    st.floats(-179.99, 179.99),
    st.floats(-400, 8000),
)
def test_what_is_written_is_read(
    second: float, latitude: float, longitude: float, high: float
) -> None:
    minutes, left = divmod(round(1000 * second), 60_000)
    time = f"00:{minutes:02d}:{left // 1000:02d},{left % 1000:03d}"
    said = f"[latitude: {latitude:.7f}] [longitude: {longitude:.7f}] [rel_alt: 1.0 abs_alt: {high:.3f}]"
    (fix,) = read_srt(f"1\n{time} --> {time}\n{said}\n")
    assert fix.second == pytest.approx(second, abs=1e-3)
    assert (fix.latitude, fix.longitude) == pytest.approx((latitude, longitude), abs=1e-6)
    assert fix.altitude == pytest.approx(high, abs=1e-3)


def test_frames_lie_between() -> None:
    fixes = [Fix(0, 10, 179.9, 100, 1), Fix(2, 12, -179.9, 104, None)]
    middle = position_at(fixes, 0.5)
    assert middle is not None
    assert (middle.latitude, middle.altitude) == (10.5, 101)
    assert middle.longitude == pytest.approx(179.95) and middle.relative_altitude is None
    after = position_at(fixes, 3.5)
    assert after is not None and (after.latitude, after.altitude) == (12, 104)
    assert position_at(fixes, 4.5) is None and position_at([], 1.0) is None
