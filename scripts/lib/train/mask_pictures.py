"""left_out.zip: which parts of the photos training left out, to be looked at, and for other trainers.

`masks/NAME.png` for each photo of which something was left out: black there, white elsewhere, as the masks
in `undistorted.zip` are; and `pictures/NAME.jpg`, small, of those of which most was. Empty where nothing was
left out.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from scripts.lib.contracts.train import TransientsRecord
from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.scene.scene import Scene

PICTURES = 12  # photos: a film of half a minute
LONG_SIDE = 400  # pixels
QUALITY = 85  # JPEG


def write_masks(path: Path, scene: Scene, found: TransientsRecord | None) -> None:
    """Write left_out.zip of a scene of which parts of photos are hidden, as `found` tells.

    Raises UserError when the scene's zip is damaged.
    """
    shares = found.photos if found else {}
    most = sorted(shares, key=lambda name: (-shares[name], name))
    with writing_zip(path) as archive:
        for name in most:
            mask = Image.fromarray(scene.hidden[scene.names.index(name)])
            add_to_zip(archive, f"masks/{name}.png", _encoded(mask, "PNG", optimize=True))
        shown = most[:PICTURES]
        pictures = scene.at_most(LONG_SIDE).photos([scene.names.index(name) for name in shown])
        for name, picture in zip(shown, pictures, strict=True):
            data = _encoded(Image.fromarray(picture), "JPEG", quality=QUALITY)
            add_to_zip(archive, f"pictures/{name}.jpg", data)


def _encoded(picture: Image.Image, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return buffer.getvalue()
