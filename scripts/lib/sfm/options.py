"""Options of the four stages from photos to posed pinhole photos. Needs no pycolmap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from scripts.lib.core.options import Options, option

MOST_PIXELS, MOST_FEATURES = 65_500, 100_000  # of a side, of a photo
CameraModel = Literal["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"]
# `off` is false to YAML.
Calibration = Literal[
    "auto",
    "off",
    False,
    "SIMPLE_PINHOLE",
    "SIMPLE_RADIAL",
    "RADIAL",
    "OPENCV",
    "SIMPLE_RADIAL_FISHEYE",
    "RADIAL_FISHEYE",
    "OPENCV_FISHEYE",
]


@dataclass(frozen=True)
class FeatureOptions(Options):
    """SIFT features of every photo."""

    max_orientations: ClassVar[int] = 1  # descriptors of one point at most

    max_side: Literal[0] | int = option(
        1600,
        "Longer side of the copy that features are found on, 0 never reduces.",
        64,
        MOST_PIXELS,
        unit="pixels",
    )
    max_features: int = option(
        4096, "Features a photo at most; the largest ones are kept.", 50, MOST_FEATURES
    )
    first_octave: Literal["auto"] | int = option(
        "auto",
        """-1 doubles the photo first (finer features), 0 is three to four times faster; auto doubles photos
        of at most 1200 pixels, which have too few features without.""",
        -1,
        3,
    )
    peak_threshold: float = option(
        0.0067,
        "Contrast a feature must have; lower finds more in flat texture.",
        most=1,
        above=0,
    )
    camera_model: CameraModel = option(
        "SIMPLE_RADIAL", "Lens model that is solved for. OPENCV for wide lenses with many photos."
    )
    share_intrinsics: bool = option(
        True,
        "Photos of one camera, size and focal length share one lens; false gives each its own.",
    )


@dataclass(frozen=True)
class FinerFeatureOptions(FeatureOptions):
    """Of retries, where too few photos were registered: a second descriptor finds a few more matches, for a
    quarter more time.
    """

    max_orientations: ClassVar[int] = 2


@dataclass(frozen=True)
class MatchOptions(Options):
    """Which photos are compared, and how strictly."""

    strategy: Literal["auto", "exhaustive", "spatial", "sequential", "retrieval"] = option(
        "auto",
        """auto compares all pairs of a small set; in a larger one neighbours by GPS, or by order of names
        and times, each with the photos that look most alike; without either, photos that look alike
        (retrieval).""",
    )
    exhaustive_limit: int = option(30, "Photos up to which auto compares all pairs.", 2, 100_000)
    neighbours: int = option(
        16, "Spatial and retrieval: how many photos each one is compared with.", 2, 1000
    )
    overlap: int = option(
        8, "Sequential: how many of the next photos each one is compared with.", 1, 1000
    )
    max_ratio: float = option(
        0.8, "Lowe's ratio test; lower keeps only unmistakable matches.", most=1, above=0
    )
    guided: bool = option(
        False, "Search again along epipolar lines: more matches, about twice the time."
    )
    min_inliers: int = option(
        15,
        "Geometrically consistent matches that a pair of photos needs to count.",
        6,
        1000,
    )
    seed: int = option(0, "Start of every random draw.", 0, 2**31 - 1, shared=True)


@dataclass(frozen=True)
class MapOptions(Options):
    """Cameras and sparse points, the scene's frame, and the gate before training."""

    mapper: Literal["auto", "incremental", "global"] = option(
        "auto", "auto starts with one and tries the other when few photos were registered."
    )
    # Up to 400 photos the incremental one, tuned as above, took a half to a quarter of the global one's time
    # for equal errors (tests/bench/NOTES.md).
    global_mapper_min_photos: int = option(
        1000,
        """Photos from which auto takes the global mapper first; below, the incremental one, which was
        faster in every measurement up to 400 photos.""",
        3,
        1_000_000,
    )
    retry_below: float = option(
        0.9, "Share of photos registered under which mapping is tried again in another way.", 0, 1
    )
    retries: bool = option(
        True,
        """When too few photos are registered, compare more pairs, try the other mapper, and find more
        features; false tries the other mapper only.""",
    )
    min_registered_fraction: float = option(
        0.6,
        """Share of photos that must be registered, or the run stops before training: of a scene with more
        gaps than this, a splat shows holes rather than the place.""",
        0,
        1,
    )
    min_photos: int = option(3, "Registered photos that a scene needs at least.", 2, 100_000)
    max_reprojection_error: float = option(
        3.0,
        """Mean reprojection error above which the run stops: good models have 0.3 to 1.5, and training
        cannot sharpen what the cameras blur.""",
        most=100,
        above=0,
        unit="pixels",
    )
    min_track_length: float = option(
        2.1,
        """Photos that see a point on average, at least; near 2 each point is a guess of one pair, and
        nothing confirms it.""",
        2,
        100,
    )
    force: bool = option(False, "Go on with what there is, whatever the gate says.")
    use_gps: bool = option(
        True, "Put the model into metres, north and up where the photos' GPS positions agree."
    )
    gps_in_adjustment: bool = option(
        True,
        """Let the GPS positions that agree pull the cameras in a last bundle adjustment, each as hard as
        its measured error allows; it takes the bend out of long straight flights.""",
    )
    up: str = option(
        "auto",
        """Which way is up where neither GPS nor surveyed points tell: auto goes by how photos are usually
        held. Else names of photos that were held level, separated by commas (two that look in different
        directions are enough), or a direction x y z in the frame that auto gives: the difference of two
        positions, one above the other, that the page with ?edit tells; 0 0 -1 turns the scene over.""",
        1,
        10_000,
    )
    refine_principal_point: bool = option(
        False,
        """Solve for the image centre already while mapping; `calibration` does so afterwards, where the
        photos determine it.""",
    )
    calibration: Calibration = option(
        "auto",
        """Lens of each camera, solved for after the last adjustment. `auto` takes the richest one that the
        photos determine, judged by a tenth of the points kept out of it; `off` (YAML reads it as false)
        leaves what mapping found; a name of COLMAP's is for every camera.""",
    )
    seed: int = option(0, "Start of every random draw.", 0, 2**31 - 1, shared=True)


@dataclass(frozen=True)
class UndistortOptions(Options):
    """Pinhole photos for training."""

    max_side: Literal[0] | int = option(
        0, "Longer side, 0 keeps the photos' size.", 64, MOST_PIXELS, unit="pixels"
    )
    jpeg_quality: int = option(95, "Quality of the undistorted photos.", 50, 100)
