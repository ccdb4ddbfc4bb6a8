"""Image recipes: which files a Dockerfile takes in, and the hash over them that pins the image."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from scripts.lib.core.console import UserError

TAG_LENGTH = 16  # hex digits of the hash: 64 bits


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """The instructions of a Dockerfile: (word in capitals, the rest), continuation lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\[ \t]*\n", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), rest.strip()


def copied_files(root: Path, dockerfile: Path) -> list[Path]:
    """Files of the checkout `root` that `dockerfile` copies into its image, sorted.

    Raises UserError when an instruction names a file that is not there, a folder, a pattern or a
    variable: then nobody could tell from the recipe what is in the image.
    """
    found: set[Path] = set()
    for word, rest in instructions(dockerfile.read_text(encoding="utf-8")):
        if word not in ("COPY", "ADD"):
            continue
        words = shlex.split(rest)
        flags = [part for part in words if part.startswith("--")]
        if any(flag.startswith("--from=") for flag in flags):
            continue  # from another stage of the same recipe
        for name in words[len(flags) : -1]:
            path = root / name
            if not path.is_file():
                raise UserError(
                    f"{dockerfile.relative_to(root)}: {word} {name} is not one file of the checkout;"
                    " name every file by itself, so that the image's tag can cover it"
                )
            found.add(path)
    return sorted(found)


def recipe_hash(root: Path, dockerfile: Path) -> str:
    """Hash over a Dockerfile and every file that it copies; where the checkout lies does not count."""
    digest = hashlib.sha256()
    for path in [dockerfile, *copied_files(root, dockerfile)]:
        content = path.read_bytes()
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:TAG_LENGTH]


def base_images(dockerfile: Path) -> list[str]:
    """What a Dockerfile builds on, each name once, in order; its own stages left out."""
    stages: set[str] = set()
    bases: list[str] = []
    for word, rest in instructions(dockerfile.read_text(encoding="utf-8")):
        if word == "FROM":
            base, *alias = rest.split()
            if base not in stages and base not in bases:
                bases.append(base)
            stages.update(alias[1:])
    return bases
