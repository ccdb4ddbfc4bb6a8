"""Panoramas in mapping: one frame each, lenses and directions of their views exact."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from scripts.lib.contracts.photos import Photo, RigView
from scripts.lib.core.geo import fit_sim3
from scripts.lib.core.rig_names import view_name
from scripts.lib.photos.faces import FACES, face_quaternion, face_rotation
from scripts.lib.sfm.covariance import certainty, certainty_of_many
from scripts.lib.sfm.divided import divided_models
from scripts.lib.sfm.features import write_images
from scripts.lib.sfm.map import aligned_model
from scripts.lib.sfm.mapping import run_mapper
from scripts.lib.sfm.matching import verified_matches
from scripts.lib.sfm.options import FeatureOptions, MapOptions
from scripts.lib.sfm.pairs import choose_pairs
from scripts.lib.sfm.rig_matching import verify_panoramas
from scripts.lib.sfm.rigs import has_rigs, is_exact, placed_once
from scripts.lib.sfm.uncertainty import how_certain
from tests.unit.sfm_scene import centres, entry, facing, position_errors, room_points

SIDE, COUNT, NOISE = 400, 8, 0.4


def views_of(number: int) -> list[Photo]:
    found = []
    for face in FACES:
        pose = (*face_quaternion(face), 0.0, 0.0, 0.0)
        rig = RigView(f"panorama {SIDE}", f"p{number}.jpg", face, True, pose)
        name = view_name(f"p{number}", face)
        found.append(entry(name, width=SIDE, height=SIDE, focal_px=SIDE / 2, rig=rig))
    return found


@pytest.fixture(scope="module")
def room(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[Photo], dict[str, np.ndarray]]:
    """A database of panoramas of a room, with matches, and where they stood."""
    database = tmp_path_factory.mktemp("rig") / "m.db"
    random = np.random.default_rng(5)
    photos = [view for number in range(COUNT) for view in views_of(number)]
    ids = write_images(photos, database, FeatureOptions())
    points = room_points(500)
    truth, seen = {}, {}
    for number in range(COUNT):
        place = random.uniform(-1, 1, 3) * [1.6, 2.4, 0.3]
        turn = facing(random.uniform(0, 360), random.normal(0, 5), random.normal(0, 5))
        for face in FACES:
            name = view_name(f"p{number}", face)
            local = (points - place) @ turn.T @ face_rotation(face).T
            depth = local[:, 2]
            pixels = SIDE / 2 * (1 + local[:, :2] / np.maximum(depth, 1e-9)[:, None])
            inside = (depth > 0.1) & (pixels > 0).all(axis=1) & (pixels < SIDE).all(axis=1)
            truth[name] = place
            seen[name] = (
                np.flatnonzero(inside),
                pixels[inside] + random.normal(0, NOISE, (inside.sum(), 2)),
            )
    with pycolmap.Database.open(database) as link:
        for name, (_, pixels) in seen.items():
            link.write_keypoints(ids[name], pixels.astype(np.float32))
        for a, b in itertools.combinations(photos, 2):
            assert a.rig is not None and b.rig is not None
            if a.rig.frame == b.rig.frame:
                continue
            _, left, right = np.intersect1d(
                seen[a.file][0], seen[b.file][0], return_indices=True, assume_unique=True
            )
            if len(left) < 15:
                continue
            both = np.column_stack([left, right]).astype(np.uint32)
            geometry = pycolmap.TwoViewGeometry()
            geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
            geometry.inlier_matches = both
            link.write_matches(ids[a.file], ids[b.file], both)
            link.write_two_view_geometry(ids[a.file], ids[b.file], geometry)
    return database, photos, truth


def test_panoramas_are_placed_as_wholes(
    room: tuple[Path, list[Photo], dict[str, np.ndarray]], tmp_path: Path
) -> None:
    database, photos, truth = room
    attempt = run_mapper("incremental", database, tmp_path, MapOptions(), 2)
    assert attempt.registered == len(photos)
    model = attempt.models[0]
    assert has_rigs(model) and model.num_reg_frames() == COUNT
    assert position_errors(centres(model), truth).max() < 0.001
    located = [
        replace(photo, latitude=47 + y / 11_100, longitude=8 + x / 7_600, altitude=400 + 10 * z)
        for photo, (x, y, z) in ((photo, truth[photo.file]) for photo in photos)
    ]
    aligned, certain, residuals = aligned_model(model, located, (), MapOptions())
    assert aligned.georef.georeferenced and not residuals.corrected
    final = aligned.model
    # The stated deviations are those of the errors: neither half nor twice as large.
    assert certain.cameras is not None and len(certain.cameras.covariance) == len(photos)
    assert len({certain.cameras.covariance[photo.file] for photo in photos}) == COUNT
    free, _, _ = aligned_model(model, photos, (), MapOptions(use_gps=False))
    stated = how_certain(free.model, None, None, None).cameras
    assert stated is not None
    found = fit_sim3(
        np.array([truth[name] for name in sorted(truth)]),
        np.array([centres(free.model)[name] for name in sorted(truth)]),
    )
    missed = [centres(free.model)[name] - found.apply(truth[name][None])[0] for name in truth]
    sigma = np.median(stated.sigma_median)
    assert 0.5 * sigma < np.sqrt(np.mean(np.square(missed))) < 2 * sigma
    assert all(is_exact(camera) for camera in final.cameras.values())
    assert position_errors(centres(final), truth).max() < 0.001
    for number in range(COUNT):
        poses = {
            face: next(
                image
                for image in final.images.values()
                if image.name == view_name(f"p{number}", face)
            ).cam_from_world()
            for face in FACES
        }
        for face, pose in poses.items():
            turn = (pose * poses["front"].inverse()).rotation.matrix()
            assert np.allclose(turn, face_rotation(face), atol=1e-9), "a view moved in its rig"


def test_few_matches_of_each_view_are_verified_together(
    room: tuple[Path, list[Photo], dict[str, np.ndarray]], tmp_path: Path
) -> None:
    """Six matches in each pair of views, of which a third are wrong: no pair could stand alone."""
    database, photos, _ = room
    shutil.copyfile(database, tmp_path / "m.db")
    random = np.random.default_rng(2)
    with pycolmap.Database.open(tmp_path / "m.db") as link:
        ids = {image.name: image.image_id for image in link.read_all_images()}
        first = [ids[photo.file] for photo in photos if photo.file.startswith("p0_")]
        second = [ids[photo.file] for photo in photos if photo.file.startswith("p1_")]
        pairs = [pair for pair in itertools.product(first, second) if link.exists_matches(*pair)]
        right = {pair: np.asarray(link.read_matches(*pair))[:4] for pair in pairs}
        link.clear_matches()
        link.clear_two_view_geometries()
        for (a, b), true in right.items():
            wrong = [[int(random.integers(20)), int(random.integers(20))] for _ in range(2)]
            link.write_matches(a, b, np.concatenate([true, wrong]).astype(np.uint32))
        verify_panoramas(link, pairs, pycolmap.TwoViewGeometryOptions())
        found = {
            pair: np.asarray(link.read_two_view_geometry(*pair).inlier_matches)
            for pair in pairs
            if link.exists_two_view_geometry(*pair)
        }
    assert len(pairs) >= 8 and len(found) == len(pairs)
    kept = sum(len(inliers) for inliers in found.values())
    true = sum(
        sum(tuple(match) in set(map(tuple, right[pair].tolist())) for match in inliers.tolist())
        for pair, inliers in found.items()
    )
    assert true >= 0.95 * 4 * len(pairs) and kept - true <= 0.1 * true


def test_a_rig_is_written_with_its_poses(
    room: tuple[Path, list[Photo], dict[str, np.ndarray]],
) -> None:
    with pycolmap.Database.open(room[0]) as link:
        rigs, frames, cameras = (
            link.read_all_rigs(),
            link.read_all_frames(),
            link.read_all_cameras(),
        )
    assert len(rigs) == 1 and len(frames) == COUNT and len(cameras) == len(FACES)
    assert all(is_exact(camera) for camera in cameras)
    assert sum(rigs[0].has_sensor_from_rig(c.sensor_id) for c in cameras) == len(FACES) - 1


def test_lenses_that_only_look_exact_are_not() -> None:
    camera = pycolmap.Camera.create_from_model_name(1, "PINHOLE", 200.0, 400, 400)
    assert is_exact(camera)
    camera.params = [200.0001, 200.0, 200.0, 200.0]
    assert not is_exact(camera)
    assert not is_exact(pycolmap.Camera.create_from_model_name(1, "SIMPLE_PINHOLE", 200, 400, 400))


def test_views_of_one_panorama_are_not_compared_and_placed_once() -> None:
    photos = [replace(view, latitude=47.0, longitude=8.0) for n in range(3) for view in views_of(n)]
    photos.append(entry("flat.jpg", latitude=47.0, longitude=8.0))
    chosen = choose_pairs(photos, "exhaustive", exhaustive_limit=100, neighbours=5, overlap=5)
    assert len(chosen.pairs) == 19 * 18 // 2 - 3 * 15
    placed = [photo.file for photo in placed_once(photos) if photo.latitude is not None]
    assert placed == [*(view_name(f"p{n}", "front") for n in range(3)), "flat.jpg"]


def test_panoramas_are_mapped_in_parts_as_wholes(
    room: tuple[Path, list[Photo], dict[str, np.ndarray]], tmp_path: Path
) -> None:
    """And the certainty by blocks knows that their views turn together."""
    database, photos, truth = room
    matches, half = verified_matches(database), len(photos) // 2
    (model,), unjoined = divided_models(database, matches, tmp_path, MapOptions(), 1, half)
    assert len(list(tmp_path.glob("part*"))) >= 2 and not unjoined
    assert has_rigs(model) and model.num_reg_images() == len(photos)
    assert model.num_reg_frames() == COUNT
    assert position_errors(centres(model), truth).max() < 0.001
    whole, found = certainty(model, {}), certainty_of_many(model, {})
    assert whole is not None and found is not None
    for name, covariance in whole.centres.items():
        assert found.centres[name] == pytest.approx(
            covariance, rel=1e-3, abs=1e-6 * covariance.max()
        )
