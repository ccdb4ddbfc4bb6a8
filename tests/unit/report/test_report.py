"""The report of a scene: complete, escaped, self-contained, silent about places, and fair in its verdicts."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from scripts.lib.contracts.benchmark import read_benchmark
from scripts.lib.contracts.codecs import Codecs
from scripts.lib.contracts.compress import Target, Tried
from scripts.lib.contracts.georef import Georef, PlaceCertainty
from scripts.lib.contracts.record import from_file, from_json
from scripts.lib.contracts.sfm import Calibrated, Calibration, CameraCertainty, Lens, Sfm
from scripts.lib.core.console import UserError
from scripts.lib.report import advice, cameras, charts, film, summary, values, verdicts
from scripts.lib.report.formats import read_formats, read_rate
from scripts.lib.report.inputs import read_stages
from scripts.lib.report.surfaces import length
from scripts.lib.report.verdicts import Level
from scripts.report_scene import main
from tests.unit.stage_files import jpeg, shipped, stage_values, write_stage_files

# Elements that HTML closes by itself.
VOID = {"meta", "img", "source", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects addresses and ids, and checks that elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for key, value in attrs:
            if key in ("src", "srcset", "data", "poster", "action", "xlink:href"):
                self.sources.append(value or "")
            if key == "href":
                (self.links if tag == "a" else self.sources).append(value or "")
            if key == "id":
                self.ids.append(value or "")
            assert not key.startswith("on"), f"{key} on {tag}"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def report(folder: Path, stages: dict[str, Any], *extra: str) -> str:
    arguments = write_stage_files(folder, stages)
    main([*arguments, *extra])
    return (folder / "yard" / "report.html").read_text(encoding="utf-8")


def test_a_good_capture_reads_as_one(tmp_path: Path) -> None:
    text = report(tmp_path, stage_values())
    assert (
        "Good capture: 24 of 24 photos registered, new views match the photos at 28.0 dB." in text
    )
    assert "Nothing has to be photographed again" in text
    assert "<h1>Old yard</h1>" in text
    for expected in ("612 kB", "0.20 dB", "visibly worse", "4 May 2031", "Acme One", "Seed"):
        assert expected in text
    assert text.count("data:image/jpeg;base64,") == 1 + 3 * 3  # poster, three held-out views
    assert text.index("27.0 dB") < text.index("28.0 dB, SSIM") or "28.0 dB" in text


def test_files_for_other_programs_are_told(tmp_path: Path) -> None:
    stages = stage_values()
    assert "Files for other programs" not in report(tmp_path, stages)
    file = {
        "name": "tiles", "file": "geo/tiles.3tz", "bytes": 2_500_000, "sha256": "0", "seconds": 1.0,
        "frame": "ECEF", "placed": True, "psnr": 27.1, "delta_psnr": -0.25, "checked": ["read <back>"],
        "notes": ["Unpack it."], "facts": {"largest_tile_bytes": 17, "far_psnr": 31.23456},
    }  # fmt: skip
    stages["deliver"] = {"files": [file], "left_out": {"usd": "it needs a package"}}
    text = report(tmp_path, stages)
    for expected in ("Files for other programs", 'href="geo/tiles.3tz"', "2.5 MB", "0.25 dB", "ECEF",
                     "read &lt;back&gt;", "Unpack it.", "largest tile bytes 17", "far psnr 31.23",
                     "Not usd: it needs a package."):  # fmt: skip
        assert expected in text, expected


def left_out(folder: Path, names: tuple[str, ...]) -> Path:
    """A left_out.zip as training leaves it: one photo lies, the other stands."""
    path = folder / "left_out.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, size in zip(names, ((96, 64), (64, 96)), strict=False):
            mask = Image.new("L", (48, 32) if size[0] > size[1] else (32, 48), 255)
            mask.paste(0, (0, 0, 16, 16))
            buffer = io.BytesIO()
            mask.save(buffer, "PNG")
            archive.writestr(f"masks/{name}.png", buffer.getvalue())
            archive.writestr(f"pictures/{name}.jpg", jpeg(*size))
    return path


def test_what_was_left_out_is_shown_as_a_film(tmp_path: Path) -> None:
    """Each photo as it is, then tinted where it was left out; no metadata, nothing from the network."""
    names = ("IMG_0002.jpg", "walk/IMG_0003.jpg")
    text = report(tmp_path, stage_values(), "--left-out", str(left_out(tmp_path, names)))
    Page(text)
    (uri,) = re.findall(r"data:image/webp;base64,([^\"]+)", text)
    data = base64.b64decode(uri)
    assert b"EXIF" not in data
    with Image.open(io.BytesIO(data)) as shown:
        frames = [frame.convert("RGB").copy() for frame in ImageSequence.Iterator(shown)]
    assert [frame.size for frame in frames] == [(96, 96)] * 4
    plain, tinted = (np.asarray(frame, float)[16:80] for frame in frames[:2])
    grey = plain.mean(axis=2, keepdims=True)
    expected = (1 - film.MIXED) * grey + film.MIXED * np.array(film.TINT)
    assert np.abs(tinted - expected)[4:28, 4:28].mean() < 12, "left out"
    assert np.abs(tinted - film.DIMMED * plain)[36:, 36:].mean() < 12, "the rest"
    assert "IMG_0002.JPG, walk/IMG_0003.jpg" in text


def test_nothing_left_out_is_no_film(tmp_path: Path) -> None:
    text = report(tmp_path, stage_values(), "--left-out", str(left_out(tmp_path, ())))
    assert "image/webp" not in text
    assert "contradict" not in text


def test_a_film_stays_small(tmp_path: Path) -> None:
    """Twelve photos full of noise get a lower quality."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (100, 133, 3), dtype=np.uint8)
    frames = [Image.fromarray(np.roll(noise, at, 0)).resize((400, 300)) for at in range(24)]
    assert len(film.encoded(frames)) <= film.LARGEST


