"""Put a scene's page where visitors find it, the page itself last, and take old versions away."""

from __future__ import annotations

import mimetypes
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scripts.lib.contracts.manifest import Manifest
from scripts.lib.contracts.published import Published, PublishedFile
from scripts.lib.contracts.record import read
from scripts.lib.core.console import UserError, say
from scripts.lib.core.files import inner_path, reading_zip
from scripts.lib.core.options import Options, option
from scripts.lib.storage.places import Bucket, Folder, place
from scripts.lib.web.hosting import HASHED, HOST_RULES

FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
PAGE = "index.html"
MANIFEST = "manifest.json"
TYPES = {
    ".sog": "application/octet-stream",
    ".js": "text/javascript",
    ".webp": "image/webp",
    ".smk": "text/plain",
}


@dataclass(frozen=True)
class PublishOptions(Options):
    """Where the page is published."""

    to: str = option(
        "",
        """s3://BUCKET/PREFIX, or a folder of a web server; empty publishes nothing. The bucket of
        config/aws/stack.yaml serves everything under web/.""",
    )
    url: str = option(
        "",
        "Address at which visitors reach this bucket or folder, such as https://d111.cloudfront.net.",
    )
    name: str = option(
        "",
        "Name of the page below that address: letters, digits, - and _; empty takes the scene's name.",
        pattern="^([A-Za-z0-9][A-Za-z0-9_-]*)?$",
    )


def headers_of(name: str) -> dict[str, str]:
    """What a web server should say of a file: its type, encoding, and how long it may be kept."""
    path = PurePosixPath(name)
    headers = {"Cache-Control": FOR_EVER if HASHED.search(name) else ASK_AGAIN}
    if path.suffix == ".gz":
        headers["Content-Encoding"] = "gzip"
        path = path.with_suffix("")
    guessed = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    if guessed and guessed.startswith("text/"):
        guessed += "; charset=utf-8"
    return headers | {"Content-Type": guessed or "application/octet-stream"}


def old_files(there: Folder | Bucket) -> list[str]:
    """Files of versions before the one that is there now, known by the hash in their names; no others.

    What cannot be found out is told, and fails nothing.
    """
    try:
        names = there.tree()
        if MANIFEST not in names:
            return []
        with there.fetched(MANIFEST) as path:
            site = read(Manifest, path).site
    except (UserError, OSError) as error:
        say(f"Files of earlier versions of the page are not removed: {error}")
        return []
    return [name for name in names if HASHED.search(name) and name not in site]


def remove_files(there: Folder | Bucket, names: list[str]) -> None:
    """Remove files; what cannot be removed is told, and fails nothing: the page is published."""
    try:
        for name in names:
            there.remove(name)
    except (UserError, OSError) as error:
        say(f"Files of earlier versions of the page were not removed: {error}")


def publish(site: Path, options: PublishOptions, scene: str) -> Published:
    """Put every file of `site` (site.zip) below `options.to`; what published.json says.

    Of the files of earlier versions those of the last one stay, for visitors whose page still loads them.
    Raises UserError when nothing is to be published, a member's name leads out of the place, or the place
    refuses.
    """
    if not options.to:
        raise UserError("publish_web.to is empty; set it to s3://BUCKET/PREFIX or a folder")
    name = options.name or scene
    there = place(f"{options.to.rstrip('/')}/{name}")
    with reading_zip(site) as archive:
        members = [n for n in archive.namelist() if n not in (PAGE, HOST_RULES)]
        for member in (*members, PAGE):
            inner_path(member, site)
        old = old_files(there)
        kept = put_members(archive, [*sorted(members), PAGE], there)
    remove_files(there, [name for name in old if name not in members])
    address = f"{options.url.rstrip('/')}/{name}/{PAGE}" if options.url else f"{there}/{PAGE}"
    return Published(scene=scene, url=address, place=str(there), files=tuple(kept))


def put_members(
    archive: zipfile.ZipFile, names: list[str], there: Folder | Bucket
) -> list[PublishedFile]:
    """Put members of a zip there, in this order; an entry of published.json for each."""
    kept = []
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(names):
            headers = headers_of(name)
            path = Path(folder) / str(number)
            path.write_bytes(archive.read(name))
            size = path.stat().st_size
            there.put(name, path, headers)
            kept.append(PublishedFile(name, size, headers))
    return kept
