"""The report's part on the capture itself: photos used and not, and the plan of where they were taken."""

from __future__ import annotations

from typing import Any

from scripts.lib.photos.record import COMPANIONS, left_out_text
from scripts.lib.report import charts, photos_used
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import DASH, count, decimals, grouped, names, number, objects, text


def shown_names(files: StageFiles) -> dict[str, str]:
    """Name in photos.zip -> the name the photographer knows, where that is unique."""
    pairs = [
        (text(item.get("file")), text(item.get("original") or item.get("file")))
        for item in objects(files.photos.get("photos"))
        if item.get("kept")
    ]
    return dict(pairs) if len({shown for _, shown in pairs}) == len(pairs) else {}


def photos(files: StageFiles, shown: dict[str, str]) -> dict[str, Any]:
    """Rows of kept and dropped photos and of other files, what was not placed, and how photos were compared.

    `shown` maps names in photos.zip to the photographer's own.
    """
    every = objects(files.photos.get("photos"))
    unplaced = set(names(files.sfm.get("unregistered")))
    uses = photos_used.uses(files)
    rows = []
    for item in sorted(every, key=lambda item: text(item.get("file"))):
        name = text(item.get("file"))
        width, height = count(item.get("width")), count(item.get("height"))
        use = photos_used.use_of(name, uses)
        rows.append(
            {
                "name": shown.get(name, name),
                "kept": bool(item.get("kept")),
                "reason": text(item.get("reason")),
                "companion": text(item.get("cause")) in COMPANIONS,
                "size": f"{width} × {height}" if width and height else DASH,
                "camera": text(item.get("camera")) or DASH,
                "sharpness": decimals(item.get("sharpness"), 0),
                "use": "not placed" if name in unplaced else use,
            }
        )
    return {
        "kept": [row for row in rows if row["kept"]],
        "dropped": [row for row in rows if not row["kept"] and not row["companion"]],
        "companions": [row for row in rows if not row["kept"] and row["companion"]],
        "left_out": _left_out(files),
        "unplaced": [shown.get(name, name) for name in sorted(unplaced)],
        "pairs": pairs(files),
    }


def _left_out(files: StageFiles) -> str:
    """How many files were left out and what they are, in few words; empty when there are none."""
    told = files.photos.get("left_out")
    counts = told.items() if isinstance(told, dict) else ()
    return left_out_text({text(cause): n for cause, value in counts if (n := count(value))})


def pairs(files: StageFiles) -> str:
    """How the photos were compared, in one sentence; empty when pairs.json does not say."""
    strategy = text(files.pairs.get("strategy"))
    total, verified = count(files.pairs.get("pairs")), count(files.pairs.get("verified"))
    why = text(files.pairs.get("reason"))
    if not strategy:
        return ""
    said = f"Photos were compared by the strategy “{strategy}”"
    said += f": {why.rstrip('.')}." if why else "."
    if total and verified is not None:
        said += f" {grouped(verified)} of {grouped(total)} pairs share a view."
    return said


def plan(files: StageFiles) -> Any:
    """The plan of the capture as inline SVG; empty when view.json has none."""
    found = files.view.get("map")
    if not isinstance(found, dict):
        return ""

    def rows(key: str, length: int) -> list[list[float]]:
        value = found.get(key)
        return [
            row
            for row in (value if isinstance(value, list) else [])
            if isinstance(row, list)
            and len(row) >= length
            and all(number(v) is not None for v in row[:length])
        ]

    placed = rows("photos", 4)
    if len(placed) < 2:
        return ""
    return charts.capture_map(placed, rows("points", 3), files.georef.get("georeferenced") is True)
