"""Numbers, angles and lengths as people, spreadsheets and tools write them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

FOOT_M = 0.3048
US_SURVEY_FOOT_M = 1200 / 3937
# Metres in a unit, by the names that headers and cells use, in lower case.
UNITS_M = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres", "mtr"), 1.0),
    **dict.fromkeys(("ft", "feet", "foot"), FOOT_M),
    **dict.fromkeys(("usft", "us-ft", "ftus", "us ft"), US_SURVEY_FOOT_M),
    "cm": 0.01,
    "mm": 0.001,
    "km": 1000.0,
}
# Words for "not known"; infinity is what a division by zero leaves.
UNKNOWN = {
    *("", "nan", "n/a", "na", "#n/a", "null", "none", "nil", "undef", "undefined", "unknown"),
    *(
        "-",
        "--",
        "?",
        "inf",
        "+inf",
        "-inf",
        "infinity",
        "-infinity",
        "#value!",
        "#div/0!",
        "nodata",
    ),
}
# Typographic signs that mean the plain one.
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013", "-"),
        **dict.fromkeys("\u00a0\u2009\u202f\u2007", " "),
        **dict.fromkeys("\u2032\u2019\u2018\u00b4", "'"),
        **dict.fromkeys("\u2033\u201d\u201c", '"'),
        **dict.fromkeys("\u00ba\u02da", "\u00b0"),
        "\ufeff": None,
        "\u200e": None,
        "\u200f": None,
    }
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_PART = r"[0-9]+(?:[.,][0-9]*)?"
_ANGLE = re.compile(
    r"(?P<before>[NSEW]|north|south|east|west)?\s*(?P<sign>[+-]?)\s*"
    rf"(?P<degrees>{_PART})\s*(?:\u00b0|:|\s|$|(?=[NSEWnsew]))\s*"
    rf"(?:(?P<minutes>{_PART})\s*(?:'|:|\s|$|(?=[NSEWnsew]))\s*)?"
    rf"(?:(?P<seconds>{_PART})\s*(?:\"+|''|\s|$|(?=[NSEWnsew]))\s*)?"
    r"(?P<after>[NSEW]|north|south|east|west)?",
    re.IGNORECASE,
)
# XMP writes "47,30.5N" and "47,30,15N" (XMP specification, part 2: GPSCoordinate).
_XMP_ANGLE = re.compile(
    r"(?P<degrees>[0-9]{1,3}),(?P<minutes>[0-9]{1,2}(?:\.[0-9]+|(?=,)))"
    r"(?:,(?P<seconds>[0-9]{1,2}(?:\.[0-9]+)?))?\s*(?P<after>[NSEW])",
    re.IGNORECASE,
)
_LENGTH = re.compile(
    r"(?P<number>[-+0-9][-+0-9.,eE' ]*?)\s*(?P<unit>us-ft|us ft|[a-z]+|')?\.?(?P<rest>\s+[a-z(].*)?",
    re.I,
)
_LEVELS = {
    *("", "asl", "amsl", "msl", "above sea level", "below sea level", "above mean sea level"),
    *("(msl)", "(amsl)", "ellipsoidal"),
}


def is_unknown(text: str) -> bool:
    """Whether a cell says that its value is not known: empty, NaN, n/a and their like."""
    return text.strip().lower() in UNKNOWN


def decimal_sign(cells: Sequence[str], default: str = ".") -> str:
    """The decimal sign of a column of numbers; `default` where its cells leave both possible."""
    with_comma = [cell for cell in cells if "," in cell]
    if any("." in cell and cell.rfind(".") > cell.rfind(",") for cell in cells):
        return "."
    grouped = all(re.search(r"(?<!\d)[1-9]\d{0,2}(,\d{3})+(?!\d)", cell) for cell in with_comma)
    return default if not with_comma or (grouped and default == ".") else ","


def parse_number(text: str, decimal: str = ".") -> float | None:
    """A finite number, with a decimal point or comma and with groups of thousands; None if it is none.

    Where "1,234" could be both, `decimal` says which sign the decimal sign is.
    """
    text = re.sub(r"(?<=[0-9])[ '](?=[0-9]{3}(?![0-9]))", "", text.translate(_SIGNS).strip())
    group = "," if decimal == "." else "."
    if re.fullmatch(rf"[+-]?[1-9][0-9]{{0,2}}(\{group}[0-9]{{3}})+(\{decimal}[0-9]+)?", text):
        text = text.replace(group, "")
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def parse_angle(text: str, letters: str) -> float | None:
    """Degrees of a latitude (`letters` NS) or longitude (EW); None when it is none.

    Decimal degrees, or degrees, minutes and seconds with any of the usual signs, and the letter or
    word of the hemisphere before or after: `47.5`, `47,5 N`, `47 deg 30' 15.20" N`, `S 47:30:15`.
    """
    text = re.sub(
        r"\bdeg(rees?)?\b\.?", "\u00b0", text.translate(_SIGNS).strip(), flags=re.IGNORECASE
    )
    found = _XMP_ANGLE.fullmatch(text) or _ANGLE.fullmatch(text)
    if not found:
        value = parse_number(text)
        return value if value is not None and abs(value) <= _limit(letters) else None
    parts = found.groupdict()
    marks = [m[0].upper() for m in (parts.get("before"), parts["after"]) if m]
    if len(marks) > 1 or any(mark not in letters for mark in marks):
        return None
    degrees, *smaller = [
        float(part.replace(",", ".")) if part else 0.0
        for part in (parts["degrees"], parts["minutes"], parts["seconds"])
    ]
    if any(part >= 60 for part in smaller):
        return None
    value = degrees + smaller[0] / 60 + smaller[1] / 3600
    if parts.get("sign") == "-" or letters[1] in marks:
        value = -value
    return value if abs(value) <= _limit(letters) else None


def _limit(letters: str) -> float:
    return 90.0 if letters == "NS" else 180.0


def parse_length(text: str, unit_m: float = 1.0, decimal: str = ".") -> float | None:
    """Metres of a length or height such as `398.5`, `1307 ft` or `12 m Below Sea Level`; None if it is none.

    `unit_m` is the length of the unit where the text names none.
    """
    found = _LENGTH.fullmatch(text.translate(_SIGNS).strip())
    if not found:
        return None
    value = parse_number(found["number"], decimal)
    unit = "ft" if found["unit"] == "'" else (found["unit"] or "").lower()
    rest = " ".join((found["rest"] or "").lower().split())
    if value is None or (unit and unit not in UNITS_M) or rest not in _LEVELS:
        return None
    metres = value * (UNITS_M[unit] if unit else unit_m)
    return -abs(metres) if rest.startswith("below") else metres


def length_text(metres: float) -> str:
    """A length as people write it: `4.0 mm`, `2.3 cm`, `1.7 m`."""
    if metres < 0.01:
        return f"{1000 * metres:.1f} mm"
    return f"{100 * metres:.1f} cm" if metres < 1 else f"{metres:.1f} m"


def split_unit(header: str) -> tuple[str, float | None]:
    """A column's name in lower-case letters without its unit, and the unit's length in metres.

    `Altitude (ft)`, `alt_feet` and `AltitudeFt` give ("altitude" or "alt", 0.3048).
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header).lower()
    words = re.findall(r"us-ft|[a-z]+", spaced)
    units = [UNITS_M[word] for word in words if word in UNITS_M]
    drop = {"deg", "degree", "degrees", "decimal", "dd", "wgs"}
    name = "".join(word for word in words if word not in UNITS_M and word not in drop)
    return name, units[-1] if units else None