def test_what_training_did_of_itself_is_told(tmp_path: Path) -> None:
    stages = stage_values()
    steps = stages["train"]["steps"]
    stages["train"].update(
        planned_steps=steps + 1234,
        sky_photos=7,
        left_out=["IMG_0009.jpg"],
        adapted=["Out of memory: 1 instead of 2 photos at once"],
        cameras={"moved": {"rms_px": 0.416, "largest_px": 1.2}, "focal_scales": [1.0012]},
    )
    stages["eval"]["psnr_pose_refined"] = stages["eval"]["psnr"] + 0.62
    told = report(tmp_path, stages)
    for expected in (
        "Stopped early",
        "IMG_0009.jpg",
        "show the sky",
        "1 instead of 2 photos at once",
        "0.42 pixels on average; the scene itself did not move",
        "+0.12 %",
        "28.6 dB. This is not the main result: the difference of 0.6 dB",
    ):
        assert expected in told
    assert "Stopped early" not in report(tmp_path / "plain", stage_values())


@pytest.mark.parametrize(
    ("near", "far", "told"),
    [
        (27.0, 24.0, "The background is less exact than the foreground: 24.0 dB against 27.0 dB."),
        (24.0, 27.5, "The foreground is less exact than the background: 24.0 dB against 27.5 dB."),
        (27.0, 24.1, None),
    ],
)
def test_quality_by_distance_is_told(
    near: float, far: float, told: str | None, tmp_path: Path
) -> None:
    stages = stage_values()
    stages["eval"]["depth_bands"] = [
        {"name": "near", "psnr": near, "share": 0.3, "nearest": 1.2, "farthest": 3.14},
        {"name": "middle", "psnr": 26.0, "share": 0.3, "nearest": 3.14, "farthest": 7.42},
        {"name": "far", "psnr": far, "share": 0.3, "nearest": 7.42, "farthest": 123.4},
        {"name": "beyond", "psnr": 33.3, "share": 0.1},
    ]
    stages["eval"]["needles"] = {"over_10": 0.0423, "over_30": 0.0041, "views": 3}
    stages["eval"]["flicker"] = 0.0152
    text = report(tmp_path, stages)
    Page(text)
    assert ("less exact" in text) == (told is not None) and (told or "") in text
    for name, distance in (
        ("Foreground", "up to 3.1 m"),
        ("Middle", "3.1 to 7.4 m"),
        ("Background", "from 7.4 m"),
        ("Sky, or nothing solid", "–"),
    ):
        assert f"<td>{name}</td><td>{distance}</td>" in text
    assert "0.4 %; more than 10 times: 4.2 %" in text and "33.3 dB" in text
    assert "3.9 of 255 levels" in text
    assert "own units" not in text
    stages["georef"] = {**stages["georef"], "georeferenced": False}
    elsewhere = report(tmp_path / "elsewhere", stages)
    assert "up to 3.1<" in elsewhere and "in the scene's own units" in elsewhere
    before = report(tmp_path / "before", stage_values())
    assert "By distance" not in before and "needles" not in before
    assert "Flicker" not in before


def depth_error(name: str, median: float) -> dict[str, Any]:
    return {
        "name": name,
        "points": 1200,
        "nearest": 2.0,
        "farthest": 8.0,
        "median": median,
        "within_90": 5 * median,
        "within_95": 8 * median,
        "bias": -median / 2,
        "missed": 0.0,
        "mean_depth_median": 2 * median,
        "mean_depth_within_90": 9 * median,
    }


