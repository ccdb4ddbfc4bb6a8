"""Videos made for tests, from pictures in memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
from PIL import Image


def write_video(path: Path, pictures: Iterable[Image.Image], fps: int = 10) -> Path:
    """An MPEG-4 (or VP8 for .webm) video of the pictures, at a quality that keeps features."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "libvpx" if path.suffix == ".webm" else "mpeg4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.bit_rate = 20_000_000
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.width, stream.height = picture.size
                stream.pix_fmt = "yuv420p"
            for packet in stream.encode(av.VideoFrame.from_image(picture)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
