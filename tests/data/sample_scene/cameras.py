"""Where the photos are taken from, their truth, and their EXIF. World axes are ENU, metres."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

Array = Any

WIDTH, HEIGHT = 768, 512
SENSOR_WIDTH_MM = 6.0
FOCAL_MM = (13, 3)  # as EXIF's fraction
FOCAL_35MM = 26
FOCAL_PX = FOCAL_MM[0] / FOCAL_MM[1] / SENSOR_WIDTH_MM * WIDTH
ORIGIN = (43.93752, 5.10418, 312.0)  # latitude, longitude, height of the ENU origin
START = datetime.datetime(2026, 5, 14, 16, 12, 4)  # noqa: DTZ001 - EXIF times have no zone
ORBIT, RAMP, WALK = 22, 4, 10
# The later capture: another day, a round that is wider and lower, and smaller pictures.
LATER_START = datetime.datetime(2026, 11, 3, 15, 40, 20)  # noqa: DTZ001
LATER_ORBIT, LATER_RAMP, LATER_WALK = 17, 4, 7
LATER_SCALE = 75  # per cent of WIDTH and HEIGHT


@dataclass(frozen=True)
class View:
    """One camera: position and the point it looks at, in metres."""

    name: str
    eye: tuple[float, float, float]
    target: tuple[float, float, float]

    def world_to_camera(self) -> Array:
        """The 4x4 of OpenCV's convention: x right, y down, z forward."""
        eye = np.array(self.eye)
        z = np.array(self.target) - eye
        z /= np.linalg.norm(z)
        x = np.cross(z, [0.0, 0.0, 1.0])
        x /= np.linalg.norm(x)
        rotation = np.stack([x, np.cross(z, x), z])
        matrix = np.eye(4)
        matrix[:3, :3] = rotation
        matrix[:3, 3] = -rotation @ eye
        return matrix


def _orbit(t: float) -> tuple[Array, Array]:
    """The drone's round at ``t`` in [0, 1): two low and two high passes, joined smoothly."""
    azimuth = -math.pi / 2 + 2 * math.pi * t
    wave = math.cos(2 * azimuth)  # high (and near) to the north and south, low to east and west
    wave = math.copysign(abs(wave) ** 0.7, wave)
    radius, height = 12.4 + 0.7 * wave, 7.3 - 1.0 * wave
    centre = np.array([-0.2, 0.7, 0.0])
    eye = centre + [radius * math.cos(azimuth), radius * math.sin(azimuth), height]
    return eye, np.array([-0.1, 0.6, 0.75])


def _ramp(t: float) -> tuple[Array, Array]:
    """The descent at ``t`` in [0, 1]: from the orbit's end, over the gate, to eye height."""
    start, _ = _orbit(0.0)
    end, look = _walk(0.0)
    lift = t**0.8
    eye = start * (1 - t) + end * t
    eye[2] = start[2] * (1 - lift) + end[2] * lift
    return eye, np.array([-0.1, 0.6, 0.75]) * (1 - t) + look * t


def _walk(t: float) -> tuple[Array, Array]:
    """The walk at ``t`` in [0, 1]: from the gate's west side round to the east."""
    azimuth = math.radians(215 + 118 * t)
    radius = 4.75 + 0.25 * math.sin(5 * t)
    eye = np.array([radius * math.cos(azimuth), radius * math.sin(azimuth), 1.66])
    eye[2] += 0.05 * math.sin(9 * t)
    return eye, np.array([0.25 * math.sin(4 * t), 1.1, 1.15])


def _view(name: str, pose: tuple[Array, Array]) -> View:
    eye, target = pose
    return View(name, tuple(map(float, eye)), tuple(map(float, target)))  # type: ignore[arg-type]


def photos() -> list[View]:
    """The 36 photos the pipeline gets, in the order they were taken."""
    poses = [_orbit(k / ORBIT) for k in range(ORBIT)]
    poses += [_ramp((k + 1) / (RAMP + 1)) for k in range(RAMP)]
    poses += [_walk(k / (WALK - 1)) for k in range(WALK)]
    return [_view(f"yard_{k + 1:02d}", pose) for k, pose in enumerate(poses)]


