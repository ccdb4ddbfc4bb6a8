"""From stage files to the report's HTML: gathers what the template shows, decides nothing about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scripts.lib.contracts.placing import Placing, placing
from scripts.lib.core.console import duration
from scripts.lib.report import (
    advice,
    cameras,
    capture,
    charts,
    photos_used,
    summary,
    values,
    verdicts,
)
from scripts.lib.report.formats import read_formats, read_rate
from scripts.lib.report.html import render
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.summary import Summary
from scripts.lib.report.values import (
    DASH,
    count,
    decimals,
    dollars,
    grouped,
    names,
    number,
    objects,
    text,
)
from scripts.lib.report.verdicts import Verdict

GARDEN = 500.0  # square metres: who photographs more from above has flown
MACHINE = {
    "system": "System",
    "architecture": "Architecture",
    "python": "Python",
    "cpus": "CPUs",
    "gpu": "GPU",
    "driver": "GPU driver",
}
# What the stages do, in the words of someone who waits for them.
STAGES = {
    "import_photos": "reading the photos",
    "extract_features": "finding details",
    "match_photos": "comparing photos",
    "map_scene": "placing the cameras",
    "undistort": "straightening photos",
    "train_splat": "training the scene",
    "evaluate_splat": "test views",
    "clean_splat": "cleaning",
    "compress_splat": "compressing",
    "check_codecs": "checking the files",
    "render_poster": "planning the visit",
    "render_tour": "film",
    "bundle_web": "web page",
}
FILES = {  # of the scene's folder, beside those that the formats table names
    "web/index.html": "the web page (with its folder: any static host serves it)",
    "splat.html": "the web page in one file, which opens by a double click",
    "site.zip": "the web page to unpack on a host, with names that caches may keep for ever",
    "splat.ply": "the trained scene as it was trained",
    "tour.mp4": "the guided tour as a film",
    "undistorted.zip": "photos and camera positions, for other trainers",
    "photos.zip": "the photos as used",
    "renders.zip": "test views in full size",
    "poster.jpg": "the poster",
    "photos.json": "every photo, kept or not, and why",
    "sfm.json": "camera positions: figures",
    "georef.json": "place and scale on the map",
    "train.json": "training: figures",
    "eval.json": "test views: figures",
    "clean.json": "what was left out and why",
    "compress.json": "compressed files: what was tried",
    "features.json": "details found in each photo",
    "pairs.json": "photos compared: figures",
    "undistort.json": "straightening photos: settings",
    "tour.json": "the film: settings",
    "codecs.json": "compressed files: figures",
    "view.json": "start view, tour, limits and map of the page",
    "web/manifest.json": "versions, options and check sums",
}


@dataclass(frozen=True)
class Pictures:
    """Data URIs: the poster, and per judged view the kinds `photo`, `render`, `error`."""

    poster: str
    views: dict[str, dict[str, str]]
    contact: str = ""  # thumbnails of every photo, kept and dropped
    stops: str = ""  # the tour's views side by side


@dataclass(frozen=True)
class Measure:
    """A row of the figures: what was measured, the value, the verdict, what it means."""

    name: str
    value: str
    verdict: Verdict
    meaning: str


def build_report(files: StageFiles, pictures: Pictures) -> str:
    """The report of one scene as one self-contained HTML document."""
    record = summary.summarise(files)
    shown = _shown_names(files)
    photographed = _capture(files, record, shown)
    moved, corrected = cameras.motions(files.sfm)
    advices = [
        *advice.advise(photographed),
        *([moved] if moved and not corrected else []),
        *names(files.georef.get("notes")),
    ]
    formats = read_formats(files.codecs)
    return render(
        "report.html.j2",
        scene=files.scene,
        title=text(files.manifest.get("title")) or files.scene,
        unseen=record.held_out is not False,
        used=photos_used.sentence(files),
        judged_apart=photos_used.one_set(files) is False,
        headline=summary.headline(record),
        level=record.verdict,
        summary=record,
        poster=pictures.poster,
        taken=_taken(files),
        tiles=_tiles(record),
        advice=advices,
        flown=photographed.flown,
        measures=_measures(record, files),
        photos=capture.photos(files, shown),
        moved=moved if corrected else "",
        plan=capture.plan(files),
        contact=pictures.contact,
        stops=pictures.stops,
        cleaning=_cleaning(files),
        views=_views(files, pictures, shown),
        view_chart=_view_chart(files),
        curve=_curve(files),
        training=_training(files, record),
        formats=[(item, verdicts.format_loss(item.loss_db)) for item in formats],
        rate_chart=_rate_chart(files, formats),
        stages=_stages(files),
        cost=_cost(files),
        time_chart=_time_chart(files),
        total=None if record.total_seconds is None else duration(record.total_seconds),
        facts=_facts(files, record),
        options=_options(files),
        links=list(FILES.items()),
    )


def worst_first(files: StageFiles) -> list[dict[str, Any]]:
    """Views of eval.json, lowest PSNR first; views without a number last."""
    views = [view for view in objects(files.eval.get("views")) if text(view.get("name"))]

    def key(view: dict[str, Any]) -> tuple[bool, float, str]:
        psnr = number(view.get("psnr"))
        return (psnr is None, psnr or 0.0, text(view.get("name")))

    return sorted(views, key=key)


def _shown_names(files: StageFiles) -> dict[str, str]:
    """Name in photos.zip -> the name the photographer knows, where that is unique."""
    pairs = [
        (text(item.get("file")), text(item.get("original") or item.get("file")))
        for item in objects(files.photos.get("photos"))
        if item.get("kept")
    ]
    return dict(pairs) if len({shown for _, shown in pairs}) == len(pairs) else {}


def _capture(files: StageFiles, record: Summary, shown: dict[str, str]) -> advice.Capture:
    photos = objects(files.photos.get("photos"))
    kept = summary.kept_photos(files)
    sharpness = {
        shown.get(text(item.get("file")), text(item.get("file"))): value
        for item in photos
        if item.get("kept") and (value := number(item.get("sharpness"))) is not None
    }
    views = [
        (shown.get(text(view.get("name")), text(view.get("name"))), value)
        for view in objects(files.eval.get("views"))
        if (value := number(view.get("psnr"))) is not None
    ]
    damaged = [
        text(item.get("original") or item.get("file"))
        for item in photos
        if not item.get("kept")
        and any(word in text(item.get("reason")) for word in ("truncated", "damaged", "unreadable"))
    ]
    return advice.Capture(
        kept=[shown.get(name, name) for name in kept],
        unregistered=[shown.get(name, name) for name in names(files.sfm.get("unregistered"))],
        sharpness=sharpness,
        views=views,
        track_length=record.track_length,
        alone=[shown.get(name, name) for name in names(files.pairs.get("alone"))],
        gps_outliers=[shown.get(name, name) for name in names(files.georef.get("outliers"))],
        models=record.models,
        reprojection_px=record.reprojection_error_px,
        damaged=damaged,
        thin=_ground(files, "thin", shown),
        bare=_ground(files, "bare", shown),
        flown=files.georef.get("georeferenced") is True
        and (number(_coverage(files).get("photographed")) or 0.0) > GARDEN,
    )


def _coverage(files: StageFiles) -> dict[str, Any]:
    """sfm.json's coverage of the ground; {} where the photos do not look down."""
    found = files.sfm.get("coverage")
    return found if isinstance(found, dict) else {}


