"""Take a published page away again: its files and their earlier versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from scripts.lib.contracts.manifest import Manifest
from scripts.lib.contracts.published import Published
from scripts.lib.contracts.record import read
from scripts.lib.core.console import UserError
from scripts.lib.storage.places import SCHEME, Bucket, Folder, place
from scripts.lib.web.hosting import HASHED
from scripts.lib.web.publish import MANIFEST, PAGE


@dataclass(frozen=True)
class Page:
    """A published page: the place of its files, and its path on its host, such as /yard/."""

    place: str
    path: str


def page_of(text: str) -> Page:
    """The page that published.json, or a place such as s3://BUCKET/web/yard, names.

    By the place alone the path is its last part, as the stack serves pages. Raises UserError for a file that
    is no published.json.
    """
    if not text.startswith(SCHEME) and Path(text).is_file():
        published = read(Published, Path(text))
        return Page(published.place, urlparse(published.url).path.removesuffix(PAGE))
    return Page(text, f"/{text.rstrip('/').rpartition('/')[2]}/")


def page_files(there: Folder | Bucket) -> list[str]:
    """Names of a page's files, in the order in which to remove them: first what visitors ask for.

    The list of them is the last, so that what was interrupted can be done again. What else lies there is not
    the page's. Raises UserError when there is no page.
    """
    names = there.tree()
    if MANIFEST not in names:
        raise UserError(f"{there} holds no page: there is no {MANIFEST}; check the address")
    with there.fetched(MANIFEST) as path:
        site = read(Manifest, path).site
    own = [name for name in names if name in site or HASHED.search(name)]
    first = [PAGE] if PAGE in names else []
    return [*first, *(name for name in own if name not in (PAGE, MANIFEST)), MANIFEST]


def unpublish(page: Page) -> int:
    """Remove a page's files and what a bucket keeps of earlier versions of them; how many files there were.

    Raises UserError when there is no page, or the place refuses.
    """
    there = place(page.place)
    names = page_files(there)
    for name in names:
        there.remove(name)
    try:
        there.forget(spared=there.tree())
    except UserError as error:
        raise UserError(f"the page is gone, but not its earlier versions: {error}") from None
    return len(names)
