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
        "Longest side of the copy of a photo in which features are searched; 0 uses the full size.",
        64,
        MOST_PIXELS,
        unit="pixels",
    )
    max_features: int = option(
        4096, "Maximum number of features per photo; the largest ones are kept.", 50, MOST_FEATURES
    )
    first_octave: Literal["auto"] | int = option(
        "auto",
        """-1 doubles the size of the photo first (finer features), 0 does not and is three to four times
        faster; auto doubles photos of at most 1200 pixels, which have too few features otherwise.""",
        -1,
        3,
    )
    peak_threshold: float = option(
        0.0067,
        "Minimum contrast of a feature; a lower value finds more features in weak texture.",
        most=1,
        above=0,
    )
    camera_model: CameraModel = option(
        "SIMPLE_RADIAL", "COLMAP lens model for mapping. OPENCV suits wide lenses with many photos."
    )
    share_intrinsics: bool = option(
        True,
        "Photos with the same camera, size and focal length share one lens; false: one lens per photo.",
    )
    parts: Literal["auto"] | int = option(
        "auto",
        """Number of parts in which features are found and photos are matched. Each part is a job of its own:
        an interrupted one is repeated alone, and several may run side by side. The results are the same.
        "auto": one part up to 600 photos, else one for each 250 photos. They are counted as for
        train_splat.blocks.""",
        1,
        100,
    )


@dataclass(frozen=True)
class FinerFeatureOptions(FeatureOptions):
    """For retries, when too few photos were registered: a second descriptor finds a few more matches, for a
    quarter more time.
    """

    max_orientations: ClassVar[int] = 2


@dataclass(frozen=True)
class MatchOptions(Options):
    """Which photos are compared with each other, and how strictly."""

    strategy: Literal["auto", "exhaustive", "spatial", "sequential", "retrieval"] = option(
        "auto",
        """auto compares all pairs of a small set. In a larger set it compares neighbours by GPS (spatial) or
        by order of names and times (sequential), in both cases together with photos that look similar;
        without GPS or order, only photos that look similar (retrieval).""",
    )
    exhaustive_limit: int = option(
        30, "Up to this number of photos, auto compares all pairs.", 2, 100_000
    )
    neighbours: int = option(
        16, "Spatial and retrieval: number of photos that each photo is compared with.", 2, 1000
    )
    overlap: int = option(
        8, "Sequential: number of following photos that each photo is compared with.", 1, 1000
    )
    max_ratio: float = option(
        0.8, "Lowe's ratio test; a lower value keeps only very clear matches.", most=1, above=0
    )
    guided: bool = option(
        False,
        "Guided matching: search again along epipolar lines. More matches, about twice the time.",
    )
    min_inliers: int = option(
        15,
        "Minimum number of geometrically consistent matches of a photo pair.",
        6,
        1000,
    )
    seed: int = option(0, "Seed of the random numbers.", 0, 2**31 - 1, shared=True)


