"""Colours to sRGB by the code points of ITU-T H.273 that films, HEIF, AVIF and PNG carry.

HDR (BT.2100: HLG and PQ) is shown as an SDR screen would: diffuse white, 203 cd/m2 by ITU-R BT.2408, becomes
white, what is darker keeps its light, and what is brighter (lamps, sky) is rolled off into the last steps.
Wide gamuts (BT.2020, P3, Adobe RGB) go through their primaries; what lies outside of sRGB is clipped.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNSPECIFIED = 2
BT709, BT2020, DCI_P3, DISPLAY_P3 = 1, 9, 11, 12
ADOBE_RGB = 1000  # no code point: EXIF says it of JPEGs that carry no profile
GAMMA_22, GAMMA_28, LINEAR, SRGB, PQ, HLG = 4, 5, 8, 13, 16, 18
# Red, green, blue and white in CIE xy (H.273, table 2). BT.601's primaries are not here: phones write that
# tag on every film, and screens show such films as they show BT.709.
_D65 = (0.3127, 0.3290)
_CHROMATICITIES = {
    BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    # Scaled to D65 as screens do, so that white stays white.
    DCI_P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    DISPLAY_P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    ADOBE_RGB: ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), _D65),
}
_PRIMARIES = {
    BT2020: "BT.2020",
    DCI_P3: "P3",
    DISPLAY_P3: "P3",
    ADOBE_RGB: "Adobe RGB",
}
_TRANSFERS = {PQ: "PQ", HLG: "HLG"}
DIFFUSE_WHITE = 203.0  # cd/m2, ITU-R BT.2408
HLG_PEAK, HLG_GAMMA = 1000.0, 1.2  # cd/m2 of the reference screen and its system gamma, BT.2100
SHOULDER = 0.85  # of diffuse white: light above is rolled off, light below is exact
_TOP = 8.0  # times diffuse white: everything brighter is white
_STEPS = 65535
_STRIP = 1 << 16  # pixels converted at a time, which bounds the memory


@dataclass(frozen=True)
class Coding:
    """Primaries and transfer of a picture's numbers, as H.273 numbers them."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def hdr(self) -> bool:
        """Whether the numbers go beyond diffuse white."""
        return self.transfer in _TRANSFERS

    @property
    def is_srgb(self) -> bool:
        """Whether the numbers may be taken as they are."""
        return self.primaries not in _PRIMARIES and self.transfer not in (
            *_TRANSFERS,
            *(LINEAR, GAMMA_28),
        )

    @property
    def change(self) -> str:
        """What photos.json says was done."""
        names = [_TRANSFERS.get(self.transfer), _PRIMARIES.get(self.primaries)]
        said = ", ".join(name for name in names if name)
        if self.hdr:
            return f"HDR ({said}) converted to SDR"
        return f"converted from {said or 'another tone curve'} to sRGB"


def to_srgb(pixels: NDArray[np.generic], coding: Coding) -> NDArray[np.uint8]:
    """Full-range R'G'B' numbers (H, W, 3), 8 or 16 bits, as 8-bit sRGB (H, W, 3)."""
    light, encoded = _light(coding.transfer, pixels.dtype.itemsize), _encoded(coding)
    top = np.float32(_TOP if coding.hdr else 1.0)
    to_709 = _to_bt709(coding.primaries)
    luminance = _luminance(coding.primaries)
    flat = pixels.reshape(-1, 3)
    out = np.empty(flat.shape, np.uint8)
    for begin in range(0, len(flat), _STRIP):
        colours = light[flat[begin : begin + _STRIP].T]  # (3, N)
        if coding.transfer == HLG:
            # The screen's part (OOTF): contrast by the luminance of the scene, hues unchanged.
            scene = luminance @ colours
            np.maximum(scene, np.float32(1e-6), out=scene)
            colours *= scene ** np.float32(HLG_GAMMA - 1) * np.float32(HLG_PEAK / DIFFUSE_WHITE)
        if to_709 is not None:
            colours = to_709 @ colours
        np.clip(colours, 0, top, out=colours)
        colours *= np.float32(_STEPS) / top
        colours += np.float32(0.5)
        out[begin : begin + _STRIP] = encoded[colours.astype(np.uint16)].T
    return out.reshape(pixels.shape)


def srgb_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light of sRGB numbers, both 0 to 1 (IEC 61966-2-1)."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def hlg_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scene light (0 to 1) of HLG numbers: the inverse OETF of BT.2100, table 5."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)


def pq_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m2 of PQ numbers: the EOTF of BT.2100, table 4."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = code ** (1 / m2)
    return 10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)


def primaries_to_xyz(primaries: int) -> NDArray[np.float64]:
    """Linear RGB of these primaries (white at 1, 1, 1) to CIE XYZ with Y of white 1, (3, 3)."""
    *colours, white = [(x / y, 1.0, (1 - x - y) / y) for x, y in _CHROMATICITIES[primaries]]
    columns = np.array(colours).T
    return np.asarray(columns * np.linalg.solve(columns, np.array(white)))


def _to_bt709(primaries: int) -> NDArray[np.float32] | None:
    """Matrix from these primaries to BT.709's; None where the numbers stay."""
    if primaries not in _PRIMARIES:
        return None
    matrix = np.linalg.solve(primaries_to_xyz(BT709), primaries_to_xyz(primaries))
    return matrix.astype(np.float32)


def _luminance(primaries: int) -> NDArray[np.float32]:
    known = primaries if primaries in _CHROMATICITIES else BT709
    weights: NDArray[np.float32] = primaries_to_xyz(known)[1].astype(np.float32)
    return weights


@functools.lru_cache(maxsize=8)
def _light(transfer: int, size: int) -> NDArray[np.float32]:
    """Linear light of every number of `size` bytes; 1 is diffuse white (HLG: the scene's peak)."""
    code = np.linspace(0, 1, 256**size)
    if transfer == PQ:
        light = pq_light(code) / DIFFUSE_WHITE
    elif transfer == HLG:
        light = hlg_light(code)
    elif transfer == LINEAR:
        light = code
    elif transfer in (GAMMA_22, GAMMA_28):
        light = code ** (2.8 if transfer == GAMMA_28 else 563 / 256)
    else:  # films' SDR curves are read as screens show them: like sRGB
        light = srgb_light(code)
    return light.astype(np.float32)


@functools.lru_cache(maxsize=4)
def _encoded(coding: Coding) -> NDArray[np.uint8]:
    """8-bit sRGB of light from 0 to the top, by steps; HDR's highlights are rolled off."""
    light = np.linspace(0, _TOP if coding.hdr else 1.0, _STEPS + 1)
    if coding.hdr:
        above = np.maximum(light - SHOULDER, 0) / (1 - SHOULDER)
        light = np.where(
            light > SHOULDER, SHOULDER + (1 - SHOULDER) * above / np.hypot(1, above), light
        )
    code = np.where(
        light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    )
    return np.asarray((code * 255).round().clip(0, 255).astype(np.uint8))
