"""A decoded frame of a film as a person sees it: every line of it, square pixels, upright, in sRGB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray
from PIL import Image

from scripts.lib.core.threads import threads as available_threads
from scripts.lib.photos.colour import BT2020, UNSPECIFIED, Coding, to_srgb
from scripts.lib.photos.options import RejectedError

# The same numbers on every processor, and chroma at full width.
_EXACT = Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
# Matrices of Y'CbCr (H.273, table 4) that swscale knows, as it numbers them.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
# YCgCo, XYZ, and BT.2100's and Dolby's own axes: read as Y'CbCr they give green and purple pictures.
_UNREAD_MATRICES = {8, 11, 14, 15, 16, 17}
SD_LINES, SD_COLUMNS = 576, 1024  # up to these an untagged film is BT.601, above it BT.709
SQUARE = 0.005  # pixels that are this near to square are taken for square
# Frames that a decoder keeps because others refer to them: HEVC's largest level has six, and some wait.
HELD = 8
MOST_THREADS = 16  # that ffmpeg starts by itself
PICTURE = 24  # bytes of each pixel while a frame becomes a picture
WIDEST = 4  # an aspect beyond 1:4 is a damaged header


def square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Size with square pixels: the shorter direction is stretched, so that nothing stored is lost.

    `aspect` is the width of a stored pixel over its height (sample aspect ratio).
    """
    ratio = float(aspect or 1)
    if not 1 / WIDEST <= ratio <= WIDEST or abs(ratio - 1) <= SQUARE:
        return width, height
    return (round(width * ratio), height) if ratio > 1 else (width, round(height / ratio))


def frame_picture(
    frame: av.VideoFrame, aspect: Fraction | None, max_side: int, threads: int = 0
) -> tuple[Image.Image, list[str]]:
    """The frame as an upright sRGB picture, and what was done to its pixels.

    A side longer than `max_side` is reduced to it (0: never). Raises RejectedError for colours that cannot
    be read, and what PyAV raises for a damaged frame (av.error.FFmpegError, ValueError).
    """
    changes = []
    size = square_size(frame.width, frame.height, aspect)
    if size != (frame.width, frame.height):
        changes.append("pixels made square")
    factor = min(1.0, max_side / max(size)) if max_side else 1.0
    if factor < 1:
        size = max(round(size[0] * factor), 1), max(round(size[1] * factor), 1)
        changes.append("reduced")
    coding = frame_coding(frame)
    kernel = Interpolation.LANCZOS if factor < 1 else Interpolation.BICUBIC
    rgb = frame.reformat(
        width=size[0],
        height=size[1],
        format="rgb24" if coding.is_srgb else "rgb48le",
        src_colorspace=_matrix(frame),
        dst_color_range=ColorRange.JPEG,
        interpolation=kernel | _EXACT,
        threads=threads,
    ).to_ndarray()
    if not coding.is_srgb:
        rgb = to_srgb(rgb, coding)
        changes.append(coding.change)
    image = Image.fromarray(rgb)
    if turn := quarter_turns(frame):
        image = image.rotate(90 * turn, expand=True)
        changes.append("rotated")
    return image, changes


def frame_grey(
    frame: av.VideoFrame, aspect: Fraction | None, longest: int, threads: int = 0
) -> NDArray[np.uint8]:
    """The frame's brightness with square pixels, (H, W), its longer side `longest` or shorter; not turned."""
    size = square_size(frame.width, frame.height, aspect)
    factor = min(1.0, longest / max(size))
    grey = frame.reformat(
        width=max(int(size[0] * factor), 16),
        height=max(int(size[1] * factor), 16),
        format="gray",
        src_colorspace=_matrix(frame),
        dst_color_range=ColorRange.JPEG,
        threads=threads,
    )
    return np.asarray(grey.to_ndarray(), np.uint8)


def quarter_turns(frame: av.VideoFrame) -> int:
    """Quarters of a turn, against the clock, by which the frame is to be shown (0 to 3)."""
    return round(int(frame.rotation or 0) / 90) % 4


