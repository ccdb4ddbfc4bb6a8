"""Which photos count for a place."""

from __future__ import annotations

import numpy as np

from scripts.lib.geo.seen import Cameras, cameras_of, photos_of, pixel_size
from tests.unit.geo.places import scene, splat


def test_the_usual_pixel_is_that_of_the_ground() -> None:
    """12 m up with a focal length of 100 pixels."""
    assert abs(pixel_size(scene(), range(4)) - 0.12) < 1e-9


def test_frames_and_angles() -> None:
    """Four cameras 12 m up whose frames end 5.76 m from below each; none counts that is lower, or sees the
    ground at too low an angle for its reach."""
    cameras = cameras_of(scene(), range(4))
    points = np.array([[0.0, 0, 0], [6.0, 0, 0], [9.0, 0, 0], [0.0, 0, 12.5], [0, 5.9, 0]])
    assert cameras.covering(points).tolist() == [4, 2, 0, 0, 0]
    short = Cameras(cameras.scene, cameras.indices, np.full(4, 12.1))
    # A metre aside, 12.04 m over the sine of 85 degrees are just within; 1.7 m aside they are not.
    assert short.covering(np.array([[0.0, 0, 0], [2.0, 0, 0], [5.0, 0, 0]])).tolist() == [4, 1, 0]


def test_each_camera_counts_once_for_what_it_sees() -> None:
    """The roof is seen by the four cameras near it, the ground to the west by the fifth too."""
    gaussians = splat()
    photos = photos_of(gaussians, cameras_of(scene(), range(5)))
    east, north = gaussians.means[:, 0], gaussians.means[:, 1]
    assert set(photos[(np.abs(east - 1) < 0.5) & (np.abs(north - 1) < 0.5)]) == {4}
    assert set(photos[(np.abs(north) < 3) & (np.abs(east + 4.2) < 0.2)]) == {5}
