"""A splat against photos: views rendered and compared. Needs torch."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.lib.core.console import UserError, say
from scripts.lib.core.threads import threads
from scripts.lib.measure.metrics import psnr, ssim
from scripts.lib.render.pieces import renderer_of
from scripts.lib.render.renderer import Picture
from scripts.lib.scene.scene import Scene, load_scene
from scripts.lib.scene.split import Split, recorded, split_in_two
from scripts.lib.splat.pieces import Splat
from scripts.lib.train.note import TrainingNote, read_note

ELSEWHERE = TrainingNote(
    resolution=480, test_every=8
)  # of a splat that says nothing of its training
PERFECT = 100.0  # dB for equal images: JSON knows no infinity
MOST_SEEN = 8  # training photos to measure on when no others were kept
MOST_PIXELS = 60_000_000  # of views held in memory: 0.7 GB of photos, and as much of renders
ERROR_GAIN = 4.0  # an error of a quarter of the range is white in the error map


class Purpose(Enum):
    """What views are measured for."""

    JUDGE = "judge"  # the figures that are reported
    STEER = "steer"  # decisions


@dataclass(frozen=True)
class Views:
    """Views to measure on: a scene at some resolution, and indices of its photos.

    `held_out` is False when training has seen them, or may have; `split` tells what every photo did.
    Farther than `sky_from` from the middle of the trained cameras, world units, is the sky; None: no sky.
    """

    scene: Scene
    indices: list[int]
    held_out: bool
    split: Split
    sky_from: float | None = None

    @property
    def names(self) -> list[str]:
        """Names of the photos."""
        return [self.scene.names[index] for index in self.indices]


def choose_views(ply: Path, scene: Path, purpose: Purpose) -> Views:
    """The views to measure `ply` on, as large and divided as its training had them; its PLY tells.

    Where training kept no photo, up to 8 of those it has seen are taken, and a sentence says so. Raises
    UserError when the splat was trained on other photos than those of `scene`.
    """
    found = read_note(ply)
    note = found or ELSEWHERE
    loaded = load_scene(scene, note.resolution)
    for lenses in filter(None, (len(note.focal_scales), len(note.fall_off))):
        if lenses != int(loaded.lenses.max()) + 1:
            raise UserError(
                f"{ply} was trained with {lenses} lenses, {scene} has others; give the"
                " undistorted.zip of its training"
            )
    if note.focal_scales:
        loaded = loaded.with_focals(note.focal_scales)
    # As without lens distortion, photos are seen without what training knew of their lenses' light.
    loaded = replace(loaded, fall_off=note.fall_off)
    if note.split is not None:
        split = recorded(note.split, loaded.names, str(scene))
    else:
        split = split_in_two(loaded, note.test_every, note.test_photos)
    indices = split.judged if purpose is Purpose.JUDGE else split.steering
    if indices and found:
        return Views(loaded, indices, True, split, note.sky_from)
    if indices:
        say(
            f"{ply} does not say which photos it was trained on: some test photos may be among them"
        )
        return Views(loaded, indices, False, split)
    say("There are no test photos: measuring on training photos")
    return spread_views(Views(loaded, split.trained, False, split, note.sky_from), MOST_SEEN)


def spread_views(views: Views, count: int) -> Views:
    """At most `count` of some views, spread evenly."""
    return replace(
        views, indices=[views.indices[place] for place in spread(len(views.indices), count)]
    )


def affordable(views: Views) -> Views:
    """Of very many views as many, spread evenly, as fit in memory; nearly always all of them."""
    pixels = int(views.scene.sizes.prod(axis=1).max())
    return spread_views(views, max(MOST_SEEN, MOST_PIXELS // pixels))


def spread(many: int, count: int) -> list[int]:
    """At most `count` of the numbers 0 to `many` - 1, spread evenly."""
    return sorted({int(place) for place in np.linspace(0, many - 1, min(count, many)).round()})


def render_views(splat: Splat, views: Views, device: str) -> Iterator[Picture]:
    """Render each view, (H, W, 3) float32 clipped to 0..1, black where nothing is."""
    renderer, scene = renderer_of(splat, device), views.scene
    for index in views.indices:
        yield renderer.picture(scene.world_to_camera[index], scene.K[index], scene.sizes[index])


def photo_of(views: Views, index: int) -> Picture:
    """The photo at `index`, (H, W, 3) float32 in 0..1, NaN where its mask hides it."""
    photo = views.scene.photos([index])[0].astype(np.float32) / np.float32(255)
    mask = views.scene.masks([index])[0]
    if mask is not None:
        photo[mask < 128] = np.nan
    return photo


def shown(render: Picture, photo: Picture) -> Picture:
    """The photo, and the render where the photo is hidden (NaN), so that nothing is judged there."""
    return np.where(np.isnan(photo), render, photo)


def image_quality(a: Picture, b: Picture) -> dict[str, float]:
    """PSNR in dB (at most 100) and SSIM of two pictures, the second NaN where it does not count.

    PSNR is over what is visible; SSIM over all windows, hidden parts counting as equal.
    """
    if np.isnan(b).all():
        return {"psnr": PERFECT, "ssim": 1.0}
    return {"psnr": visible_psnr(a, b), "ssim": ssim(a, shown(a, b))}


def image_qualities(
    renders: Sequence[Picture], photos: Sequence[Picture]
) -> list[dict[str, float]]:
    """`image_quality` of each render and its photo, on all threads: SSIM's filters release Python's lock."""
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(image_quality, renders, photos))


def visible_psnr(a: Picture, b: Picture) -> float:
    """PSNR in dB (at most 100) of two pictures over what the second shows: it is NaN elsewhere."""
    visible = ~np.isnan(b)
    if not visible.any():
        return PERFECT
    if visible.all():
        return min(psnr(a, b), PERFECT)
    return min(psnr(a[visible], b[visible]), PERFECT)


def exposed_as(render: Picture, photo: Picture) -> Picture:
    """The render with the gain and the offset of each colour that bring it nearest to the photo, in 0..1.

    Least squares over what the photo shows. A colour that is the same everywhere in the render is only moved.
    """
    made = render.copy()
    for colour in range(3):
        visible = ~np.isnan(photo[..., colour])
        x, y = render[..., colour][visible].astype(float), photo[..., colour][visible].astype(float)
        if not len(x):
            continue
        spread = x.var()
        gain = ((x - x.mean()) * (y - y.mean())).mean() / spread if spread > 1e-8 else 1.0
        made[..., colour] = (render[..., colour] - x.mean()) * gain + y.mean()
    return made.clip(0, 1)


def flip(a: Picture, b: Picture) -> float:
    """Mean FLIP error of two pictures, 0 (alike) to 1: how different they look when swapped in place.

    Andersson et al. (2020), by the authors' own package, for a 0.7 m wide 4K screen at 0.7 m.
    """
    import flip_evaluator

    _, error, _ = flip_evaluator.evaluate(a, shown(a, b), "LDR", computeMeanError=True)
    return float(error)


def mean(views: Sequence[Mapping[str, float]], key: str) -> float:
    """Mean of one number over views."""
    return float(np.mean([view[key] for view in views]))


def error_map(a: Picture, b: Picture) -> Picture:
    """Mean absolute difference as a heat picture: black none, red, yellow, white a quarter or more."""
    heat = 3 * np.clip(ERROR_GAIN * np.abs(a - shown(a, b)).mean(axis=2, keepdims=True), 0, 1)
    picture: Picture = np.clip(heat - np.arange(3, dtype=np.float32), 0, 1)
    return picture


def jpeg(picture: Picture, quality: int = 90) -> bytes:
    """A picture in 0..1 as the bytes of a JPEG file, black where it is NaN."""
    buffer = io.BytesIO()
    whole = (np.clip(np.nan_to_num(picture), 0, 1) * 255 + 0.5).astype(np.uint8)
    Image.fromarray(whole).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()