def _ground(files: StageFiles, part: str, shown: dict[str, str]) -> advice.Ground | None:
    """A part of sfm.json's coverage; None where the stage did not look at the ground."""
    found = _coverage(files).get(part)
    if not isinstance(found, dict) or (share := number(found.get("share"))) is None:
        return None
    photos = [shown.get(name, name) for name in names(found.get("photos"))]
    return advice.Ground(share, text(found.get("side")), photos)


def _taken(files: StageFiles) -> str:
    """When and with which cameras, as one line; empty when the photos do not say."""
    kept = [item for item in objects(files.photos.get("photos")) if item.get("kept")]
    cameras = sorted({text(item.get("camera")) for item in kept} - {""})
    days = []
    for item in kept:
        try:
            days.append(datetime.fromisoformat(text(item.get("time"))).date())
        except ValueError:
            continue
    parts = []
    if days:
        first, last = (f"{day.day} {day:%B %Y}" for day in (min(days), max(days)))
        parts.append(first if first == last else f"{first} to {last}")
    if cameras:
        parts.append(advice.listed(cameras))
    return ", ".join(parts)


def _tiles(record: Summary) -> list[tuple[str, str]]:
    """The four figures at the top: (value, what it is)."""
    placed = DASH
    if record.registered is not None:
        placed = f"{record.registered}" + (f" of {record.kept}" if record.kept else "")
    spent = record.total_seconds or record.train_seconds
    said = "from photos to page" if record.total_seconds else "training"
    return [
        (placed, "photos placed"),
        (decimals(record.psnr, 1, "dB"), "likeness of new views"),
        (values.size(record.sog_bytes), "to load on the page"),
        (DASH if spent is None else duration(spent), said),
    ]


