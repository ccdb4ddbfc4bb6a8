"""The streamed page of a large scene on a phone: bytes until the first picture, and a walk through it.

    python -m tests.bench.page_stream FOLDER [--shots shots] [--walk 20] [--mbit 10] [--slower 4]

FOLDER holds lod.zip, splat.sog, poster.jpg and view.json, as compress_splat and render_poster left them. The
page is made of them and opened in headless Chromium with a phone's window, network and processor (DevTools'
throttling). Prints one JSON line; `--shots` keeps screenshots to look at. Frames a second are those of this
machine, which may have no GPU: compare them with those of the SOG alone (`--whole`), not with a phone's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scripts.lib.web.assemble import Inputs, write_bundle
from scripts.lib.web.bundle import WebOptions
from scripts.lib.web.node import node_modules
from tests.unit.stage_files import stage_values
from tests.web import browser

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    # By this the viewer knows how many Gaussians it may draw.
    "user_agent": "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/140.0.0.0 Mobile Safari/537.36",
}
LATENCY = 60  # milliseconds of a mobile network
WALK = """async ([path, seconds]) => {
    const page = window.splatmake, app = page.viewer.app, at = [], drawn = [];
    app.on('frameend', () => { at.push(performance.now()); drawn.push(app.stats.frame.gsplats); });
    const begin = performance.now(), mix = (a, b, t) => a.map((v, i) => v + (b[i] - v) * t);
    await new Promise((resolve) => {
        const step = () => {
            const t = (performance.now() - begin) / 1000 / seconds * (path.length - 1);
            if (t >= path.length - 1) return resolve();
            const k = Math.floor(t), a = path[k], b = path[k + 1];
            page.goTo(mix(a.position, b.position, t - k), mix(a.target, b.target, t - k), a.fov, true);
            requestAnimationFrame(step);
        };
        step();
    });
    const waits = at.slice(1).map((v, i) => v - at[i]).sort((a, b) => a - b);
    const rank = (share) => waits[Math.min(waits.length - 1, Math.floor(share * waits.length))];
    return {
        frames: at.length,
        fps: at.length / seconds,
        frame_ms_median: rank(0.5),
        frame_ms_95: rank(0.95),
        gaussians_drawn_most: Math.max(...drawn),
        heap_mb: performance.memory ? performance.memory.usedJSHeapSize / 1e6 : null
    };
}"""


def site(folder: Path, into: Path, whole: bool) -> Path:
    """The page of the scene in `folder`, as a host has it; `whole`: with the SOG and no stream."""
    stages: dict[str, Any] = stage_values(12)
    del stages["manifest"], stages["pairs"]
    for photo in stages["photos"]["photos"]:
        photo["time"] = None
    files = {name: into / f"{name}.json" for name in stages if name != "view"}
    for name, path in files.items():
        path.write_text(json.dumps(stages[name]))
    made = Inputs(
        scene="world",
        sog=folder / "splat.sog",
        poster=folder / "poster.jpg",
        view=folder / "view.json",
        stage_files=files,
        options=WebOptions(title="World"),
        modules=node_modules(),
        lod=None if whole else folder / "lod.zip",
    )
    write_bundle(made, into / "web", site=into / "site.zip")
    with zipfile.ZipFile(into / "site.zip") as archive:
        archive.extractall(into / "site")
    return into / "site"


def walk_of(view: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where the walk leads: the first keys of the tour, or a few metres ahead of the start."""
    tour = view.get("tour")
    if tour:
        keys = zip(tour["position"], tour["target"], tour["fov"], strict=True)
        return [{"position": p, "target": t, "fov": f} for p, t, f in list(keys)[:6]]
    start = {key: view[key] for key in ("position", "target", "fov")}
    ahead = [t - p for p, t in zip(start["position"], start["target"], strict=True)]
    moved = {
        key: [v + 0.5 * a for v, a in zip(start[key], ahead, strict=True)]
        for key in ("position", "target")
    }
    return [start, start | moved]


def visit(folder: Path, args: argparse.Namespace, view: Mapping[str, Any]) -> dict[str, Any]:
    """Open the page once, walk, and count."""
    from playwright.sync_api import sync_playwright

    counted = {"bytes": 0, "requests": 0}
    of_level: dict[str, int] = {}
    names: dict[str, str] = {}
    with browser.served(folder) as address, sync_playwright() as playwright:
        context = browser.launch(playwright).new_context(**PHONE)
        page = context.new_page()
        devtools = context.new_cdp_session(page)
        devtools.send("Network.enable")
        speed = args.mbit * 1e6 / 8
        limits = {"offline": False, "latency": LATENCY, "downloadThroughput": speed}
        devtools.send("Network.emulateNetworkConditions", limits | {"uploadThroughput": speed})
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": args.slower})

        def sent(event: dict[str, Any]) -> None:
            names[event["requestId"]] = urlsplit(event["request"]["url"]).path
            counted["requests"] += 1

        def finished(event: dict[str, Any]) -> None:
            size = int(event["encodedDataLength"])
            counted["bytes"] += size
            parts = names.get(event["requestId"], "").split("/")
            if len(parts) > 2 and parts[1].startswith("lod."):
                level = parts[2].partition("_")[0] if "_" in parts[2] else "tree"
                of_level[level] = of_level.get(level, 0) + size

        devtools.on("Network.requestWillBeSent", sent)
        devtools.on("Network.loadingFinished", finished)
        began = time.monotonic()
        page.goto(f"{address}?animate=0")
        page.wait_for_selector(browser.SETTLED, state="attached", timeout=args.patience * 1000)
        found = {
            "state": browser.state(page),
            "seconds_to_first_picture": round(time.monotonic() - began, 1),
            "bytes_to_first_picture": counted["bytes"],
            "requests_to_first_picture": counted["requests"],
            "levels_to_first_picture": dict(of_level),
        }
        shoot(page, args.shots, "first")
        page.wait_for_timeout(1000 * args.wait)
        found |= {"bytes_after_wait": counted["bytes"], "levels_after_wait": dict(of_level)}
        shoot(page, args.shots, "waited")
        walked = page.evaluate(WALK, [walk_of(view), args.walk])
        found |= {
            key: round(value, 1) if isinstance(value, float) else value
            for key, value in walked.items()
        }
        found |= {"bytes_after_walk": counted["bytes"], "levels_after_walk": dict(of_level)}
        page.wait_for_timeout(5000)
        shoot(page, args.shots, "walked")
    return found


def shoot(page: Any, folder: Path | None, name: str) -> None:
    """Keep a screenshot, if they are wanted."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", timeout=300_000)


def main() -> None:
    """Read the command line, make the page, visit it, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    parser.add_argument("--walk", type=float, default=20, help="seconds")
    parser.add_argument("--wait", type=float, default=5, help="seconds before the walk")
    parser.add_argument("--mbit", type=float, default=10, help="of the network, a second")
    parser.add_argument("--slower", type=float, default=4, help="times, than this processor")
    parser.add_argument("--patience", type=float, default=600, help="seconds until it gives up")
    parser.add_argument("--whole", action="store_true", help="the SOG, and no stream")
    args = parser.parse_args()
    view = json.loads((args.folder / "view.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        made = site(args.folder, Path(folder), args.whole)
        found = visit(made, args, view)
    levels = {}
    if not args.whole:
        with zipfile.ZipFile(args.folder / "lod.zip") as archive:
            levels = {"gaussians_of_levels": json.loads(archive.read("lod-meta.json"))["counts"]}
    print(json.dumps({"bench": "page_stream", **levels, **found}))


if __name__ == "__main__":
    main()
