"""JPEG segments: what a file tells besides its pixels can be cut away without touching them."""

from __future__ import annotations

import io

SCAN = 0xDA  # start of the picture's own data
COMMENT = 0xFE
# Kept of the application segments: JFIF, the colour profile, and Adobe's colour transform. Others with the
# same markers hold previews (JFXX, FPXR) or point at pictures behind this one, each with EXIF (MPF).
TECHNICAL = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}


def strip_metadata(jpeg: bytes) -> bytes:
    """A JPEG without EXIF, XMP, comments and maker segments, and without what follows its end.

    The pixels' bytes stay as they are. Raises ValueError when `jpeg` is no JPEG.
    """
    if jpeg[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG")
    kept = io.BytesIO()
    kept.write(b"\xff\xd8")
    at = 2
    while at + 4 <= len(jpeg):
        marker = jpeg[at + 1]
        if jpeg[at] != 0xFF or marker == 0xFF:  # padding, or bytes that decoders skip
            at += 1
            continue
        if marker == SCAN:
            break
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big") + 2
        if not _personal(jpeg, at):
            kept.write(jpeg[at : at + length])
        at += length
    kept.write(_first_picture(jpeg[at:]))
    return kept.getvalue()


def _personal(jpeg: bytes, at: int) -> bool:
    """Whether the segment that starts at `at` holds something else than what the pixels need."""
    marker = jpeg[at + 1]
    if not 0xE0 <= marker <= 0xEF:
        return marker == COMMENT
    wanted = TECHNICAL.get(marker)
    return wanted is None or not jpeg.startswith(wanted, at + 4)


def _first_picture(scan: bytes) -> bytes:
    """Up to the end-of-image marker: phones append depth maps, videos and previews after it.

    Without comments and the like between the scans of a progressive picture.
    """
    at = begin = 0
    kept = io.BytesIO()
    while (at := scan.find(b"\xff", at)) >= 0 and at + 1 < len(scan):
        marker = scan[at + 1]
        if marker == 0xD9:
            return kept.getvalue() + scan[begin : at + 2]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        if at + 4 > len(scan):
            break
        # Tables and further scans of a progressive picture have a length; their bytes are skipped.
        end = at + 2 + int.from_bytes(scan[at + 2 : at + 4], "big")
        if _personal(scan, at):
            kept.write(scan[begin:at])
            begin = end
        at = end
    return kept.getvalue() + scan[begin:]
