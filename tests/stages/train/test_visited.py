"""People, a car and laundry in the sample's photos are found where they really are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from scripts.lib.scene.colmap_model import Model, View
from scripts.lib.scene.scene import Scene, load_scene
from scripts.lib.train.transients import Transients
from tests.truth import heldback_depth, read_truth
from tests.unit.splat_scene import write_photos

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
SMALL = (192, 128)  # pixels
LOOKED = (0, 31)  # photos with visitors, which cover a quarter of them
AROUND = 4  # pixels around them, of which nothing is asked: soft shadows, and the margin of what is left out
CHANGED = 20  # of 255: the difference that a visitor or a shadow makes


def small(path: Path) -> np.ndarray:
    """A photo (H, W, 3) uint8."""
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB").resize(SMALL, Image.Resampling.BOX))


def write_visited(path: Path) -> None:
    """Write an `undistorted.zip` of the photos with visitors; cameras and points are the true ones."""
    truth = read_truth(SAMPLE)
    camera = truth["camera"]
    K = np.array([[camera["fx"], 0, camera["cx"]], [0, camera["fy"], camera["cy"]], [0, 0, 1]])
    views, photos, points = [], [], []
    scale = SMALL[0] / camera["width"]
    for name, told in sorted(truth["photos"].items()):
        pose = np.array(told["world_to_camera"], float).reshape(-1, 4)
        pose = np.r_[pose[:3], [[0, 0, 0, 1]]]
        views.append(View(name, *SMALL, np.diag([scale, scale, 1]) @ K, pose))
        visited = SAMPLE / "visited" / name
        photos.append(small(visited if visited.is_file() else SAMPLE / "photos" / name))
    for name, depth in heldback_depth(SAMPLE).items():
        pose = np.array(truth["heldback"][name]["world_to_camera"], float).reshape(-1, 4)
        y, x = (4 * np.argwhere((depth[::6, ::6] > 0) & (depth[::6, ::6] < 20)) * 6 + 2.5).T
        z = depth[::6, ::6][(depth[::6, ::6] > 0) & (depth[::6, ::6] < 20)]
        rays = np.linalg.inv(K) @ np.stack([x, y, np.ones_like(x)]) * z
        points.append((rays - pose[:3, 3:]).T @ pose[:3, :3])
    every = np.concatenate(points)
    write_photos(path, Model(tuple(views), every, np.full(every.shape, 128, np.uint8)), photos)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    path = tmp_path_factory.mktemp("visited") / "undistorted.zip"
    write_visited(path)
    return load_scene(path)


def test_visitors_of_the_sample_are_found(scene: Scene) -> None:
    """Most of what the clean photos do not show is contradicted, shadows included, and little else.

    Before any splat is asked; it has to confirm what is only possible.
    """
    found = Transients(scene, range(len(scene)), None, torch.device("cpu"))
    found._ask(LOOKED)
    hit = wanted = wrong = clear = 0
    for photo in LOOKED:
        name, regions = scene.names[photo], found.regions[photo]
        clean = small(SAMPLE / "photos" / name).astype(int)
        shown = scene.photos([photo])[0].astype(int)
        there = np.abs(shown - clean).max(axis=2) > CHANGED
        hit, wanted = hit + int((regions.possibly & there).sum()), wanted + int(there.sum())
        away = ~ndimage.binary_dilation(there, iterations=AROUND)
        wrong += int((regions.possibly & away).sum())
        clear += int(away.sum())
    assert hit > 0.7 * wanted
    assert wrong < 0.1 * clear
