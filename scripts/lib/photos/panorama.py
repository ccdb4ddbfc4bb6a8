"""Pictures and films that show all around: no lens that is modelled here made them.

Those that are stitched to one equirectangular picture are cut into flat views (`faces`), all others left out.

Google's photo sphere metadata (GPano) and what cameras write are believed first; then the pixels.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

ADVICE = "import_photos.panoramas leaves such out"
PICTURE = f"a 360 degree picture; {ADVICE}"
FILM = f"a 360 degree film; {ADVICE}"
# What to do with a recording that no program has stitched yet.
EXPORT = (
    "export it from the camera's own program (Insta360 Studio, GoPro Player, RICOH THETA) as a stitched "
    "360 degree (equirectangular) JPEG or MP4"
)
UNSTITCHED = f"two fisheye pictures that are not stitched; {EXPORT}"
NOT_WHOLE = (
    "a 360 degree picture that is not twice as wide as high; export it whole, as an "
    "equirectangular picture"
)
STITCHED = "a panorama stitched from several photos; give the single photos"
STEREO = "a stereo film with two pictures in each frame; export one of them"
# GPano's projections, of which only this one is what a lens gives.
FLAT = {"rectilinear", "perspective"}
PROJECTION = re.compile(
    r"GPano:ProjectionType(?:\s*=\s*[\"']([^\"']{1,40})[\"']|>\s*([^<]{1,40})<)", re.IGNORECASE
)
CUSTOM_RENDERED, PANORAMA = 0xA401, 6  # Apple's value in EXIF's CustomRendered
CAMERAS = re.compile(
    r"\btheta\b|insta360|arashi vision|gopro (?:max|fusion)|sm-[cr]2[01]0|gear 360|keymission ?360|"
    r"virb 360|lg-r105|qoocam|mi sphere|madv|yi 360|vuze|pixpro (?:sp360|orbit)|osmo 360|pilot (?:era|one)",
    re.IGNORECASE,
)
# ffmpeg's AVSphericalProjection and AVStereo3DType.
RECTILINEAR = 4
TWO_PICTURES = {
    1,
    2,
    4,
    5,
    6,
    7,
}  # beside or above one another, by lines, columns or a chequerboard
SIDE = 256  # pixels of the width that is looked at
DARK, BRIGHT = 24, 48


def of_picture(image: Image.Image, xmp: str, custom: object, camera: str | None) -> str | None:
    """Why a photo is a panorama, as the reason for photos.json; None when it is flat.

    `image` is upright RGB; `custom` is EXIF's CustomRendered, `camera` its maker and model.
    """
    if found := PROJECTION.search(xmp):
        kind = (found[1] or found[2]).strip().lower()
        if kind == "cylindrical":
            return STITCHED
        if kind not in FLAT:
            return _whole(image)
    if custom == PANORAMA:
        return STITCHED
    if not _twice_as_wide(image):
        return None
    if two_circles(image):
        return UNSTITCHED
    return PICTURE if CAMERAS.search(camera or "") or shows_all_around(image) else None


def of_frame(frame: av.VideoFrame) -> str | None:
    """Why a film is no flat one, by what its container says (it comes with the first frame)."""
    if (kind := _side_data(frame, "SPHERICAL")) is not None and kind != RECTILINEAR:
        return FILM
    return STEREO if _side_data(frame, "STEREO3D") in TWO_PICTURES else None


def _side_data(frame: av.VideoFrame, name: str) -> int | None:
    """The kind that a frame's side data begins with (an enum of ffmpeg's); None where there is none."""
    data: Any = frame.side_data.get(name)  # a buffer, which PyAV's types do not say
    return None if data is None else int.from_bytes(bytes(data)[:4], sys.byteorder)


def shows_all_around(image: Image.Image) -> bool:
    """Whether a picture twice as wide as high looks like a whole sphere or like two fisheye circles.

    A sphere's left edge goes on at its right edge, and its first and last row each show one point.
    """
    if not _twice_as_wide(image):
        return False
    pixels = _small(image)
    return _wraps_around(pixels) or _two_circles(pixels)


def two_circles(image: Image.Image) -> bool:
    """Whether a picture twice as wide as high looks like two fisheye circles side by side."""
    return _twice_as_wide(image) and _two_circles(_small(image))


def _whole(image: Image.Image) -> str:
    """The reason for a picture that says it shows all around: which of them can be cut."""
    if not _twice_as_wide(image):
        return NOT_WHOLE
    return UNSTITCHED if two_circles(image) else PICTURE


def _small(image: Image.Image) -> NDArray[np.float32]:
    small = image.convert("RGB").resize((SIDE, SIDE // 2), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def _twice_as_wide(image: Image.Image) -> bool:
    return abs(image.width / max(image.height, 1) - 2) <= 0.02


def _wraps_around(pixels: NDArray[np.float32]) -> bool:
    """Opposite edges meet as neighbours do, and the poles are each of one colour while the middle is not."""
    grey = pixels.mean(axis=2)
    seam = float(np.abs(grey[:, 0] - grey[:, -1]).mean())
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    far = float(np.abs(grey[:, : SIDE // 2] - grey[:, SIDE // 2 :]).mean())
    poles = float(max(grey[0].std(), grey[-1].std()))
    middle = float(np.median(grey[SIDE // 8 : -SIDE // 8].std(axis=1)))
    along = float(grey[:, 0].std())
    return (
        seam <= 2 * float(np.median(steps)) + 1
        and seam < 0.35 * far
        and poles < 0.15 * middle
        and min(middle, along) > 8
    )


def _two_circles(pixels: NDArray[np.float32]) -> bool:
    """Two round pictures side by side: black in the corners of both halves, not in their middles."""
    light = pixels.max(axis=2)
    side = SIDE // 2
    patch = side // 12
    for half in (light[:, :side], light[:, side:]):
        corners = (
            half[:patch, :patch],
            half[:patch, -patch:],
            half[-patch:, :patch],
            half[-patch:, -patch:],
        )
        middle = half[side // 4 : -side // 4, side // 4 : -side // 4]
        if (
            max(float(corner.max()) for corner in corners) > DARK
            or float(np.median(middle)) < BRIGHT
        ):
            return False
    return True
