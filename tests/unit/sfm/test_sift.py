"""Our SIFT: points of known pictures, turned and smaller copies of one, and COLMAP's own as yardstick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from scripts.lib.sfm.features import affine, extract_features, photo_features
from scripts.lib.sfm.grey import read_grey, read_shown
from scripts.lib.sfm.options import FeatureOptions
from scripts.lib.sfm.sift import Features, Settings, Workspace, sift
from scripts.lib.sfm.sift.choose import best_spread
from tests.photo_lines import line
from tests.unit.photo_files import encoded, picture

Grey = NDArray[np.uint8]


def grey(seed: int, width: int = 320, height: int = 240) -> Grey:
    return np.asarray(picture(seed, width, height).convert("L"))


def blobs(places: list[tuple[float, float]], sigma: float, size: int = 200) -> Grey:
    """Bright round spots on grey; the middle of the first pixel is (0.5, 0.5)."""
    y, x = np.mgrid[:size, :size] + 0.5
    light = sum(np.exp(-0.5 * ((x - u) ** 2 + (y - v) ** 2) / sigma**2) for u, v in places)
    return np.round(40 + 180 * np.asarray(light)).astype(np.uint8)


@pytest.mark.parametrize("first", [-1, 0])
@pytest.mark.parametrize("sigma", [2.6, 3.3, 6.0, 11.0])
def test_blobs_are_found_where_they_are(first: int, sigma: float) -> None:
    known = [(50.3, 60.8), (140.1, 131.25)]
    found = sift(blobs(known, sigma), Settings(first_octave=first)).keypoints
    for place in known:
        here = found[np.hypot(*(found[:, :2] - place).T) < 1]
        nearest = here[np.abs(np.log(here[:, 2] / sigma)).argmin()]
        assert nearest[:2] == pytest.approx(place, abs=0.07)  # a spot is no parabola
        # The scale is that of the finer one of two blurs a third of an octave apart.
        assert nearest[2] * 2 ** (1 / 6) == pytest.approx(sigma, rel=0.03)


def matches(one: Features, other: Features, ratio: float = 0.8) -> NDArray[np.int64]:
    """Numbers (K, 2) of features that are each other's nearest, and nearer than any other."""
    a, b = (x.descriptors.astype(np.float32) for x in (one, other))
    distances = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    forth, back = distances.argmin(1), distances.argmin(0)
    near = np.partition(distances, 1, axis=1)
    good = (back[forth] == np.arange(len(a))) & (near[:, 0] < ratio**2 * near[:, 1])
    return np.stack([np.flatnonzero(good), forth[good]], axis=1)


def compare(one: Features, other: Features, turn: float, scale: float, expected: NDArray) -> None:
    """`expected` (N, 2): where the places of `one` ought to be in `other`."""
    pairs = matches(one, other)
    off = np.hypot(*(other.keypoints[pairs[:, 1], :2] - expected[pairs[:, 0]]).T)
    right = off < 2
    assert len(pairs) > 150 and right.mean() > 0.97
    assert np.median(off[right]) < 0.15
    a, b = one.keypoints[pairs[right, 0]], other.keypoints[pairs[right, 1]]
    angles = (b[:, 3] - a[:, 3] - turn + np.pi) % (2 * np.pi) - np.pi
    assert abs(np.median(angles)) < 0.02 and np.percentile(np.abs(angles), 80) < 0.2
    assert np.median(b[:, 2] / a[:, 2]) == pytest.approx(scale, rel=0.02)


def test_a_quarter_turn_turns_places_and_angles() -> None:
    one = grey(1)
    found, turned = sift(one, Settings(-1)), sift(np.rot90(one, -1).copy(), Settings(-1))
    x, y = found.keypoints[:, 0], found.keypoints[:, 1]
    compare(found, turned, np.pi / 2, 1.0, np.stack([one.shape[0] - y, x], axis=1))


