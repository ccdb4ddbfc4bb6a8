"""The final frame: metres and north from GPS, robust to wrong fixes, honest when GPS says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from pyproj import Transformer
from scipy.spatial.transform import Rotation

from scripts.lib.sfm.frame import place_model
from tests.unit.sfm_scene import centres, synthetic

ORIGIN = (50.1, 14.4, 250.0)


def geodetic(enu: np.ndarray) -> np.ndarray:
    """Latitude, longitude, altitude (N, 3) of local metres."""
    latitude, longitude, altitude = ORIGIN
    back = Transformer.from_pipeline(
        "+proj=pipeline +step +inv +proj=topocentric +ellps=WGS84 "
        f"+lon_0={longitude} +lat_0={latitude} +h_0={altitude} "
        "+step +inv +proj=cart +ellps=WGS84 +step +proj=unitconvert +xy_in=rad +xy_out=deg"
    )
    x, y, z = back.transform(*enu.T)
    return np.stack([y, x, z], axis=1)


def scene(
    folder: Path, noise_m: float = 0.0, metres: float = 8.0
) -> tuple[pycolmap.Reconstruction, list[dict[str, Any]], dict[str, np.ndarray]]:
    """A model in a frame of its own, its photos with GPS, and the cameras' true ENU positions."""
    truth, photos = synthetic(folder / "m.db", frames=20, noise_px=0.0)
    places = {name: metres * centre for name, centre in centres(truth).items()}
    generator = np.random.default_rng(0)
    for photo in photos:
        row = geodetic((places[photo["file"]] + noise_m * generator.normal(size=3))[None])[0]
        photo.update(latitude=row[0], longitude=row[1], altitude=row[2])
    turn = pycolmap.Rotation3d(Rotation.random(rng=generator).as_matrix())
    truth.transform(pycolmap.Sim3d(0.37, turn, np.array([5.0, -3.0, 2.0])))
    return truth, photos, places


def moved(model: pycolmap.Reconstruction, places: dict[str, np.ndarray]) -> np.ndarray:
    """Placed centres less true ones, their mean offset removed (the origin is the report's choice)."""
    found = centres(model)
    difference = np.array([found[name] - places[name] for name in sorted(places)])
    return difference - np.median(difference, axis=0)


def test_gps_gives_metres_and_north(tmp_path: Path) -> None:
    model, photos, places = scene(tmp_path)
    report = place_model(model, photos)
    assert report["georeferenced"] and report["units"] == "metres"
    assert report["rmse_horizontal_m"] < 0.01 and report["rmse_vertical_m"] < 0.01
    assert len(report["inliers"]) == 20 and report["outliers"] == []
    assert np.abs(moved(model, places)).max() < 0.01
    assert report["scale"] == pytest.approx(8.0 / 0.37, rel=1e-4)


def test_the_origin_places_the_model_on_the_earth(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    report = place_model(model, photos)
    origin = report["origin"]
    forward = Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=cart "
        "+ellps=WGS84 +step +proj=topocentric +ellps=WGS84 "
        f"+lon_0={origin['longitude']} +lat_0={origin['latitude']} +h_0={origin['altitude']}"
    )
    found = centres(model)
    for photo in photos:
        place = forward.transform(photo["longitude"], photo["latitude"], photo["altitude"])
        assert np.allclose(found[photo["file"]], place, atol=0.02)


def test_wrong_fixes_are_named_and_ignored(tmp_path: Path) -> None:
    model, photos, places = scene(tmp_path, noise_m=0.3)
    for photo in photos[:4]:
        photo["latitude"] += 0.002  # 220 m north
    report = place_model(model, photos)
    assert report["georeferenced"]
    assert set(report["outliers"]) == {photo["file"] for photo in photos[:4]}
    assert np.linalg.norm(moved(model, places), axis=1).mean() < 0.6


def test_the_matrix_in_the_report_is_what_was_done(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    before = centres(model)
    matrix = np.array(place_model(model, photos)["world_from_sfm"])
    after = centres(model)
    for name, centre in before.items():
        assert np.allclose(matrix[:3, :3] @ centre + matrix[:3, 3], after[name], atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda photos: [p.update(latitude=None) for p in photos[3:]], "3 registered photos have"),
        (lambda photos: [p.update(latitude=50.1, longitude=14.4) for p in photos], "spread over"),
        (
            lambda photos: [
                p.update(
                    latitude=50.1 + 0.01 * np.sin(7.0 * n), longitude=14.4 + 0.01 * np.cos(n * n)
                )
                for n, p in enumerate(photos)
            ],
            "GPS",
        ),
    ],
)
def test_useless_gps_is_told(tmp_path: Path, spoil: Any, words: str) -> None:
    model, photos, _ = scene(tmp_path)
    spoil(photos)
    report = place_model(model, photos)
    assert not report["georeferenced"] and words in report["reason"]
    assert report["origin"] is None and report["rmse_horizontal_m"] is None


def test_without_gps_the_scale_is_comfortable(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    report = place_model(model, photos, use_gps=False)
    assert not report["georeferenced"] and "switched off" in report["reason"]
    centre = np.median([point.xyz for point in model.points3D.values()], axis=0)
    distances = [np.linalg.norm(c - centre) for c in centres(model).values()]
    assert 2.0 < np.median(distances) < 8.0
