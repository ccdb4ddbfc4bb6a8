"""The final frame: metres and north from GPS, robust to wrong fixes, honest when GPS says nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from pyproj import Transformer
from scipy.spatial.transform import Rotation

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.georeferencing import georeferencing
from scripts.lib.contracts.photos import Photo, Sighting
from scripts.lib.contracts.record import as_file, from_file
from scripts.lib.core.console import UserError
from scripts.lib.core.geo import Sim3, utm_epsg
from scripts.lib.core.up import GivenUp, parse_up
from scripts.lib.scene.start_view import look_at
from scripts.lib.sfm.frame import align_calibrated
from scripts.lib.sfm.gps import find_located, fit_to_gps, priors
from scripts.lib.sfm.gravity import up_direction
from tests.unit.sfm_scene import centres, entry, synthetic, true_model

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
    truth, kept = synthetic(folder / "m.db", frames=20, noise_px=0.0)
    photos = [asdict(photo) for photo in kept]
    places = {name: metres * centre for name, centre in centres(truth).items()}
    generator = np.random.default_rng(0)
    for photo in photos:
        row = geodetic((places[photo["file"]] + noise_m * generator.normal(size=3))[None])[0]
        photo.update(latitude=row[0], longitude=row[1], altitude=row[2])
    turn = pycolmap.Rotation3d(Rotation.random(rng=generator).as_matrix())
    truth.transform(pycolmap.Sim3d(0.37, turn, np.array([5.0, -3.0, 2.0])))
    return truth, photos, places


def lines(photos: Sequence[dict[str, Any]]) -> list[Photo]:
    return [Photo(**photo) for photo in photos]


def sighted(gcps: Sequence[dict[str, Any]]) -> list[Sighting]:
    return [Sighting(**gcp) for gcp in gcps]


def place_model(
    model: pycolmap.Reconstruction,
    photos: list[dict[str, Any]],
    use_gps: bool = True,
    gcps: Sequence[dict[str, Any]] = (),
    **options: Any,
) -> tuple[pycolmap.Reconstruction, dict[str, Any]]:
    """The placed model with its lenses as they are, and georef.json's content."""
    placed, _ = align_calibrated(
        model, lines(photos), use_gps, calibration="off", gcps=sighted(gcps), **options
    )
    return placed.model, as_file(placed.georef)


def moved(model: pycolmap.Reconstruction, places: dict[str, np.ndarray]) -> np.ndarray:
    """Placed centres less true ones, their mean offset removed (the origin is the report's choice)."""
    found = centres(model)
    difference = np.array([found[name] - places[name] for name in sorted(places)])
    return difference - np.median(difference, axis=0)


def test_gps_gives_metres_and_north(tmp_path: Path) -> None:
    model, photos, places = scene(tmp_path)
    model, report = place_model(model, photos)
    assert report["georeferenced"] and report["units"] == "metres"
    assert report["rmse_horizontal_m"] < 0.01 and report["rmse_vertical_m"] < 0.01
    assert len(report["inliers"]) == 20 and report["outliers"] == []
    assert np.abs(moved(model, places)).max() < 0.01
    assert report["scale"] == pytest.approx(8.0 / 0.37, rel=1e-4)


