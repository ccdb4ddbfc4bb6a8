"""What the tests of scripts/lib/sfm share: made-up databases with known poses, and errors against truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from scripts.lib.geo import Sim3, fit_sim3


def entry(file: str, **facts: Any) -> dict[str, Any]:
    """A line of photos.json with what the SfM stages need."""
    return {"file": file, "kept": True, "width": 1024, "height": 768, **facts}


def synthetic(
    path: Path,
    frames: int = 12,
    points: int = 300,
    noise_px: float = 0.5,
    seed: int = 3,
    **more: Any,
) -> tuple[pycolmap.Reconstruction, list[dict[str, Any]]]:
    """A database of `frames` photos with matches, their true model, and the lines of photos.json."""
    pycolmap.set_random_seed(seed)
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_frames_per_rig = 1, frames
    options.num_points3D = points
    options.camera_has_prior_focal_length = True
    for key, value in more.items():
        setattr(options, key, value)
    database = pycolmap.Database.open(path)
    truth = pycolmap.synthesize_dataset(options, database)
    if noise_px:
        noise = pycolmap.SyntheticNoiseOptions()
        noise.point2D_stddev = noise_px
        pycolmap.synthesize_noise(noise, truth, database)
    database.close()
    return truth, [entry(image.name) for image in truth.images.values()]


def centres(model: pycolmap.Reconstruction) -> dict[str, np.ndarray]:
    """Camera centres by name."""
    return {model.image(i).name: model.image(i).projection_center() for i in model.reg_image_ids()}


def residuals(found: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> np.ndarray:
    """Distances of the found centres from the true ones after the best similarity."""
    names = sorted(found)
    a, b = np.array([found[n] for n in names]), np.array([truth[n] for n in names])
    aligned: Sim3 = fit_sim3(a, b)
    return np.linalg.norm(aligned.apply(a) - b, axis=1)


def position_errors(found: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> np.ndarray:
    """Distances after the best similarity, as shares of the diagonal of the true centres' box."""
    size = np.linalg.norm(np.ptp(np.array([truth[name] for name in found]), axis=0))
    return residuals(found, truth) / size
