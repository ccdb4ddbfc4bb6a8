"""Focal lengths in pixels, and the one that a person gives for a whole scene. Needs no Pillow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scripts.lib.core.console import UserError

SOURCE = "given"  # as photos.json has it
# 0.2 image widths is a 136 degree lens, 20 widths a 700 mm one: outside is a typing error.
FOCAL_IN_WIDTHS = (0.2, 20.0)


def equivalent_in_pixels(focal_35mm: float, width: int, height: int) -> float:
    """A 35 mm equivalent in pixels: diagonals are compared (CIPA DCG-001), which matters for 4:3 sensors."""
    return focal_35mm * math.hypot(width, height) / math.hypot(36.0, 24.0)


@dataclass(frozen=True)
class GivenFocal:
    """A number in `mm`, the 35 mm equivalent, or in `px`, pixels of the photo before it is reduced."""

    number: float
    unit: str

    def pixels(self, width: int, height: int, reduced: float = 1.0) -> float:
        """In pixels of a picture of this size, which is `reduced` times as large as the photo was."""
        if self.unit == "px":
            return self.number * reduced
        return equivalent_in_pixels(self.number, width, height)

    def facts(self, width: int, height: int, reduced: float) -> dict[str, Any]:
        """What photos.json tells of the focal length, nothing of EXIF's left.

        Raises UserError where no lens has such a one, seen against the picture's longer side.
        """
        found, longer = self.pixels(width, height, reduced), max(width, height)
        low, high = FOCAL_IN_WIDTHS
        if not low <= found / longer <= high:
            raise UserError(
                f"import_photos.focal_length is {self.number:g}{self.unit}, {found / longer:.2g} times the"
                f" {longer / reduced:.0f} pixels of a photo's longer side, where lenses have {low:g} to"
                f" {high:g} times; check number and unit (mm: 35 mm equivalent, px: pixels)"
            )
        return {
            "focal_px": found,
            "focal_mm": None,
            "focal_35mm": self.number if self.unit == "mm" else None,
            "focal_source": SOURCE,
        }


def parse_focal(text: str) -> GivenFocal | None:
    """What the option says; None where it is empty. Raises UserError on a number that is none of a lens."""
    if not text:
        return None
    given = GivenFocal(float(text[:-2]), text[-2:])
    if given.number <= 0:
        raise UserError(f"import_photos.focal_length is {text!r}; it must be above 0")
    return given
