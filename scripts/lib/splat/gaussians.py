"""3D Gaussians as they stand in a splat PLY, and reading and writing that file.

The property names and their order are the field's convention: x y z, nx ny nz, f_dc_*, f_rest_*
(channel-major: all coefficients of red, then green, then blue), opacity (logit), scale_* (log),
rot_* (w x y z).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from plyfile import PlyData, PlyElement, PlyParseError, PlyProperty

from scripts.lib.core.console import UserError
from scripts.lib.core.files import replacing

Array = npt.NDArray[np.float32]
RENDER_MODE = "SplatRenderMode:"
SH_C0 = 0.28209479177387814  # the constant band of real spherical harmonics, 1 / (2 sqrt(pi))
SH_COEFFICIENTS = {0: 0, 1: 3, 2: 8, 3: 15}  # beyond the constant band, per degree


@dataclass(frozen=True)
class Gaussians:
    """N Gaussians with the raw values a PLY holds.

    means (N, 3) world units; quats (N, 4) wxyz, not necessarily normalised; scales (N, 3) natural
    log of the standard deviation; opacities (N,) logits; sh0 (N, 3); shN (N, K, 3), K in 0, 3, 8, 15.
    antialiased: they were trained with each footprint dimmed by what the renderer's blur added, and must be
    rendered so ("mip" in the PLY's comment SplatRenderMode, which other tools write and read too).
    """

    means: Array
    quats: Array
    scales: Array
    opacities: Array
    sh0: Array
    shN: Array  # noqa: N815 (the field's name)
    antialiased: bool = False

    def __len__(self) -> int:
        return len(self.means)

    @property
    def arrays(self) -> dict[str, Array]:
        """The attributes by name, each with N rows."""
        return {name: value for name, value in vars(self).items() if name != "antialiased"}

    @property
    def sh_degree(self) -> int:
        """Spherical-harmonics degree, 0 to 3."""
        return {count: degree for degree, count in SH_COEFFICIENTS.items()}[self.shN.shape[1]]

    def take(self, index: npt.NDArray[np.generic]) -> Gaussians:
        """The Gaussians at `index` (integers or a mask), in that order."""
        taken = {name: values[index] for name, values in self.arrays.items()}
        return Gaussians(**taken, antialiased=self.antialiased)


def write_ply(path: Path, gaussians: Gaussians, comments: tuple[str, ...] = ()) -> None:
    """Write a binary little-endian splat PLY, atomically.

    `comments` become header lines, beside the one of the render mode. Raises ValueError when a value is
    not finite.
    """
    degree, antialiased = gaussians.sh_degree, gaussians.antialiased
    write_ply_parts(path, [gaussians], len(gaussians), degree, antialiased, comments)


def write_ply_parts(
    path: Path,
    parts: Iterable[Gaussians],
    count: int,
    degree: int,
    antialiased: bool,
    comments: tuple[str, ...] = (),
) -> None:
    """`write_ply` of `count` Gaussians of one degree that come in parts, each written before the next."""
    bands = SH_COEFFICIENTS[degree]
    names = [*"xyz", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3))]
    names += [f"f_rest_{i}" for i in range(3 * bands)]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    element = PlyElement("vertex", [PlyProperty(name, "float") for name in names], count)
    lines = [render_mode(antialiased), *comments]
    header = PlyData([element], byte_order="<", comments=lines).header
    left = count
    with replacing(Path(path)) as temporary, open(temporary, "wb") as handle:
        handle.write(header.encode() + b"\n")
        for part in parts:
            table = _table(part)
            if table.shape[1] != len(names):
                raise ValueError(f"a part has {table.shape[1]} values a row, not {len(names)}")
            handle.write(table.tobytes())
            left -= len(part)
        if left:
            raise ValueError(f"the parts hold {count - left} Gaussians, not {count}")


def _table(gaussians: Gaussians) -> Array:
    """The rows of a splat PLY (N, M). Raises ValueError when a value is not finite."""
    count, bands = len(gaussians), gaussians.shN.shape[1]
    table = np.concatenate(
        [
            gaussians.means,
            np.zeros((count, 3), np.float32),
            gaussians.sh0,
            gaussians.shN.transpose(0, 2, 1).reshape(count, 3 * bands),
            gaussians.opacities[:, None],
            gaussians.scales,
            gaussians.quats,
        ],
        axis=1,
    ).astype("<f4")
    if not np.isfinite(table).all():
        raise ValueError("refusing to write Gaussians with values that are not finite")
    return table


def render_mode(antialiased: bool) -> str:
    """The comment of a PLY header that says how its Gaussians must be rendered."""
    return f"{RENDER_MODE} {'mip' if antialiased else 'default'}"


def is_antialiased(comments: Iterable[str]) -> bool:
    """Whether the comments of a PLY header ask for antialiased rendering; the last one that says counts.

    Understands Brush's `SplatRenderMode: mip` and Postshot's `antialiased 1`.
    """
    found = False
    for comment in comments:
        words = comment.split()
        if words[:1] == [RENDER_MODE]:
            found = words[1:2] == ["mip"]
        elif words[:1] == ["antialiased"]:
            found = words[1:2] == ["1"]
    return found


def read_ply(path: Path) -> Gaussians:
    """Read a splat PLY. Raises UserError when the file is damaged or is not a splat."""
    rows, antialiased = open_ply(path)
    return from_rows(rows, antialiased)


def open_ply(path: Path) -> tuple[npt.NDArray[np.void], bool]:
    """The rows of a splat PLY (N,) as they lie on disk, mapped, and whether they are antialiased.

    Raises UserError when the file is damaged or is not a splat.
    """
    try:
        ply = PlyData.read(str(path))
        vertex = ply["vertex"].data
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes it first") from None
    except (PlyParseError, KeyError, ValueError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not a readable PLY ({error}); train or export it again"
        ) from None
    names = set(vertex.dtype.names or ())
    needed = {*"xyz", "opacity", "f_dc_0", "f_dc_1", "f_dc_2"}
    needed |= {f"scale_{i}" for i in range(3)} | {f"rot_{i}" for i in range(4)}
    if missing := sorted(needed - names):
        raise UserError(
            f"{path} is a PLY but not a Gaussian splat (no property {missing[0]!r});"
            " give a file exported by a splat trainer"
        )
    rest_names = {name for name in names if name.startswith("f_rest_")}
    bands = len(rest_names) // 3
    if bands not in SH_COEFFICIENTS.values() or rest_names != {
        f"f_rest_{i}" for i in range(3 * bands)
    }:
        raise UserError(
            f"{path} has {len(rest_names)} f_rest properties, which is no SH degree of 0 to 3;"
            " export it again"
        )
    return vertex, is_antialiased(ply.comments)


def from_rows(rows: npt.NDArray[np.void], antialiased: bool) -> Gaussians:
    """The Gaussians of some rows that `open_ply` gave."""
    names = rows.dtype.names or ()
    bands = sum(name.startswith("f_rest_") for name in names) // 3
    count = len(rows)

    def columns(*keys: str) -> Array:
        return np.stack([rows[key].astype(np.float32) for key in keys], axis=1)

    rest = np.zeros((count, 0, 3), np.float32)
    if bands:
        flat = columns(*(f"f_rest_{i}" for i in range(3 * bands)))
        rest = np.ascontiguousarray(flat.reshape(count, 3, bands).transpose(0, 2, 1))
    return Gaussians(
        means=columns(*"xyz"),
        quats=columns(*(f"rot_{i}" for i in range(4))),
        scales=columns(*(f"scale_{i}" for i in range(3))),
        opacities=rows["opacity"].astype(np.float32),
        sh0=columns("f_dc_0", "f_dc_1", "f_dc_2"),
        shN=rest,
        antialiased=antialiased,
    )