def _measures(record: Summary, files: StageFiles) -> list[Measure]:
    placed = DASH
    if record.registered is not None and record.kept:
        placed = f"{record.registered} of {record.kept}"
    place = placing(files.georef)
    rmse = DASH
    if record.georeferenced:
        rmse = f"± {decimals(record.rmse_horizontal_m, 2)} m across"
        if record.rmse_vertical_m is not None:
            rmse += f", ± {record.rmse_vertical_m:.2f} m up"
    points = count(files.sfm.get("points"))
    verified, compared = number(files.pairs.get("verified")), number(files.pairs.get("photos"))
    neighbours = 2 * verified / compared if verified is not None and compared else None
    pixels = count(files.eval.get("resolution"))
    return [
        Measure(
            "Photos used",
            grouped(record.kept),
            verdicts.photo_count(record.kept),
            "Readable photos that the scene was made from.",
        ),
        Measure(
            "Photos placed",
            placed,
            verdicts.registration(record.registered, record.kept),
            "Photos whose camera position was found by comparing them with the others "
            "(“registered”).",
        ),
        Measure(
            "Pieces",
            grouped(record.models),
            verdicts.pieces(record.models),
            "Groups of photos that hang together. One is right.",
        ),
        Measure(
            "Overlap",
            decimals(neighbours, 1),
            verdicts.overlap(neighbours),
            "With how many other photos one photo shares a view, on average (“verified pairs”).",
        ),
        Measure(
            "Fit of the positions",
            decimals(record.reprojection_error_px, 2, "px"),
            verdicts.reprojection(record.reprojection_error_px),
            "How far a spot lies, in the photos, from where the positions say it should "
            "(“reprojection error”).",
        ),
        Measure(
            "Lens",
            *cameras.lens(files.sfm),
            "Which of COLMAP's camera models describes the lens (“self-calibration”).",
        ),
        Measure(
            "Exactness of the positions",
            *cameras.certainty(files.sfm, record.georeferenced is True),
            "Where the middle one of the cameras stood, to within so much"
            + (" " if record.georeferenced else ", in percent of the capture's extent, ")
            + "in 95 of 100 cases (from the “covariance” of the adjustment).",
        ),
        Measure(
            "Depth",
            decimals(record.triangulation_angle_deg, 1, "°"),
            verdicts.depth(record.triangulation_angle_deg, record.moved),
            "The angle between the photos' lines of sight to a spot, the middle of all spots "
            "(“triangulation angle”).",
        ),
        Measure(
            "Photos per spot",
            decimals(record.track_length, 1),
            verdicts.track_length(record.track_length),
            "How many photos see the same spot, on average"
            + (f", over {grouped(points)} spots" if points else "")
            + " (“track length”).",
        ),
        Measure(
            "Scale and place",
            rmse,
            verdicts.georeferencing(
                record.georeferenced,
                record.rmse_horizontal_m,
                text(files.georef.get("reason")).rstrip("."),
                bool(place and place.survey),
            ),
            _placed_by(place) + cameras.place(files.georef),
        ),
        Measure(
            "Likeness of new views",
            decimals(record.psnr, 1, "dB")
            + ("" if record.ssim is None else f", SSIM {record.ssim:.3f}"),
            verdicts.held_out(record.psnr, record.held_out is not False),
            (photos_used.sentence(files) or "Some photos were kept from the training.")
            + " This is how close the scene comes to them (“PSNR”: 3 dB more is half the error)"
            + (f", compared at {pixels} pixels." if pixels else "."),
        ),
    ]


def _placed_by(placed: Placing | None) -> str:
    """What the figures of scale and place say, and how well each surveyed point is met."""
    if placed is None or not placed.survey:
        return "How far the photos' GPS and the camera positions disagree (“RMSE”)."
    said = f"From {placed.points} surveyed points (gcp_list.txt)"
    if not placed.misses:
        return f"{said}; with four or more, each would be checked against the others."
    each = ", ".join(f"{label} {miss:.2f} m" for label, miss in placed.misses)
    return f"{said}: how far each one is missed when it is left out: {each}."


def _views(files: StageFiles, pictures: Pictures, shown: dict[str, str]) -> list[dict[str, Any]]:
    """Judged views, worst first, with their pictures as far as they were asked for."""
    rows = []
    for view in worst_first(files):
        name, psnr = text(view.get("name")), number(view.get("psnr"))
        rows.append(
            {
                "name": shown.get(name, name),
                "psnr": decimals(psnr, 1, "dB"),
                "ssim": decimals(view.get("ssim"), 3),
                "verdict": verdicts.held_out(psnr),
                "pictures": pictures.views.get(name, {}),
            }
        )
    return rows