@pytest.mark.parametrize(
    ("median", "told", "verdict"),
    [
        (0.004, "0.40 % of the distance, nine of ten within 2.0 %", "can be measured"),
        (0.02, "2.0 % of the distance, nine of ten within 10 %", "roughly where they are"),
        (0.12, "12 % of the distance, nine of ten within 60 %", "not where they should be"),
    ],
)
def test_where_the_surfaces_are_is_told_in_one_row(
    median: float, told: str, verdict: str, tmp_path: Path
) -> None:
    stages = stage_values()
    bands = [depth_error("near", 0.001), depth_error("middle", 0.02), depth_error("far", 0.3)]
    found = {"all": depth_error("all", median), "bands": bands, "known_to": 0.0026, "views": 5}
    stages["eval"]["depth_errors"] = found
    text = report(tmp_path / "metres", stages)
    Page(text)
    assert told in text and verdict in text and text.count("Place of the surfaces") == 1
    assert "foreground 0.10 %, middle 2.0 %, background 30 %" in text
    assert "to within 0.26 % itself" in text
    assert f"At 4 m these are {length(4 * median)}" in text
    stages["georef"] = {**stages["georef"], "georeferenced": False}
    assert "these are" not in report(tmp_path / "units", stages)
    assert "Place of the surfaces" not in report(tmp_path / "before", stage_values())


@pytest.mark.parametrize("left_out", [True, False])
def test_what_moved_is_told(left_out: bool, tmp_path: Path) -> None:
    """With the photos of which most was left out; nothing where all was trained on."""
    stages = stage_values()
    photos = {f"yard_{n}.jpg": 0.05 * n for n in range(1, 9)} if left_out else {}
    found = {"left_out": left_out, "contradicted": 0.09, "share": 0.18, "photos": photos}
    stages["train"] = {**stages["train"], "transients": found}
    text = html.unescape(report(tmp_path / "visited", stages))
    told = "18% of the photos' area, in 8 photos; most of yard_8.jpg (40%), yard_7.jpg (35%)"
    assert (told in text) == left_out
    assert ("Test photos are compared as they are" in text) == left_out


def test_short_lengths_are_said_in_their_unit() -> None:
    said = [length(metres) for metres in (0.0042, 0.021, 0.3, 0.996, 1.26)]
    assert said == ["4 mm", "2.1 cm", "30 cm", "1 m", "1.3 m"]


@pytest.mark.parametrize(
    ("corrected", "told"), [(True, "corrected in training"), (False, "not corrected in training")]
)
def test_brightness_of_the_photos_is_told(corrected: bool, told: str, tmp_path: Path) -> None:
    stages = stage_values()
    differ = {"corrected": corrected, "rms": 0.15, "tint_rms": 0.01, "range": 0.4055}
    stages["train"] = {**stages["train"], "exposure": differ}
    stages["eval"] = {**stages["eval"], "psnr": 20.0, "psnr_exposure_fitted": 24.5}
    text = report(tmp_path / "uneven", stages)
    assert f"50 % between the darkest and the brightest; {told}" in text
    assert "24.5 dB. This is not the main result: the difference of 4.5 dB" in text
    assert ("(24.5 dB apart from the photos' brightness)" in html.unescape(text)) == corrected
    assert ("clearly differ from the photos" in text) == (not corrected), "20.0 dB alone are weak"
    assert "Brightness of the photos" not in report(tmp_path / "before", stage_values())


def test_blurred_photos_are_named(tmp_path: Path) -> None:
    stages = stage_values()
    stages["train"] = {**stages["train"], "soft": [{"name": "yard_07.jpg", "contrast": 0.613}]}
    text = report(tmp_path / "soft", stages)
    assert "Photos less sharp than others" in text and "yard_07.jpg (61 %)" in text
    stages["train"] = {**stages["train"], "corners_lost": [0.142, 0.0]}
    text = report(tmp_path / "lens", stages)
    assert "Brightness that the lens loses in the corners" in text
    assert "14 %; corrected, in the test photos as well" in text
    assert "Photos less sharp" not in report(tmp_path / "sharp", stage_values())


def test_poses_made_elsewhere_are_told(tmp_path: Path) -> None:
    stages = stage_values()
    used = "poses that came with the photos, 0.69 px before the adjustment"
    attempt = {
        "strategy": used,
        "mapper": "none",
        "verified_pairs": 37,
        "registered": 15,
        "models": [15],
    }
    attempt |= {"points": 1849, "track_length": 3.4, "reprojection_error_px": 0.55, "turned": 0}
    attempt |= {"parallax": None, "seconds": 1.0}
    stages["sfm"] = {**stages["sfm"], "attempts": [attempt]}
    line = {"file": "transforms.json", "kind": "cameras", "note": "poses of 16 photos"}
    odd = {**line, "note": "has its rotations in degrees instead of radians; they are read so"}
    stages["photos"] = {**stages["photos"], "others": [line, odd]}
    told = f"The camera positions start from {used} (transforms.json: poses of 16 photos)."
    told += " transforms.json has its rotations in degrees instead of radians; they are read so."
    assert told in report(tmp_path / "brought", stages)
    assert "start from" not in report(tmp_path / "own", stage_values())


