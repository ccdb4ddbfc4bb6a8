"""Which files of a source count: not the system's hidden ones, nor this project's results among the photos.

The import and the digest that notices a changed source both go by this list.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from scripts.lib.core.faults import is_broken_device

# What a run leaves directly in its results folder; the rest are folders named after scenes.
RUN_FILES = {"progress.json", "index.html", "summary.tsv"}
RUN_FOLDERS = {"logs", "benchmarks"}
# What the stages leave in a scene's folder. Two of these names together are no coincidence.
SCENE_FILES = {
    *("photos.zip", "photos.json", "features.db", "matches.db", "pairs.json", "sfm.json"),
    *("georef.json", "undistorted.zip", "train.json", "splat.ply", "eval.json", "renders.zip"),
    *("splat.clean.ply", "clean.json", "codecs.json", "splat.sog", "view.json", "site.zip"),
}
ENOUGH = 2
# Of bundle.FILES those that keep their names in site.zip. Not imported: a change there would import all anew.
PAGE_FILES = {"poster.jpg", "licences.txt", "ro-crate-metadata.json", "index.html"}


OWN = "{}: results of splatmake, not photos"


@dataclass
class Listing:
    """Files of a folder as {name with slashes: path}, by name; and one sentence for each part left out.

    hidden: files and folders that the system put there, which are not looked into.
    """

    files: dict[str, Path] = field(default_factory=dict)
    hidden: dict[str, Path] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def hidden(name: str) -> bool:
    """Whether the system, not the photographer, put this file there."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def list_folder(folder: Path) -> Listing:
    """Every file below `folder` that counts. Linked folders are read once and never around in a circle."""
    walk = _Walk(Path(folder))
    walk.read_all()
    found, names = walk.found, walk.names
    own = own_results(names)
    found.left_out += [OWN.format(folder) for folder in own]
    found.hidden = {name: path for name, path in found.hidden.items() if not is_below(name, own)}
    found.files = {
        name: names[name]
        for name in sorted(names)
        if not name.endswith("/") and not is_below(name, own)
    }
    return found


class _Walk:
    """A walk through a folder: real folders first, then what links lead to."""

    def __init__(self, folder: Path) -> None:
        self.found = Listing()
        self.names: dict[str, Path] = {}  # files, and folders with a slash at their end
        self._known = {_identity(folder)}
        self._folders, self._links = [(folder, "")], list[tuple[Path, str]]()

    def read_all(self) -> None:
        """Read every folder once."""
        while self._folders or self._links:
            if self._folders:
                self._read(*self._folders.pop())
            else:
                self._follow(*self._links.pop(0))

    def _follow(self, path: Path, name: str) -> None:
        """Note the folder that a link leads to, unless it is known or holds the link itself."""
        if _identity(path) in self._known:
            return
        if _leads_up(path):
            self.found.left_out.append(f"{name}: a link to a folder that it lies in")
        else:
            self._known.add(_identity(path))
            self._folders.append((path, name))

    def _read(self, path: Path, name: str) -> None:
        """Look at everything in one folder."""
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            self._leave_out(name or str(path), error)
            return
        for entry in entries:
            inner, here = f"{name}/{entry.name}" if name else entry.name, path / entry.name
            if hidden(entry.name):
                self.found.hidden[inner] = here
                continue
            try:
                self._note(entry.is_symlink(), here, inner)
            except OSError as error:
                self._leave_out(inner, error)

    def _note(self, link: bool, path: Path, name: str) -> None:
        """Keep a file, or a folder to read later. Raises OSError when it cannot be asked what it is."""
        is_folder, is_file = path.is_dir(), path.is_file()
        if is_folder and link:
            self._links.append((path, name))
        elif is_folder and _identity(path) not in self._known:
            self._known.add(_identity(path))
            self._folders.append((path, name))
            self.names[f"{name}/"] = path
        elif is_file:
            self.names[name] = path
        elif link:
            self.found.left_out.append(f"{name}: a link to a file that is not there")

    def _leave_out(self, name: str, error: OSError) -> None:
        """Tell what could not be read. Raises the error when the device is broken."""
        if is_broken_device(error):
            raise error
        self.found.left_out.append(f"{name}: {error.strerror}")


def _identity(path: Path) -> tuple[int, int]:
    """What two names of one folder have in common; nothing for a folder that cannot be asked."""
    try:
        state = path.stat()
    except OSError:
        return (-1, -1)
    return (state.st_dev, state.st_ino)


def _leads_up(link: Path) -> bool:
    """Whether a link names a folder that the link itself lies in."""
    target = link.resolve()
    return target in (link.parent.resolve(), *link.parent.resolve().parents)


def own_results(names: Iterable[str]) -> list[str]:
    """Of files and folders (names that end in a slash) those that this project made, the outermost of each.

    A results folder is told by its progress.json and logs, a scene's by the names in it, a page by its parts.
    """
    content: dict[str, set[str]] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        for depth, part in enumerate(parts):
            is_folder = depth < len(parts) - 1 or name.endswith("/")
            content.setdefault("/".join(parts[:depth]), set()).add(part + "/" * is_folder)
    own = set[str]()
    for folder, inside in content.items():
        if folder and (_is_run(inside) or _is_scene(inside) or _is_page(inside)):
            own.add(folder)
    if _is_run(content.get("", set())):  # results right among the photos
        own |= {name for name in RUN_FILES if name in content[""]}
        own |= {name for name in RUN_FOLDERS if f"{name}/" in content[""]}
    return sorted(
        name
        for name in own
        if not any(parent.as_posix() in own for parent in PurePosixPath(name).parents)
    )


def is_below(name: str, folders: Iterable[str]) -> bool:
    """Whether a file is one of `folders` or lies in one."""
    return any(name == folder or name.startswith(f"{folder}/") for folder in folders)


def _is_run(inside: set[str]) -> bool:
    """At its start a run has nothing but its progress.json."""
    begun = inside == {"progress.json"}
    return begun or (
        "progress.json" in inside and any(f"{name}/" in inside for name in RUN_FOLDERS)
    )


def _is_scene(inside: set[str]) -> bool:
    return len(inside & SCENE_FILES) >= ENOUGH


def _is_page(inside: set[str]) -> bool:
    """As bundle_web leaves it, or as site.zip holds it: there the splat's name carries a hash."""
    splat = any(name.startswith("scene.") and name.endswith(".sog") for name in inside)
    return splat and len(inside & PAGE_FILES) >= ENOUGH
