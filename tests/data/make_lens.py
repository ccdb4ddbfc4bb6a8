"""A second capture of the sample scene, as a phone would have taken it; derived from the sample's photos.

Every view keeps the pose that sample/truth.json knows. New are what a real lens and sensor do: radial and
tangential distortion, a principal point off the centre, two focal lengths (the portrait photos are taken
with the longer one), noise, exposures a stop apart, a few soft frames and copies. See lens/README.md.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ExifTags import IFD, Base
from scipy.ndimage import gaussian_filter, map_coordinates

Float = npt.NDArray[np.float64]

SEED = 20261126
LONG, SHORT = 624, 416  # pixels of the sensor
SUPERSAMPLE = 2  # rays a pixel and axis, averaged, so that the smaller picture does not alias
QUALITY = 72  # 41 files in less than 2 MB
SHOT_NOISE, READ_NOISE = (
    2.0e-4,
    1.5e-6,
)  # variance of linear light: a part that grows with it, and a floor
PORTRAIT_EVERY, PORTRAIT_FIRST = 5, 2  # photos 3, 8, 13 ... are portraits
DARK = [range(6, 12), range(20, 24), range(30, 33)]  # numbers of photos taken a stop shorter
SOFT = {
    5: 2.2,
    16: 2.6,
    29: 2.0,
}  # number of a photo: sigma in pixels of a second, blurred shot of it
COPIES = (3, 24)  # numbers of photos that lie there a second time, saved again by some program
EXPOSURE_S = (1, 500)


@dataclass(frozen=True)
class Lens:
    """COLMAP's OPENCV camera of the upright photo: pixels, centres at +0.5."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k1: float
    k2: float
    p1: float
    p2: float

    def distort(self, x: Float, y: Float) -> tuple[Float, Float]:
        """Where the ray (x, y, 1) ends up, in units of the focal length."""
        r2 = x * x + y * y
        radial = self.k1 * r2 + self.k2 * r2 * r2
        return (
            x + x * radial + 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x),
            y + y * radial + 2 * self.p2 * x * y + self.p1 * (r2 + 2 * y * y),
        )

    def rays(self) -> tuple[Float, Float]:
        """The rays (x, y, 1) of the picture's sub-pixels, each (height * s, width * s)."""
        steps = (np.arange(self.width * SUPERSAMPLE) + 0.5) / SUPERSAMPLE
        rows = (np.arange(self.height * SUPERSAMPLE) + 0.5) / SUPERSAMPLE
        u, v = np.meshgrid((steps - self.cx) / self.fx, (rows - self.cy) / self.fy)
        x, y = u.copy(), v.copy()
        for _ in range(50):  # the distortion is mild: each round leaves a tenth of the error
            du, dv = self.distort(x, y)
            x, y = x + u - du, y + v - dv
        return x, y


# The principal point lies one per cent of the longer side off the centre, in both directions.
LANDSCAPE = Lens(LONG, SHORT, 486.0, 486.0, 318.24, 201.76, -0.075, 0.018, 0.0009, -0.0006)
# The longer focal length has a lens of its own, described for the upright photo.
PORTRAIT = Lens(SHORT, LONG, 716.0, 716.0, 213.12, 306.88, 0.035, -0.04, -0.0007, -0.0011)
EXIF_FOCAL = {"landscape": ((21, 5), 28), "portrait": ((31, 5), 41)}  # mm, and mm on 35 mm film


