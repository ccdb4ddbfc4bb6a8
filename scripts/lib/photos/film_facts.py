"""What a film's container and first frame say of it before its frames are chosen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import av

from scripts.lib.photos import panorama
from scripts.lib.photos.decode import guarded
from scripts.lib.photos.frame_picture import film_bytes, film_stream
from scripts.lib.photos.options import RejectedError
from scripts.lib.photos.room import Room, require

# Written by Apple into both parts of a Live Photo.
LIVE_KEYS = ("com.apple.quicktime.content.identifier", "com.apple.quicktime.live-photo.auto")

SPHERE_MARK = re.compile(rb"<GSpherical:Spherical>\s*true", re.IGNORECASE)
HEAD_BYTES, TAIL_BYTES = 1 << 20, 8 << 20  # a container describes itself at its begin or end


@dataclass(frozen=True)
class FilmFacts:
    """What a container tells of its film.

    seconds: length, None where the container does not tell; size: width and height as stored;
    live: Apple's mark of a Live Photo; panorama: why it is no flat film, or None.
    """

    seconds: float | None
    size: tuple[int, int]
    live: bool
    panorama: str | None


def film_facts(path: Path, room: Room) -> FilmFacts | None:
    """Facts of the film at `path`; None when it cannot be read, which reading its frames explains.

    `room` is the memory that decoding one frame may take.
    """
    try:
        return guarded(lambda: _facts(path, room))
    except RejectedError:
        return None


def _has_sphere_mark(path: Path) -> bool:
    """Google's older mark, XML in a box of its own, which ffmpeg only believes when it is complete."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(path.stat().st_size - TAIL_BYTES, 0))
        return SPHERE_MARK.search(head) is not None or SPHERE_MARK.search(file.read()) is not None


def _facts(path: Path, room: Room) -> FilmFacts:
    with av.open(str(path), metadata_errors="ignore") as container:
        stream = film_stream(container)
        require(film_bytes(stream, threads=1), room.total)
        stream.codec_context.thread_count = 1  # for one frame
        frame = next(container.decode(stream), None)
        metadata = {key.lower(): value for key, value in container.metadata.items()}
        width, height = stream.width, stream.height
        reason = panorama.of_frame(frame) if frame is not None else None
        camera = " ".join(
            value for key, value in metadata.items() if "model" in key or "make" in key
        )
        if reason is None and _has_sphere_mark(path):
            reason = panorama.FILM
        if reason is None and width == 2 * height and panorama.CAMERAS.search(camera):
            reason = panorama.FILM
        return FilmFacts(
            seconds=container.duration / av.time_base if container.duration else None,
            size=(width, height),
            live=any(key in metadata for key in LIVE_KEYS),
            panorama=reason,
        )
