"""Matching of photo pairs and their geometric verification, in a copy of the features' database."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pycolmap
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from scripts.lib.core.console import Progress, UserError
from scripts.lib.core.files import scratch_folder
from scripts.lib.sfm import quiet  # noqa: F401  (keeps COLMAP quiet)
from scripts.lib.sfm.descriptors import Comparer, Limits, Matches, comparer
from scripts.lib.sfm.gpu import Work, comparing, device, device_name
from scripts.lib.sfm.options import MatchOptions
from scripts.lib.sfm.retrieval import MOST_FEATURES, SCORED, VOTES, coarsest
from scripts.lib.sfm.rig_matching import verify_panoramas
from scripts.lib.sfm.rigs import is_exact

# COLMAP tries at least 100 samples of matches, and as many as it takes if only a quarter of them are right.
# Of mutual matches that pass the ratio test nine tenths are, and hardly ever less than half in a pair that
# is one. Of few matches most must be, or too few are left: pairs without a geometry have little more than
# are needed, and took a third to a half of the time.
FEWEST_TRIALS = 30
FEWEST_RIGHT, MOST_RIGHT = 0.4, 0.8
# Photos that a portion has in memory, some 1 MB each (3 MB where numpy compares); two are there at once.
PHOTOS_HELD = 128
# What the two photos of a verified pair tell of the camera's way between them.
KINDS = {2: "general", 3: "general", 4: "flat", 5: "turned", 6: "flat_or_turned"}


@dataclass(frozen=True)
class Verified:
    """A verified pair of photos: inlier matches, and the kind of motion between them (see KINDS)."""

    inliers: int
    kind: str


def require_photos_in(database: Path, names: Sequence[str], stage: str) -> None:
    """Raise UserError unless `database` is one of COLMAP's with all these photos; `stage` makes it."""
    if not database.is_file():  # COLMAP would make an empty one
        raise UserError(f"{database} does not exist; run {stage} first")
    try:
        link = pycolmap.Database.open(database)
        found = {image.name for image in link.read_all_images()}
        link.close()
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{database} is no COLMAP database ({error}); run {stage} again") from None
    missing = [name for name in names if name not in found]
    if missing or not names:
        what = f"lacks {len(missing)} of {len(names)} photos" if names else "has no photos"
        raise UserError(f"{database} {what}; run {stage} again")


def match_pairs(
    database: Path, pairs: Sequence[tuple[str, str]], options: MatchOptions, threads: int
) -> str:
    """Match and verify `pairs` of photo names in `database`; those that were matched before stay.

    Returns where they were compared, `cuda` or `cpu`.
    """
    new = not_compared(database, pairs)
    if options.guided:
        _match_guided(database, new, options, threads)
        return device_name()
    progress, done = Progress("Pairs", len(new)), 0
    link = pycolmap.Database.open(database)
    images = {image.name: image for image in link.read_all_images()}
    cameras = {camera.camera_id: camera for camera in link.read_all_cameras()}
    held: dict[str, _Photo] = {}
    work = _work(link, {name: image.image_id for name, image in images.items()}, new)
    with comparing(work, threads) as where, ThreadPoolExecutor(max_workers=threads) as pool:
        match = _Matcher(comparer(where), options)
        waiting: deque[_Portion] = deque()
        for pairs_now in _portions(new):
            wanted = sorted({name for pair in pairs_now for name in pair})
            held = {name: photo for name, photo in held.items() if name in set(wanted)}
            for name in wanted:
                if name not in held:
                    image = images[name]
                    held[name] = match.load(link, image.image_id, cameras[image.camera_id])
            photos = [(held[a], held[b]) for a, b in pairs_now]
            waiting.append(_Portion(photos, match.start(photos, pool)))
            # One portion is read and the last one written while the pool works on another.
            if len(waiting) > 1:
                done += waiting.popleft().write(link)
                progress.update(done)
        for portion in waiting:
            done += portion.write(link)
            progress.update(done)
    numbers = [(images[a].image_id, images[b].image_id) for a, b in new]
    verify_panoramas(link, numbers, _verification(options, FEWEST_RIGHT))
    link.close()
    return where


def _work(link: Any, ids: Mapping[str, int], pairs: Sequence[tuple[str, str]]) -> Work:
    """How much there is to compare in `pairs` of photos with numbers `ids`."""
    names = {name for pair in pairs for name in pair}
    features = {name: link.num_keypoints_for_image(ids[name]) for name in names}
    return Work(len(pairs), float(sum(features[a] * features[b] for a, b in pairs)))


