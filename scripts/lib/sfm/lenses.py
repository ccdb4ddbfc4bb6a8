"""Lens models in the order in which they are tried, and how one becomes another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pycolmap

from scripts.lib.core.console import UserError


@dataclass(frozen=True)
class Lens:
    """A COLMAP camera model, and whether the principal point is free."""

    model: str
    principal_point: bool

    @property
    def name(self) -> str:
        """The lens in words, for the console and the report."""
        return self.model + (" with its own principal point" if self.principal_point else "")


# From poor to rich: each one can be anything that those before it can.
LENSES = (
    Lens("SIMPLE_PINHOLE", False),
    Lens("SIMPLE_RADIAL", False),
    Lens("RADIAL", False),
    Lens("SIMPLE_RADIAL", True),
    Lens("RADIAL", True),
    Lens("OPENCV", True),
)
# The same for lenses that see so far round that the models above do not describe them.
FISHEYES = (
    Lens("SIMPLE_RADIAL_FISHEYE", False),
    Lens("RADIAL_FISHEYE", False),
    Lens("SIMPLE_RADIAL_FISHEYE", True),
    Lens("RADIAL_FISHEYE", True),
    Lens("OPENCV_FISHEYE", True),
)
# Parameters that several models have under different names.
SAME = {"k": ("k1",), "k1": ("k",)}
# Picture corners that the lens draws in by this share: a lens that a fisheye model may suit better.
FISHEYE_BEND = 0.15


def richer_lenses(model: str) -> tuple[Lens, ...]:
    """The lenses to try for a camera of COLMAP's `model`, from its own on; itself alone if unknown here."""
    for family in (LENSES, FISHEYES):
        names = [lens.model for lens in family]
        if model in names:
            return family[names.index(model) :]
    return (Lens(model, False),)


def forced(model: str) -> Lens:
    """The richest lens of `model`. Raises UserError for a model that is not offered."""
    found = [lens for family in (LENSES, FISHEYES) for lens in family if lens.model == model]
    if not found:
        known = sorted({lens.model for lens in (*LENSES, *FISHEYES)})
        raise UserError(f"calibration {model!r} is unknown; choose auto, off, {', '.join(known)}")
    return found[-1]


def parameters(camera: pycolmap.Camera) -> dict[str, float]:
    """The camera's parameters by COLMAP's names."""
    names = [name.strip() for name in camera.params_info.split(",")]
    return dict(zip(names, map(float, camera.params), strict=True))


def set_lens(camera: pycolmap.Camera, model: str) -> None:
    """Turn `camera` into `model`, keeping every parameter that both have; the new ones start at 0.

    What becomes a fisheye is fitted, see `as_fisheye`.
    """
    if camera.model_name == model:
        return
    start = (as_fisheye(camera) if model.endswith("FISHEYE") else None) or camera
    before = parameters(start)
    after = pycolmap.Camera.create_from_model_name(
        camera.camera_id, model, start.mean_focal_length(), camera.width, camera.height
    )
    camera.model = after.model
    camera.params = [_carried(name, before) for name in parameters(after)]


def _carried(name: str, before: Mapping[str, float]) -> float:
    if name in before:
        return before[name]
    if name in ("fx", "fy") and "f" in before:
        return before["f"]
    if name == "f":
        return (before["fx"] + before["fy"]) / 2
    for other in SAME.get(name, ()):
        if other in before:
            return before[other]
    return 0.0


def richer_name(name: str, richer: Collection[str]) -> str:
    """What a parameter is called among those of a richer lens."""
    if name == "f":
        return "fx" if "fx" in richer else name
    return next((other for other in SAME.get(name, ()) if other in richer), name)


def free_parameters(camera: pycolmap.Camera, principal_point: bool) -> list[int]:
    """Numbers of the parameters that an adjustment changes."""
    free = [*camera.focal_length_idxs(), *camera.extra_params_idxs()]
    return sorted([*free, *(camera.principal_point_idxs() if principal_point else ())])


def as_fisheye(camera: pycolmap.Camera) -> pycolmap.Camera | None:
    """The SIMPLE_RADIAL_FISHEYE nearest to a strongly bent SIMPLE_RADIAL or RADIAL camera; None for others.

    Both are fitted to each other over the half of the picture around its middle, where the model that does
    not suit the lens is still right.
    """
    if camera.model_name not in ("SIMPLE_RADIAL", "RADIAL"):
        return None
    params = parameters(camera)
    corner = np.hypot(camera.width, camera.height) / 2 / params["f"]
    bend = params.get("k", params.get("k1", 0.0)) * corner**2 + params.get("k2", 0.0) * corner**4
    if bend > -FISHEYE_BEND:
        return None
    radius = np.linspace(0.02, 0.5, 25) * corner
    local = np.column_stack([radius, np.zeros_like(radius), np.ones_like(radius)])
    pixels = np.asarray(camera.img_from_cam(local))[:, 0] - params["cx"]
    theta = np.arctan(radius)
    # pixels = f theta + (f k) theta^3
    (focal, cubic), *_ = np.linalg.lstsq(np.column_stack([theta, theta**3]), pixels, rcond=None)
    fisheye = pycolmap.Camera.create_from_model_name(
        camera.camera_id, "SIMPLE_RADIAL_FISHEYE", float(focal), camera.width, camera.height
    )
    fisheye.params = [float(focal), params["cx"], params["cy"], float(cubic / focal)]
    return fisheye
