"""The import holds few photos at a time, however many there are."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.lib.photos.importing import import_photos
from scripts.lib.photos.options import ImportOptions
from tests.unit.photo_files import encoded

HELD = 60_000  # bytes of a photo that may stay: its thumbnails, its numbers and its lines


def peak(folder: Path, count: int) -> int:
    """The most bytes that Python held while it imported so many photos from a zip."""
    archive = folder / f"{count}.zip"
    dice = np.random.default_rng(count)
    with zipfile.ZipFile(archive, "w") as out:
        for number in range(count):
            # Noise: a JPEG that is large for its pixels, so that one which stays is plainly seen.
            noise = dice.integers(0, 255, (420, 560, 3), dtype=np.uint8)
            out.writestr(f"{number}.jpg", encoded(Image.fromarray(noise), quality=97))
    assert archive.stat().st_size > 5 * HELD * count
    tracemalloc.start()
    made = import_photos(
        str(archive), ImportOptions(min_side=64), folder / f"{count}.out.zip", threads=2
    )
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.kept == count
    return most


def test_memory_does_not_grow_by_the_photos(tmp_path: Path) -> None:
    peak(tmp_path, 9)  # what is loaded once
    few, many = peak(tmp_path, 10), peak(tmp_path, 40)
    assert many - few < 30 * HELD, (few, many)