def test_the_origin_places_the_model_on_the_earth(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    model, report = place_model(model, photos)
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


def test_a_flight_that_follows_the_terrain_is_not_bent(tmp_path: Path) -> None:
    """50 m above a slope with a hill: the relative heights are all the same, the absolute ones are true."""
    down = np.diag([1.0, -1.0, -1.0])
    grid = np.array([[x, y] for x in range(-60, 61, 24) for y in range(-60, 61, 30)], float)

    def ground(at: np.ndarray) -> np.ndarray:
        hill = 12 * np.exp(-((at**2).sum(axis=1)) / 900)
        return np.asarray(0.15 * at[:, 0] + hill)

    flown = np.column_stack([grid, ground(grid) + 50])
    shown = np.random.default_rng(2).uniform(-90, 90, (1500, 2))
    points = np.column_stack([shown, ground(shown)])
    model = true_model([(centre, down) for centre in flown], points, noise=0.0)
    names = [model.image(number).name for number in sorted(model.reg_image_ids())]
    places = dict(zip(names, flown, strict=True))
    photos = []
    for name, row in zip(names, geodetic(flown), strict=True):
        facts = {"latitude": row[0], "longitude": row[1], "altitude": row[2]}
        tilt = {"pitch": -90.0, "roll": 0.0, "relative_altitude": 50.0}
        photos.append(asdict(entry(name, **facts, **tilt)))
    model.transform(pycolmap.Sim3d(0.1, pycolmap.Rotation3d(), np.zeros(3)))
    model, report = place_model(model, photos)
    assert report["heights_used"] and report["outliers"] == []
    assert np.ptp([place[2] for place in places.values()]) > 20
    assert np.abs(moved(model, places)).max() < 0.02
    assert report["rmse_vertical_m"] < 0.02


def test_wrong_fixes_are_named_and_ignored(tmp_path: Path) -> None:
    model, photos, places = scene(tmp_path, noise_m=0.3)
    for photo in photos[:4]:
        photo["latitude"] += 0.002  # 220 m north
    model, report = place_model(model, photos)
    assert report["georeferenced"], report["reason"]
    assert set(report["outliers"]) == {photo["file"] for photo in photos[:4]}
    assert np.linalg.norm(moved(model, places), axis=1).mean() < 0.6


def test_scattered_positions_still_tell_the_scale_where_they_are_many(tmp_path: Path) -> None:
    truth, kept = synthetic(tmp_path / "m.db", frames=60, noise_px=0.0)
    photos = [asdict(photo) for photo in kept]
    generator = np.random.default_rng(4)
    places = {name: 3.0 * centre for name, centre in centres(truth).items()}
    for photo in photos:
        row = geodetic((places[photo["file"]] + generator.normal(0, 3.2, 3))[None])[0]
        photo.update(latitude=row[0], longitude=row[1], altitude=row[2])
    model, report = place_model(pycolmap.Reconstruction(truth), photos)
    assert report["georeferenced"], report["reason"]
    assert any("lengths are accurate only to" in note for note in report["notes"])
    assert report["scale"] == pytest.approx(3.0, rel=0.15)
    # The same positions on the wrong photos tell nothing.
    for photo, other in zip(photos, generator.permutation(photos), strict=True):
        photo.update({key: other[key] for key in ("latitude", "longitude", "altitude")})
    _, report = place_model(pycolmap.Reconstruction(truth), photos)
    assert not report["georeferenced"]


def test_the_matrix_in_the_report_is_what_was_done(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    before = centres(model)
    model, report = place_model(model, photos)
    matrix = np.array(report["world_from_sfm"])
    after = centres(model)
    for name, centre in before.items():
        assert np.allclose(matrix[:3, :3] @ centre + matrix[:3, 3], after[name], atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda photos: [p.update(latitude=None) for p in photos[3:]], "3 registered photos have"),
        (lambda photos: [p.update(latitude=50.1, longitude=14.4) for p in photos], "cover only"),
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
    model, report = place_model(model, photos)
    assert not report["georeferenced"] and words in report["reason"]
    assert report["origin"] is None and report["rmse_horizontal_m"] is None


def test_without_gps_the_scale_is_comfortable(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    model, report = place_model(model, photos, use_gps=False)
    assert not report["georeferenced"] and "switched off" in report["reason"]
    centre = np.median([point.xyz for point in model.points3D.values()], axis=0)
    distances = [np.linalg.norm(c - centre) for c in centres(model).values()]
    assert 2.0 < np.median(distances) < 8.0


def test_the_report_is_plain_json_and_its_matrices_are_inverse(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    _, report = place_model(model, photos)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    product = np.array(report["world_from_sfm"]) @ np.array(report["sfm_from_world"])
    assert np.allclose(product, np.eye(4), atol=1e-9)


def test_the_origin_in_its_utm_zone(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    _, report = place_model(model, photos)
    assert report["projected"]["epsg"] == 32633
    east, north = Transformer.from_crs(4326, 32633, always_xy=True).transform(14.4, 50.1)
    assert report["projected"]["easting"] == pytest.approx(east, abs=40)
    assert report["projected"]["northing"] == pytest.approx(north, abs=40)
    assert utm_epsg(-33.9, 151.2)[0] == 32756


@pytest.mark.parametrize("claimed", [None, 0.02])
def test_gps_takes_part_in_the_adjustment(tmp_path: Path, claimed: float | None) -> None:
    """With noisy fixes the cameras stay where the photos put them, and that is nearer to the truth."""
    model, photos, places = scene(tmp_path, noise_m=0.5)
    for photo in photos:
        photo.update(accuracy_horizontal_m=claimed, accuracy_vertical_m=claimed)
    model, report = place_model(model, photos, adjust=True)
    assert report["adjustment"]["used"] and report["adjustment"]["positions"] == 20
    assert report["adjustment"]["reprojection_after_px"] < 0.05
    assert np.linalg.norm(moved(model, places), axis=1).mean() < 0.5
    assert report["rmse_horizontal_m"] == pytest.approx(0.5 * np.sqrt(2), rel=0.35)


def street(folder: Path) -> tuple[pycolmap.Reconstruction, list[dict[str, Any]]]:
    """A walk of 100 m along a line, cameras level, houses ahead; fixes two metres off."""
    model, kept = synthetic(folder / "street.db", frames=20, noise_px=0.0)
    photos = [asdict(photo) for photo in kept]
    random = np.random.default_rng(2)
    ahead = np.array([np.cos(0.3), np.sin(0.3), 0.0])
    for point in model.points3D.values():
        aside = np.array([-ahead[1], ahead[0], 0.0]) * random.uniform(-40, 40)
        point.xyz = ahead * random.uniform(120, 200) + aside + [0.0, 0.0, random.uniform(-2, 12)]
    for number, photo in enumerate(sorted(photos, key=lambda photo: str(photo["file"]))):
        image = model.find_image_with_name(photo["file"])
        place = 5.0 * number * ahead + [0.0, 0.0, 0.02 * random.normal()]
        pose = look_at(place, place + ahead + [0.0, 0.0, 0.05 * np.sin(number)])
        image.frame.rig_from_world = pycolmap.Rigid3d(
            pycolmap.Rotation3d(pose[:3, :3]), pose[:3, 3]
        )
        for feature in image.points2D:
            if feature.has_point3D():
                xyz = model.point3D(feature.point3D_id).xyz
                feature.xy = image.project_point(xyz)
        row = geodetic((place + random.normal(size=3) * [2.0, 2.0, 1.0])[None])[0]
        photo.update(latitude=row[0], longitude=row[1], altitude=row[2])
    return model, photos


def test_a_straight_street_stays_level(tmp_path: Path) -> None:
    """Fixes along a line cannot tell the turn about it: how the cameras are held does, also after the
    adjustment."""
    model, photos = street(tmp_path)
    model, report = place_model(model, photos, adjust=True)
    assert report["upright_only"] and report["adjustment"]["used"]
    downs = [image.cam_from_world().rotation.matrix()[1] for image in model.images.values()]
    assert np.degrees(np.arccos(-np.mean(downs, axis=0)[2])) < 3.0
    assert report["rmse_horizontal_m"] < 4.0


def test_an_adjustment_repairs_a_bent_model(tmp_path: Path) -> None:
    """Cameras and points pushed apart from where photos and GPS have them come back."""
    model, photos, places = scene(tmp_path, noise_m=0.02)
    generator = np.random.default_rng(1)
    for point in model.points3D.values():
        point.xyz = point.xyz + generator.normal(size=3) * 0.01
    model, report = place_model(model, photos, adjust=True)
    assert (
        report["adjustment"]["reprojection_after_px"]
        < report["adjustment"]["reprojection_before_px"]
    )
    assert np.abs(moved(model, places)).max() < 0.1


# Gravity


@pytest.mark.parametrize("pitch", [-90.0, -60.0, -20.0, 0.0])
def test_the_gimbal_knows_up(tmp_path: Path, pitch: float) -> None:
    """A straight flight with one heading: how cameras are held cannot tell its tilt, the gimbal can."""
    world = Rotation.random(rng=np.random.default_rng(3))
    level = Rotation.from_matrix([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    camera = Rotation.from_euler("x", -pitch, degrees=True) * level * world.inv()
    model, kept = synthetic(tmp_path / "m.db", frames=6, noise_px=0.0)
    photos = [asdict(photo) for photo in kept]
    for number in model.reg_image_ids():
        frame = model.frame(model.image(number).frame_id)
        turn = pycolmap.Rotation3d(camera.as_matrix())
        frame.rig_from_world = pycolmap.Rigid3d(turn, np.array([0.1 * number, 0, 0]))
    for photo in photos:
        photo.update(pitch=pitch, roll=0.0)
    up, source = up_direction(model, lines(photos))
    assert source == "gimbal"
    assert up @ world.apply([0, 0, 1]) > np.cos(np.radians(0.1))


def test_gimbal_angles_that_contradict_each_other_are_not_used(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    for number, photo in enumerate(photos):
        photo.update(pitch=-90.0 + 37 * (number % 5))
    assert up_direction(model, lines(photos))[1] == "cameras"


# Up by hand


def hold(model: pycolmap.Reconstruction, level: Collection[str], degrees: float = 40.0) -> None:
    """Look to the horizon with all cameras, those of `level` upright and the others leaning to one side."""
    for number in model.reg_image_ids():
        image = model.image(number)
        heading = Rotation.from_euler("z", 50.0 * number, degrees=True)
        upright = Rotation.from_matrix([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) * heading
        lean = Rotation.from_euler("z", 0.0 if image.name in level else degrees, degrees=True)
        pose = lean * upright
        model.frame(image.frame_id).rig_from_world = pycolmap.Rigid3d(
            pycolmap.Rotation3d(pose.as_matrix()), -pose.apply(image.projection_center())
        )


def test_photos_that_were_held_level_tell_up(tmp_path: Path) -> None:
    """Where most lean, which turns the scene with them."""
    truth, kept = synthetic(tmp_path / "m.db", frames=20, noise_px=0.0)
    photos = [asdict(photo) for photo in kept]
    names = [photo.file for photo in kept]
    level = [names[0], names[5], names[9]]
    heights = {name: centre[2] for name, centre in centres(truth).items()}
    turn = pycolmap.Rotation3d(Rotation.random(rng=np.random.default_rng(2)).as_matrix())
    hold(truth, level)
    truth.transform(pycolmap.Sim3d(1.0, turn, np.zeros(3)))

    def miss(up: GivenUp | None) -> tuple[float, str]:
        """How far the cameras' heights are off, in units of the true model; and what told up."""
        model, report = place_model(pycolmap.Reconstruction(truth), photos, False, up=up)
        found = {name: centre[2] / report["scale"] for name, centre in centres(model).items()}
        off = np.array([found[name] - heights[name] for name in names])
        return float(np.abs(off - np.median(off)).max()), report["gravity"]

    wrong, source = miss(None)
    assert wrong > 0.3 and source == "cameras"
    right, source = miss(parse_up(f"{level[0]}, {Path(level[1]).stem},{level[2]}"))
    assert right < 0.02 and source == "photos"


@pytest.mark.parametrize("direction", ["0 0 -1", "0.3, -0.2, 0.9", "0 1 0"])
@pytest.mark.parametrize("calibration", ["off", "SIMPLE_RADIAL"])
def test_a_direction_in_the_frame_that_auto_gives(
    tmp_path: Path, direction: str, calibration: str
) -> None:
    """With a lens calibrated afterwards too, which places the model a second time."""
    truth, photos = synthetic(tmp_path / "m.db", frames=12, noise_px=0.3)
    auto, _ = align_calibrated(
        pycolmap.Reconstruction(truth), photos, False, calibration=calibration
    )
    given, _ = align_calibrated(
        pycolmap.Reconstruction(truth),
        photos,
        False,
        calibration=calibration,
        up=parse_up(direction),
    )
    assert given.georef.gravity == "direction"
    first, second = (centres(placed.model) for placed in (auto, given))
    names = sorted(first)
    up = np.array([float(word) for word in direction.replace(",", " ").split()])
    wanted = np.array([first[name] for name in names]) @ (up / np.linalg.norm(up))
    found = np.array([second[name][2] for name in names])
    assert np.abs((found - found[0]) - (wanted - wanted[0])).max() < 0.01
    matrix = np.array(given.georef.world_from_sfm)
    raw = centres(truth)
    assert np.allclose(matrix[:3, :3] @ raw[names[0]] + matrix[:3, 3], second[names[0]], atol=0.02)


def test_gps_is_believed_more_than_a_direction(tmp_path: Path) -> None:
    model, photos, places = scene(tmp_path)
    model, report = place_model(model, photos, up=parse_up("0 0 -1"))
    assert np.abs(moved(model, places)).max() < 0.01 and report["gravity"] == "GPS"
    assert (
        "map_scene.up is not used, because the GPS already gives the up direction"
        in report["notes"]
    )


def test_what_is_no_direction_is_refused(tmp_path: Path) -> None:
    assert parse_up("auto") is None and parse_up(" 1e-1 0 1 ") == GivenUp((0.1, 0.0, 1.0))
    for text in ("0 0 0", "1 2", "1 2 3 4"):
        with pytest.raises(UserError, match="a direction has three numbers that are not all 0"):
            parse_up(text)
    with pytest.raises(UserError, match="map_scene.up is empty"):
        parse_up(" , ")
    given = parse_up("b.heic, c/d.jpg")
    assert given is not None and given.among(["a.jpg", "b.jpg", "c/d.jpg"]) == ("b.jpg", "c/d.jpg")
    with pytest.raises(UserError, match="names 'b.heic', which fits several photos"):
        given.among(["b.jpg", "b.png"])
    with pytest.raises(
        UserError, match="names 'c/d.jpg', which is no photo of this scene; did you"
    ):
        given.among(["b.jpg", "c/e.jpg"])
    truth, kept = synthetic(tmp_path / "m.db", frames=6, noise_px=0.0)
    photos = [asdict(photo) for photo in kept]
    photos.append({**photos[0], "file": "lost.jpg"})
    with pytest.raises(
        UserError, match="map_scene.up names lost.jpg, but none of them is registered"
    ):
        place_model(truth, photos, False, up=parse_up("lost.jpg"))


# Surveyed points


def control_points(
    model: pycolmap.Reconstruction, truth: pycolmap.Reconstruction, metres: float, count: int
) -> list[dict[str, Any]]:
    """Sightings of `count` points of the scene, with their surveyed places."""
    images = {model.image(i).name: model.image(i) for i in model.reg_image_ids()}
    rows = []
    for number in sorted(truth.points3D)[:count]:
        place = geodetic(metres * truth.point3D(number).xyz[None])[0]
        for name in sorted(images)[:6]:
            pixel = images[name].project_point(model.point3D(number).xyz)
            if pixel is not None:
                rows.append(
                    {
                        "label": f"p{number}",
                        **dict(zip(("latitude", "longitude", "altitude"), place, strict=True)),
                        "file": name,
                        "x": pixel[0],
                        "y": pixel[1],
                    }
                )
    return rows


def test_surveyed_points_decide_over_gps(tmp_path: Path) -> None:
    model, photos, places = scene(tmp_path, noise_m=3.0)
    truth, _ = synthetic(tmp_path / "again.db", frames=20, noise_px=0.0)
    model, report = place_model(model, photos, gcps=control_points(model, truth, 8.0, 6))
    assert report["georeferenced"] and report["reason"] == "6 surveyed points"
    assert report["gravity"] == "survey"
    assert report["gcp"]["rmse_horizontal_m"] < 0.01
    assert report["gcp"]["check_rmse_horizontal_m"] < 0.02
    assert len(report["gcp"]["check_residuals_m"]) == 6
    assert np.abs(moved(model, places)).max() < 0.02
    assert report["rmse_horizontal_m"] > 1.0  # GPS as it is, against the survey


def test_a_wrong_survey_shows_in_the_check_points(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    truth, _ = synthetic(tmp_path / "again.db", frames=20, noise_px=0.0)
    gcps = control_points(model, truth, 8.0, 6)
    for gcp in gcps:
        if gcp["label"] == gcps[0]["label"]:
            gcp["altitude"] += 2.0
    _, report = place_model(model, photos, gcps=gcps)
    misses = {k: np.linalg.norm(v) for k, v in report["gcp"]["check_residuals_m"].items()}
    assert max(misses, key=lambda label: misses[label]) == gcps[0]["label"]


@pytest.mark.parametrize("unknown", [1, 3, 5, 6])
def test_a_surveyed_point_without_a_height_counts_across(tmp_path: Path, unknown: int) -> None:
    model, photos, places = scene(tmp_path, noise_m=0.01)
    truth, _ = synthetic(tmp_path / "again.db", frames=20, noise_px=0.0)
    gcps = control_points(model, truth, 8.0, 6)
    labels = sorted({gcp["label"] for gcp in gcps})
    for gcp in gcps:
        if gcp["label"] in labels[:unknown]:
            gcp["altitude"] = None
    model, report = place_model(model, photos, gcps=gcps)
    json.dumps(report, allow_nan=False)
    assert report["gcp"]["points"] == labels
    misses = report["gcp"]["check_residuals_m"]
    assert [label for label in labels if misses[label][2] is None] == labels[:unknown]
    assert (report["gcp"]["rmse_vertical_m"] is None) == (unknown == 6)
    assert report["gravity"] == ("survey" if unknown <= 3 else "GPS")
    shown = georeferencing(from_file(Georef, report, tmp_path))
    assert shown and shown.horizontal is not None and shown.horizontal < 0.1
    assert np.abs(moved(model, places)).max() < 0.15


def test_two_surveyed_points_are_too_few(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    truth, _ = synthetic(tmp_path / "again.db", frames=20, noise_px=0.0)
    _, report = place_model(model, photos, gcps=control_points(model, truth, 8.0, 2))
    assert report["gcp"] is None and "GPS positions agree" in report["reason"]
    assert "2 of 2 were found" in report["notes"][0] and "3 are needed" in report["notes"][0]


def surveyed(
    folder: Path, noise_m: float = 0.0
) -> tuple[
    pycolmap.Reconstruction, list[dict[str, Any]], dict[str, np.ndarray], list[dict[str, Any]]
]:
    """The scene with sightings of six surveyed points."""
    model, photos, places = scene(folder, noise_m=noise_m)
    truth, _ = synthetic(folder / "again.db", frames=20, noise_px=0.0)
    return model, photos, places, control_points(model, truth, 8.0, 6)


@pytest.mark.parametrize("use_gps", [True, False])
@pytest.mark.parametrize("key", ["latitude", "altitude"])
def test_one_wrong_point_is_left_out_and_named(tmp_path: Path, use_gps: bool, key: str) -> None:
    model, photos, places, gcps = surveyed(tmp_path, noise_m=0.5)
    wrong = gcps[0]["label"]
    for gcp in gcps:
        if gcp["label"] == wrong:
            gcp[key] += {"latitude": 0.0001, "altitude": 7.0}[key]  # eleven metres, or seven
    model, report = place_model(model, photos, use_gps, gcps=gcps)
    assert list(report["gcp"]["left_out"]) == [wrong] and wrong not in report["gcp"]["points"]
    assert wrong in report["notes"][0] and report["reason"] == "5 surveyed points"
    assert report["gcp"]["check_rmse_horizontal_m"] < 0.02
    assert np.abs(moved(model, places)).max() < 0.02


def test_a_miss_below_a_metre_is_told_in_centimetres(tmp_path: Path) -> None:
    model, photos, _, gcps = surveyed(tmp_path)
    wrong = gcps[0]["label"]
    for gcp in gcps:
        gcp["altitude"] += 0.6 * (gcp["label"] == wrong)
    _, report = place_model(model, photos, gcps=gcps)
    assert f"{wrong} (by 60.0 cm) contradicts the other" in report["notes"][0]


def test_noise_of_a_survey_leaves_no_point_out(tmp_path: Path) -> None:
    model, photos, _, gcps = surveyed(tmp_path)
    random = np.random.default_rng(4)
    shift = {gcp["label"]: random.normal(0, 0.05) for gcp in gcps}
    for gcp in gcps:
        gcp["altitude"] += shift[gcp["label"]]
    _, report = place_model(model, photos, gcps=gcps)
    assert report["gcp"]["left_out"] == {} and report["notes"] == []


def in_feet(gcps: list[dict[str, Any]], heights_only: bool) -> None:
    for gcp in gcps:
        gcp["altitude"] /= 0.3048
        if not heights_only:
            gcp["latitude"] = 50.1 + (gcp["latitude"] - 50.1) / 0.3048
            gcp["longitude"] = 14.4 + (gcp["longitude"] - 14.4) / 0.3048


@pytest.mark.parametrize("heights_only", [True, False])
@pytest.mark.parametrize("use_gps", [True, False])
def test_feet_for_metres_are_told_and_not_used(
    tmp_path: Path, heights_only: bool, use_gps: bool
) -> None:
    if not heights_only and not use_gps:
        pytest.skip("without GPS nothing tells the size of a survey that fits")
    model, photos, places, gcps = surveyed(tmp_path, noise_m=0.3)
    in_feet(gcps, heights_only)
    model, report = place_model(model, photos, use_gps, gcps=gcps)
    assert report["gcp"] is None and report["georeferenced"] is use_gps
    assert "feet" in report["notes"][0]
    if use_gps:
        assert np.linalg.norm(moved(model, places), axis=1).mean() < 0.6


def test_one_label_for_all_points_still_makes_six_of_them(tmp_path: Path) -> None:
    model, photos, places, gcps = surveyed(tmp_path, noise_m=3.0)
    for gcp in gcps:
        gcp["label"] = "GCP"
    model, report = place_model(model, photos, gcps=gcps)
    assert len(report["gcp"]["points"]) == 6
    assert np.abs(moved(model, places)).max() < 0.02


def test_a_survey_elsewhere_is_told(tmp_path: Path) -> None:
    model, photos, _, gcps = surveyed(tmp_path)
    for gcp in gcps:
        gcp["longitude"] += 6.0  # the next zone
    _, report = place_model(model, photos, gcps=gcps)
    assert report["gcp"] is None and report["georeferenced"]
    assert "UTM zone" in report["notes"][0]


# Heights, and the far side of the Earth


def test_longitude_180_is_no_border(tmp_path: Path) -> None:
    model, photos, places = scene(tmp_path)
    for photo in photos:
        photo["longitude"] = (photo["longitude"] - 14.4 + 360) % 360 - 180
    assert {photo["longitude"] > 0 for photo in photos} == {True, False}
    model, report = place_model(model, photos)
    assert report["georeferenced"] and report["outliers"] == []
    assert report["rmse_horizontal_m"] < 0.01
    assert abs(abs(report["origin"]["longitude"]) - 180) < 1e-3


def test_zeros_among_the_heights_are_not_known(tmp_path: Path) -> None:
    model, photos, places = scene(tmp_path, noise_m=0.1)
    for photo in photos[::2]:
        photo["altitude"] = 0.0
    model, report = place_model(model, photos, adjust=True)
    assert report["georeferenced"] and len(report["inliers"]) == 20
    assert "10 of 20 photos have a height of 0 m" in report["notes"][0]
    assert np.abs(moved(model, places)).max() < 0.5
    assert report["rmse_vertical_m"] < 0.3
    assert report["residuals_m"][photos[0]["file"]][2] is None
    assert 200 < report["origin"]["altitude"] < 300


def test_a_single_zero_is_an_outlier(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path, noise_m=0.1)
    photos[3]["altitude"] = 0.0
    _, report = place_model(model, photos)
    assert report["outliers"] == [photos[3]["file"]] and len(report["inliers"]) == 19


def test_zeros_at_the_sea_are_heights(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path, noise_m=0.1)
    for photo in photos:
        photo["altitude"] -= 250.0
    photos[0]["altitude"] = photos[1]["altitude"] = photos[2]["altitude"] = 0.0
    _, report = place_model(model, photos)
    assert report["georeferenced"] and report["notes"] == []


def test_heights_that_mean_nothing_are_told_and_not_used(tmp_path: Path) -> None:
    model, photos, places = scene(tmp_path, noise_m=0.1)
    random = np.random.default_rng(6)
    for photo in photos:
        photo["altitude"] = float(random.uniform(50, 500))
    for photo in photos:
        photo.update(pitch=0.0)
    model, report = place_model(model, photos, adjust=True)
    if report["georeferenced"]:
        assert report["rmse_vertical_m"] is None and "heights" in report["notes"][0]
    else:
        assert "agree" in report["reason"] or "differs" in report["reason"]


def test_positions_that_are_no_numbers_are_not_there(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path)
    for photo in photos[:3]:
        photo.update(latitude=float("nan"))
    photos[4].update(altitude=float("inf"))
    _, report = place_model(model, photos)
    assert report["georeferenced"] and report["gps_photos"] == 17
    assert json.dumps(report, allow_nan=False)


def test_a_claim_on_the_ground_is_of_both_axes(tmp_path: Path) -> None:
    model, photos, _ = scene(tmp_path, noise_m=0.02)
    for photo in photos:
        photo.update(accuracy_horizontal_m=1.0, accuracy_vertical_m=2.0)
    level = Sim3(1.0, np.eye(3), np.zeros(3))
    located = find_located(model, lines(photos))
    assert located is not None
    gps = fit_to_gps(model, located, level)
    assert gps.sim3 is not None
    model.transform(pycolmap.Sim3d(gps.sim3.matrix()[:3]))
    for prior in priors(model, located, gps).values():
        assert prior.horizontal == pytest.approx(np.sqrt(0.5)) and prior.vertical == 2.0