@dataclass(frozen=True)
class MapOptions(Options):
    """Camera poses and sparse points, the scene's coordinate frame, and the check before training."""

    mapper: Literal["auto", "incremental", "global", "divided"] = option(
        "auto",
        """auto starts with one mapper and tries another one if too few photos are registered. `divided` maps
        neighbouring photos in parts of about a hundred, beside each other, and joins the parts; everything is
        adjusted together in the end.""",
    )
    # On made-up flights it needs less CPU from about 700 photos on, and keeps all cores busy from the start
    # (tests/bench/NOTES.md).
    divided_mapper_min_photos: int = option(
        500,
        """From this number of photos on, auto starts with the `divided` mapper; if that registers too few
        photos, the mapper follows that would have started without it.""",
        10,
        1_000_000,
    )
    # Up to 400 photos the incremental one, tuned as above, took a half to a quarter of the global one's time
    # for equal errors (tests/bench/NOTES.md).
    global_mapper_min_photos: int = option(
        1000,
        """Of the incremental and the global mapper, auto takes the global one first from this number of
        photos on; below, the incremental one, which was faster in every measurement up to 400 photos.""",
        3,
        1_000_000,
    )
    retry_below: float = option(
        0.9,
        "Mapping is retried in another way if a smaller fraction of the photos is registered.",
        0,
        1,
    )
    retries: bool = option(
        True,
        """If too few photos are registered, compare more pairs, try the other mapper, and find more
        features; false only tries the other mapper.""",
    )
    min_registered_fraction: float = option(
        0.6,
        """The run stops before training if a smaller fraction of the photos is registered: the splat would
        have too many holes.""",
        0,
        1,
    )
    min_photos: int = option(3, "Minimum number of registered photos.", 2, 100_000)
    max_reprojection_error: float = option(
        3.0,
        """The run stops if the mean reprojection error is larger. Good models have 0.3 to 1.5; training
        cannot repair inaccurate cameras.""",
        most=100,
        above=0,
        unit="pixels",
    )
    min_track_length: float = option(
        2.1,
        """The run stops if a point is seen by fewer photos than this on average. Near 2, each point comes
        from a single pair of photos, and nothing confirms it.""",
        2,
        100,
    )
    force: bool = option(False, "Continue even if this check would stop the run.")
    use_gps: bool = option(
        True, "Georeference the model (metres, north, up) if the GPS positions of the photos agree."
    )
    gps_in_adjustment: bool = option(
        True,
        """Use the GPS positions that agree as priors in a last bundle adjustment, weighted by their measured
        error. This removes the bend of long straight flights.""",
    )
    up: str = option(
        "auto",
        """Which way is up if neither GPS nor surveyed points tell. auto assumes that most photos were held
        level. Otherwise give names of photos that were held level, separated by commas (two that look in
        different directions are enough), or a direction x y z in the frame that auto produces: open the
        page with ?edit, read two positions, one above the other, and give their difference. 0 0 -1 turns
        the scene upside down.""",
        1,
        10_000,
    )
    refine_principal_point: bool = option(
        False,
        """Estimate the principal point during mapping. `calibration` does so afterwards, if the photos
        determine it.""",
    )
    calibration: Calibration = option(
        "auto",
        """Lens model of each camera, estimated after the last adjustment. `auto` takes the most detailed
        model that the photos determine, tested on a tenth of the points that take no part in it; where that
        has its own principal point, OPENCV is used, and terms that the photos do not determine stay as they
        usually are. `off` (false in YAML) keeps the lens from mapping; the name of a COLMAP model is used
        for all cameras.""",
    )
    seed: int = option(0, "Seed of the random numbers.", 0, 2**31 - 1, shared=True)


@dataclass(frozen=True)
class UndistortOptions(Options):
    """Undistorted (pinhole) photos for training."""

    max_side: Literal[0] | int = option(
        0, "Longest side; 0 keeps the size of the photos.", 64, MOST_PIXELS, unit="pixels"
    )
    jpeg_quality: int = option(95, "JPEG quality of the undistorted photos.", 50, 100)


@dataclass(frozen=True)
class RegisterOptions(Options):
    """Bring a scene into the frame of another capture of the same place (column `same_place_as`)."""

    exhaustive_pairs: int = option(
        2500,
        """Up to so many pairs of photos, one of each capture, all are compared; above that, each photo with
        those that look most like it.""",
        1,
        1_000_000,
    )
    neighbours: int = option(
        12, "Photos of the other capture that a photo is compared with, if not with all.", 1, 1000
    )
    least_common: int = option(
        30,
        "Fewest points that both captures must have in common, or they are not compared.",
        8,
        100_000,
    )
    most_scale_percent: float = option(
        2.0,
        """The scale between the two captures must be certain to so much (95 %), or they are not
        compared.""",
        above=0,
        most=100,
        unit="%",
    )
    seed: int = option(0, "Seed of the random samples.", 0, 2**31 - 1, shared=True)
