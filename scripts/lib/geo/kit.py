"""The splat in formats that engines and editors open, in their axes; each is read back and measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.deliver import Delivered
from scripts.lib.core.deliverables import DELIVERABLES
from scripts.lib.core.files import replacing, sha256
from scripts.lib.core.options import Options, option
from scripts.lib.encode import codecs
from scripts.lib.encode.codecs import compare, glb, spz, usd
from scripts.lib.encode.codecs.compare import Limits
from scripts.lib.encode.formats import checked, with_degree
from scripts.lib.geo.judging import Judge
from scripts.lib.splat.gaussians import Gaussians, read_ply, write_ply
from scripts.lib.splat.rotation import Y_DOWN, Y_UP, rotated

AXES = {"z_up": np.eye(3), "y_up": Y_UP, "y_down": Y_DOWN}
IN_WORDS = {
    "z_up": "X east, Y north, Z up",
    "y_up": "X east, Y up, Z south",
    "y_down": "X east, Y down, Z north",
}
DEGREE = "Maximum degree of the spherical harmonics in the file."


@dataclass(frozen=True)
class GlbOptions(Options):
    """The splat as binary glTF (KHR_gaussian_splatting, uncompressed), Y up."""

    sh_degree: int = option(3, DEGREE, 0, 3)


@dataclass(frozen=True)
class SpzOptions(Options):
    """The splat as SPZ of version 3, Y up as Niantic's own tools write it."""

    sh_degree: int = option(3, DEGREE, 0, 3)


@dataclass(frozen=True)
class Spz4Options(Options):
    """The splat as SPZ of version 4, Y up, the one version that PlayCanvas reads."""

    sh_degree: int = option(3, DEGREE, 0, 3)


@dataclass(frozen=True)
class UsdOptions(Options):
    """The splat as OpenUSD (.usdz), Z up; needs the package usd-core, which is in no image."""

    sh_degree: int = option(3, DEGREE, 0, 3)


@dataclass(frozen=True)
class PlyOptions(Options):
    """The splat as PLY, in the axes that other programs expect."""

    axes: Literal["y_down", "y_up", "z_up"] = option(
        "y_down",
        """Axes of the file: y_down as files of other trainers have them, which SuperSplat, Postshot and the
        plug-ins of Unity and Unreal expect; y_up; or z_up as in splat.ply, for Blender.""",
    )
    sh_degree: int = option(3, DEGREE, 0, 3)


KitOptions = GlbOptions | SpzOptions | Spz4Options | UsdOptions | PlyOptions
OPTIONS: dict[str, type[KitOptions]] = {
    "glb": GlbOptions,
    "spz3": SpzOptions,
    "spz4": Spz4Options,
    "usd": UsdOptions,
    "ply": PlyOptions,
}
SPZ_VERSIONS = {"spz3": 3, "spz4": 4}
Written = tuple[npt.NDArray[np.int64], Limits, Gaussians]


def axes_of(options: KitOptions) -> str:
    """Which way the file's axes point: a key of AXES."""
    if isinstance(options, PlyOptions):
        return options.axes
    return "z_up" if isinstance(options, UsdOptions) else "y_up"


def write_file(kind: str, path: Path, gaussians: Gaussians, options: KitOptions) -> Written:
    """Write turned Gaussians to `path`; the source row of each stored one, the errors allowed, the source."""
    if kind == "ply":
        axes = axes_of(options)
        comments = (
            f"axes {IN_WORDS[axes]}",
            "right-handed; units as in the scene, metres if placed",
        )
        write_ply(path, gaussians, comments)
        return np.arange(len(gaussians)), Limits(0.0, 0.0, 0.0, 0.0, 0.0, 0.0), gaussians
    if kind == "usd":
        usd.write(path, gaussians)
        return np.arange(len(gaussians)), usd.LIMITS, gaussians
    version = SPZ_VERSIONS.get(kind)
    source = spz.clipped(gaussians)[0] if version else gaussians
    encoded = spz.encode(gaussians, version=version) if version else glb.encode(gaussians)
    path.write_bytes(encoded.data)
    return encoded.order, encoded.limits, source


READERS: dict[str, Callable[[Path], Gaussians]] = {
    "glb": glb.decode,
    "spz3": spz.decode,
    "spz4": spz.decode,
    "usd": usd.read,
}


def export_file(kind: str, ply: Path, path: Path, options: KitOptions, judge: Judge) -> Delivered:
    """Write the splat `ply` to `path` as `kind`, read it back, compare, measure, and tell of it.

    Raises UserError when the splat cannot be written so, RuntimeError when what is read back is not what was
    written; `path` then stays as it was.
    """
    began = time.monotonic()
    axes = axes_of(options)
    trained = checked(with_degree(read_ply(ply), options.sh_degree), ply)
    turned = rotated(trained, AXES[axes]) if axes != "z_up" else trained
    with replacing(path) as temporary:
        order, limits, source = write_file(kind, temporary, turned, options)
        decoded = READERS.get(kind, codecs.decode)(temporary)
        try:
            errors = compare.check(source.take(order), decoded, limits)
        except ValueError as error:
            raise RuntimeError(f"{path} did not survive its own decoder: {error}") from None
    back = rotated(decoded, AXES[axes].T) if axes != "z_up" else decoded
    loss = judge.loss(back)
    return Delivered(
        name=kind,
        file=DELIVERABLES[kind].file,
        bytes=path.stat().st_size,
        sha256=sha256(path),
        seconds=time.monotonic() - began,
        frame=IN_WORDS[axes],
        placed=False,
        gaussians=len(decoded),
        sh_degree=decoded.sh_degree,
        psnr=loss.psnr,
        ssim=loss.ssim,
        delta_psnr=loss.delta_psnr,
        views=loss.views,
        checked=("read back: every Gaussian is as near to the trained one as the format allows",),
        notes=notes(kind, decoded),
        facts={"mean_max": errors["mean_max"], "angle_max_deg": errors["angle_max"]},
    )


def notes(kind: str, gaussians: Gaussians) -> tuple[str, ...]:
    """Sentences for who opens the file."""
    if not gaussians.antialiased or kind in ("ply", *SPZ_VERSIONS):
        return ()
    return (
        "The splat was trained with antialiasing, which the format cannot say: switch it on in the viewer,"
        " else far parts look thicker.",
    )


def sentence(made: Delivered) -> str:
    """A line for the log."""
    loss = "" if made.delta_psnr is None else f", {made.delta_psnr:+.2f} dB against the PLY"
    return f"{made.file}: {made.bytes / 1e6:.2f} MB{loss}; {made.frame}"