def _later_orbit(t: float) -> tuple[Array, Array]:
    """The later capture's round at ``t`` in [0, 1): the other way about, and at one height."""
    azimuth = -math.pi / 2 - 2 * math.pi * t
    eye = np.array([0.1 + 13.0 * math.cos(azimuth), 0.5 + 13.0 * math.sin(azimuth), 6.4])
    return eye, np.array([0.2, 0.4, 0.6])


def _later_walk(t: float) -> tuple[Array, Array]:
    """The later capture's walk at ``t`` in [0, 1], from the gate's east side to the west."""
    azimuth = math.radians(322 - 104 * t)
    eye = np.array([5.2 * math.cos(azimuth), 5.0 * math.sin(azimuth), 1.48])
    return eye, np.array([-0.3 + 0.5 * t, 0.8, 1.0])


def later() -> list[View]:
    """The 28 photos of the later capture, none of them from where a photo of the first was taken."""
    poses = [_later_orbit((k + 0.4) / LATER_ORBIT) for k in range(LATER_ORBIT)]
    high, low = _later_orbit(0.98), _later_walk(0.0)
    for k in range(LATER_RAMP):
        t = (k + 1) / (LATER_RAMP + 1)
        eye = high[0] * (1 - t) + low[0] * t
        eye[2] = high[0][2] * (1 - t**0.8) + low[0][2] * t**0.8
        poses.append((eye, high[1] * (1 - t) + low[1] * t))
    poses += [_later_walk(k / (LATER_WALK - 1)) for k in range(LATER_WALK)]
    return [_view(f"later_{k + 1:02d}", pose) for k, pose in enumerate(poses)]


def heldback() -> list[View]:
    """Six views the pipeline never sees, between neighbours of the capture."""
    poses = [_orbit((k + 0.5) / ORBIT) for k in (2, 8, 14, 19)]
    poses += [_walk((k + 0.5) / (WALK - 1)) for k in (2, 6)]
    return [_view(f"held_{k + 1}", pose) for k, pose in enumerate(poses)]


def enu_to_geodetic(enu: Any) -> tuple[float, float, float]:
    """Local east, north, up (metres at ORIGIN) to WGS84 latitude, longitude, height."""
    a, f = 6378137.0, 1 / 298.257223563
    e2 = f * (2 - f)
    lat, lon, height = math.radians(ORIGIN[0]), math.radians(ORIGIN[1]), ORIGIN[2]
    n = a / math.sqrt(1 - e2 * math.sin(lat) ** 2)
    sl, cl, so, co = math.sin(lat), math.cos(lat), math.sin(lon), math.cos(lon)
    axes = np.array([[-so, co, 0], [-sl * co, -sl * so, cl], [cl * co, cl * so, sl]])
    origin = np.array(
        [(n + height) * cl * co, (n + height) * cl * so, (n * (1 - e2) + height) * sl]
    )
    x, y, z = origin + axes.T @ np.asarray(enu, float)
    lon = math.atan2(y, x)
    p = math.hypot(x, y)
    lat = math.atan2(z, p * (1 - e2))
    for _ in range(6):
        n = a / math.sqrt(1 - e2 * math.sin(lat) ** 2)
        height = p / math.cos(lat) - n
        lat = math.atan2(z, p * (1 - e2 * n / (n + height)))
    return math.degrees(lat), math.degrees(lon), height


