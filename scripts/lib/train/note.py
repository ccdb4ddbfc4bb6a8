"""The PLY header line that tells a later stage how the splat was trained. Needs no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from scripts.lib.contracts.record import from_json
from scripts.lib.contracts.split import SplitRecord

TAG = "splatmake "
# Names that splats of earlier versions have in their headers.
FORMER = {"holdout": "test_every", "held_out": "test_photos"}
LONGEST = 1 << 20  # bytes of a header line: many photos make a long one


@dataclass(frozen=True)
class TrainingNote:
    """Long side of the training photos in pixels; the rhythm of the judged photos (0: none) or their names;
    how far from the cameras' middle the sky begins, in world units (None: there is none); and which photos
    did what, as `Split.record` tells it (None: written before there was a set of its own for steering);
    and the factors that training found for the focal lengths of the scene's lenses (none: as they are);
    and what of their light was corrected, as `Scene.fall_off` has it."""

    resolution: int
    test_every: int
    test_photos: tuple[str, ...] = ()
    sky_from: float | None = None
    split: SplitRecord | None = None
    focal_scales: tuple[float, ...] = ()
    fall_off: tuple[tuple[float, ...], ...] = ()

    def comment(self) -> str:
        """The header line, without the word `comment`."""
        return TAG + json.dumps(asdict(self))


def read_note(ply: Path) -> TrainingNote | None:
    """The note in a PLY that was trained here; None for a splat from elsewhere or no file."""
    if not Path(ply).is_file():
        return None
    start = f"comment {TAG}".encode()
    with open(ply, "rb") as handle:
        for line in iter(lambda: handle.readline(LONGEST), b""):
            if line.startswith(start):
                words = json.loads(line[len(start) :])
                values = {FORMER.get(name, name): value for name, value in words.items()}
                # A later version may say more, which this one need not know.
                known = {f.name: values[f.name] for f in fields(TrainingNote) if f.name in values}
                lists = ("test_photos", "focal_scales")
                known |= {name: tuple(known.get(name, ())) for name in lists}
                known["fall_off"] = tuple(tuple(row) for row in known.get("fall_off", ()))
                if known.get("split"):
                    known["split"] = from_json(SplitRecord, known["split"])
                return TrainingNote(**known)
            if line.strip() == b"end_header":
                break
    return None
