"""Distances and their uncertainty: where it comes from, and that Python and the page compute the same."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.lib.contracts.eval import DepthError, DepthErrors
from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.record import from_file, to_json
from scripts.lib.contracts.sfm import CameraCertainty, Sfm
from scripts.lib.contracts.view import PhotoMap, View
from scripts.lib.core.checkout import VIEWER
from scripts.lib.web.measuring import (
    FARTHEST,
    WIDE,
    End,
    Measure,
    Places,
    accuracy,
    measuring,
    uncertainty,
)
from scripts.lib.web.node import find_program
from tests.unit.stage_files import stage_values

# Four photos 10 m from the middle that look at it, level.
PHOTOS = (
    (0, -10, 0, 0, 0, 10),
    (-10, 0, 0, 90, 0, 10),
    (0, 10, 0, 180, 0, 10),
    (10, 0, 0, 270, 0, 10),
)
KNOWN = ((0.0, 4.1, 0.0), (-7.0, 3.0, 2.0), (8.0, 5.0, -1.5))
MEASURE = Measure(
    0.01,
    False,
    cameras=0.02,
    surfaces=((5.0, 0.02), (12.0, 0.05)),
    photos=tuple(p[:5] for p in PHOTOS),
)
EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
FREE = Georef(georeferenced=False, reason="no photo has GPS", scale=1.0, world_from_sfm=EYE)


def georef(folder: Path, **changes: Any) -> Georef:
    return from_file(Georef, stage_values()["georef"] | changes, folder / "georef.json")


def view(folder: Path) -> View:
    plain = {"name": "a", "position": (1, 2, 3), "target": (0, 0, 0), "fov": 60.0}
    made = from_file(View, plain, folder / "view.json")
    return dataclasses.replace(made, map=PhotoMap(PHOTOS, ()), known=KNOWN)


def place_certainty(scale: float, shift: float) -> dict[str, Any]:
    return {
        "sigma_m": [shift] * 3,
        "within_95_m": [2 * shift] * 3,
        "turn_within_95_deg": [0.1] * 3,
        "scale_within_95_percent": scale,
        "degrees_of_freedom": 20,
        "covariance": np.eye(7).tolist(),
    }


def test_distances_are_offered_in_the_metres_of_brought_poses() -> None:
    view = View(name="a.jpg", position=(0.0, 0.0, 1.0), target=(1.0, 0.0, 1.0), fov=60.0)
    assert measuring(FREE, view) is None
    told = measuring(
        dataclasses.replace(FREE, units="metres", scale_from="metadata.json (ARKit)"), view
    )
    assert told is not None and told.error is None and not told.survey
    assert accuracy(told) == (
        "In metres, from metadata.json (ARKit): how accurate its scale is, is not known."
    )
    assert uncertainty(told, 1.0, [End(0.0)]) is None


def test_scale_comes_from_the_covariance_or_else_from_residuals(tmp_path: Path) -> None:
    known = measuring(georef(tmp_path, certainty=place_certainty(0.8, 0.1)), view(tmp_path))
    assert known and known.error == pytest.approx(0.008)
    guessed = measuring(
        georef(tmp_path, rmse_horizontal_m=0.3, rmse_vertical_m=0.4), view(tmp_path)
    )
    assert guessed and guessed.error == pytest.approx(WIDE * 0.5 / 10 / 2)
    assert measuring(georef(tmp_path, georeferenced=False), view(tmp_path)) is None


@pytest.mark.parametrize(("frame", "left"), [("photos", 0.05), ("positions", 0.03), ("fit", 0.03)])
def test_what_all_cameras_share_moves_no_distance(frame: str, left: float, tmp_path: Path) -> None:
    told = CameraCertainty(0.5, frame, 20.0, (0.05,) * 3, (0.1,) * 3, {})  # type: ignore[arg-type]
    sfm = dataclasses.replace(
        from_file(Sfm, stage_values()["sfm"], tmp_path / "sfm.json"), certainty=told
    )
    placed = georef(tmp_path, certainty=place_certainty(0.1, 0.04))
    found = measuring(placed, view(tmp_path), sfm)
    assert found and found.cameras == pytest.approx(WIDE * left)


def depth_error(name: str, farthest: float, within: float) -> DepthError:
    return DepthError(name, 99, 1.0, farthest, 0.01, 0.01, within, 0.0, 0.0, 0.0, 0.0)  # type: ignore[arg-type]


def test_surfaces_come_from_the_depth_errors(tmp_path: Path) -> None:
    whole = depth_error("all", 20.0, 0.03)
    bands = (depth_error("near", 4.0, 0.01), depth_error("far", 20.0, 0.06))
    found = measuring(georef(tmp_path), view(tmp_path), errors=DepthErrors(whole, bands, 0.001, 4))
    assert found and found.surfaces == ((4.0, 0.01), (20.0 * FARTHEST, 0.06))
    found = measuring(georef(tmp_path), view(tmp_path), errors=DepthErrors(whole, (), 0.001, 4))
    assert found and found.surfaces == ((20.0 * FARTHEST, 0.03),)
    old = dataclasses.replace(view(tmp_path), known=None)
    found_old = measuring(georef(tmp_path), old, errors=DepthErrors(whole, (), 0.001, 4))
    assert found_old and found_old.surfaces == () and found_old.known is None
    assert "was not measured" in accuracy(measuring(georef(tmp_path), view(tmp_path)))
    assert "95 of 100" in accuracy(found) and accuracy(None) == ""


def test_95_of_100_lengths_lie_inside() -> None:
    """Errors as they are stated, drawn by chance."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(4000):
        length = 5.0
        ends = [End(away, *rng.uniform(0, 0.03 * away, 3)) for away in rng.uniform(1, 12, 2)]
        half = uncertainty(MEASURE, length, ends)
        assert half is not None
        widths = [MEASURE.error * length]
        for end in ends:
            share = 0.02 if end.away <= 5 else 0.05
            widths += [share * end.away, MEASURE.cameras, end.beside, end.click, end.rough]
        inside += abs(rng.normal(0, np.array(widths) / WIDE).sum()) <= half
    assert inside / 4000 == pytest.approx(0.95, abs=0.01)