def _degrees(value: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Degrees, minutes and seconds as EXIF fractions, seconds to 1e-5 (0.3 mm)."""
    units = round(abs(value) * 3600 * 100000)
    degrees, rest = divmod(units, 3600 * 100000)
    minutes, seconds = divmod(rest, 60 * 100000)
    return IFDRational(degrees), IFDRational(minutes), IFDRational(seconds, 100000)


def exif(view: View, index: int, start: datetime.datetime = START, scale: int = 100) -> bytes:
    """The EXIF block of one photo, whose size is `scale` per cent."""
    lat, lon, height = enu_to_geodetic(view.eye)
    time = start + datetime.timedelta(seconds=4 * index)
    stamp = time.strftime("%Y:%m:%d %H:%M:%S")
    block = Image.Exif()
    block.update(
        {
            Base.Make: "Splatmake",
            Base.Model: "SampleCam",
            Base.Orientation: 1,
            Base.DateTime: stamp,
            Base.Software: "make_sample.py",
        }
    )
    block.get_ifd(IFD.Exif).update(
        {
            Base.DateTimeOriginal: stamp,
            Base.DateTimeDigitized: stamp,
            Base.FocalLength: IFDRational(*FOCAL_MM),
            Base.FocalLengthIn35mmFilm: FOCAL_35MM,
            Base.ExposureTime: IFDRational(1, 500),
            Base.FNumber: IFDRational(28, 10),
            Base.ISOSpeedRatings: 100,
            Base.ExifImageWidth: WIDTH * scale // 100,
            Base.ExifImageHeight: HEIGHT * scale // 100,
        }
    )
    block.get_ifd(IFD.GPSInfo).update(
        {
            GPS.GPSVersionID: bytes((2, 3, 0, 0)),
            GPS.GPSLatitudeRef: "N" if lat >= 0 else "S",
            GPS.GPSLatitude: _degrees(lat),
            GPS.GPSLongitudeRef: "E" if lon >= 0 else "W",
            GPS.GPSLongitude: _degrees(lon),
            GPS.GPSAltitudeRef: b"\0",
            GPS.GPSAltitude: IFDRational(round(height * 1000), 1000),
        }
    )
    return bytes(block.tobytes())


def later_truth() -> dict[str, Any]:
    """What later/truth.json says: the exact cameras of the later photos, in the same world."""
    share = LATER_SCALE / 100
    return {
        "description": "The sample's courtyard half a year later, with three things moved.",
        "camera": {
            "model": "PINHOLE",
            "width": round(WIDTH * share),
            "height": round(HEIGHT * share),
            "fx": FOCAL_PX * share,
            "fy": FOCAL_PX * share,
            "cx": WIDTH * share / 2,
            "cy": HEIGHT * share / 2,
        },
        "photos": {
            f"{v.name}.jpg": {
                "world_to_camera": [
                    [round(c, 9) for c in row] for row in v.world_to_camera().tolist()
                ],
                "centre": [round(c, 6) for c in v.eye],
            }
            for v in later()
        },
    }


def truth() -> dict[str, Any]:
    """What truth.json says: the exact cameras of the photos and of the held-back views."""
    views = photos()
    eyes = np.array([v.eye for v in views])

    def poses(list_of_views: list[View], with_time: bool) -> dict[str, Any]:
        out = {}
        for k, v in enumerate(list_of_views):
            entry: dict[str, Any] = {
                "world_to_camera": [
                    [round(c, 9) for c in row] for row in v.world_to_camera().tolist()
                ],
                "centre": [round(c, 6) for c in v.eye],
            }
            if with_time:
                lat, lon, height = enu_to_geodetic(v.eye)
                entry["gps"] = [round(lat, 9), round(lon, 9), round(height, 4)]
                entry["group"] = "orbit" if k < ORBIT else "descent" if k < ORBIT + RAMP else "walk"
            out[f"{v.name}.jpg"] = entry
        return out

    return {
        "description": "A small courtyard with a well, modelled and rendered by make_sample.py.",
        "conventions": "world_to_camera is OpenCV's (x right, y down, z forward), metres; the world "
        "is ENU (x east, y north, z up) at the origin; pixel centres lie at +0.5.",
        "camera": {
            "model": "PINHOLE",
            "width": WIDTH,
            "height": HEIGHT,
            "fx": FOCAL_PX,
            "fy": FOCAL_PX,
            "cx": WIDTH / 2,
            "cy": HEIGHT / 2,
        },
        "origin": {
            "latitude": ORIGIN[0],
            "longitude": ORIGIN[1],
            "altitude": ORIGIN[2],
            "datum": "WGS84; the altitude is the height above the ellipsoid",
        },
        "gps_noise_m": 0.0,
        "scene_size_m": 16.0,
        "cameras_diagonal_m": round(float(np.linalg.norm(np.ptp(eyes, axis=0))), 4),
        "photos": poses(views, True),
        "heldback": poses(heldback(), False),
    }