SETS = {"trained": 29, "steering": 2, "judged": 5, "left_out": 0, "one_set": False}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            "Of 36 photos, 29 were used for training, 2 for validation (what to remove and how "
            "small the files may be), and 5 for the test. The test photos played no part",
        ),
        (
            {"steering": 5, "one_set": True, "left_out": 1},
            "Of 35 photos, 29 were used for training, 1 was left out because of showing almost the same as a "
            "test photo and 5 for both validation (",
        ),
        (
            {"steering": 0, "judged": 0},
            "All 29 photos were used for training and none was kept for testing",
        ),
    ],
)
def test_how_many_photos_did_what_is_said(
    changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    stages = stage_values()
    stages["eval"]["split_counts"] = SETS | changes
    assert expected in report(tmp_path, stages)
    assert "for validation" not in report(tmp_path / "before", stage_values())


def test_each_photo_tells_what_it_did(tmp_path: Path) -> None:
    stages = stage_values()
    names = [photo["file"] for photo in stages["photos"]["photos"]]
    split = {
        "trained": names[4:],
        "steering": names[1:2],
        "judged": names[:1],
        "left_out": names[2:4],
    }
    stages["train"]["split"], stages["train"]["split_counts"] = split, SETS
    text = report(tmp_path, stages)
    for number, word in ((0, "test"), (1, "validation"), (3, "left out: almost"), (4, "training")):
        row = text[text.index(f'<td class="name">IMG_{number:04d}.JPG') :]
        assert f"<td>{word}" in row[: row.index("</tr>")]


def test_reductions_are_drawn_against_the_photos_that_judge() -> None:
    """The search measured other photos, which may be easier or harder: its losses count, not its PSNR."""
    rate = Tried(2, 0.5, 1.0, 0, 9, 2_000_000, 1.0, 31.0, -0.5, -0.4, 0.5)
    codecs = from_json(Codecs, stage_values()["codecs"])
    assert read_rate(replace(codecs, rate=(rate,))) == [("SH 2, 50 %", 2.0, 27.5)]
    assert read_rate(replace(codecs, rate=(rate,), formats={})) == [("SH 2, 50 %", 2.0, 31.0)]


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    text = report(tmp_path, stage_values())
    page = Page(text)
    assert all(source.startswith(("data:image/", "#")) for source in page.sources)
    assert all(not re.match(r"[a-z]+:|//", link) for link in page.links)
    assert "http:" not in text and "https:" not in text and "<script" not in text
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert "default-src 'none'" in text
    assert {"web/index.html", "splat.sog", "splat.ply"} <= set(page.links)
    assert len(page.ids) == len(set(page.ids))


def test_no_position_on_earth_gets_into_the_report(tmp_path: Path) -> None:
    text = report(tmp_path, stage_values())
    for trace in ("48.12", "11.65", "512.2", "latitude", "32632", "2031:07:19"):
        assert trace not in text
    import base64

    for picture in re.findall(r"data:image/jpeg;base64,([^\"]+)", text):
        assert b"Exif" not in base64.b64decode(picture)


def test_what_contradicts_the_model_is_told_first(tmp_path: Path) -> None:
    """With the photographer's names; and the capture is not called good."""
    stages = stage_values()
    assert "Contradictions" in report(tmp_path, stages)  # written before it was looked for
    assert "Nothing contradicts" not in report(tmp_path, stages)
    stages["sfm"]["suspicious"] = []
    assert "Nothing contradicts the camera positions." in report(tmp_path, stages)
    stages["sfm"]["suspicious"] = [
        {
            "kind": "folded",
            "photos": ["IMG_0001.jpg"],
            "others": ["IMG_0002.jpg"],
            "pairs": 3,
            "share": 0.4,
            "sentence": "IMG_0001.jpg and OLD_IMG_0002.jpg, IMG_0002.jpg are at the same place.",
        }
    ]
    text = report(tmp_path, stages)
    told = "IMG_0001.JPG and OLD_IMG_0002.jpg, IMG_0002.JPG are at the same place."
    assert told in text and text.index('class="advice"') < text.index(told)
    assert "A part of the scene is probably in the wrong place" in text
    record = verdicts.contradictions
    assert [record(n).level for n in (None, 0, 1, 2)] == [
        *(Level.UNKNOWN, Level.GOOD, Level.WEAK, Level.WEAK)
    ]


def test_pages_of_further_groups_are_offered() -> None:
    assert advice.further_groups((), "yard") == []
    (told,) = advice.further_groups((9, 7), "yard")
    assert "yard_2 (9 photos) and yard_3 (7 photos) can have pages too: set components to 3" in told
    assert "yard_2 (9 photos) can have a page too" in advice.further_groups((9,), "yard")[0]


def test_ground_is_told_by_compass_and_photos(tmp_path: Path) -> None:
    stages = stage_values()
    stages["sfm"]["coverage"] = {
        "photographed": 12000.0,
        "thin": {"share": 0.39, "side": "south-east", "photos": ["IMG_0001.jpg", "IMG_0002.jpg"]},
        "bare": {"share": 0.19, "side": "", "photos": []},
    }
    text = report(tmp_path, stages)
    assert "39 % of the ground is visible in only one or two photos" in text
    assert "most of it along the south-eastern edge (see IMG_0001.JPG and IMG_0002.JPG)" in text
    assert "19 % of the ground is visible in at least three photos" in text
    stages["photos"]["photos"] = stages["photos"]["photos"][:18]
    assert "18 photos are not many. Fly parallel lines" in report(tmp_path, stages)
    stages["sfm"]["coverage"]["photographed"] = 20.0  # a table
    assert "18 photos are not many. Walk around once" in report(tmp_path, stages)
    stages["sfm"]["coverage"]["thin"]["share"] = stages["sfm"]["coverage"]["bare"]["share"] = 0.04
    assert "of the ground" not in report(tmp_path, stages)


def test_a_survey_is_told_point_by_point(tmp_path: Path) -> None:
    stages = stage_values()
    stages["georef"].update(
        rmse_horizontal_m=None,
        rmse_vertical_m=None,
        gcp={
            "points": ["n", "e", "s", "w"],
            "rmse_horizontal_m": 0.01,
            "rmse_vertical_m": 0.01,
            "check_rmse_horizontal_m": 0.27,
            "check_rmse_vertical_m": 0.11,
            "check_residuals_m": {
                "n": [0, 0.3, 0.4],
                "e": [0, 0, 0.02],
                "s": [0] * 3,
                "w": [0] * 3,
            },
        },
    )
    text = report(tmp_path, stages)
    assert "± 0.27 m horizontally, ± 0.11 m vertically" in text
    assert "From 4 surveyed points" in text and "n 0.50 m, e 0.02 m" in text
    assert "check the surveyed point with the largest error" in text


def test_everything_a_person_named_is_escaped(tmp_path: Path) -> None:
    stages = stage_values()
    bad = "<script>alert('x')</script>\"&"
    stages["photos"]["photos"][0].update(original=bad, camera=bad)
    stages["photos"]["photos"].append({"file": bad, "original": bad, "kept": False, "reason": bad})
    stages["sfm"]["unregistered"] = [bad, "IMG_0003.jpg"]
    stages["pairs"].update(strategy=bad, reason=bad)
    stages["georef"].update(georeferenced=False, reason=bad)
    stages["train"].update(device=bad, options={bad: bad})
    stages["eval"]["views"][0]["name"] = "<b>.jpg"
    stages["codecs"]["formats"][bad] = shipped("javascript:alert(1)", 5, 3.0, -25.0)
    stages["manifest"].update(title=bad, versions={bad: bad})
    text = report(tmp_path, stages)
    assert "<script" not in text and "<b>.jpg" not in text
    assert "&lt;script&gt;" in text
    assert not [link for link in Page(text).links if "javascript:" in link]


def test_a_report_repeats_byte_for_byte(tmp_path: Path) -> None:
    assert report(tmp_path, stage_values()) == report(tmp_path, stage_values())


@pytest.mark.parametrize(
    ("stage", "program"),
    [
        ("photos", "import_photos"),
        ("pairs", "match_photos"),
        ("sfm", "map_scene"),
        ("georef", "map_scene"),
        ("train", "train_splat"),
        ("eval", "evaluate_splat"),
        ("codecs", "check_codecs"),
        ("manifest", "bundle_web"),
    ],
)
def test_a_file_without_its_keys_is_refused_with_what_to_run_again(
    tmp_path: Path, stage: str, program: str
) -> None:
    arguments = write_stage_files(tmp_path, stage_values())
    path = tmp_path / "yard" / f"{stage}.json"
    form = json.loads(path.read_text()).get("format", 1)
    path.write_text(json.dumps({"format": form, "written_by": "splatmake 0.0.1"}))
    words = rf"{stage}\.json: '\w+' is missing \(written by splatmake 0\.0\.1\);"
    with pytest.raises(UserError, match=rf"{words} delete it and run {program} again$"):
        main(arguments)


@pytest.mark.parametrize("stage", ["photos", "sfm", "train", "eval", "codecs"])
def test_a_missing_file_is_named(tmp_path: Path, stage: str) -> None:
    arguments = write_stage_files(tmp_path, stage_values())
    (tmp_path / "yard" / f"{stage}.json").unlink()
    with pytest.raises(UserError, match=rf"{stage}\.json does not exist"):
        main(arguments)
    assert not (tmp_path / "yard" / "report.html").exists()


@pytest.mark.parametrize("name", ["renders.zip", "poster.jpg"])
def test_missing_or_damaged_pictures_are_named(tmp_path: Path, name: str) -> None:
    arguments = write_stage_files(tmp_path, stage_values())
    path = tmp_path / "yard" / name
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=name):
        main(arguments)
    path.unlink()
    with pytest.raises(UserError, match=f"{name} does not exist"):
        main(arguments)


