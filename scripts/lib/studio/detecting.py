"""`POST /detect`: photos of the page in a zip, masks as JSON, by the program of `detector`."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from scripts.lib.cloud.request import RefusedError
from scripts.lib.studio.detector import MOST_PHOTO_BYTES, MOST_PHOTOS, detect
from scripts.lib.studio.studio import Studio

NAME = re.compile(
    r"[0-9]{1,2}\.jpg"
)  # names that the page makes up: those of photos are not trusted
MOST_BYTES = MOST_PHOTOS * MOST_PHOTO_BYTES
NONE = "this studio has no detector; start it with --detector (config/detector.md)"


def endpoint(studio: Studio) -> Callable[[Request], Any]:
    """Answers `{"masks": {NAME: PNG in base64}}`."""

    async def find(request: Request) -> Response:
        if studio.detector is None:
            raise RefusedError(404, NONE)
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > MOST_BYTES:
                raise RefusedError(413, f"more than {MOST_BYTES} bytes at once")
        photos = unpacked(bytes(data))
        masks = await run_in_threadpool(detect, studio.detector, photos, studio.home.path)
        told = {name: base64.b64encode(mask).decode() for name, mask in masks.items()}
        return Response(json.dumps({"masks": told}), media_type="application/json")

    return find


def unpacked(data: bytes) -> dict[str, bytes]:
    """The photos of a zip, which must be stored as they are. Raises RefusedError for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if not 0 < len(members) <= MOST_PHOTOS:
                raise RefusedError(400, f"1 to {MOST_PHOTOS} photos at once")
            for member in members:
                stored = member.compress_type == zipfile.ZIP_STORED
                if not NAME.fullmatch(member.filename) or not stored:
                    raise RefusedError(
                        400, "photos must be called NUMBER.jpg and be stored as they are"
                    )
            return {member.filename: archive.read(member) for member in members}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise RefusedError(400, f"this is no zip of photos ({error})") from None
