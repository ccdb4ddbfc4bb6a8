"""What a published page must not tell: names that people gave their photos, and where images are kept.

A photo's name may hold a person's name or a position (`IMG_46.84N_9.19E.jpg`); a registry's may hold the
number of an AWS account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from scripts.lib.contracts.photos import Photo

SCHEME = "docker://"


def photo_numbers(photos: Sequence[Photo]) -> dict[str, str]:
    """{name: `photo_0007`} for each name that a photo of photos.json goes by, counted there from 1.

    Whoever has photos.json can look the photo up; nobody else learns its name.
    """
    numbers: dict[str, str] = {}
    shorter: dict[str, str] = {}
    for count, photo in enumerate(photos, 1):
        for name in (photo.file, photo.original):
            if name:
                path = PurePosixPath(name.replace("\\", "/"))
                numbers.setdefault(name, f"photo_{count:04d}")
                for short in (path.name, path.stem):
                    shorter.setdefault(short, f"photo_{count:04d}")
    return shorter | numbers


def without_photo_names(value: Any, numbers: Mapping[str, str]) -> Any:
    """`value` with the number in place of every name, as a text, as a key, and inside sentences."""
    # Inside a sentence only whole names with their suffix: a photo may be called 1 or a.
    words = [name for name in numbers if PurePosixPath(name).suffix and len(name) > 2]
    longest = sorted(words, key=len, reverse=True)
    inside = (
        re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, longest))})(?!\w)") if words else None
    )

    def replaced(text: str) -> str:
        if text in numbers:
            return numbers[text]
        return inside.sub(lambda found: numbers[found[0]], text) if inside else text

    def walk(item: Any) -> Any:
        if isinstance(item, str):
            return replaced(item)
        if isinstance(item, Mapping):
            # Our own keys are words like `psnr`; a photo that is called so is not worth losing them.
            return {(replaced(k) if "." in str(k) else k): walk(v) for k, v in item.items()}
        if isinstance(item, list | tuple):
            return [walk(part) for part in item]
        return item

    return walk(value)


def without_host(image: str) -> str:
    """`docker://123.dkr.ecr.eu-west-1.amazonaws.com/own/sfm@sha256:...` -> `docker://own/sfm@sha256:...`."""
    scheme = SCHEME if image.startswith(SCHEME) else ""
    first, slash, rest = image.removeprefix(SCHEME).partition("/")
    # How docker tells a host from a name.
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    return f"{scheme}{rest if is_host else first + slash + rest}"
