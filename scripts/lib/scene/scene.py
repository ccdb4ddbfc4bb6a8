"""An undistorted scene as the trainer and the evaluation see it: photos at one size, cameras, points."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from scripts.lib.core.console import UserError
from scripts.lib.core.faults import is_fault
from scripts.lib.core.files import reading_zip
from scripts.lib.scene.colmap_model import Model, read_model
from scripts.lib.scene.fall_off import lost

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """V photos of one place, P points. Photos are decoded when asked for, never kept here.

    names: sorted; sizes (V, 2) int, width and height at this resolution; K (V, 3, 3) for that size;
    world_to_camera (V, 4, 4); points (P, 3) world units; colours (P, 3) uint8; hidden: by photo, a mask of
    any size (h, w) uint8, 0 where the photo does not count, beside the masks that came with the photos.
    fall_off: numbers of each lens, see `fall_off.shapes`, whose loss of light is taken out of the photos; ()
    leaves them as they are.
    """

    path: Path
    names: tuple[str, ...]
    sizes: npt.NDArray[np.int64]
    K: npt.NDArray[np.float64]
    world_to_camera: npt.NDArray[np.float64]
    points: npt.NDArray[np.float64]
    colours: Bytes
    hidden: Mapping[int, Bytes] = field(default_factory=dict)
    fall_off: tuple[tuple[float, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """Camera centres (V, 3) in world units."""
        R, t = self.world_to_camera[:, :3, :3], self.world_to_camera[:, :3, 3]
        found: npt.NDArray[np.float64] = -np.einsum("vji,vj->vi", R, t)
        return found

    @property
    def lenses(self) -> npt.NDArray[np.int64]:
        """Which lens took each photo (V,): those of the same intrinsics share a number, counted from 0
        in the photos' order, the same at every resolution."""
        # Against the photo's own sides, to which `rescaled` keeps them.
        widths = np.c_[self.sizes, self.sizes][:, [0, 1, 0, 1]]
        numbers = self.K[:, [0, 1, 0, 1], [0, 1, 2, 2]] / widths
        found: dict[tuple[float, ...], int] = {}
        keys = np.round(numbers, 6).tolist()
        return np.array([found.setdefault(tuple(key), len(found)) for key in keys], np.int64)

    def take(self, indices: Sequence[int]) -> Scene:
        """The same place with the photos at `indices` alone, in that order; all points stay."""
        rows = np.asarray(indices, np.int64)
        return replace(
            self,
            names=tuple(self.names[index] for index in rows),
            sizes=self.sizes[rows],
            K=self.K[rows],
            world_to_camera=self.world_to_camera[rows],
        )

    def with_focals(self, scales: Sequence[float]) -> Scene:
        """The same scene with each lens's focal lengths times its factor of `scales` (L,)."""
        factors = np.ones_like(self.K)
        factors[:, :2, :2] = np.asarray(scales, float)[self.lenses][:, None, None]
        return replace(self, K=self.K * factors)

    def hiding(self, masks: Mapping[int, Bytes]) -> Scene:
        """The same scene in which parts of photos do not count: by index, masks (h, w) uint8, 0 there."""
        return replace(self, hidden=dict(masks))

    def at_most(self, resolution: int) -> Scene:
        """The same scene with photos whose long side is at most `resolution` pixels."""
        sizes = [fit(int(width), int(height), resolution) for width, height in self.sizes]
        return replace(self, sizes=np.array(sizes, np.int64), K=rescaled(self.K, self.sizes, sizes))

    def photos(self, indices: Sequence[int]) -> list[Bytes]:
        """Decode the photos at `indices`, each (H, W, 3) uint8 at this scene's resolution.

        Raises UserError when the zip lacks one or it cannot be decoded.
        """
        lenses = self.lenses if self.fall_off else None
        with reading_zip(self.path) as archive:
            found = [self._decode(archive, index) for index in indices]
        if lenses is None:
            return found
        pairs = zip(indices, found, strict=True)
        return [self._evened(photo, index, int(lenses[index])) for index, photo in pairs]

    def _evened(self, photo: Bytes, index: int, lens: int) -> Bytes:
        """A photo (H, W, 3) without what its lens takes from the corners, as bright on average."""
        if not any(self.fall_off[lens]):
            return photo
        gain = np.exp(lost(self.fall_off[lens], self.K[index], self.sizes[index]))[..., None]
        return (photo * gain + 0.5).clip(0, 255).astype(np.uint8)

    def masks(self, indices: Sequence[int]) -> list[Bytes | None]:
        """What counts of the photos at `indices`, each (H, W) uint8 in 0..255; None where everything does.

        Black parts of `masks/NAME.jpg.png` are neither trained on nor judged.
        """
        with reading_zip(self.path) as archive:
            present = set(archive.namelist())
            found: list[Bytes | None] = []
            for index in indices:
                size = (int(self.sizes[index, 0]), int(self.sizes[index, 1]))
                masks = []
                if (member := f"masks/{self.names[index]}.png") in present:
                    with Image.open(io.BytesIO(archive.read(member))) as image:
                        masks.append(image.convert("L").resize(size, Image.Resampling.BOX))
                if index in self.hidden:
                    hidden = Image.fromarray(self.hidden[index])
                    masks.append(hidden.resize(size, Image.Resampling.BILINEAR))
                found.append(
                    np.minimum.reduce([np.asarray(mask) for mask in masks]) if masks else None
                )
            return found

    def _decode(self, archive: zipfile.ZipFile, index: int) -> Bytes:
        member = f"images/{self.names[index]}"
        width, height = (int(v) for v in self.sizes[index])
        try:
            with Image.open(io.BytesIO(archive.read(member))) as image:
                # JPEG can be decoded at 1/2, 1/4 or 1/8 for less work; the rest is an area average.
                image.draft("RGB", (width, height))
                small = image.convert("RGB").resize((width, height), Image.Resampling.BOX)
        except (KeyError, OSError, zipfile.BadZipFile) as error:
            if is_fault(error):
                raise
            raise UserError(
                f"{self.path} holds no readable {member} ({error}); run undistort again"
            ) from None
        return np.asarray(small)


