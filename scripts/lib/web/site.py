"""The page as hosts have it: HTML with the addresses of what it loads, and the zip to unpack on a host."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scripts.lib.contracts.compress import Compress
from scripts.lib.contracts.record import HandedOn
from scripts.lib.core.files import add_to_zip, reading_zip, sha256, writing_zip
from scripts.lib.web import hosting, manifest
from scripts.lib.web import page as web_page
from scripts.lib.web.crate import README, WORKFLOW, Crate
from scripts.lib.web.crate_inputs import CRATE

Entries = dict[str, manifest.FileEntry]  # of the manifest, by the file's name
Content = Callable[[], bytes]  # read when it is wanted: a large stream does not fit in memory
Members = list[tuple[str, Content]]  # of a zip: name and content


@dataclass(frozen=True)
class Page:
    """What every form of the page is made from: hosted, in one file, in a zip for hosts."""

    template: str
    texts: dict[str, str]
    config: dict[str, Any]
    url: str
    compare: str = (
        ""  # address of the page that compares the scene with another capture, if there is one
    )

    def hosted(self, addresses: Mapping[str, str], nearby: str = "") -> bytes:
        """index.html that loads the files at `addresses`; `nearby`: the one-file form's own address."""
        text = web_page.hosted(
            self.template, self.texts, self.config, self.url, addresses, nearby, self.compare
        )
        return text.encode()


def phone_budget(compress: HandedOn | None) -> int | None:
    """Bytes that a phone may load, as compress.json tells; None where nobody set a limit."""
    targets = compress.targets if isinstance(compress, Compress) else None
    mobile = (targets or {}).get("mobile")
    return mobile.max_bytes if mobile else None


def site_members(
    folder: Path,
    page: Page,
    entries: Entries,
    lod: Path | None,
    crate: Crate,
    most: int | None = None,
    compare: Path | None = None,
) -> Members:
    """Files of a zip to unpack on a host: names carry their file's hash, so that caches keep them for ever.

    A large scene's levels of detail come along, in a folder whose name is a hash too; where they are more
    than the `most` bytes that a phone may load, phones load their own file. The manifest is missing: it
    keeps the hashes of these. compare: compare.html, which comes along under its name.
    """
    hashed = {
        name: hosting.hashed_name(name, entry["sha256"])
        for name, entry in entries.items()
        if name in page.config["loads"]
    }
    config, kept = page.config, list(hashed.values())
    streamed: Members = []
    if lod is not None:
        stream = f"lod.{sha256(lod)[:12]}"
        with reading_zip(lod) as parts:
            names = parts.namelist()
            whole = sum(info.file_size for info in parts.infolist())
        # It closes with the last of its members: to open it anew for each of thousands would take minutes.
        kept_open = zipfile.ZipFile(lod)
        streamed = [(f"{stream}/{name}", partial(kept_open.read, name)) for name in names]
        if streamed:
            config = config | {"stream": f"{stream}/lod-meta.json"}
            if most is not None and whole > most:
                config["streamPhones"] = False
            kept.append(f"{stream}/*")
    compared: Members = [] if compare is None else [(compare.name, compare.read_bytes)]
    poster = ("poster.jpg", (folder / "poster.jpg").read_bytes)  # link previews ask for this name
    same = [(name, (folder / name).read_bytes) for name in ("licences.txt", WORKFLOW, README)]
    of_page = dataclasses.replace(page, config=config, compare=compare.name if compare else "")
    own = {
        "index.html": of_page.hosted(hashed),
        "_headers": hosting.headers_file(kept).encode(),
    }
    others = {
        name: manifest.entry_of(content()) for name, content in (*streamed, *compared, poster)
    }
    changed = {f"web/{name}": manifest.entry_of(data) for name, data in own.items()}
    # publish_web leaves out the rules for other hosts, so the crate does not count on them.
    plain = (*(name for name, _ in same), "index.html", "manifest.json")
    address = hashed | {name: name for name in plain}
    of_site = dataclasses.replace(crate, known={**crate.known, **changed})
    return [
        *streamed,
        ("index.html", partial(bytes, own["index.html"])),
        *((address, (folder / name).read_bytes) for name, address in hashed.items()),
        *compared,
        *(poster, *same),
        (CRATE, partial(bytes, of_site.of(address, others))),
        ("_headers", partial(bytes, own["_headers"])),
    ]


def write_site(path: Path, members: Members) -> None:
    """Write the zip for hosts."""
    with writing_zip(path) as archive:
        for name, content in members:
            add_to_zip(archive, name, content())