def test_a_turn_and_a_smaller_copy_are_matched() -> None:
    image = picture(2, 400, 400).convert("L")
    angle, scale = 0.5, 0.7
    c, s = np.cos(angle), np.sin(angle)
    middle = np.array([200.0, 200.0])
    turn = np.array([[c, -s], [s, c]])  # of places: expected = middle + scale * turn (x - middle)
    back = turn.T / scale
    offset = middle - back @ middle
    # Pillow's transform maps the new picture's places to the old one's, and blurs nothing beforehand.
    terms = (*back[0], offset[0], *back[1], offset[1])
    copy = image.transform(image.size, Image.Transform.AFFINE, terms, Image.Resampling.BICUBIC)
    found, other = sift(np.asarray(image), Settings(-1)), sift(np.asarray(copy), Settings(-1))
    compare(found, other, angle, scale, middle + scale * (found.keypoints[:, :2] - middle) @ turn.T)


def test_a_part_of_a_picture_has_the_same_features_inside() -> None:
    whole = grey(3, 400, 320)
    all_found, found = sift(whole, Settings()), sift(whole[32:288, 64:368].copy(), Settings())
    moved = found.keypoints[:, :2] + [64, 32]
    far = np.minimum(found.keypoints[:, :2], [304, 256] - found.keypoints[:, :2]).min(1)
    inner = (far > 8 * found.keypoints[:, 2]) & (far > 40)
    tree = cKDTree(np.c_[all_found.keypoints[:, :2], all_found.keypoints[:, 2]])
    off, nearest = tree.query(np.c_[moved, found.keypoints[:, 2]][inner])
    same = off < 0.02
    assert inner.sum() > 100 and same.mean() > 0.97
    difference = all_found.descriptors[nearest[same]].astype(int) - found.descriptors[inner][same]
    assert np.percentile(np.abs(difference).max(1), 90) <= 2


@pytest.mark.parametrize("first", [-1, 0])
def test_it_finds_what_colmap_finds(tmp_path: Path, first: int) -> None:
    """The same points with the same shapes, and descriptors of the same layout, in the database."""
    image = picture(4, 480, 360).convert("L")
    (tmp_path / "a.png").write_bytes(encoded(image, "PNG"))
    options = pycolmap.FeatureExtractionOptions()
    options.num_threads, options.sift.first_octave = 1, first
    options.sift.max_num_orientations, options.sift.max_num_features = 1, 10000
    pycolmap.extract_features(
        tmp_path / "c.db", tmp_path, extraction_options=options, device=pycolmap.Device.cpu
    )
    link = pycolmap.Database.open(tmp_path / "c.db")
    number = link.read_all_images()[0].image_id
    points, stored = np.asarray(link.read_keypoints(number)), link.read_descriptors(number)
    link.close()
    photo = line("a.png", width=480, height=360)
    own = FeatureOptions(max_features=10000, first_octave=first)
    found = photo_features(photo, tmp_path, own, Workspace())
    ours = affine(found.keypoints)
    assert ours.shape[1] == points.shape[1] and len(ours) == pytest.approx(len(points), rel=0.02)
    scales = [np.sqrt(a[:, 2] * a[:, 5] - a[:, 3] * a[:, 4]) for a in (points, ours)]
    tree = cKDTree(np.c_[points[:, :2], scales[0]])
    assert np.mean(tree.query(np.c_[ours[:, :2], scales[1]])[0] < 0.3) > 0.92
    off, nearest = cKDTree(points).query(ours)
    same = off < 0.2  # the same direction as well: where two are as likely, either may win
    assert same.mean() > 0.65
    shift = (ours[same] - points[nearest[same]])[:, :2]
    assert np.abs(np.median(shift, axis=0)).max() < 0.005
    a, b = found.descriptors[same].astype(float), stored.data[nearest[same]].astype(float)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert np.percentile(cosine, 5) > 0.98
    assert np.linalg.norm(a, axis=1) == pytest.approx(512, rel=0.01)


def test_a_second_direction_makes_a_second_feature() -> None:
    one, two = (sift(grey(5), Settings(directions=count)) for count in (1, 2))
    again = {tuple(keypoint) for keypoint in one.keypoints}
    assert len(one.keypoints) < len(two.keypoints) <= 2 * len(one.keypoints)
    assert again <= {tuple(keypoint) for keypoint in two.keypoints}


