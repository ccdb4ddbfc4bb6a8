"""From a merged splat to the files of its page, by Gaussians: a plain of trained splats, read in pieces.

SPLATMAKE_SPLATS names the trained splats (paths, joined by ':'); without it the town is made up, and looks
like nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from scripts import check_codecs, clean_splat, compress_splat, render_poster
from scripts.lib.contracts.clean import Clean
from scripts.lib.contracts.codecs import Codecs
from scripts.lib.contracts.compress import Compress
from scripts.lib.contracts.record import read
from scripts.lib.encode.codecs import decode
from scripts.lib.splat import pieces
from tests.bench import wide_world
from tests.bench.encode import place
from tests.bench.scaling import Facts, Stage

PHOTOS = 12
THREADS = str(min(16, os.cpu_count() or 1))
FEW = ("--threads", THREADS, "--device", "auto")
LEAST = 500_000  # Gaussians from which the splat is in pieces here, so that all sizes take one path
SIZES = (1_000_000, 3_000_000)
MADE = {
    "sog": "splat.sog",
    "mobile": "splat.mobile.sog",
    "spz": "splat.spz",
    "compressed-ply": "splat.compressed.ply",
    "lod": "lod.zip",
}


def make_plain(size: int, made: Path) -> None:
    """splat.ply and undistorted.zip."""
    named = os.environ.get("SPLATMAKE_SPLATS")
    splats = [decode(Path(name)) for name in named.split(":")] if named else [place(40_000, 3)]
    wide_world.write(made, splats, size, PHOTOS)


def clean(size: int, made: Path, out: Path) -> Facts:
    """clean_splat, the program."""
    pieces.WHOLE = LEAST
    words = [*_of(made), "--output", out / "splat.clean.ply", "--metrics", out / "clean.json"]
    clean_splat.main([str(word) for word in (*words, *FEW)])
    return {"kept": read(Clean, out / "clean.json").gaussians_after}


def encode(size: int, made: Path, out: Path) -> Facts:
    """compress_splat, the program."""
    pieces.WHOLE = LEAST
    words = [*_of(made), "--metrics", out / "compress.json"]
    for name, file in MADE.items():
        words += [f"--{name}", out / file]
    compress_splat.main([str(word) for word in (*words, *FEW)])
    targets = read(Compress, out / "compress.json").targets or {}
    return {f"{name}_loss_db": round(entry.loss_db, 3) for name, entry in targets.items()}


def make_encoded(size: int, made: Path) -> None:
    """The plain and its files."""
    make_plain(size, made)
    encode(size, made, made)


def check(size: int, made: Path, out: Path) -> Facts:
    """check_codecs, the program."""
    pieces.WHOLE = LEAST
    words = [*_of(made), "--encoded", *(made / file for file in MADE.values())]
    words += ["--compressed", made / "compress.json", "--metrics", out / "codecs.json"]
    check_codecs.main([str(word) for word in (*words, *FEW)])
    found = read(Codecs, out / "codecs.json").formats
    return {f"{name}_delta_db": round(entry.delta_psnr, 3) for name, entry in found.items()}


def visit(size: int, made: Path, out: Path) -> Facts:
    """render_poster, the program: start view, tour, limits and map of the whole."""
    pieces.WHOLE = LEAST
    words = [*_of(made), "--output", out / "poster.jpg", "--view", out / "view.json"]
    render_poster.main([str(word) for word in (*words, *FEW)])
    return {}


def _of(made: Path) -> list[object]:
    return ["--ply", made / "splat.ply", "--scene", made / "undistorted.zip"]


STAGES = (
    Stage("clean_splat", make_plain, clean, "plain", "Gaussians", SIZES),
    Stage("compress_splat", make_plain, encode, "plain", "Gaussians", SIZES),
    Stage("check_codecs", make_encoded, check, "encoded", "Gaussians", SIZES),
    Stage("render_poster", make_plain, visit, "plain", "Gaussians", SIZES),
)