def _view_chart(files: StageFiles) -> Any:
    views = [
        (text(view.get("name")), psnr, verdicts.held_out(psnr).level.value)
        for view in sorted(objects(files.eval.get("views")), key=lambda v: text(v.get("name")))
        if (psnr := number(view.get("psnr"))) is not None
    ]
    return charts.view_bars(views, number(files.eval.get("psnr"))) if len(views) > 1 else ""


def _curve(files: StageFiles) -> Any:
    points = [
        (step, psnr)
        for point in objects(files.train.get("curve"))
        if (step := number(point.get("step"))) is not None
        and (psnr := number(point.get("psnr"))) is not None
    ]
    return charts.training_curve(points) if len(points) > 1 else ""


def _rate_chart(files: StageFiles, formats: Sequence[Any]) -> Any:
    points = [(f.name, f.bytes / 1e6, f.psnr) for f in formats if f.bytes and f.psnr is not None]
    return charts.rate_curve(read_rate(files.codecs), points) if len(points) > 1 else ""


CLEANED = {
    "transparent": "nearly transparent",
    "unseen": "seen by fewer than two photos",
    "far": "far outside of the capture",
    "needle": "needle-shaped",
    "sheet": "wide sheets of haze",
}


def _cleaning(files: StageFiles) -> dict[str, Any] | None:
    """What was left out before encoding, by reason, and what that did to the photos that steer."""
    before, after = (
        count(files.clean.get("gaussians_before")),
        count(files.clean.get("gaussians_after")),
    )
    if before is None or after is None:
        return None
    filters = files.clean.get("filters")
    rows = []
    for name, entry in (filters if isinstance(filters, dict) else {}).items():
        if isinstance(entry, dict) and (found := count(entry.get("count"))):
            done = "left out" if entry.get("applied") is True else "kept: photos need them"
            rows.append((CLEANED.get(name, name), grouped(found), done))
    if cropped := count(files.clean.get("cropped")):
        rows.append(("outside of the crop", grouped(cropped), "left out"))
    change = None
    first, last = number(files.clean.get("psnr_before")), number(files.clean.get("psnr_after"))
    if first is not None and last is not None:
        step = last - first
        # Results of earlier versions do not say it: there, one set did both.
        steering = files.clean.get("measured_on") == "steering"
        measured = "the photos that steer" if steering else "the photos it was measured on"
        change = (
            f"which changed {measured} by {step:+.2f} dB"
            if abs(step) >= 0.005
            else f"without any change of {measured}"
        )
    return {
        "out": grouped(before - after),
        "before": grouped(before),
        "rows": rows,
        "change": change,
    }


def _training(files: StageFiles, record: Summary) -> list[tuple[str, str]]:
    """Facts beside the training curve."""
    train = files.train
    rows = [
        ("Steps", grouped(record.steps)),
        ("Gaussians (soft dots the scene is made of)", grouped(record.gaussians)),
        ("Time", DASH if record.train_seconds is None else duration(record.train_seconds)),
        ("Peak memory", decimals(train.get("peak_memory_mb"), 0, "MB")),
    ]
    if (resumed := number(train.get("resumed_from"))) is not None and resumed > 0:
        rows.append(("Continued from a checkpoint at step", grouped(resumed)))
    planned = number(train.get("planned_steps"))
    if planned and record.steps and record.steps < planned:
        rows.append(
            ("Stopped early", f"nothing was gained any more; {grouped(planned)} were planned")
        )
    if sky := number(train.get("sky_photos")):
        rows.append(("Photos that show the sky, which was put far behind", grouped(sky)))
    if left_out := train.get("left_out"):
        rows.append(
            (
                "Not trained on, being nearly photos that judge",
                ", ".join(map(text, left_out)),
            )
        )
    repeats = train.get("repeats") or {}
    if (mean := number(repeats.get("psnr_mean"))) is not None:
        spread = decimals(repeats.get("psnr_spread"), 2, "dB")
        runs = len(repeats.get("runs", []))
        rows.append(
            (
                f"Mean and spread of {runs} runs, of the photos that judge",
                f"{mean:.2f} dB, {spread}",
            )
        )
    rows += _cameras_refined(files)
    rows += [("Fitted to the machine", text(sentence)) for sentence in train.get("adapted") or []]
    return [(name, value) for name, value in rows if value != DASH]