@dataclass(frozen=True)
class _Photo:
    """Features of a photo: keypoints (N, 2) in pixels, and descriptors packed, all and the coarsest ones."""

    image_id: int
    camera: pycolmap.Camera
    points: npt.NDArray[np.float64]
    packed: Any
    coarse: Any  # None where that would spare nothing


_Found = Future[tuple[Matches, pycolmap.TwoViewGeometry | None]]


@dataclass(frozen=True)
class _Matcher:
    """Compares and verifies pairs of photos."""

    compare: Comparer
    options: MatchOptions

    def load(self, link: Any, image_id: int, camera: pycolmap.Camera) -> _Photo:
        """Read the features of a photo."""
        points = np.asarray(link.read_keypoints(image_id))
        described = np.zeros((0, 128), np.uint8)
        if len(points):
            described = np.asarray(link.read_descriptors(image_id).data)
        coarse = None
        if len(points) > 2 * MOST_FEATURES:
            coarse = self.compare.pack(described[coarsest(points, MOST_FEATURES)])
        keypoints = points[:, :2].astype(np.float64).reshape(-1, 2)
        return _Photo(image_id, camera, keypoints, self.compare.pack(described), coarse)

    def start(
        self, pairs: Sequence[tuple[_Photo, _Photo]], pool: ThreadPoolExecutor
    ) -> list[_Found]:
        """Matches and geometry of each pair, as they come; the same for any number of threads."""
        if self.compare.concurrent:
            return [pool.submit(self.both, pair) for pair in pairs]
        # What compares has threads of its own, or is a GPU; the pool verifies meanwhile.
        return [pool.submit(self.verified, pair, self.matches(*pair)) for pair in pairs]

    def both(self, pair: tuple[_Photo, _Photo]) -> tuple[Matches, pycolmap.TwoViewGeometry | None]:
        """The pair compared and verified."""
        return self.verified(pair, self.matches(*pair))

    def matches(self, one: _Photo, other: _Photo) -> Matches:
        """Features that match. None where the coarsest ones do not speak for it: for a hundredth of the cost,
        they tell apart nearly all photos that show different things."""
        if one.coarse is not None and other.coarse is not None:
            votes = self.compare.match(one.coarse, other.coarse, VOTES)
            if len(votes) < SCORED:
                return np.zeros((0, 2), np.uint32)
        return self.compare.match(one.packed, other.packed, Limits(ratio=self.options.max_ratio))

    def verified(
        self, pair: tuple[_Photo, _Photo], matches: Matches
    ) -> tuple[Matches, pycolmap.TwoViewGeometry | None]:
        """The matches, none if too few, and the geometry that explains them.

        Views of panoramas have few matches each, and are verified together: see `rig_matching`.
        """
        if all(is_exact(photo.camera) for photo in pair):
            return matches, None
        if len(matches) < max(self.options.min_inliers, 1):
            return np.zeros((0, 2), np.uint32), None
        one, other = pair
        right = np.clip(self.options.min_inliers / len(matches), FEWEST_RIGHT, MOST_RIGHT)
        geometry = pycolmap.estimate_two_view_geometry(
            one.camera,
            one.points,
            other.camera,
            other.points,
            matches,
            _verification(self.options, float(right)),
        )
        return matches, geometry


@dataclass(frozen=True)
class _Portion:
    """Pairs of photos that the pool works on, and what it will have found."""

    pairs: Sequence[tuple[_Photo, _Photo]]
    found: Sequence[_Found]

    def write(self, link: Any) -> int:
        """Wait for the pool, write what it found to the database; the number of pairs.

        In one transaction: a commit of its own for each pair costs more than its comparison.
        """
        found = [future.result() for future in self.found]
        with pycolmap.DatabaseTransaction(link):
            for (a, b), (matches, geometry) in zip(self.pairs, found, strict=True):
                # Pairs without a match too, or they would be compared again.
                link.write_matches(a.image_id, b.image_id, matches)
                if geometry is not None:
                    link.write_two_view_geometry(a.image_id, b.image_id, geometry)
        return len(self.pairs)