def test_json_of_another_shape_is_refused(tmp_path: Path) -> None:
    arguments = write_stage_files(tmp_path, stage_values())
    (tmp_path / "yard" / "sfm.json").write_text("[1, 2]")
    with pytest.raises(UserError, match="is not a JSON object"):
        main(arguments)


def test_views_without_pictures_and_beyond_the_limit_stay_as_figures(tmp_path: Path) -> None:
    stages = stage_values(40)
    arguments = write_stage_files(tmp_path, stages)
    worst = stages["eval"]["views"][0]["name"]
    with zipfile.ZipFile(tmp_path / "yard" / "renders.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "yard" / "renders.zip", "w") as archive:
        for name, data in members.items():
            if name != f"{worst}.error.jpg":
                archive.writestr(name, data)
    main([*arguments, "--options", '{"max_views": 2, "picture_side": 64}'])
    text = (tmp_path / "yard" / "report.html").read_text()
    assert text.count("data:image/jpeg") == 1 + 2 + 3
    assert "3 more views as figures" in text


def test_unknown_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown option 'colour'"):
        main([*write_stage_files(tmp_path, stage_values()), "--options", '{"colour": 1}'])


def test_seen_views_are_called_so(tmp_path: Path) -> None:
    stages = stage_values()
    stages["eval"]["held_out"] = False
    text = report(tmp_path, stages)
    assert "Usable capture with weak spots: " in text and "training views match the photos" in text
    assert "Views used for training" in text and "not used for training" not in text


def test_importing_the_report_needs_no_torch_or_pycolmap() -> None:
    code = (
        "import sys; import scripts.report_scene, scripts.summarise;"
        "sys.exit(bool({'torch', 'pycolmap', 'snakemake'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Verdicts


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        (verdicts.registration(36, 36), Level.GOOD),
        (verdicts.registration(19, 20), Level.GOOD),
        (verdicts.registration(16, 20), Level.FAIR),
        (verdicts.registration(15, 20), Level.WEAK),
        (verdicts.registration(None, 20), Level.UNKNOWN),
        (verdicts.registration(0, 0), Level.UNKNOWN),
        (verdicts.photo_count(20), Level.GOOD),
        (verdicts.photo_count(12), Level.FAIR),
        (verdicts.photo_count(11), Level.WEAK),
        (verdicts.pieces(1), Level.GOOD),
        (verdicts.pieces(3), Level.FAIR),
        (verdicts.reprojection(1.2), Level.GOOD),
        (verdicts.reprojection(2.0), Level.FAIR),
        (verdicts.reprojection(2.1), Level.WEAK),
        (verdicts.track_length(4.0), Level.GOOD),
        (verdicts.track_length(3.0), Level.FAIR),
        (verdicts.track_length(2.9), Level.WEAK),
        (verdicts.overlap(6.0), Level.GOOD),
        (verdicts.overlap(3.0), Level.FAIR),
        (verdicts.overlap(1.0), Level.WEAK),
        (verdicts.georeferencing(True, 0.03), Level.GOOD),
        (verdicts.georeferencing(True, 4.0), Level.GOOD),
        (verdicts.georeferencing(True, 10.0), Level.FAIR),
        (verdicts.georeferencing(True, 11.0), Level.WEAK),
        (verdicts.georeferencing(True, None), Level.UNKNOWN),
        (verdicts.georeferencing(True, 0.1, survey=True), Level.GOOD),
        (verdicts.georeferencing(True, 1.0, survey=True), Level.FAIR),
        (verdicts.georeferencing(True, 1.1, survey=True), Level.WEAK),
        (verdicts.georeferencing(True, None, survey=True), Level.UNKNOWN),
        (verdicts.georeferencing(False, None), Level.UNKNOWN),
        (verdicts.georeferencing(False, None, scale_from="metadata.json"), Level.UNKNOWN),
        (verdicts.georeferencing(None, None), Level.UNKNOWN),
        (verdicts.held_out(26.0), Level.GOOD),
        (verdicts.held_out(21.0), Level.FAIR),
        (verdicts.held_out(20.9), Level.WEAK),
        (verdicts.held_out(35.0, unseen=False), Level.FAIR),
        (verdicts.held_out(15.0, unseen=False), Level.WEAK),
        (verdicts.format_loss(0.3), Level.GOOD),
        (verdicts.format_loss(-0.1), Level.GOOD),
        (verdicts.format_loss(1.0), Level.FAIR),
        (verdicts.format_loss(1.1), Level.WEAK),
        (verdicts.format_loss(None), Level.UNKNOWN),
    ],
)
def test_thresholds(verdict: verdicts.Verdict, level: Level) -> None:
    assert verdict.level is level
    assert verdict.text