def _cameras_refined(files: StageFiles) -> list[tuple[str, str]]:
    """How far training moved the cameras, and the likeness when each judging photo may move too."""
    rows = []
    found = files.train.get("cameras") or {}
    if (moved := number((found.get("moved") or {}).get("rms_px"))) is not None:
        rows.append(
            ("Cameras moved while training", f"{moved:.2f} pixels; the scene stayed in place")
        )
    if scales := [100 * (s - 1) for v in found.get("focal_scales") or [] if (s := number(v))]:
        rows.append(("Focal lengths changed", ", ".join(f"{change:+.2f} %" for change in scales)))
    plain, fitted = (number(files.eval.get(key)) for key in ("psnr", "psnr_pose_refined"))
    if plain is not None and fitted is not None:
        rows.append(
            (
                "Likeness with each judging photo moved to where it fits best",
                f"{fitted:.1f} dB, not the main figure: the {fitted - plain:.1f} dB more are what small"
                " errors of these photos' positions cost there",
            )
        )
    return rows


def _cost(files: StageFiles) -> dict[str, str]:
    """What the scene cost and by what it was counted, in words; {} when no price was known."""
    cost = files.cost
    if all(stage.get("usd") is None for stage in objects(cost.get("stages"))):
        return {}
    prices = cost.get("prices") or {}
    counted = f"by {text(cost.get('basis'))}"
    if prices:
        counted += f", prices of {text(prices.get('region'))} as of {text(prices.get('date'))}"
    kwh = number(cost.get("kwh"))
    return {
        "total": dollars(cost.get("usd")),
        "counted": counted,
        "energy": "" if kwh is None else decimals(kwh, 2, "kWh"),
    }


def _stages(files: StageFiles) -> list[dict[str, str]]:
    spent = {text(stage.get("rule")): stage for stage in objects(files.cost.get("stages"))}
    order = list(STAGES)
    found = sorted(
        files.benchmarks,
        key=lambda item: order.index(item.rule) if item.rule in order else len(order),
    )
    return [
        {
            "rule": item.rule,
            "name": STAGES.get(item.rule, item.rule.replace("_", " ")),
            "seconds": duration(item.seconds),
            "memory": decimals(item.memory_mb, 0, "MB"),
            "cost": dollars(spent.get(item.rule, {}).get("usd")),
            "machine": text(spent.get(item.rule, {}).get("machine")),
        }
        for item in found
    ]


def _time_chart(files: StageFiles) -> Any:
    seconds = {item.rule: item.seconds for item in files.benchmarks}
    bars = [(row["name"], seconds[row["rule"]], row["seconds"]) for row in _stages(files)]
    return charts.time_bars(bars) if bars else ""


def _stages_json(files: StageFiles) -> dict[str, dict[str, Any]]:
    """What each rule wrote of itself, in the order in which they run."""
    return {
        "import_photos": files.photos,
        "extract_features": files.features,
        "match_photos": files.pairs,
        "map_scene": files.sfm,
        "undistort": files.undistort,
        "train_splat": files.train,
        "evaluate_splat": files.eval,
        "clean_splat": files.clean,
        "compress_splat": files.compress,
        "check_codecs": files.codecs,
        "render_poster": files.view,
        "render_tour": files.tour,
        "bundle_web": files.manifest,
    }


def _facts(files: StageFiles, record: Summary) -> list[tuple[str, str]]:
    """Machine, versions and seed: what is needed to make the same again."""
    rows = [("Device", record.device), ("Seed", text(record.seed))]
    rows += [
        (f"Device of {rule}", text(made.get("device")))
        for rule, made in _stages_json(files).items()
        if made.get("device") and made is not files.train
    ]
    for key in ("git_commit", "created"):
        rows.append((key.replace("_", " ").capitalize(), text(files.manifest.get(key))))
    rows += [(MACHINE.get(name, name), value) for name, value in _by_stage(files, "machine")]
    rows += _by_stage(files, "versions")
    rows += values.settings(files.manifest.get("images"))
    return [row for row in rows if row[1]]


def _by_stage(files: StageFiles, key: str) -> list[tuple[str, str]]:
    """A dictionary that every stage wrote, as one: (name, value), with the rules where these differ."""
    found: dict[str, dict[str, list[str]]] = {}
    for rule, made in _stages_json(files).items():
        for name, value in values.settings(made.get(key)):
            found.setdefault(name, {}).setdefault(value, []).append(rule)
    return [
        (
            name,
            next(iter(told))
            if len(told) == 1
            else "; ".join(f"{value} ({', '.join(rules)})" for value, rules in told.items()),
        )
        for name, told in found.items()
    ]


def _options(files: StageFiles) -> list[tuple[str, str]]:
    """Settings that the stages recorded, each under the name of its section of the config."""
    return [
        row
        for rule, made in _stages_json(files).items()
        for row in values.settings(made.get("options"), f"{rule}.")
    ]
