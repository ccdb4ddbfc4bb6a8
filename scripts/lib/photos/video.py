"""Frames of a video that are worth reconstructing from: sharp, and far enough from one another.

The frames are decoded once, in order. Neither the container's frame count nor its duration is
believed: phones and screen recorders write both wrong.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scripts.lib.console import Progress
from scripts.lib.photos.judge import sharpness
from scripts.lib.photos.motion import motion_between
from scripts.lib.photos.options import ImportOptions, RejectedError

PREVIEW = 288  # pixels of the longer side of the copy that sharpness and motion are measured on
JPEG_QUALITY = 95


@dataclass(frozen=True)
class Frame:
    """A chosen frame: its number and second in the video, its JPEG, and the shift since the last one."""

    number: int
    second: float
    jpeg: Path
    shift: float
    parallax: float


@dataclass(frozen=True)
class Selection:
    """Chosen frames of one video, how many were decoded, and what was noticed on the way."""

    frames: list[Frame]
    decoded: int
    started: datetime | None
    camera: str | None
    note: str


@dataclass
class _Candidate:
    number: int
    second: float
    picture: av.VideoFrame
    preview: NDArray[np.float32]
    sharpness: float


def choose_frames(path: Path, folder: Path, options: ImportOptions) -> Selection:
    """Write the chosen frames of the video at `path` as JPEGs into `folder`.

    The sharpest frame of every 1 / `video_per_second` seconds is a candidate; one is taken when the
    picture moved `video_motion` of its width since the last taken. When more than `video_frames`
    are taken, they are thinned evenly. Raises RejectedError when nothing can be decoded.
    """
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise RejectedError(f"not a readable video ({_plain(error)})") from None
    with container:
        if not container.streams.video:
            raise RejectedError("has no video track")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        state = _Reader(stream, options.video_per_second)
        frames: list[Frame] = []
        last: NDArray[np.float32] | None = None
        for candidate in state.candidates(container):
            shift = parallax = 1.0
            if last is not None and last.shape == candidate.preview.shape:
                moved = motion_between(last, candidate.preview)
                shift, parallax = moved.shift, moved.parallax
            if shift < options.video_motion:
                continue
            target = folder / f"{candidate.number:06d}.jpg"
            target.write_bytes(_jpeg(candidate.picture, options.max_side))
            frames.append(Frame(candidate.number, candidate.second, target, shift, parallax))
            last = candidate.preview
        metadata = {key.lower(): value for key, value in container.metadata.items()}
    if not state.decoded:
        raise RejectedError(f"no frame could be decoded{state.note and f' ({state.note})'}")
    return Selection(
        frames=_thin(frames, options.video_frames),
        decoded=state.decoded,
        started=_start(metadata.get("creation_time")),
        camera=metadata.get("com.apple.quicktime.model") or metadata.get("com.android.model"),
        note=state.note,
    )


class _Reader:
    """Decodes one stream; counts frames, and keeps the reason when it ends early."""

    def __init__(self, stream: av.VideoStream, per_second: float) -> None:
        self.stream, self.window = stream, 1.0 / per_second
        self.decoded, self.note = 0, ""
        rate = stream.average_rate or stream.guessed_rate
        # A nonsense rate only matters for files whose frames carry no time at all.
        self.rate = float(rate) if rate and 0.5 <= float(rate) <= 1000 else 30.0

    def candidates(self, container: av.container.InputContainer) -> Iterator[_Candidate]:
        """The sharpest frame of each window, in order."""
        expected = int(self.stream.frames or 0)
        progress = Progress("Reading video", max(expected, 1))
        best: _Candidate | None = None
        window = 0
        first = None
        for frame in self._frames(container):
            second = frame.time if frame.time is not None else self.decoded / self.rate
            first = second if first is None else first
            second = max(second - first, 0.0)
            candidate = _measure(self.decoded, second, frame)
            self.decoded += 1
            if self.decoded <= expected:
                progress.update(self.decoded)
            if int(second / self.window) != window:
                window = int(second / self.window)
                if best is not None:
                    yield best
                best = None
            if best is None or candidate.sharpness > best.sharpness:
                best = candidate
        if best is not None:
            yield best

    def _frames(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        frames = container.decode(self.stream)
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                return
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError, ValueError) as error:
                self.note = f"ends early at frame {self.decoded}: {_plain(error)}"
                return
            if frame.width and frame.height and not frame.is_corrupt:
                yield frame


def _measure(number: int, second: float, frame: av.VideoFrame) -> _Candidate:
    factor = min(1.0, PREVIEW / max(frame.width, frame.height))
    width, height = max(int(frame.width * factor), 16), max(int(frame.height * factor), 16)
    grey = frame.reformat(width=width, height=height, format="gray")
    preview = grey.to_ndarray().astype(np.float32)
    # Half the size again would hide motion blur; the full size would cost most of the time.
    return _Candidate(number, second, frame, preview, sharpness(preview))


def _jpeg(frame: av.VideoFrame, max_side: int) -> bytes:
    image = frame.to_image()
    if max_side:
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    turn = int(getattr(frame, "rotation", 0) or 0) % 360
    if turn:
        image = image.rotate(turn, expand=True)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _thin(frames: list[Frame], most: int) -> list[Frame]:
    """At most `most` frames, evenly along the way the picture moved; the others' files are removed."""
    if len(frames) <= most:
        return frames
    way = np.cumsum([min(frame.shift, 0.2) for frame in frames])
    marks = np.linspace(way[0], way[-1], most)
    chosen = sorted({int(np.argmin(np.abs(way - mark))) for mark in marks})
    for i, frame in enumerate(frames):
        if i not in chosen:
            frame.jpeg.unlink(missing_ok=True)
    return [frames[i] for i in chosen]


def _start(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat((text or "").replace("Z", "+00:00")).replace(tzinfo=None)
    except ValueError:
        return None


def frame_time(started: datetime | None, second: float) -> str | None:
    """ISO 8601 time of a frame; None when the video does not say when it began."""
    return None if started is None else (started + timedelta(seconds=second)).isoformat()


def _plain(error: BaseException) -> str:
    """ffmpeg's words without its numbers and file name."""
    text = getattr(error, "strerror", None) or str(error)
    return text.split("] ")[-1].split(":")[0]
