"""The hook for a program that finds what to hide in photos: faces, number plates.

config/detector.md is its contract, and none comes with this project. What it finds is shown to a person, who
keeps, changes or drops each mask before the photos are uploaded; so a bad detector spoils nothing.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from scripts.lib.cloud.request import RefusedError
from scripts.lib.core.console import UserError
from scripts.lib.core.files import scratch_folder

START_SECONDS = 120.0  # to load weights
PHOTO_SECONDS = 20.0  # for each photo
LOOK_SECONDS = 0.1
MOST_PHOTOS = 16  # in one call
MOST_PHOTO_BYTES = 8 * 10**6
MOST_MASK_BYTES = 4 * 10**6
MOST_SIDE = 4096  # pixels
SAID_BYTES = 2000  # of the end of what it printed, of which the last line is told
SECRET = "SPLATMAKE_STUDIO_TOKEN"  # what the program need not know


@dataclass(frozen=True)
class Detector:
    """A program with its arguments; two folders are added to them. One call runs at a time."""

    command: tuple[str, ...]
    start_seconds: float = START_SECONDS
    photo_seconds: float = PHOTO_SECONDS
    turn: threading.Lock = field(default_factory=threading.Lock, compare=False)


def detector_of(text: str) -> Detector | None:
    """What `--detector` names, split as a shell would, but run without one; None for nothing.

    Raises UserError when there is no such program.
    """
    try:
        command = tuple(shlex.split(text))
    except ValueError as error:
        raise UserError(f"--detector {text!r} cannot be read ({error}); close its quotes") from None
    if not command:
        return None
    program = shutil.which(command[0])
    if program is None:
        raise UserError(
            f"--detector: there is no program {command[0]!r}; give its path, or install it"
        )
    return Detector((str(Path(program).absolute()), *command[1:]))


def detect(detector: Detector, photos: Mapping[str, bytes], scratch: Path) -> dict[str, bytes]:
    """PNG masks (8 bits, 0 where the photo is hidden, else 255) by the name of the photo.

    photos: JPEG files by plain names. Photos without a mask are left out. Raises RefusedError: 400 for photos
    that are none, 502 when the program fails or leaves what is no mask, 504 when it takes too long.
    """
    sizes = {name: _size(name, data) for name, data in photos.items()}
    with detector.turn, scratch_folder(scratch, "detect") as folder:
        given, made = folder / "photos", folder / "masks"
        for part in (given, made):
            part.mkdir()
        for name, data in photos.items():
            (given / name).write_bytes(data)
        _run(detector, given, made, folder / "said.txt", len(photos))
        masks = {name: _mask(made / f"{name}.png", size) for name, size in sizes.items()}
    return {name: mask for name, mask in masks.items() if mask is not None}


def _size(name: str, data: bytes) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            size = image.size
    except Exception:  # Pillow raises many kinds
        raise RefusedError(400, f"{name} is no JPEG") from None
    if max(size) > MOST_SIDE or len(data) > MOST_PHOTO_BYTES:
        raise RefusedError(
            413, f"{name} is larger than {MOST_SIDE} pixels or {MOST_PHOTO_BYTES} bytes"
        )
    return size


def _run(detector: Detector, given: Path, made: Path, said: Path, count: int) -> None:
    """Run the program to its end, without a shell. Its programs are ended with it."""
    environment = {name: value for name, value in os.environ.items() if name != SECRET}
    with said.open("wb") as output:
        try:
            process = subprocess.Popen(
                [*detector.command, str(given), str(made)],
                cwd=made.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise RefusedError(502, f"the detector cannot be started ({error.strerror})") from None
    until = time.monotonic() + detector.start_seconds + count * detector.photo_seconds
    try:
        while process.poll() is None:
            if time.monotonic() > until:
                raise RefusedError(504, "the detector took too long and was stopped")
            if _bytes(made.parent) > count * (MOST_MASK_BYTES + MOST_PHOTO_BYTES):
                raise RefusedError(502, "the detector wrote too much and was stopped")
            time.sleep(LOOK_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        raise RefusedError(
            502, f"the detector ended with code {process.returncode}: {_last_line(said)}"
        )


def _bytes(folder: Path) -> int:
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(base, name).lstat().st_size
    return total


def _last_line(said: Path) -> str:
    data = said.read_bytes()[-SAID_BYTES:]
    lines = data.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"


def _mask(path: Path, size: tuple[int, int]) -> bytes | None:
    """A mask, read, checked and written anew; None where there is none or it hides nothing."""
    if path.is_symlink() or not path.is_file():
        return None
    name = path.name.removesuffix(".png")
    try:
        if path.stat().st_size > MOST_MASK_BYTES:
            raise ValueError(f"it has more than {MOST_MASK_BYTES} bytes")
        with Image.open(path, formats=["PNG"]) as image:
            if image.size != size:
                wide, high = size
                raise ValueError(
                    f"it has {image.width} x {image.height} pixels, not {wide} x {high}"
                )
            shown = image.convert("L").point(lambda value: 255 if value > 127 else 0)
    except Exception as error:  # Pillow raises many kinds on what is no PNG
        raise RefusedError(502, f"the detector's mask of {name} cannot be used: {error}") from None
    if shown.getextrema() == (255, 255):
        return None
    buffer = io.BytesIO()
    shown.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
