"""Whether a finished page is what was made: every file's hash, the decoded splat, what lies beside it."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scripts.lib.contracts.manifest import Decoded, Entry, Manifest
from scripts.lib.contracts.record import read
from scripts.lib.core.console import UserError
from scripts.lib.core.faults import is_fault
from scripts.lib.core.files import add_to_zip, sha256
from scripts.lib.encode.codecs import sog
from scripts.lib.web.hosting import HASHED, HOST_RULES, hashed_name
from scripts.lib.web.manifest import entry_of, is_whole

# What changed bytes of a zip may raise.
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError)


def problems(folder: Path) -> list[str]:
    """What is wrong with the bundle in `folder`, a sentence each; empty when all is as it was made.

    `folder` is the web folder, with whatever lies beside it still, or site.zip unpacked, or what publish_web
    filled. Raises UserError when there is no manifest to compare with.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no manifest.json; give the web folder bundle_web made")
    whole = path.read_bytes()
    if not is_whole(whole):
        return ["manifest.json was changed: its bytes do not match the hash that it contains"]
    made = read(Manifest, path)
    site, scene_file = made.site, made.files.get("scene.sog")
    hashed = hashed_name("scene.sog", scene_file.sha256 if scene_file else "")
    unpacked = hashed in site and (folder / hashed).exists()
    files = site if unpacked else made.files
    # publish_web leaves this one out: it is for other hosts.
    optional = {HOST_RULES} if unpacked and not (folder / HOST_RULES).exists() else set()
    found = [
        problem
        for name, entry in files.items()
        if name not in optional and (problem := compared(folder / name, name, entry))
    ]
    for name, entry in made.shipped.items():
        beside = folder.parent / name
        if beside.exists() and (problem := compared(beside, f"../{name}", entry)):
            found.append(problem)
    archive = folder.parent / "site.zip"
    if site and not unpacked and archive.exists():
        found += archive_problems(archive, {**site, "manifest.json": Entry(**entry_of(whole))})
    known = {*files, "manifest.json"}
    for extra in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = extra.relative_to(folder).as_posix()
        # publish_web keeps the files of the version before for visitors whose page still loads them;
        # no page of this version names one.
        if name not in known and not (unpacked and HASHED.search(name)):
            found.append(f"{name} does not belong to this bundle")
    scene = hashed if unpacked else "scene.sog"
    if not any(scene in problem for problem in found):
        found += splat_problems(folder / scene, made.decoded)
    return found


def archive_problems(path: Path, entries: Mapping[str, Entry]) -> list[str]:
    """What differs in the zip for hosts: a member, or else a byte between them."""
    place = f"../{path.name}"
    rebuilt = io.BytesIO()
    try:
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(rebuilt, "w") as again:
            names = archive.namelist()
            for name in names:
                try:
                    data = archive.read(name)
                except BROKEN_ZIP as error:
                    if is_fault(error):
                        raise
                    return [f"{place}: {name} was changed"]
                if name not in entries:
                    return [f"{place}: {name} does not belong to this bundle"]
                if Entry(**entry_of(data)) != entries[name]:
                    return [f"{place}: {name} was changed"]
                add_to_zip(again, name, data)
    except BROKEN_ZIP as error:
        if is_fault(error):
            raise
        return [f"{place} was changed: it is no longer a readable zip ({error})"]
    missing = sorted(set(entries) - set(names))
    if missing:
        return [f"{place}: {missing[0]} is missing"]
    # Names, dates and places of the members: the zip was written by add_to_zip, byte for byte.
    if rebuilt.getvalue() != path.read_bytes():
        return [f"{place} was changed: its files are unchanged, but the bytes around them are not"]
    return []


def compared(path: Path, name: str, entry: Entry) -> str:
    """A sentence when a file is missing or differs from its entry in the manifest, else empty."""
    if not path.is_file():
        return f"{name} is missing"
    size = path.stat().st_size
    if size != entry.bytes:
        return f"{name} has {size} bytes, not {entry.bytes}"
    if sha256(path) != entry.sha256:
        return f"{name} was changed: same size, different bytes"
    return ""


def splat_problems(path: Path, recorded: Decoded) -> list[str]:
    """Whether the splat can be decoded and holds what was recorded."""
    try:
        gaussians = sog.decode(path)
    except UserError as error:
        return [str(error)]
    found = []
    for key, value in (("gaussians", len(gaussians)), ("sh_degree", gaussians.sh_degree)):
        if getattr(recorded, key) != value:
            found.append(f"{path.name} decodes to {key} {value}, not {getattr(recorded, key)}")
    for key, corner in (("low", gaussians.means.min(0)), ("high", gaussians.means.max(0))):
        wanted = getattr(recorded, key)
        scale = max(1.0, float(np.abs(corner).max()))
        if np.abs(corner - np.array(wanted)).max() > 1e-3 * scale:
            found.append(f"{path.name} decodes to different bounds ({key}) than recorded")
    return found


def what_is_whole(folder: Path) -> str:
    """A sentence for a folder without problems: what was compared, and what lies beside it."""
    made = read(Manifest, folder / "manifest.json")
    beside = [name for name in (*made.shipped, "site.zip") if (folder.parent / name).exists()]
    return (
        f"{folder}: all {len(made.files) + 1} files are unchanged, and the splat decodes to what was"
        f" recorded. Also unchanged, next to the folder: {', '.join(beside) or 'none'}"
    )
