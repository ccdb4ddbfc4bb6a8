"""Ground control points from OpenDroneMap's gcp_list.txt: surveyed places and where photos show them."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.console import UserError
from scripts.lib.photos.positions import transformer_from

GCP_FILE = "gcp_list.txt"


@dataclass(frozen=True)
class GroundPoint:
    """One sighting: WGS84 degrees and metres, and the pixel in the photo as it is stored."""

    label: str
    latitude: float
    longitude: float
    altitude: float
    image: str
    x: float
    y: float


def read_gcp_list(name: str, data: bytes) -> list[GroundPoint]:
    """Sightings of a gcp_list.txt: the coordinate system, then lines `x y z pixel_x pixel_y image [label]`.

    Points without a label are told apart by their place. Raises UserError with the line that is wrong.
    """
    lines = [
        (number, line.strip())
        for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
    ]
    if not lines:
        raise UserError(f"{name} is empty; its first line names the coordinate system")
    to_wgs84 = transformer_from(name, lines[0][1])
    labels: dict[tuple[float, float, float], str] = {}
    found = []
    for number, line in lines[1:]:
        parts = line.split()
        try:
            x, y, z, pixel_x, pixel_y = (float(part) for part in parts[:5])
            image = parts[5]
        except (ValueError, IndexError):
            raise UserError(
                f"{name} line {number} is not a sighting: x y z pixel_x pixel_y image [label]"
            ) from None
        longitude, latitude, _ = to_wgs84(x, y, z)
        if not (abs(latitude) <= 90 and abs(longitude) <= 180):
            raise UserError(
                f"{name} line {number}: {x:g} {y:g} is no place on Earth in {lines[0][1]}"
            )
        label = labels.setdefault(
            (x, y, z), parts[6] if len(parts) > 6 else f"gcp{len(labels) + 1}"
        )
        found.append(GroundPoint(label, latitude, longitude, z, image, pixel_x, pixel_y))
    return found


def upright_pixel(x: float, y: float, size: tuple[int, int], turn: int) -> tuple[float, float]:
    """Where pixel (x, y) of a stored photo of `size` lies once its EXIF orientation is undone."""
    width, height = size
    return {
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }.get(turn, (x, y))
