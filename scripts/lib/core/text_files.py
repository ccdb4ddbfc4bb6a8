"""Text as editors and spreadsheets save it: which encoding, which line ends."""

from __future__ import annotations

import codecs
import re

# The longer marks come first: that of UTF-32 begins like that of UTF-16.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


def encoding_of(data: bytes) -> str:
    """How a text is encoded: by its mark, or by the zeros that UTF-16 has for plain letters, else UTF-8."""
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    even, odd = data[::2].count(0), data[1::2].count(0)
    if max(even, odd) > len(data) // 4:
        return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8"


def decode_text(data: bytes) -> str | None:
    """The text of a file; None when it is no text.

    As `encoding_of` says, and where that is UTF-8 but the bytes are not, Windows-1252.
    """
    found = encoding_of(data)
    for encoding in [found, "cp1252", "latin-1"] if found.startswith("utf-8") else [found]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None


def text_lines(text: str) -> list[str]:
    """The lines that an editor shows: `str.splitlines` also breaks at form feeds and the like."""
    return re.split(r"\r\n|\r|\n", text)
