"""Frames of a video that are worth reconstructing from: sharp, and far enough from one another.

The frames are decoded once, in order. Neither the container's frame count nor its duration is
believed: phones and screen recorders write both wrong.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from scripts.lib.core.console import Progress
from scripts.lib.photos.bars import Box, Grey, picture_box
from scripts.lib.photos.frame_picture import (
    Deinterlacer,
    Tags,
    film_bytes,
    film_stream,
    frame_grey,
    frame_picture,
    quarter_turns,
    square_size,
)
from scripts.lib.photos.judge import sharpness
from scripts.lib.photos.options import ImportOptions, RejectedError
from scripts.lib.photos.room import Room, require
from scripts.lib.photos.selection import (
    LEAST_MOTION,
    SHARPER,
    choose,
    is_new,
    sharpest,
    thin,
)
from scripts.lib.photos.video_span import Span

PREVIEW = 288  # pixels of the longer side of the copy that sharpness and motion are measured on
JPEG_QUALITY = 95
JPEG_BLOCK = 8  # pixels: cut along its blocks, a JPEG that is saved again keeps its numbers
LONGEST_STEP = 0.2  # of the width: a cut to another scene is no longer way than this
# What a decoder, or the step after it, raises for damaged data.
DAMAGE = (av.error.FFmpegError, ValueError, OSError, MemoryError)


@dataclass(frozen=True)
class Frame:
    """A chosen frame: its number and second in the video, its JPEG, and what was done to its pixels."""

    number: int
    second: float
    jpeg: Path
    changes: list[str]
    way: float  # by which the picture moved since the first one, in its widths
    reduced: float = 1.0  # its size, as a share of the film's
    sharpness: float = 0.0  # of its small copy
    cut: bool = False  # smaller than it was filmed, because black bars are gone


@dataclass(frozen=True)
class Selection:
    """Chosen frames of one video, of how many that were looked at, and what was noticed on the way."""

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
    grey: Grey
    sharpness: float


@dataclass
class _Taken:
    """What was written of a film so far. `greys` are the small copies of `frames`."""

    frames: list[Frame] = field(default_factory=list)
    greys: list[Grey] = field(default_factory=list)
    brightest: Grey | None = None  # that each pixel of the copies ever was
    turn: int = 0

    def see(self, grey: Grey) -> Box:
        """The part between black bars, by all that was seen until now."""
        if self.brightest is None or self.brightest.shape != grey.shape:
            self.brightest = grey.copy()
        np.maximum(self.brightest, grey, out=self.brightest)
        return picture_box(self.brightest)

    def keep(self, index: list[int]) -> None:
        """Only these; the others' files are removed."""
        for i in set(range(len(self.frames))) - set(index):
            self.frames[i].jpeg.unlink(missing_ok=True)
        self.frames = [self.frames[i] for i in index]
        self.greys = [self.greys[i] for i in index]


def choose_frames(
    path: Path, folder: Path, options: ImportOptions, threads: int = 0, room: Room | None = None
) -> Selection:
    """Write the chosen frames of the video at `path` as JPEGs into `folder`.

    The sharpest frame of every 1 / `video_per_second` seconds is a candidate; one is taken when the picture
    moved `video_motion` of its width since those taken before, or less where that would give fewer than
    `video_min_frames`, all between `video_start` and `video_end`. When more than `video_max_frames` are
    taken, they are thinned evenly. The pictures are upright, whole (deinterlaced), of square pixels,
    without black bars, and in sRGB. `threads` (0: one for each core) decode within the memory of `room`.
    Raises RejectedError when nothing can be decoded.
    """
    span = Span.of(options)
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except DAMAGE as error:
        raise RejectedError(f"not a readable video ({_plain(error)})") from None
    with container:
        stream = film_stream(container)
        require(film_bytes(stream, threads), (room or Room()).total)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        reader = _Reader(stream, options.video_per_second, threads, span)
        taken = _Taken()
        for candidate in reader.candidates(container):
            _take(candidate, taken, reader, folder, options)
        metadata = {key.lower(): value for key, value in container.metadata.items()}
    if not taken.frames and not reader.note and reader.last is not None:
        raise RejectedError(f"no frame lies {span}; the last one read is at {reader.last:.1f} s")
    if not taken.frames:
        note = f" ({reader.note})" if reader.note else ""
        raise RejectedError(f"no frame could be decoded{note}")
    _select(taken, options)
    return Selection(
        frames=taken.frames,
        decoded=reader.used,
        started=_start(metadata.get("creation_time")),
        camera=metadata.get("com.apple.quicktime.model") or metadata.get("com.android.model"),
        note=reader.note,
    )