def test_beyond_what_was_compared_there_is_none() -> None:
    assert uncertainty(MEASURE, 1.0, [End(12.1), End(1.0)]) is None
    assert uncertainty(MEASURE, 1.0, [End(12.0), End(1.0)]) is not None
    assert uncertainty(MEASURE, 1.0, [End(1.0), End(12.0, 1.21)]) is None
    assert uncertainty(MEASURE, 1.0, [End(1.0), End(12.0, 1.19)]) is not None
    assert uncertainty(Measure(0.01, False), 1.0, [End(1.0)]) is None


def on_the_page(script: str, measure: Measure = MEASURE) -> Any:
    """What a script answers in which the page's functions are there, and a plane before a camera.

    The camera stands at the origin, looks along +Y and has 1000 x 800 pixels and 90 degrees across.
    """
    harness = f"""
        const canvas = {{ clientWidth: 1000, clientHeight: 800 }};
        const page = {{
            config: {{
                measure: {json.dumps(to_json(measure))},
                known: {json.dumps(to_json(Places.of(KNOWN)))},
            }},
            root: {{ dataset: {{}} }},
            viewer: {{ app: {{ graphicsDevice: {{ canvas }} }} }},
            metres: (length) => `${{length.toFixed(2)}} m`,
            whereAmI: () => ({{ position: [0, 0, 0], target: [0, 3, 0], fov: 90 }}),
            project: ([x, y, z]) => [500 + (500 * x) / y, 400 - (500 * z) / y],
            // The plane y = 4 + slant * x
            slant: 0,
            pick: async (x, y) => {{
                const ray = [(1000 * x - 500) / 500, 1, (400 - 800 * y) / 500];
                const away = 4 / (1 - page.slant * ray[0]);
                return ray.map((value) => value * away);
            }},
        }};
        globalThis.window = {{ splatmake: page }};
        {(VIEWER / "page" / "uncertainty.js").read_text(encoding="utf-8")}
        (async () => {script})().then((found) => console.log(JSON.stringify(found)));
    """
    run = subprocess.run(
        [find_program("node"), "-e", harness],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(run.stdout)


def test_the_page_computes_the_same() -> None:
    rng = np.random.default_rng(1)
    cases: list[tuple[float, list[End]]] = [
        (float(length), [End(float(rng.uniform(4, 14)), 0.4, 0.1, 0.2), End(3.0, 0.1, 0.0, 0.05)])
        for length in rng.uniform(0.1, 50, 20)
    ]
    given = json.dumps([[length, [to_json(end) for end in ends]] for length, ends in cases])
    found = on_the_page(f"{given}.map(([length, ends]) => page.uncertainty(length, ends))")
    expected = [uncertainty(MEASURE, length, ends) for length, ends in cases]
    assert None in expected and any(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == (other if other is None else pytest.approx(other))


def test_an_end_knows_its_nearest_photo_that_looks_there() -> None:
    found = on_the_page(
        "[[0, 2, 0], [0, -14, 0], [0, 9, 0], [0, 9.5, 8]].map((p) => page.seenFrom(p) || 'none')"
    )
    # Behind the first photo only the third sees, 24 m away; before the third stands one 1 m away.
    assert found[:3] == pytest.approx([8, 24, 1])
    assert found[3] == pytest.approx(np.hypot(19.5, 8)), "the nearer photos look below it"


@pytest.mark.parametrize("slant", [0.0, 0.9, -2.0])
def test_a_slanted_plane_is_smooth_and_a_click_as_wide_as_its_pixels(slant: float) -> None:
    found = on_the_page(f"{{ page.slant = {slant}; return page.endAt([0, 4, 0]); }}")
    assert found["rough"] == pytest.approx(0, abs=1e-9)
    assert found["away"] == pytest.approx(6)
    assert found["beside"] == pytest.approx(0.1, abs=1e-3)
    assert found["click"] == pytest.approx(1.5 * 2 * 4 / 1000)


def test_where_there_is_no_surface_or_no_photo_a_sentence_refuses() -> None:
    nothing = "{ page.pick = async () => null; return page.endAt([0, 4, 0]); }"
    assert "Nearer and farther things meet" in on_the_page(nothing)["refused"]
    # At the edge of a thing at 4 m the places on one side are on what is behind it.
    edge = "page.pick = async (x) => [0, x > 0.501 ? 9 : 4, 0];"
    assert (
        "Nearer and farther"
        in on_the_page(f"{{ {edge} return page.endAt([0, 4, 0]); }}")["refused"]
    )
    for far in ([0, 90, 0], [0, 6, 0]):  # from the photos; from the known places
        assert "do not tell exactly" in on_the_page(f"page.endAt({far})")["refused"]
    plain = dataclasses.replace(MEASURE, surfaces=())
    assert "refused" not in on_the_page("page.endAt([0, 90, 0])", plain)


def test_known_places_are_the_same_after_packing() -> None:
    rng = np.random.default_rng(2)
    places = rng.uniform((-40, 3, 0), (50, 9, 2), (300, 3))
    packed = Places.of([tuple(place) for place in places.tolist()])
    assert np.array(packed.unpacked()) == pytest.approx(places, abs=packed.step)
    assert packed.step == pytest.approx(90 / 60_000, rel=0.05)
    probes = rng.uniform(-5, 5, (20, 3)).tolist()
    nearest = on_the_page(f"{json.dumps(probes)}.map(page.besideKnown)")
    expected = [min(np.linalg.norm(np.subtract(p, k)) for k in KNOWN) for p in probes]
    assert nearest == pytest.approx(expected, abs=2e-3)
    assert Places.of([(1.0, 2.0, 3.0)]).unpacked() == [(1.0, 2.0, 3.0)]


def test_digits_are_those_that_mean_something() -> None:
    def said(length: float, rough: float, measure: Measure = MEASURE) -> str:
        end = json.dumps({"away": 0.0, "beside": 0.0, "click": 0.0, "rough": rough})
        return str(on_the_page(f"page.stated({length}, [{end}])", measure))

    exact = dataclasses.replace(MEASURE, error=0.0, cameras=0.0)
    assert said(3.4171, 0.032, exact) == "3.42 m ± 0.04 m"
    assert said(3.4171, 0.31, exact) == "3.4 m ± 0.4 m"
    assert said(34.171, 2.0, exact) == "34 m ± 2 m"
    assert said(3.4171, 0.0, dataclasses.replace(exact, surfaces=())) == "3.42 m"
