"""Pictures inside the HTML: decoded, shrunk and encoded again, so no EXIF (and no GPS) comes along."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from scripts.lib.core.console import UserError
from scripts.lib.core.faults import is_fault

QUALITY = 80  # JPEG; the views are compared by eye, not measured in the report


def data_uri(data: bytes, long_side: int, source: str) -> str:
    """A JPEG data URI of an encoded picture, at most `long_side` pixels wide or high.

    Raises UserError, naming `source`, when `data` is not a picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{source} is not a readable picture ({error}); delete it and run its stage again"
        ) from None
    picture.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return uri_of(buffer.getvalue(), "image/jpeg")


def uri_of(data: bytes, kind: str) -> str:
    """A data URI of bytes of a media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def file_uri(path: Path, long_side: int) -> str:
    """`data_uri` of a picture file. Raises UserError when it is missing or damaged."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes it first") from None
    return data_uri(data, long_side, str(path))


def view_uris(archive: zipfile.ZipFile, name: str, long_side: int) -> dict[str, str]:
    """Photo, render and error map of one test view, as far as renders.zip has them.

    Members are `{name}.photo.jpg` and so on; `name` may or may not keep the photo's own suffix.
    """
    members = set(archive.namelist())
    found = {}
    for kind in ("photo", "render", "error"):
        for stem in dict.fromkeys((name, Path(name).stem, Path(name).name)):
            for member in (f"{stem}.{kind}.jpg", f"{stem}.{kind}.png"):
                if member in members and kind not in found:
                    source = f"{archive.filename} ({member})"
                    try:
                        data = archive.read(member)
                    except (zipfile.BadZipFile, OSError) as error:
                        if is_fault(error):
                            raise
                        raise UserError(
                            f"{source} is damaged ({error}); delete the zip and run its stage again"
                        ) from None
                    found[kind] = data_uri(data, long_side, source)
    return found