def test_nothing_is_found_where_nothing_is() -> None:
    for blank in (
        np.full((100, 120), 90, np.uint8),
        np.zeros((9, 300), np.uint8),
        grey(1)[:12, :12],
    ):
        for first in (-1, 0, 1):
            found = sift(np.ascontiguousarray(blank), Settings(first))
            assert found.keypoints.shape == (0, 4) and found.descriptors.shape == (0, 128)


def test_hidden_parts_have_no_features(tmp_path: Path) -> None:
    shown = np.ones((120, 160), bool)  # of half the picture's size
    shown[:, :80] = False
    found, free = sift(grey(6), Settings(), shown), sift(grey(6), Settings())
    assert 0 < len(found.keypoints) < len(free.keypoints)
    assert found.keypoints[:, 0].min() >= 160
    mask = Image.fromarray((shown * 255).astype(np.uint8))
    (tmp_path / "m.png").write_bytes(encoded(mask, "PNG"))
    assert (read_shown(tmp_path / "m.png") == shown).all()
    limited = sift(grey(6), Settings(most=50), shown)
    assert len(limited.keypoints) >= 50  # what is hidden takes no keypoints from what shows


def test_the_coarsest_scales_are_kept_whole() -> None:
    generator = np.random.default_rng(0)
    octaves = []
    for step in (1.0, 2.0):
        points = generator.uniform(0, 100, (200, 4)).astype(np.float32)
        points[:, 2] = generator.uniform(0.5, 3.5, 200)
        octaves.append((points, step))
    kept = best_spread(octaves, 210)
    assert len(kept[1]) == 200 and 10 <= len(kept[0]) < 100
    assert octaves[0][0][kept[0], 2].min() > np.delete(octaves[0][0][:, 2], kept[0]).max()
    assert [len(k) for k in best_spread(octaves, 1000)] == [200, 200]


def test_features_do_not_depend_on_threads_or_memory(tmp_path: Path) -> None:
    photos = []
    for seed, (width, height) in enumerate([(320, 240), (241, 333), (500, 100), (320, 240)]):
        (tmp_path / f"{seed}.jpg").write_bytes(encoded(picture(seed, width, height)))
        photos.append(line(f"{seed}.jpg", width=width, height=height))
    stored = []
    for threads in (1, 4):
        database = tmp_path / f"{threads}.db"
        extract_features(photos, tmp_path, database, FeatureOptions(max_features=300), threads)
        link = pycolmap.Database.open(database)
        ids = {image.name: image.image_id for image in link.read_all_images()}
        stored.append(
            [
                (
                    np.asarray(link.read_keypoints(k)).tobytes(),
                    link.read_descriptors(k).data.tobytes(),
                )
                for _, k in sorted(ids.items())
            ]
        )
        link.close()
    assert stored[0] == stored[1] and all(len(part[1]) for part in stored[0])


@pytest.mark.parametrize("size", [(640, 480), (641, 483)])
@pytest.mark.parametrize("max_side", [0, 500, 300, 130])
def test_reduced_photos_keep_their_places(
    tmp_path: Path, size: tuple[int, int], max_side: int
) -> None:
    """However much of the reduction the JPEG decoder does, and where it leaves part of a pixel."""
    width, height = size
    known = (401.3, 222.7)
    y, x = np.mgrid[:height, :width] + 0.5
    light = np.exp(-0.5 * ((x - known[0]) ** 2 + (y - known[1]) ** 2) / 14**2)
    image = Image.fromarray(np.round(40 + 180 * light).astype(np.uint8))
    (tmp_path / "a.jpg").write_bytes(encoded(image.convert("RGB"), "JPEG"))
    picture, full = read_grey(tmp_path / "a.jpg", max_side)
    assert full == size and max(picture.shape) == (min(max_side, width) or width)
    photo = line("a.jpg", width=width, height=height)
    found = photo_features(
        photo, tmp_path, FeatureOptions(max_side=max_side), Workspace()
    ).keypoints
    nearest = found[np.hypot(*(found[:, :2] - known).T).argmin()]
    assert nearest[:2] == pytest.approx(known, abs=0.15)
    assert nearest[2] == pytest.approx(14 / 2 ** (1 / 6), rel=0.1)
