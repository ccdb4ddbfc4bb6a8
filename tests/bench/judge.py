"""What the runs of a benchmark share: photos decoded once, and the judge of their splats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from scripts.lib.measure import flicker, visibility
from scripts.lib.measure.evaluate import Views, image_qualities, mean, photo_of, render_views
from scripts.lib.measure.metrics import psnr
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import Bytes, Scene, load_scene
from scripts.lib.scene.split import split_scene
from scripts.lib.splat.gaussians import Gaussians

TEST_EVERY = 8


class Decoded(Scene):
    """A scene that keeps its photos: what a benchmark repeats is training, not decoding."""

    kept: ClassVar[dict[tuple[Path, str, int, int], Bytes]] = {}

    def photos(self, indices: Sequence[int]) -> list[Bytes]:
        """As of any scene."""
        keys = [
            (self.path, self.names[i], int(self.sizes[i][0]), int(self.sizes[i][1]))
            for i in indices
        ]
        missing = [place for place, key in enumerate(keys) if key not in self.kept]
        found = super().photos([indices[place] for place in missing])
        self.kept.update(zip((keys[place] for place in missing), found, strict=True))
        return [self.kept[key] for key in keys]


def load_decoded(path: Path) -> Decoded:
    """The scene of an undistorted.zip at its own size."""
    return Decoded(**vars(load_scene(path)))


class Judge:
    """The test photos of a scene at its size, rendered on `device` ("cpu" or "cuda")."""

    def __init__(self, scene: Scene, device: str, test_every: int = TEST_EVERY) -> None:
        split = split_scene(scene, test_every)
        self.device = device
        self.views = Views(scene, split.judged, held_out=True, split=split)
        self.photos = [photo_of(self.views, index) for index in self.views.indices]

    def psnr(self, gaussians: Gaussians) -> float:
        """Mean PSNR in dB: quick, and what a curve needs."""
        renders = render_views(gaussians, self.views, self.device)
        pairs = zip(renders, self.photos, strict=True)
        return sum(psnr(*pair) for pair in pairs) / len(self.photos)

    def quality(self, gaussians: Gaussians) -> dict[str, float]:
        """Mean PSNR in dB and SSIM, as eval.json has them; SSIM is found on all threads."""
        renders = list(render_views(gaussians, self.views, self.device))
        found = image_qualities(renders, self.photos)
        return {key: mean(found, key) for key in ("psnr", "ssim")}

    def streaks(self, gaussians: Gaussians) -> dict[str, float | None]:
        """Shares of the renders in Gaussians over 10 and 30 times as long as wide, and flicker, of 255."""
        renderer, scene, indices = (
            Renderer(gaussians, self.device),
            self.views.scene,
            self.views.indices,
        )
        needles = visibility.needles(gaussians, renderer, scene, indices)
        found = flicker.flicker(renderer, scene, indices)
        return {
            "over_10": round(needles.over_10, 4),
            "over_30": round(needles.over_30, 4),
            "flicker": None if found is None else round(255 * found, 3),
        }
