"""Charts as inline SVG by matplotlib, in the page's own colours so that they follow light and dark.

matplotlib writes fixed colours; these stand-ins are swapped for the style sheet's variables afterwards.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend is chosen first: no display is needed)
from markupsafe import Markup, escape  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.ticker import NullLocator  # noqa: E402

# Stand-ins that no chart uses by chance, and what they become.
INK, FAINT, ACCENT = "#010203", "#040506", "#070809"
GOOD, FAIR, WEAK = "#0a0b0c", "#0d0e0f", "#101112"
VARIABLES = {
    INK: "var(--soft)",
    FAINT: "var(--line)",
    ACCENT: "var(--accent)",
    GOOD: "var(--good)",
    FAIR: "var(--fair)",
    WEAK: "var(--weak)",
}
# Small on purpose: a chart is shown about as wide as a phone, so that its text stays readable.
WIDTH, HEIGHT = 4.2, 2.6  # inches
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text: searchable, and in the page's font
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 2.0,
    "figure.constrained_layout.use": True,
}


class Drawing:
    """A chart being drawn: `axes` to draw on, `svg` once the block has ended."""

    axes: Axes
    svg: Markup


@contextmanager
def drawing(name: str, label: str, height: float = HEIGHT) -> Iterator[Drawing]:
    """Yield a `Drawing`; afterwards its `svg` holds inline SVG with `label` for screen readers.

    `name` must be unique on the page: it keeps the ids of two charts apart and repeatable.
    """
    result = Drawing()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure, result.axes = plt.subplots(figsize=(WIDTH, height))
        figure.patch.set_visible(False)
        result.axes.patch.set_visible(False)
        try:
            yield result
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        finally:
            plt.close(figure)
    result.svg = _inline(buffer.getvalue(), name, label)


def _inline(svg: str, name: str, label: str) -> Markup:
    """Strip what only a file needs, prefix ids, swap colours, let the page set the size."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", body)
    body = re.sub(r'id="', f'id="{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    for stand_in, variable in VARIABLES.items():
        body = body.replace(stand_in, variable)
    body = re.sub(r"(font: [\d.]+px )[^;\"]*", r"\1var(--font)", body)
    view = re.search(r'viewBox="[^"]*"', body)
    head = f'<svg {view.group(0) if view else ""} role="img" aria-label="{escape(label)}">'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: head, body, count=1))


def training_curve(points: Sequence[tuple[float, float]]) -> Markup:
    """PSNR in dB over training steps."""
    label = f"Training curve: from {points[0][1]:.1f} to {points[-1][1]:.1f} dB"
    with drawing("curve", label) as chart:
        steps, values = zip(*points, strict=True)
        marker = "o" if len(points) < 25 else None
        chart.axes.plot(steps, values, color=ACCENT, marker=marker, markersize=4)
        chart.axes.set_xlabel("training steps")
        chart.axes.set_ylabel("PSNR, dB")
        chart.axes.annotate(
            f"{values[-1]:.1f}",
            (steps[-1], values[-1]),
            xytext=(0, 6),
            textcoords="offset points",
            ha="right",
        )
        chart.axes.margins(x=0.03, y=0.15)
    return chart.svg


def view_bars(views: Sequence[tuple[str, float, str]], mean: float | None) -> Markup:
    """One bar for each test view, (name, PSNR in dB, level), in the order of the capture."""
    colours = {"good": GOOD, "fair": FAIR, "weak": WEAK}
    with drawing("views", "Quality of each test photo, in capture order") as chart:
        values = [value for _, value, _ in views]
        columns = range(len(views))
        chart.axes.bar(columns, values, color=[colours.get(level, ACCENT) for *_, level in views])
        if mean is not None:
            chart.axes.axhline(mean, color=INK, linewidth=1, linestyle="--")
        chart.axes.set_ylim(max(0.0, min(values) - 4), max(values) + 1)
        few = len(views) <= 10
        chart.axes.set_xticks(columns if few else [0, len(views) - 1])
        names = [name for name, _, _ in views] if few else [views[0][0], views[-1][0]]
        chart.axes.set_xticklabels(
            [name if len(name) <= 14 else f"…{name[-12:]}" for name in names],
            rotation=35 if few else 0,
            ha="right" if few else "center",
            fontsize=8,
            parse_math=False,
        )
        chart.axes.grid(axis="x", visible=False)
        chart.axes.set_ylabel("PSNR, dB")
    return chart.svg


def time_bars(stages: Sequence[tuple[str, float, str]]) -> Markup:
    """Wall time of each stage, (name, seconds, how it is said), first stage on top."""
    height = max(1.2, 0.5 + 0.26 * len(stages))
    with drawing("time", "Time of each stage", height) as chart:
        seconds = [value for _, value, _ in stages]
        bars = chart.axes.barh(range(len(stages)), seconds, color=ACCENT, height=0.62)
        chart.axes.bar_label(bars, [said for *_, said in stages], padding=4, fontsize=8.5)
        chart.axes.set_yticks(range(len(stages)), [name for name, *_ in stages], parse_math=False)
        chart.axes.invert_yaxis()
        chart.axes.set_xlim(0, max(seconds) * 1.3 or 1)
        chart.axes.xaxis.set_visible(False)
        chart.axes.grid(visible=False)
        chart.axes.spines["bottom"].set_visible(False)
    return chart.svg