def frame_coding(frame: av.VideoFrame) -> Coding:
    """Primaries and transfer that the frame tells. Raises RejectedError for axes that are not read."""
    if frame.colorspace in _UNREAD_MATRICES:
        raise RejectedError(
            "its colour format is not supported (YCgCo, ICtCp or similar); export it as SDR, HLG or HDR10"
        )
    coding = Coding(int(frame.color_primaries), int(frame.color_trc))
    if coding.hdr and coding.primaries == UNSPECIFIED:
        return Coding(BT2020, coding.transfer)  # BT.2100 knows no others
    return coding


def _matrix(frame: av.VideoFrame) -> Colorspace:
    """The matrix of the frame's Y'CbCr: as told, else as players guess it."""
    if (known := _MATRICES.get(int(frame.colorspace))) is not None:
        return known
    coding = Coding(int(frame.color_primaries), int(frame.color_trc))
    if coding.hdr or coding.primaries == BT2020:
        return Colorspace.BT2020
    large = frame.height > SD_LINES or frame.width > SD_COLUMNS
    return Colorspace.ITU709 if large else Colorspace.ITU601


@dataclass(frozen=True)
class Tags:
    """What a container says of a film's colours, by the numbers of H.273."""

    color_primaries: int
    color_trc: int
    colorspace: int
    color_range: int

    @classmethod
    def of(cls, context: av.VideoCodecContext) -> Tags:
        """Those of a stream that was opened and not decoded yet: its frames would overwrite them."""
        return cls(*(int(getattr(context, tag.name) or 0) for tag in fields(cls)))

    def fill(self, frame: av.VideoFrame) -> None:
        """Give the frame the tags that it lacks: after remuxing only the container may have them."""
        for tag in fields(self):
            nothing = 0 if tag.name == "color_range" else UNSPECIFIED
            if getattr(frame, tag.name) == nothing:
                setattr(frame, tag.name, getattr(self, tag.name))


def film_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The film in a file, not its cover. Raises RejectedError when there is none that can be read."""
    streams = list(container.streams.video)
    if not streams:
        raise RejectedError("has no video track")
    moving = [stream for stream in streams if not stream.disposition & Disposition.attached_pic]
    readable = [stream for stream in moving or streams if stream.codec_context is not None]
    if not readable:
        raise RejectedError("its video codec is not supported; convert it to H.264")
    return readable[0]


def film_bytes(stream: av.VideoStream, threads: int = 0) -> int:
    """Memory that decoding a film takes with `threads`, and making a picture of a frame, by its header."""
    context = stream.codec_context
    pixels = int(context.width or 0) * int(context.height or 0)
    stored = (context.format.padded_bits_per_pixel if context.format else 12) / 8
    at_once = min(threads or available_threads(), MOST_THREADS)
    return int(pixels * (stored * (HELD + at_once) + PICTURE))


class Deinterlacer:
    """Whole pictures from frames whose lines come from two moments; others pass unchanged."""

    def __init__(self) -> None:
        self.used = False
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] | None = None

    def frames(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """The frames, each with all of its lines of one moment (bwdif, which looks at both neighbours)."""
        for frame in frames:
            kind = (frame.width, frame.height, frame.format.name)
            if self._graph is not None and kind != self._kind:
                yield from self._rest()
            if self._graph is None:
                if not frame.interlaced_frame:
                    yield frame
                    continue
                self.used, self._kind, self._graph = True, kind, _bwdif(frame)
            self._graph.vpush(frame)
            yield from self._ready()
        yield from self._rest()

    def _ready(self) -> Iterator[av.VideoFrame]:
        assert self._graph is not None
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return

    def _rest(self) -> Iterator[av.VideoFrame]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
            self._graph = None


def _bwdif(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 1000),
    )
    deinterlace = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(deinterlace)
    deinterlace.link_to(sink)
    graph.configure()
    return graph
