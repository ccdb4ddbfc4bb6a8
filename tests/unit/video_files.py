"""Videos made for tests, from pictures in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Tags:
    """What a film tells of its colours, by the numbers of H.273; range 1 is limited, 2 full."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0


def write_video(
    path: Path,
    pictures: Iterable[Image.Image | np.ndarray[Any, Any]],
    fps: int = 10,
    *,
    codec: str = "",
    pix_fmt: str = "yuv420p",
    tags: Tags | None = None,
    aspect: Fraction | None = None,
    turn: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """A film of the pictures (RGB, or arrays (H, W, 3) of 8 or 16 bits), at a quality that keeps features.

    MPEG-4, or VP8 for .webm, unless `codec` names another. The numbers are coded by the matrix and range
    of `tags`; without it by BT.601's, untold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = codec or ("libvpx" if path.suffix == ".webm" else "mpeg4")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.bit_rate = 20_000_000
        for number, picture in enumerate(pictures):
            pixels = np.asarray(picture)
            if number == 0:
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = pix_fmt
                if aspect is not None:
                    stream.codec_context.sample_aspect_ratio = aspect
                if turn:
                    stream.set_display_rotation(turn)
                if tags is not None:
                    context = stream.codec_context
                    context.color_primaries, context.color_trc = tags.primaries, tags.transfer
                    context.colorspace, context.color_range = tags.matrix, tags.range
            kind = "rgb48le" if pixels.dtype == np.uint16 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), kind)
            if tags is not None:
                frame = frame.reformat(
                    format=pix_fmt, dst_colorspace=tags.matrix, dst_color_range=tags.range
                )
                frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
            frame.pts, frame.time_base = number, Fraction(1, fps)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