def usual_depths(scene: Scene, indices: Sequence[int]) -> npt.NDArray[np.float64]:
    """Median depth (M,) of the points that each photo at `indices` shows, in world units.

    Photos that show none take the median of the others, or the cameras' farthest distance from their middle.
    """
    corners = np.c_[scene.points, np.ones(len(scene.points))]
    found = np.full(len(indices), np.nan)
    for row, index in enumerate(indices):
        inside = scene.K[index] @ scene.world_to_camera[index, :3]
        x, y, depth = inside @ corners.T
        width, height = scene.sizes[index]
        front = depth > 0
        x, y, depth = x[front] / depth[front], y[front] / depth[front], depth[front]
        shown = depth[(x >= 0) & (x < width) & (y >= 0) & (y < height)]
        if len(shown):
            found[row] = np.median(shown)
    if np.isnan(found).all():
        centres = scene.centres
        found[:] = np.linalg.norm(centres - centres.mean(axis=0), axis=1).max() or 1.0
    return np.where(np.isnan(found), np.nanmedian(found), found)


def fit(width: int, height: int, resolution: int) -> tuple[int, int]:
    """Size whose long side is at most `resolution` pixels (0: unchanged), aspect kept."""
    factor = min(1.0, resolution / max(width, height)) if resolution else 1.0
    return max(1, round(width * factor)), max(1, round(height * factor))


def rescaled(
    K: npt.NDArray[np.float64], old: npt.ArrayLike, new: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Intrinsics (V, 3, 3) of pictures of the sizes `old` (V, 2) for the sizes `new`.

    Pixel centres lie at +0.5, so scaling the axes scales the principal point exactly.
    """
    factors = np.ones((len(K), 3, 1))
    factors[:, :2, 0] = np.asarray(new, float) / np.asarray(old, float)
    return K * factors


def load_scene(path: Path, resolution: int = 0) -> Scene:
    """Open an `undistorted.zip` at a long side of at most `resolution` pixels (0: as it is).

    Raises UserError when the zip is missing, damaged, not pinhole, or holds no photo.
    """
    with reading_zip(Path(path)) as archive:
        model = read_model(archive)
    if not model.views:
        raise UserError(f"{path} holds no registered photo; run map_scene again")
    return scene_from_model(Path(path), model, resolution)


def scene_from_model(path: Path, model: Model, resolution: int = 0) -> Scene:
    """The scene of an already read COLMAP model, cameras scaled to `resolution`."""
    own = [(view.width, view.height) for view in model.views]
    sizes = [fit(width, height, resolution) for width, height in own]
    return Scene(
        path=path,
        names=tuple(view.name for view in model.views),
        sizes=np.array(sizes, np.int64),
        K=rescaled(np.array([view.K for view in model.views]), own, sizes),
        world_to_camera=np.array([view.world_to_camera for view in model.views]),
        points=model.points,
        colours=model.colours,
    )
