"""manifest.json: what a page was made from, how, how good it is, and every file's hash.

Only the standard library is imported here.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from scripts.lib.contracts.manifest import Manifest
from scripts.lib.contracts.photos import Photo
from scripts.lib.contracts.record import as_file, from_json
from scripts.lib.core import provenance
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.files import sha256, write_bytes
from scripts.lib.core.json_type import Json
from scripts.lib.web.bundle import FILES, without_places
from scripts.lib.web.privacy import photo_numbers, without_host, without_photo_names

# The manifest carries the hash of its own bytes, taken with this in the hash's place.
SELF = "manifest_sha256"
BLANK = "0" * 64


class FileEntry(TypedDict):
    """A file as the manifest has it."""

    bytes: int
    sha256: str


def entry(path: Path) -> FileEntry:
    """One file in the manifest: its size in bytes and its SHA-256."""
    return {"bytes": Path(path).stat().st_size, "sha256": sha256(path)}


def entry_of(data: bytes) -> FileEntry:
    """The same of bytes that lie in no file of their own."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def created() -> str:
    """Now in UTC, or SOURCE_DATE_EPOCH when set, so that a build can be repeated byte for byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def pick(value: Mapping[str, Json], *keys: str) -> dict[str, Json]:
    """The given keys of a stage's JSON, those that are there."""
    return {key: value[key] for key in keys if key in value}


def git_commit() -> str:
    """The checkout's commit, with `-dirty` when tracked files differ; SPLATMAKE_COMMIT in an image."""

    def git(*arguments: str) -> str:
        run = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=20
        )
        return run.stdout.strip() if run.returncode == 0 else ""

    if not (ROOT / ".git").exists():
        return os.environ.get("SPLATMAKE_COMMIT", "")
    try:
        commit = git("rev-parse", "HEAD")
        return commit + ("-dirty" if commit and git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.TimeoutExpired):
        return os.environ.get("SPLATMAKE_COMMIT", "")


def build_manifest(
    *,
    scene: str,
    title: str,
    options: Mapping[str, Any],
    photos: Sequence[Photo],
    stages: Mapping[str, Mapping[str, Json]],
    stage_files: Mapping[str, Path],
    files: Mapping[str, Any],
    shipped: Mapping[str, Any],
    site: Mapping[str, Any],
    decoded: Mapping[str, Json],
    images: Mapping[str, str],
    versions: Mapping[str, str],
    view: Mapping[str, Json],
) -> Manifest:
    """manifest.json: what went in, how it was made, how good it is, and the hash of every file.

    `photos` are those of photos.json, `stages` the content of each stage's file; `stage_files` their paths;
    `shipped` entries of the files beside the bundle; `site` those of the zip for hosts, its copy of this
    manifest apart; `decoded` what the page's splat holds; `images` the pinned containers. Nothing in the
    result says where on Earth the place is, how its photos were called (each has the number of its entry in
    photos.json, counted from 1), or in which registry the containers lie.
    """
    kept = [photo for photo in photos if photo.kept]
    sfm, train = stages["sfm"], stages["train"]
    numbers = photo_numbers(photos)
    manifest: dict[str, Json] = {
        "scene": scene,
        "title": title,
        "created": created(),
        "versions": {**provenance.versions(), **versions},
        "git_commit": git_commit(),
        "images": {name: without_host(image) for name, image in images.items()},
        "machine": provenance.machine(),
        "options": dict(options),
        "photos": {
            "given": len(photos),
            "kept": len(kept),
            "files": [
                {"file": numbers[photo.file], **({"sha256": photo.sha256} if photo.sha256 else {})}
                for photo in kept
            ],
        },
        "sfm": pick(
            sfm,
            "photos",
            "registered",
            "reprojection_error_px",
            "seconds",
            "options",
            "versions",
        ),
        "georef": pick(stages["georef"], "georeferenced", "rmse_horizontal_m", "rmse_vertical_m"),
        "train": pick(
            train,
            "device",
            "backend",
            "steps",
            "seconds",
            "gaussians",
            "seed",
            "peak_memory_mb",
            "split_counts",
            "curve_measured_on",
            "curve_exposure_fitted",
            "exposure",
            "options",
            "versions",
            "machine",
        ),
        "eval": pick(
            stages["eval"],
            "psnr",
            "psnr_exposure_fitted",
            "ssim",
            "flip",
            "held_out",
            "split_counts",
        ),
        "pairs": pick(stages.get("pairs", {}), "strategy", "pairs", "verified", "device"),
        "clean": provenance.without(stages.get("clean", {})),
        "codecs": provenance.without(stages["codecs"]),
        "start_view": pick(view, "name", "position", "target", "fov"),
        "deliver": dict(stages.get("deliver", {})),
        "stages": {
            name: {
                "sha256": sha256(path),
                **pick(stages[name], "device"),
                **provenance.of(stages[name]),
            }
            for name, path in stage_files.items()
        },
        "decoded": dict(decoded),
        "shipped": dict(shipped),
        "site": dict(site),
        "files": {name: dict(files[name]) for name in FILES if name in files},
    }
    # Scene, title and options are the publisher's own words, and stay as they are.
    for key in (
        "sfm",
        "georef",
        "train",
        "eval",
        "pairs",
        "clean",
        "codecs",
        "start_view",
        "deliver",
        "stages",
    ):
        manifest[key] = without_photo_names(manifest[key], numbers)
    return from_json(Manifest, {**without_places(manifest), SELF: BLANK})


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest with the hash of its own bytes as its last key."""
    content = as_file(replace(manifest, manifest_sha256=BLANK))
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    start, _, end = text.rpartition(BLANK)
    write_bytes(path, (start + digest + end).encode())


def is_whole(data: bytes) -> bool:
    """Whether a manifest's bytes are those that were written, its own hash included."""
    start, key, end = data.rpartition(f'"{SELF}": "'.encode())
    if not key or len(end) < 64:
        return False
    blank = start + key + BLANK.encode() + end[64:]
    return hashlib.sha256(blank).hexdigest().encode() == end[:64]