def test_singular_and_plural_of_lost_photos() -> None:
    assert verdicts.registration(19, 20).text.startswith("Only 1 photo could")
    assert verdicts.registration(38, 40).text.startswith("Only 2 photos could")


def test_the_headline_weighs_capture_and_picture_most() -> None:
    good, fair, weak, unknown = (verdicts.Verdict(level, "x") for level in Level)
    assert verdicts.overall(good, good, [good, unknown]).level is Level.GOOD
    assert verdicts.overall(good, good, [fair]).level is Level.GOOD
    assert verdicts.overall(good, good, [weak]).level is Level.FAIR
    assert verdicts.overall(good, weak, [good]).level is Level.WEAK
    assert verdicts.overall(unknown, unknown, [fair]).level is Level.FAIR
    assert verdicts.overall(unknown, unknown, []).level is Level.UNKNOWN
    flat = verdicts.depth(40.0, moved=False)
    assert verdicts.overall(good, good, [good], flat).level is Level.WEAK
    assert verdicts.overall(good, good, [good], verdicts.depth(9.0, moved=True)).level is Level.GOOD


# Advice


def capture(**changes: Any) -> advice.Capture:
    names = [f"{i}.jpg" for i in range(40)]
    good: dict[str, Any] = {
        "kept": names,
        "unregistered": [],
        "sharpness": {},
        "views": [(name, 27.0) for name in names[::8]],
        "alone": [],
        "gps_outliers": [],
        "track_length": 5.0,
        "models": 1,
        "reprojection_px": 0.8,
        "damaged": [],
    }
    return advice.Capture(**{**good, **changes})