def _match_guided(
    database: Path, pairs: Sequence[tuple[str, str]], options: MatchOptions, threads: int
) -> None:
    """COLMAP's own matching, which searches again along epipolar lines."""
    matching = pycolmap.FeatureMatchingOptions()
    matching.num_threads = threads
    matching.guided_matching = True
    matching.sift.max_ratio = options.max_ratio
    pycolmap.set_random_seed(options.seed)
    progress, done = Progress("Pairs", len(pairs)), 0
    with scratch_folder(database.parent, "pairs") as folder:
        pairing = pycolmap.ImportedPairingOptions()
        pairing.match_list_path = listing = folder / "pairs.txt"
        for portion in _portions(pairs):
            listing.write_text("".join(f"{a} {b}\n" for a, b in portion), encoding="utf-8")
            pycolmap.match_image_pairs(
                database,
                matching_options=matching,
                pairing_options=pairing,
                verification_options=_verification(options, FEWEST_RIGHT),
                device=device(),
            )
            done += len(portion)
            progress.update(done)
    link = pycolmap.Database.open(database)
    ids = {image.name: image.image_id for image in link.read_all_images()}
    for a, b in pairs:  # COLMAP forgets pairs without a match, and would compare them again
        if not link.exists_matches(ids[a], ids[b]):
            link.write_matches(ids[a], ids[b], np.zeros((0, 2), np.uint32))
    link.close()


def verified_pairs(database: Path) -> dict[tuple[str, str], Verified]:
    """Every verified pair of photo names."""
    with pycolmap.Database.open(database) as link:
        names = {image.image_id: image.name for image in link.read_all_images()}
    pairs = {}
    for pair_id, count, config in _verified(database, "rows, config"):
        kind = KINDS.get(config)
        if kind is not None:
            a, b = pycolmap.pair_id_to_image_pair(pair_id)
            pairs[names[a], names[b]] = Verified(count, kind)
    return pairs


def verified_matches(database: Path) -> dict[tuple[int, int], npt.NDArray[np.int64]]:
    """Features (K, 2) that verified matches join, by the numbers of the two images."""
    matches = {}
    for pair_id, count, config, data in _verified(database, "rows, config, data"):
        if config in KINDS:
            a, b = pycolmap.pair_id_to_image_pair(pair_id)
            matches[a, b] = np.frombuffer(data, np.uint32).reshape(count, 2).astype(np.int64)
    return matches


def _verified(database: Path, columns: str) -> Iterator[tuple[Any, ...]]:
    """Of each pair with verified matches its number and these columns, one row after the other.

    pycolmap hands out the geometries of all pairs at once, with everything that they have.
    """
    with closing(sqlite3.connect(database)) as link:
        yield from link.execute(
            f"SELECT pair_id, {columns} FROM two_view_geometries WHERE rows > 0 ORDER BY pair_id"
        )


def not_compared(database: Path, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of `pairs` of photo names that were not compared yet."""
    link = pycolmap.Database.open(database)
    ids = {image.name: image.image_id for image in link.read_all_images()}
    new = [(a, b) for a, b in pairs if not link.exists_matches(ids[a], ids[b])]
    link.close()
    return new


def _portions(pairs: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Ten portions or more, to tell the progress, each of at most PHOTOS_HELD photos: they are in memory at
    once. Photos that are compared stand near each other in the order, so that few are read again."""
    if not pairs:
        return []
    names = sorted({name for pair in pairs for name in pair})
    number = {name: n for n, name in enumerate(names)}
    ends = np.array([[number[a], number[b]] for a, b in pairs])
    graph = coo_array((np.ones(len(ends)), tuple(ends.T)), (len(names), len(names))).tocsr()
    order = reverse_cuthill_mckee(csr_array(graph + graph.T), symmetric_mode=True)
    tile = {names[n]: place // (PHOTOS_HELD // 2) for place, n in enumerate(order.tolist())}
    size = min(max(len(pairs) // 10, 60), 1000)
    portions: list[list[tuple[str, str]]] = []
    held: set[str] = set()
    for pair in sorted(pairs, key=lambda pair: (*sorted((tile[pair[0]], tile[pair[1]])), pair)):
        held.update(pair)
        if not portions or len(portions[-1]) == size or len(held) > PHOTOS_HELD:
            portions.append([])
            held = set(pair)
        portions[-1].append(pair)
    return portions


def _verification(options: MatchOptions, right: float) -> pycolmap.TwoViewGeometryOptions:
    """How to look for a geometry where at least a share of the matches, `right`, fits one."""
    verification = pycolmap.TwoViewGeometryOptions()
    verification.min_num_inliers = options.min_inliers
    verification.ransac.random_seed = options.seed
    verification.ransac.min_num_trials = FEWEST_TRIALS
    verification.ransac.min_inlier_ratio = right
    return verification
