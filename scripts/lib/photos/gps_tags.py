"""Which position of a photo counts: the one in EXIF or the one in XMP, for drones that write both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from scripts.lib.contracts.photos import Photo
from scripts.lib.photos.exif import Metadata
from scripts.lib.photos.xmp import FlightData

# EXIF coarser than this (0.1 m) gives way to an XMP of the same position with more digits. Otherwise
# EXIF counts: programs that correct positions afterwards often write EXIF only and leave the old XMP.
COARSE_DEG = 1e-6
UNKNOWN = (0.0, 0.0)  # the steps of a photo without a position


@dataclass(frozen=True)
class GpsPosition:
    """Where a photo was taken, under the names that photos.json has for it."""

    latitude: float
    longitude: float
    altitude: float | None
    position_source: str
    accuracy_horizontal_m: float | None
    accuracy_vertical_m: float | None

    def stored_in(self, photo: Photo) -> Photo:
        """The photo with this position."""
        return replace(photo, **asdict(self))


@dataclass(frozen=True)
class GpsTags:
    """The positions of one photo in EXIF and in XMP; steps are the degrees of the last digits."""

    exif: GpsPosition | None = None
    xmp: GpsPosition | None = None
    exif_step: tuple[float, float] = UNKNOWN
    xmp_step: tuple[float, float] = UNKNOWN

    @property
    def position(self) -> GpsPosition | None:
        """The position that counts as long as nothing is known about the other photos."""
        return self.exif or self.xmp


def gps_tags(exif: Metadata, flight: FlightData) -> GpsTags:
    """The positions in EXIF and XMP; height and accuracy come from the other where one has none."""
    in_exif = in_xmp = None
    horizontal = flight.accuracy_horizontal_m or exif.accuracy_horizontal_m
    vertical = flight.accuracy_vertical_m
    if exif.latitude is not None and exif.longitude is not None:
        height = exif.altitude if exif.altitude is not None else flight.altitude
        in_exif = GpsPosition(exif.latitude, exif.longitude, height, "EXIF", horizontal, vertical)
    if flight.latitude is not None and flight.longitude is not None:
        height = flight.altitude if flight.altitude is not None else exif.altitude
        in_xmp = GpsPosition(flight.latitude, flight.longitude, height, "XMP", horizontal, vertical)
    return GpsTags(in_exif, in_xmp, exif.position_step or UNKNOWN, flight.position_step or UNKNOWN)


def choose_positions(tags: Mapping[str, GpsTags]) -> dict[str, GpsPosition]:
    """The positions of the photos whose XMP counts after a look at all of them, by name.

    It counts where EXIF has one position for many that XMP tells apart (some drones write whole minutes),
    and where EXIF is the same position with fewer digits; its height alone, where EXIF has one for many.
    """
    both = {n: (t.exif, t.xmp) for n, t in tags.items() if t.exif is not None and t.xmp is not None}
    pairs = list(both.values())
    if not pairs:
        return {}
    if _cut_off([_ground(exif) for exif, _ in pairs], [_ground(xmp) for _, xmp in pairs]):
        return {name: xmp for name, (_, xmp) in both.items()}
    # The finest digit of all photos is what the device writes: 30 seconds may stand for 30.00.
    fine = [
        _finest([tags[name].exif_step for name in both]),
        _finest([tags[name].xmp_step for name in both]),
    ]
    coarse = max(fine[0]) > COARSE_DEG and all(x < e for e, x in zip(*fine, strict=True))
    settled = {
        name: xmp
        for name, (exif, xmp) in both.items()
        if coarse
        and abs(exif.latitude - xmp.latitude) <= fine[0][0]
        and abs(exif.longitude - xmp.longitude) <= fine[0][1]
    }
    if _cut_off([exif.altitude for exif, _ in pairs], [xmp.altitude for _, xmp in pairs]):
        for name, (exif, xmp) in both.items():
            settled[name] = replace(settled.get(name, exif), altitude=xmp.altitude)
    return settled


def _ground(position: GpsPosition) -> tuple[float, float]:
    return position.latitude, position.longitude


def _finest(steps: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(step[0] for step in steps), min(step[1] for step in steps)


def _cut_off(short: Sequence[Any], exact: Sequence[Any]) -> bool:
    """Whether the first tell at most half as many things apart as the second."""
    return 2 * len(set(short)) <= len(set(exact))
