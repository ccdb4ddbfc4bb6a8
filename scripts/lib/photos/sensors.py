"""Sensor widths of cameras whose EXIF gives a focal length in millimetres only.

Longer side of the imaging area in millimetres, from the makers' published specifications. Patterns
are tried in order against "maker model" in lower case, so that special cases stand before families.
"""

from __future__ import annotations

import re

FULL_FRAME, APS_C, APS_C_CANON, FOUR_THIRDS = 35.9, 23.5, 22.3, 17.3
ONE_INCH, TYPE_1_17, TYPE_1_23, TYPE_1_2, TYPE_1_13 = 13.2, 7.6, 6.17, 6.4, 9.7

_TABLE: tuple[tuple[str, float], ...] = (
    # Drones: DJI names its cameras, not the aircraft.
    (r"\bfc(300[csx]|300se|330|350|220|221|230|2103|7203|7303|7503|2204)\b", TYPE_1_23),
    (r"\bfc(6310[rs]?|6360|3411)\b", ONE_INCH),
    (r"\bl1d-20c\b", ONE_INCH),
    (r"\b(l2d-20c|l3d-100c)\b", FOUR_THIRDS),
    (r"\bm3e\b", FOUR_THIRDS),
    (r"\bfc(550|550raw|6520)\b", FOUR_THIRDS),
    (r"\bfc6510\b", ONE_INCH),
    (r"\bfc(3170|3682)\b", TYPE_1_2),
    (r"\bfc(3582|8482|8282|8284)\b", TYPE_1_13),
    (r"\bzenmusep1\b|\bzenmuse p1\b", FULL_FRAME),
    (r"\banafi\b", 5.9),
    (r"\bbebop\b", 6.17),
    (r"\bs\.?o\.?d\.?a\b", ONE_INCH),
    (r"\bxt706\b", ONE_INCH),
    (r"\bevo ?ii\b|\bxt70[1-9]\b", TYPE_1_2),
    # Action cameras.
    (r"\bhero ?(9|10|11|12|13)\b", 6.7),
    (r"\bhero\b|\bgopro\b", TYPE_1_23),
    # Canon.
    (r"canon eos[- ]?(1d ?x|1ds|5d|6d|r ?[1358]|r5 ?c|r6|rp|r$|ra$)", 36.0),
    (r"canon eos[- ]?1d\b", 27.9),
    (r"canon eos", APS_C_CANON),
    (r"canon powershot g(1 ?x mark iii)", APS_C_CANON),
    (r"canon powershot g1 ?x", 18.7),
    (r"canon powershot g(5|7|9) ?x", ONE_INCH),
    (r"canon powershot (g1[0-6]|g9|s9\d|s1[0-2]\d)\b", 7.44),
    (r"canon powershot|canon ixus|canon digital ixus", TYPE_1_23),
    # Nikon.
    (
        r"nikon (d[3-6]s?|d3x|d6\d\d|d7[05]0|d7[58]0|d8[0-9]{2}[ae]?|df|z ?[5-9](ii|_2)?)$",
        FULL_FRAME,
    ),
    (r"nikon (d\d+s?|z ?(30|50|50ii|fc|50_2))", APS_C),
    (r"nikon 1\b", ONE_INCH),
    (r"nikon coolpix a$", APS_C),
    (r"coolpix (b|p[1-9]\d{2}|p1000|s|l|w|aw)", TYPE_1_23),
    # Sony.
    (r"ilce-?(7|9|1)|ilme-?fx3|dsc-?rx1(?!0)|slt-?a99|dslr-?a(850|900)", 35.8),
    (r"ilce|nex-?|slt-?a|dslr-?a|zv-?e10", APS_C),
    (r"dsc-?rx(10|100)|zv-?1", ONE_INCH),
    (r"dsc-?(hx|w|wx|h|tx)", TYPE_1_23),
    # Fujifilm, Pentax, Leica, Sigma.
    (r"fujifilm gfx", 43.8),
    (r"fujifilm x(-?(a|e|h|m|pro|s|t)|100|70)", APS_C),
    (r"pentax k-?1\b", 35.9),
    (r"pentax 645[dz]", 43.8),
    (r"pentax (k|ist)", APS_C),
    (r"leica (m|sl|q)", 36.0),
    (r"ricoh gr", APS_C),
    # Micro Four Thirds.
    (
        r"olympus (e-|pen)|om digital|om-[135d]|panasonic dmc-g|panasonic dc-g|dmc-gh|dc-gh",
        FOUR_THIRDS,
    ),
    (r"dmc-fz1000|dmc-(lx10|lx15|tz100|zs100)|dc-(tz200|fz1000)", ONE_INCH),
    (r"olympus (tg|sp|stylus|u|mju)|dmc-(tz|fz|fs|ft|zs)", TYPE_1_23),
    # Phones that do not write a 35 mm equivalent.
    (r"iphone 4s?$", 4.54),
    (r"iphone 5s?$|iphone 5c$", 4.54),
)
_COMPILED = tuple((re.compile(pattern), width) for pattern, width in _TABLE)


def sensor_width_mm(camera: str | None) -> float | None:
    """Longer side of the sensor of `camera` ("maker model") in millimetres; None when not listed."""
    if not camera:
        return None
    text = " ".join(camera.lower().replace("corporation", " ").split())
    words = text.split()
    if len(words) > 1 and words[0] == words[1]:  # "nikon nikon d3200"
        text = " ".join(words[1:])
    return next((width for pattern, width in _COMPILED if pattern.search(text)), None)
