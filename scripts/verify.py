"""Verify a finished page: every file's hash, the decoded splat, and what lies beside the bundle.

python -m scripts.verify results/yard/web
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.codecs import sog
from scripts.lib.console import UserError, run_main, say
from scripts.lib.files import read_json, sha256
from scripts.lib.manifest import is_whole


def problems(folder: Path) -> list[str]:
    """What is wrong with the bundle in `folder`, a sentence each; empty when all is as it was made.

    Raises UserError when there is no manifest to compare with.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no manifest.json; give the web folder bundle_web made")
    if not is_whole(path.read_bytes()):
        return ["manifest.json was changed: its bytes do not match the hash it carries"]
    made = read_json(path)
    found = [
        problem
        for name, entry in made["files"].items()
        if (problem := compared(folder / name, name, entry))
    ]
    for name, entry in made.get("shipped", {}).items():
        beside = folder.parent / name
        if beside.exists() and (problem := compared(beside, f"../{name}", entry)):
            found.append(problem)
    known = {*made["files"], "manifest.json"}
    for extra in sorted(p for p in folder.rglob("*") if p.is_file()):
        if extra.relative_to(folder).as_posix() not in known:
            found.append(f"{extra.relative_to(folder)} does not belong to this bundle")
    if not any("scene.sog" in problem for problem in found):
        found += splat_problems(folder / "scene.sog", made.get("decoded", {}))
    return found


def compared(path: Path, name: str, entry: dict[str, Any]) -> str:
    """A sentence when a file is missing or differs from its entry in the manifest, else empty."""
    if not path.is_file():
        return f"{name} is missing"
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"{name} has {size} bytes, not {entry['bytes']}"
    if sha256(path) != entry["sha256"]:
        return f"{name} was changed: same size, other bytes"
    return ""


def splat_problems(path: Path, recorded: dict[str, Any]) -> list[str]:
    """Whether the splat can be decoded and holds what was recorded."""
    try:
        gaussians = sog.decode(path)
    except UserError as error:
        return [str(error)]
    found = []
    for key, value in (("gaussians", len(gaussians)), ("sh_degree", gaussians.sh_degree)):
        if recorded.get(key) != value:
            found.append(f"{path.name} decodes to {key} {value}, not {recorded.get(key)}")
    for key, corner in (("low", gaussians.means.min(0)), ("high", gaussians.means.max(0))):
        wanted = recorded.get(key)
        scale = max(1.0, float(np.abs(corner).max()))
        if wanted is None or np.abs(corner - np.array(wanted)).max() > 1e-3 * scale:
            found.append(f"{path.name} decodes to other bounds ({key}) than recorded")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the web folder of a scene")
    folder = parser.parse_args(argv).folder
    found = problems(folder)
    for problem in found:
        say(problem)
    if found:
        raise UserError(f"{folder} is not what was made: {len(found)} problem(s), named above")
    files = len(read_json(folder / "manifest.json")["files"]) + 1
    say(
        f"{folder}: {files} files are as they were made, and the splat decodes to what was recorded"
    )


if __name__ == "__main__":
    run_main(main)
