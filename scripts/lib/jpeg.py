"""JPEG segments: what a file tells besides its pixels can be cut away without touching them."""

from __future__ import annotations

import io

SCAN = 0xDA  # start of the picture's own data
COMMENT = 0xFE
# Kept of the application segments: 0 (JFIF), 2 (colour profile) and 14 (Adobe's colour transform).
TECHNICAL = {0xE0, 0xE2, 0xEE}


def strip_metadata(jpeg: bytes) -> bytes:
    """A JPEG without EXIF, XMP, comments and maker segments, and without what follows its end.

    The pixels' bytes stay as they are. Raises ValueError when `jpeg` is no JPEG.
    """
    if jpeg[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG")
    kept = io.BytesIO()
    kept.write(b"\xff\xd8")
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == SCAN:
            break
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big") + 2
        personal = (0xE0 <= marker <= 0xEF and marker not in TECHNICAL) or marker == COMMENT
        # A multi-picture index (MPF) points at pictures behind this one, each with EXIF of its own.
        if not personal and jpeg[at + 4 : at + 8] != b"MPF\0":
            kept.write(jpeg[at : at + length])
        at += length
    kept.write(_first_picture(jpeg[at:]))
    return kept.getvalue()


def _first_picture(scan: bytes) -> bytes:
    """Up to the end-of-image marker: phones append depth maps, videos and previews after it."""
    at = 0
    while (at := scan.find(b"\xff", at)) >= 0 and at + 1 < len(scan):
        marker = scan[at + 1]
        if marker == 0xD9:
            return scan[: at + 2]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        if at + 4 > len(scan):
            break
        # Tables and further scans of a progressive picture have a length; their bytes are skipped.
        at += 2 + int.from_bytes(scan[at + 2 : at + 4], "big")
    return scan