def test_a_good_capture_needs_no_advice() -> None:
    assert advice.advise(capture()) == []


def test_lost_photos_are_named_with_their_neighbours() -> None:
    found = advice.advise(capture(unregistered=["3.jpg", "5.jpg", "4.jpg", "39.jpg"]))
    assert found[0].startswith("3.jpg to 5.jpg (3 photos) could not be registered.")
    assert "between 2.jpg and 6.jpg" in found[0]
    assert found[1].startswith("39.jpg could not be registered. It shows")
    assert "after 38.jpg" in found[1]


def test_weak_views_are_named_worst_first() -> None:
    views = [("a", 28.0), ("b", 18.0), ("c", 28.5), ("d", 16.5), ("e", 28.2)]
    (found,) = advice.advise(capture(views=views))
    assert "d (16.5 dB) and b (18.0 dB)" in found
    (found,) = advice.advise(capture(views=[("a", 15.0), ("b", 16.0), ("c", 30.0)]))
    assert found.startswith("Most test views are weak")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"models": 2}, "2 groups"),
        ({"track_length": 2.4}, "closer together"),
        ({"kept": ["a", "b", "c"]}, "3 photos are not many"),
        ({"reprojection_px": 3.0}, "Do not change zoom"),
        ({"alone": ["7.jpg"]}, "7.jpg matches no other photo"),
        ({"gps_outliers": ["7.jpg", "8.jpg"]}, "7.jpg and 8.jpg contradicts"),
        ({"damaged": ["7.jpg"]}, "Copy the file from the memory card"),
        ({"sharpness": {**{f"{i}.jpg": 100.0 for i in range(9)}, "soft.jpg": 20.0}}, "soft.jpg is"),
    ],
)
def test_each_weakness_has_its_advice(change: dict[str, Any], word: str) -> None:
    assert any(word in item for item in advice.advise(capture(**change)))


def test_photos_of_other_sharpness_pass_when_few_or_similar() -> None:
    assert advice.soft_photos({"a": 1.0, "b": 100.0}) == []
    assert advice.soft_photos({str(i): 50.0 + i for i in range(10)}) == []


def test_long_lists_are_cut() -> None:
    assert advice.listed(["a"]) == "a"
    assert advice.listed(["a", "b", "c"]) == "a, b and c"
    assert advice.listed([str(i) for i in range(10)]) == "0, 1, 2, 3, 4 and 5 more"


# Reading and showing values


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_values_never_raise(value: Any) -> None:
    values.number(value), values.grouped(value)
    values.size(value), values.decimals(value, 2), values.text(value), values.settings(value)


def test_values_for_people() -> None:
    assert values.size(999) == "999 B"
    assert values.size(612_345) == "612 kB"
    assert values.size(2_150_000) == "2.1 MB" or values.size(2_150_000) == "2.2 MB"
    assert values.grouped(1234567) == "1\u202f234\u202f567"
    assert values.decimals(float("nan"), 1) == values.DASH
    assert values.settings({"a": {"b": [1, 2], "latitude": 3}}) == [("a.b", "1, 2")]


def test_formats_come_smallest_first() -> None:
    formats = read_formats(from_json(Codecs, stage_values()["codecs"]))
    assert [item.key for item in formats] == ["sog", "spz", "compressed_ply", "ply"]
    assert formats[0].loss_db == pytest.approx(0.2) and formats[0].file == "splat.sog"


def test_benchmarks_average_runs_and_refuse_other_files(tmp_path: Path) -> None:
    table = tmp_path / "train_splat.tsv"
    table.write_text("s\th:m:s\tmax_rss\n10.0\t0:00:10\t-\n20.0\t0:00:20\t512.5\n")
    read = read_benchmark(table)
    assert (read.rule, read.seconds, read.memory_mb) == ("train_splat", 15.0, 512.5)
    table.write_text("hello\n")
    with pytest.raises(UserError, match="not a benchmark table"):
        read_benchmark(table)
    with pytest.raises(UserError, match="does not exist"):
        read_benchmark(tmp_path / "none.tsv")


