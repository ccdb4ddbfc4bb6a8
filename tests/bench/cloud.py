"""A scene for benchmarks: a bumpy ground photographed from a ring of cameras, made in a second."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.scene.colmap_model import Model, View, model_members
from scripts.lib.scene.scene import Scene, load_scene
from scripts.lib.scene.start_view import look_at


def make_scene(path: Path, points: int, size: tuple[int, int], views: int, seed: int = 0) -> Scene:
    """Write an undistorted.zip of `views` photos (noise of several scales) of `points` points; open it."""
    random = np.random.default_rng(seed)
    width, height = size
    focal = 0.9 * max(size)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    places = random.uniform(-1, 1, (points, 3)) * [2.0, 2.0, 0.0]
    places[:, 2] = 0.2 * np.sin(5 * places[:, 0]) * np.cos(4 * places[:, 1])
    colours = random.integers(30, 220, (points, 3)).astype(np.uint8)
    cameras = []
    for number in range(views):
        angle = 2 * np.pi * number / views
        eye = np.array([2.4 * np.cos(angle), 2.4 * np.sin(angle), 1.6])
        cameras.append(View(f"{number:03d}.jpg", width, height, K, look_at(eye, np.zeros(3))))
    with writing_zip(path) as archive:
        for camera in cameras:
            coarse = random.integers(0, 255, (height // 30 + 1, width // 30 + 1, 3)).astype(
                np.uint8
            )
            photo = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
            buffer = io.BytesIO()
            photo.save(buffer, "JPEG", quality=90)
            add_to_zip(archive, f"images/{camera.name}", buffer.getvalue())
        for member, data in model_members(Model(tuple(cameras), places, colours)).items():
            add_to_zip(archive, member, data)
    return load_scene(path)
