"""Films as MP4: H.264 with the pixel format that every player takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.core.files import replacing
from scripts.lib.core.threads import threads


class Film:
    """A film being written: `add` takes its pictures one after the other."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream

    def add(self, picture: npt.NDArray[np.floating]) -> None:
        """Add a picture (H, W, 3) in 0..1 of the film's size."""
        import av

        whole = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(whole, format="rgb24")
        self._container.mux(self._stream.encode(frame))


@contextmanager
def writing_film(path: Path, size: tuple[int, int], fps: int, crf: int = 23) -> Iterator[Film]:
    """Yield a `Film` of even `size` (width, height) that appears under `path` once the block ends.

    `crf` 0 (large) to 51 (ugly) is x264's constant quality. The index stands at the start, so that a
    browser plays while it loads. Raises ValueError on an odd size, which 4:2:0 cannot hold.
    """
    import av

    if size[0] % 2 or size[1] % 2:
        raise ValueError(f"a film needs even sides, not {size[0]} x {size[1]}")
    options = {"movflags": "+faststart"}
    with (
        replacing(path) as temporary,
        av.open(str(temporary), "w", options=options) as container,
    ):
        stream: Any = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = threads()
        stream.options = {"crf": str(crf), "preset": "medium"}
        yield Film(container, stream)
        container.mux(stream.encode(None))
