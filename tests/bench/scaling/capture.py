"""From photos to matches, and undistortion: a made flight for features, made pictures for the rest."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
from PIL import Image

from scripts import extract_features, import_photos, match_photos, undistort
from scripts.lib.contracts.photos import Photo, Photos
from scripts.lib.contracts.record import read, write
from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.core.threads import use_threads
from scripts.lib.sfm.options import MatchOptions
from scripts.lib.sfm.pairs import choose_pairs
from scripts.lib.sfm.retrieval import count_votes
from tests.bench.match import made_up
from tests.bench.scaling import Facts, Stage
from tests.photo_lines import line, report

FEATURES = 2000  # of a made photo of the flight; the default of the workflow is 4096 at most
DEGREE = 111_195.0  # metres of a degree along a meridian
STEP = 25.0  # metres between photos of the flight
FEW = ("--threads", "4")  # each has memory of its own, and machines differ
WIDTH, HEIGHT = 1200, 900  # of made pictures


def make_flight(size: int, made: Path) -> None:
    """features.db, photos.json with GPS, and truth.json: pairs that share a third of what they show."""
    near = made_up(made / "features.db", size, FEATURES)
    with pycolmap.Database.open(made / "features.db") as link:
        names = sorted(image.name for image in link.read_all_images())
    lines = [_flown(name, number, size) for number, name in enumerate(names)]
    write(made / "photos.json", report(*lines))
    (made / "truth.json").write_text(json.dumps(near))


def _flown(name: str, number: int, size: int) -> Photo:
    """A photo of the flight with the position of its place in the grid, as `sfm_world` flies it."""
    rows = max(2, round(np.sqrt(size / 1.4)))
    # At the equator degrees of longitude are as long as those of latitude.
    place = {
        "longitude": STEP / DEGREE * (number // rows),
        "latitude": STEP / DEGREE * (number % rows),
    }
    return line(
        name, width=1600, height=1200, focal_px=1300.0, camera="made up", altitude=80.0, **place
    )


def by_gps(size: int, made: Path, out: Path) -> Facts:
    """Neighbours in space, and photos that look alike."""
    return _chosen(made, "spatial")


def by_looks(size: int, made: Path, out: Path) -> Facts:
    """Photos of which nothing is known."""
    return _chosen(made, "retrieval")


def _chosen(made: Path, strategy: str) -> Facts:
    photos = read(Photos, made / "photos.json").used
    if strategy == "retrieval":
        photos = [replace(photo, latitude=None, longitude=None) for photo in photos]
    use_threads(4)
    options = MatchOptions()
    names = [photo.file for photo in photos]
    chosen = choose_pairs(
        photos,
        strategy,
        exhaustive_limit=options.exhaustive_limit,
        neighbours=options.neighbours,
        overlap=options.overlap,
        votes=lambda: count_votes(made / "features.db", names),
    )
    truth = {tuple(pair) for pair in json.loads((made / "truth.json").read_text())}
    return {"pairs": len(chosen.pairs), "recall": len(truth & set(chosen.pairs)) / len(truth)}


def match(size: int, made: Path, out: Path) -> Facts:
    """The program, with GPS."""
    words = ["--database", made / "features.db", "--photos-report", made / "photos.json"]
    words += [
        "--output",
        out / "matches.db",
        "--pairs",
        out / "pairs.json",
        "--device",
        "cpu",
        *FEW,
    ]
    match_photos.main([str(word) for word in words])
    return {}


def pictures(count: int, seed: int = 0) -> Iterator[bytes]:
    """JPEGs of different parts of one texture that has something at every scale."""
    random = np.random.default_rng(seed)
    side = 2 * WIDTH
    texture = np.zeros((side, side, 3), np.float32)
    for grain in (2, 8, 32, 128):
        noise = random.uniform(-1, 1, (side // grain + 1, side // grain + 1, 3))
        scaled = Image.fromarray((127 * (noise + 1)).astype(np.uint8)).resize((side, side))
        texture += np.asarray(scaled, np.float32) / 4
    for _ in range(count):
        x, y = random.integers(0, side - WIDTH), random.integers(0, side - HEIGHT)
        part = texture[y : y + HEIGHT, x : x + WIDTH].astype(np.uint8)
        data = io.BytesIO()
        Image.fromarray(part).save(data, "JPEG", quality=90)
        yield data.getvalue()


def make_folder(size: int, made: Path) -> None:
    """A folder of photos."""
    (made / "photos").mkdir(exist_ok=True)
    for number, data in enumerate(pictures(size)):
        (made / "photos" / f"{number:05d}.jpg").write_bytes(data)


def bring_in(size: int, made: Path, out: Path) -> Facts:
    """import_photos, the program."""
    words = ["--source", made / "photos", "--photos", out / "photos.zip"]
    words += ["--report", out / "photos.json", "--contact", out / "contact.jpg", *FEW]
    import_photos.main([str(word) for word in words])
    return {"kept": read(Photos, out / "photos.json").kept}


def make_imported(size: int, made: Path) -> None:
    """photos.zip, photos.json, and sparse/: a model in which every photo has a pose and a lens that bends."""
    names = [f"{number:05d}.jpg" for number in range(size)]
    with writing_zip(made / "photos.zip") as archive:
        for name, data in zip(names, pictures(size), strict=True):
            add_to_zip(archive, name, data)
    known = {"width": WIDTH, "height": HEIGHT, "focal_px": 1000.0, "camera": "made up"}
    lines = [line(name, **known) for name in names]
    write(made / "photos.json", report(*lines))
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", 1000.0, WIDTH, HEIGHT)
    camera.params = [1000.0, WIDTH / 2, HEIGHT / 2, -0.05]
    model.add_camera_with_trivial_rig(camera)
    for number, name in enumerate(names, 1):
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(), np.array([float(number), 0.0, 0.0]))
        image = pycolmap.Image(name, np.zeros((0, 2)), 1, number)
        model.add_image_with_trivial_frame(image, pose)
    (made / "sparse").mkdir(exist_ok=True)
    model.write(made / "sparse")


def find_features(size: int, made: Path, out: Path) -> Facts:
    """extract_features, the program."""
    words = ["--photos", made / "photos.zip", "--photos-report", made / "photos.json"]
    words += ["--database", out / "features.db", "--device", "cpu", *FEW]
    extract_features.main([str(word) for word in words])
    return {}


def straighten(size: int, made: Path, out: Path) -> Facts:
    """undistort, the program."""
    words = ["--photos", made / "photos.zip", "--sparse", made / "sparse"]
    words += ["--output", out / "undistorted.zip", *FEW]
    undistort.main([str(word) for word in words])
    return {}


STAGES = (
    Stage("import_photos", make_folder, bring_in),
    Stage("extract_features", make_imported, find_features, "imported"),
    Stage("choose_pairs_gps", make_flight, by_gps, "flight"),
    Stage("choose_pairs_looks", make_flight, by_looks, "flight"),
    Stage("match_photos", make_flight, match, "flight"),
    Stage("undistort", make_imported, straighten, "imported"),
)