def _take(
    candidate: _Candidate, taken: _Taken, reader: _Reader, folder: Path, options: ImportOptions
) -> None:
    """Write the candidate if it shows something new, or the same as the last one clearly sharper."""
    box = taken.see(candidate.grey)
    least = min(LEAST_MOTION, options.video_motion)
    new, shift = is_new(candidate.grey, taken.greys, box, least)
    # A camera that rests shows the same again, often sharper than when it came to rest.
    again = not new and shift < least
    if again and candidate.sharpness < SHARPER * taken.frames[-1].sharpness:
        return
    if not new and not again:
        return
    try:
        image, changes = frame_picture(
            candidate.picture, reader.aspect, options.max_side, reader.threads
        )
    except DAMAGE as error:
        reader.note = f"frame {candidate.number} is damaged: {_plain(error)}"
        return
    if reader.deinterlacer.used:
        changes.insert(0, "deinterlaced")
    target = folder / f"{candidate.number:06d}.jpg"
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    target.write_bytes(buffer.getvalue())
    way = taken.frames[-1].way + min(shift, LONGEST_STEP) * new if taken.frames else 0.0
    size = square_size(candidate.picture.width, candidate.picture.height, reader.aspect)
    reduced = max(image.size) / max(size)
    frame = Frame(
        candidate.number, candidate.second, target, changes, way, reduced, candidate.sharpness
    )
    if again:  # the copy of the first one stays, so that a slow camera cannot creep along with it
        taken.frames[-1].jpeg.unlink()
        taken.frames[-1] = frame
        return
    taken.frames.append(frame)
    taken.greys.append(candidate.grey)
    taken.turn = quarter_turns(candidate.picture)
    # A long film would fill the disk: twice as many as are wanted stay until its end is known.
    if len(taken.frames) > 4 * options.video_max_frames:
        taken.keep(thin([frame.way for frame in taken.frames], 2 * options.video_max_frames))


def _select(taken: _Taken, options: ImportOptions) -> None:
    """Of what was written only the frames that are chosen, without black bars."""
    assert taken.brightest is not None
    box = picture_box(taken.brightest)
    least = min(options.video_min_frames, options.video_max_frames)
    chosen = choose(taken.greys, box, options.video_motion, least)
    sharp = [frame.sharpness for frame in taken.frames]
    taken.keep(sharpest(chosen, taken.greys, sharp, box))
    taken.keep(thin([frame.way for frame in taken.frames], options.video_max_frames))
    height, width = taken.brightest.shape
    if box == (0, 0, width, height):
        return
    bars = (box[0] / width, box[1] / height)
    if taken.turn % 2:
        bars = (bars[1], bars[0])
    taken.frames = [_without_bars(frame, bars) for frame in taken.frames]


def _without_bars(frame: Frame, bars: tuple[float, float]) -> Frame:
    """The frame without these shares of its width at both sides, and of its height above and below."""
    with Image.open(frame.jpeg) as image:
        pixels = (bars[0] * image.width, bars[1] * image.height)
        left, top = (math.ceil(bar / JPEG_BLOCK) * JPEG_BLOCK for bar in pixels)
        # As much at both ends: the lens looks through the middle.
        cut = image.crop((left, top, image.width - left, image.height - top))
        cut.save(frame.jpeg, "JPEG", qtables=image.quantization, subsampling=0)  # type: ignore[attr-defined]
    return replace(frame, changes=[*frame.changes, "black bars cut"], cut=True)


class _Reader:
    """Decodes one stream; counts frames, and keeps the reason when it ends early."""

    def __init__(self, stream: av.VideoStream, per_second: float, threads: int, span: Span) -> None:
        self.stream, self.window, self.threads = stream, 1.0 / per_second, threads
        self.deinterlacer, self.tags = Deinterlacer(), Tags.of(stream.codec_context)
        self.aspect: Fraction | None = stream.sample_aspect_ratio
        self.span = span
        self.decoded, self.used, self.note = 0, 0, ""
        self.last: float | None = None  # second of the last frame that was decoded
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
            self.last = second = max(second - first, 0.0)
            if self.span.end is not None and second > self.span.end:
                break
            # Seeking would be faster, but from a damaged or odd index it leads anywhere.
            if second < self.span.start:
                self.decoded += 1
                continue
            candidate = self._measure(second, frame)
            self.decoded += 1
            self.used += 1
            if candidate is None:
                continue
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
        frames = self.deinterlacer.frames(self._decoded(container))
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                return
            except av.error.EOFError:
                return
            except DAMAGE as error:
                self.note = f"ends early at frame {self.decoded}: {_plain(error)}"
                return
            yield frame

    def _decoded(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        for frame in container.decode(self.stream):
            if frame.width and frame.height and not frame.is_corrupt:
                self.tags.fill(frame)
                yield frame

    def _measure(self, second: float, frame: av.VideoFrame) -> _Candidate | None:
        """The frame with its small copy; None when it is damaged."""
        try:
            grey = frame_grey(frame, self.aspect, PREVIEW, self.threads)
        except DAMAGE as error:
            self.note = f"frame {self.decoded} is damaged: {_plain(error)}"
            return None
        # Half the size again would hide motion blur; the full size would cost most of the time.
        sharp = sharpness(grey.astype(np.float32))
        return _Candidate(self.decoded, second, frame, grey, sharp)


def _start(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat((text or "").replace("Z", "+00:00")).replace(tzinfo=None)
    except ValueError:
        return None


def frame_time(started: datetime | None, second: float) -> str | None:
    """ISO 8601 time of a frame; None when the video does not say when it began, or says nonsense."""
    try:
        return None if started is None else (started + timedelta(seconds=second)).isoformat()
    except OverflowError:
        return None


def _plain(error: BaseException) -> str:
    """ffmpeg's words without its numbers and file name."""
    text = getattr(error, "strerror", None) or str(error)
    return text.split("] ")[-1].split(":")[0]