def to_linear(srgb: Float) -> Float:
    """Linear light of sRGB numbers in 0..1 (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: Float) -> Float:
    """sRGB numbers of linear light in 0..1."""
    bounded = np.clip(linear, 0.0, 1.0)
    return np.where(
        bounded <= 0.0031308, bounded * 12.92, 1.055 * np.power(bounded, 1 / 2.4) - 0.055
    )


def through(lens: Lens, rays: tuple[Float, Float], source: Float, camera: dict[str, Any]) -> Float:
    """Linear light (H, W, 3) that `lens`, of these `rays`, sees where `source`, a pinhole photo, was taken.

    Raises ValueError when the lens sees more than the photo shows.
    """
    x, y = rays
    columns = x * camera["fx"] + camera["cx"] - 0.5
    rows = y * camera["fy"] + camera["cy"] - 0.5
    inside = (columns > 0) & (columns < camera["width"] - 1)
    inside &= (rows > 0) & (rows < camera["height"] - 1)
    if not inside.all():
        raise ValueError(
            f"{(~inside).mean():.2%} of the lens's picture lies outside of the photo:"
            f" columns {columns.min():.1f} to {columns.max():.1f},"
            f" rows {rows.min():.1f} to {rows.max():.1f}"
        )
    seen = np.stack(
        [map_coordinates(source[..., band], [rows, columns], order=3) for band in range(3)], axis=-1
    )
    parts = seen.reshape(lens.height, SUPERSAMPLE, lens.width, SUPERSAMPLE, 3)
    return np.clip(parts.mean(axis=(1, 3)), 0.0, 1.0)


def expose(light: Float, stops: float, blur: float, rng: np.random.Generator) -> Image.Image:
    """The 8-bit picture that the sensor makes of `light`."""
    taken = light * 2.0**stops
    if blur:
        taken = gaussian_filter(taken, (blur, blur, 0))
    noise = rng.standard_normal(taken.shape) * np.sqrt(SHOT_NOISE * taken + READ_NOISE)
    return Image.fromarray(np.round(to_srgb(taken + noise) * 255).astype(np.uint8))


def exif_of(original: Image.Image, portrait: bool, stops: int) -> Image.Exif:
    """The sample photo's EXIF (time, GPS) with this camera's name, focal length, exposure and turn."""
    exif = original.getexif()
    focal, on_film = EXIF_FOCAL["portrait" if portrait else "landscape"]
    exif[Base.Model] = "SamplePhone"
    exif[Base.Software] = "make_lens.py"
    exif[Base.Orientation] = 6 if portrait else 1
    photo = exif.get_ifd(IFD.Exif)
    photo[Base.FocalLength] = focal[0] / focal[1]
    photo[Base.FocalLengthIn35mmFilm] = on_film
    photo[Base.ExposureTime] = EXPOSURE_S[0] / (EXPOSURE_S[1] * 2**-stops)
    photo[Base.ExifImageWidth], photo[Base.ExifImageHeight] = LONG, SHORT
    exif.get_ifd(IFD.GPSInfo)  # read now, so that it is written again
    return exif


def save(picture: Image.Image, path: Path, exif: Image.Exif, quality: int = QUALITY) -> None:
    """A phone's JPEG: the sensor's way round, with the turn in EXIF."""
    if exif[Base.Orientation] == 6:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    buffer = io.BytesIO()
    picture.save(
        buffer, "JPEG", quality=quality, optimize=True, subsampling="4:2:0", exif=exif.tobytes()
    )
    path.write_bytes(buffer.getvalue())


def main(argv: list[str] | None = None) -> int:
    """Write the photos and truth.json."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=Path, default=here / "sample", help="the plain data set")
    parser.add_argument("--out", type=Path, default=here / "lens", help="the new data set's folder")
    args = parser.parse_args(argv)
    truth = json.loads((args.sample / "truth.json").read_text())
    photos: dict[str, Any] = {}
    rays = {lens: lens.rays() for lens in (LANDSCAPE, PORTRAIT)}
    (args.out / "photos").mkdir(parents=True, exist_ok=True)
    for number, (name, known) in enumerate(truth["photos"].items()):
        original = Image.open(args.sample / "photos" / name)
        portrait = number % PORTRAIT_EVERY == PORTRAIT_FIRST
        stops = -1 if any(number in dark for dark in DARK) else 0
        exif = exif_of(original, portrait, stops)
        source = to_linear(np.asarray(original.convert("RGB"), dtype=np.float64) / 255)
        lens = PORTRAIT if portrait else LANDSCAPE
        light = through(lens, rays[lens], source, truth["camera"])
        stem = Path(name).stem.replace("yard", "phone")
        shots = [("", 0.0)] + ([("_soft", SOFT[number])] if number in SOFT else [])
        for kind, (suffix, blur) in enumerate(shots):
            rng = np.random.default_rng([SEED, number, kind])
            picture = expose(light, stops, blur, rng)
            save(picture, args.out / "photos" / f"{stem}{suffix}.jpg", exif)
            photos[f"{stem}{suffix}.jpg"] = known | {
                "camera": "portrait" if portrait else "landscape",
                "stops": stops,
                "usable": not suffix,
            }
            if number in COPIES and not suffix:
                save(picture, args.out / "photos" / f"{stem}_copy.jpg", exif, quality=60)
                photos[f"{stem}_copy.jpg"] = photos[f"{stem}.jpg"] | {"usable": False}
    cameras = {"landscape": asdict(LANDSCAPE), "portrait": asdict(PORTRAIT)}
    told = {
        "description": "The sample's courtyard as a phone would have taken it, made by make_lens.py.",
        "conventions": truth["conventions"] + " Cameras describe the upright photos.",
        "cameras": {name: {"model": "OPENCV"} | camera for name, camera in cameras.items()},
        **{k: truth[k] for k in ("origin", "gps_noise_m", "scene_size_m", "cameras_diagonal_m")},
        "photos": photos,
    }
    (args.out / "truth.json").write_text(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