def test_charts_carry_no_fixed_colour_or_namespace() -> None:
    svg = str(charts.training_curve([(0, 10.0), (100, 20.0)]))
    assert svg.startswith("<svg viewBox=") and "xmlns" not in svg and "metadata" not in svg
    assert not any(stand_in in svg for stand_in in charts.VARIABLES)
    assert "var(--accent)" in svg
    odd = charts.view_bars([("$a_{b}<&", 20.0, "fair"), ("b", 21.0, "good")], None)
    assert "&lt;&amp;" in str(odd)


def test_the_record_is_the_same_for_report_and_index(tmp_path: Path) -> None:
    stages = stage_values()
    write_stage_files(tmp_path, stages)
    paths = {stage: tmp_path / "yard" / f"{stage}.json" for stage in stages}
    record = summary.summarise(read_stages("yard", paths))
    assert (record.kept, record.registered, record.models) == (24, 24, 1)
    assert record.verdict == Level.GOOD
    assert record.sog_loss_db == pytest.approx(0.2)
    assert record.ply_bytes == 7_080_000


def test_files_that_were_left_out_are_counted_by_what_they_are(tmp_path: Path) -> None:
    stages = stage_values()
    film = {
        "file": "IMG_1.MOV",
        "original": "IMG_1.MOV",
        "kept": False,
        "reason": "the moving part",
        "cause": "films of Live Photos",
    }
    soft = film | {"file": "IMG_2.JPG", "original": "IMG_2.JPG"}
    soft |= {"reason": "blurred: 3 %", "cause": "blurred photos"}
    stages["photos"]["photos"] += [film, soft]
    stages["photos"]["left_out"] = {"films of Live Photos": 1, "blurred photos": 1}
    told = report(tmp_path, stages)
    assert "left out: films of Live Photos (1), blurred photos (1)" in told
    assert told.index("blurred: 3 %") < told.index(
        "Files next to the photos that are not photos themselves: 1"
    )
    assert told.index("Files next to the photos that are not photos themselves") < told.index(
        "the moving part"
    )


def sfm(**told: Any) -> Sfm:
    return replace(from_file(Sfm, stage_values()["sfm"], Path("sfm.json")), **told)


def test_the_lens_and_its_calibration_are_told_in_a_sentence() -> None:
    camera = Calibrated(
        camera=1,
        width=640,
        height=480,
        before=Lens("SIMPLE_RADIAL", {}),
        after=Lens("OPENCV", {}),
        principal_point=True,
        off_centre_px=(6.2, -5.7),
        changed=True,
        held_out_gain=0.083,
        own_held_out_gain=None,
        tried=(),
        sigma={"cx": 0.4},
    )
    value, verdict = cameras.lens(sfm(calibration=Calibration(True, "", (camera,))))
    assert value == "OPENCV"
    assert "6 px right of and 6 px above the middle" in verdict.text
    assert "± 0.8 px" in verdict.text and "8.3 % better" in verdict.text
    plain = replace(camera, changed=False, after=camera.before)
    told = Calibration(False, "4 photos are too few", (plain,))
    assert "4 photos are too few" in cameras.lens(sfm(calibration=told))[1].text
    assert cameras.lens(sfm()) == ("–", verdicts.NOT_MEASURED)


def test_certainty_is_told_per_axis() -> None:
    sigma = (0.004, 0.005, 0.02)
    told = CameraCertainty(0.3, "photos", 30.0, sigma, sigma, {})
    value, verdict = cameras.certainty(sfm(certainty=told), metres=True)
    assert value == "± 7.8 mm east, ± 9.8 mm north, ± 3.9 cm up"
    assert verdict.level is Level.GOOD
    value, verdict = cameras.certainty(sfm(certainty=replace(told, extent=0.5)), metres=False)
    assert "± 1.568 % x" in value and verdict.level is Level.WEAK
    assert cameras.certainty(sfm(certainty=None), metres=True)[0] == "–"
    place = PlaceCertainty(sigma, (0.12, 0.13, 0.4), sigma, 0.021, None, ())
    georef = replace(from_json(Georef, stage_values()["georef"]), certainty=place)
    assert "± 12.0 cm east" in cameras.position(georef) and "± 0.021 %" in cameras.position(georef)
    assert cameras.position(replace(georef, certainty=None)) == ""


def test_an_overview_is_told_as_one() -> None:
    codecs = from_json(Codecs, stage_values()["codecs"])
    target = Target(
        sh_degree=1,
        gaussians=9,
        bytes=5,
        loss_db=6.0,
        limit_db=0.3,
        within_limit=False,
        overview=True,
    )
    whole, some = codecs, replace(codecs, targets={"desktop": target})
    told = [{item.key: item.purpose for item in read_formats(one)} for one in (whole, some)]
    assert told[0]["sog"] == "loaded by the web page" and told[1]["sog"].startswith("an overview")
    assert told[0]["spz"] == told[1]["spz"]