def capture_map(
    photos: Sequence[Sequence[float]], points: Sequence[Sequence[float]], metres: bool
) -> Markup:
    """Plan from above: photos as [x, y, z, heading, ...] with an arrow, points as [x, y, 0xRRGGBB].

    No position on Earth: axes count from the scene's own origin.
    """
    label = f"Plan of the capture: {len(photos)} photos from above"
    with drawing("plan", label, 3.6) as chart:
        if points:
            colours = [f"#{int(code):06x}" for *_, code in points]
            # Rastered colours are the photos' own; they are no stand-ins for the page's.
            chart.axes.scatter(
                [p[0] for p in points],
                [p[1] for p in points],
                c=colours,
                s=9,
                marker="s",
                linewidths=0,
            )
        x, y = [p[0] for p in photos], [p[1] for p in photos]
        heading = [math.radians(p[3]) for p in photos]
        chart.axes.quiver(
            x,
            y,
            [math.sin(h) for h in heading],
            [math.cos(h) for h in heading],
            color=ACCENT,
            scale=22,
            width=0.006,
            headwidth=4,
            zorder=3,
        )
        chart.axes.plot(x, y, "o", color=ACCENT, markersize=4, zorder=4)
        chart.axes.set_aspect("equal", adjustable="datalim")
        chart.axes.set_xlabel("metres to the east" if metres else "the scene's own units")
        chart.axes.set_ylabel("metres to the north" if metres else "")
    return chart.svg


def rate_curve(
    tried: Sequence[tuple[str, float, float]], shipped: Sequence[tuple[str, float, float]]
) -> Markup:
    """Bytes against dB: settings that were tried, (name, MB, dB), and the files that ship on top."""
    label = "Quality against size, over Gaussians, bands and formats"
    with drawing("rate", label, 3.2) as chart:
        tried = sorted(tried, key=lambda point: point[1])
        chart.axes.plot(
            [x for _, x, _ in tried],
            [y for *_, y in tried],
            "o-",
            color=INK,
            linewidth=1,
            markersize=4,
            alpha=0.7,
        )
        sizes = {x for _, x, _ in shipped}
        for said, x, y in tried:
            if x not in sizes:  # what ships has a name of its own
                _name(chart, said, x, y, below=True, size=7.5)
        together: dict[tuple[float, float], list[str]] = {}
        for said, x, y in shipped:  # a scene may need no other file for phones
            together.setdefault((x, y), []).append(said)
        for (x, y), names in together.items():
            chart.axes.plot([x], [y], "D", color=ACCENT, markersize=6)
            chart.axes.annotate(
                " = ".join(names),
                (x, y),
                xytext=(1, 6),
                textcoords="offset points",
                rotation=72,
                rotation_mode="anchor",
                fontsize=8.5,
                parse_math=False,
            )
        _sizes(chart, [x for _, x, _ in [*tried, *shipped]], "file size, MB", "PSNR, dB")
        chart.axes.margins(y=0.6)  # room for the slanted names
    return chart.svg


def pareto(
    name: str,
    across: str,
    points: Sequence[tuple[str, float, float]],
    trails: Sequence[Sequence[tuple[float, float]]] = (),
) -> Markup:
    """Scenes as named points (name, x > 0, dB); `trails` are other settings of a scene, joined faintly.

    The stepped line is the front: nothing is both better and cheaper than the scenes on it.
    """
    with drawing(name, f"Quality against {across}", 2.9) as chart:
        for trail in trails:
            chart.axes.plot(
                [x for x, _ in trail],
                [y for _, y in trail],
                ".-",
                color=INK,
                linewidth=0.8,
                alpha=0.5,
            )
        front: list[tuple[float, float]] = []
        for _, x, y in sorted(points, key=lambda point: (point[1], -point[2])):
            if not front or y > front[-1][1]:
                front.append((x, y))
        chart.axes.step(
            [x for x, _ in front], [y for _, y in front], where="post", color=GOOD, linewidth=1.4
        )
        for index, (said, x, y) in enumerate(sorted(points, key=lambda point: point[1])):
            chart.axes.plot([x], [y], "o", color=ACCENT, markersize=7)
            _name(chart, said, x, y, below=bool(index % 2), size=9)
        every = [x for _, x, _ in points] + [x for trail in trails for x, _ in trail]
        _sizes(chart, every, across, "PSNR, dB")
    return chart.svg


def _name(chart: Drawing, said: str, x: float, y: float, *, below: bool, size: float) -> None:
    """A point's name above or below it."""
    chart.axes.annotate(
        said,
        (x, y),
        xytext=(0, -7 if below else 7),
        textcoords="offset points",
        ha="center",
        va="top" if below else "bottom",
        fontsize=size,
        parse_math=False,
    )


def _sizes(chart: Drawing, values: Sequence[float], across: str, up: str) -> None:
    """A logarithmic axis of positive numbers with round ticks, and both axes' names."""
    low, high = min(values) / 1.8, max(values) * 1.8
    chart.axes.set_xscale("log")
    chart.axes.set_xlim(low, high)
    chart.axes.set_xticks(_round_ticks(low, high), minor=False)
    chart.axes.xaxis.set_major_formatter("{x:g}")
    chart.axes.xaxis.set_minor_locator(NullLocator())
    chart.axes.set_xlabel(across)
    chart.axes.set_ylabel(up)
    chart.axes.margins(y=0.25)


def _round_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 ... between two positive numbers."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [factor * 10.0**power for power in decades for factor in (1, 2, 5)]
    return [value for value in found if low <= value <= high]
