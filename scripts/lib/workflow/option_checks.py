"""What is wrong with options beyond the schema, found before the first job: forms, and contradictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.lib.core.annotations import parse_annotations
from scripts.lib.core.console import UserError
from scripts.lib.core.crop import parse_crop
from scripts.lib.core.deliverables import DELIVERABLES, Delivery, choose
from scripts.lib.core.place import parse_place
from scripts.lib.core.up import parse_up
from scripts.lib.photos.focal import parse_focal
from scripts.lib.photos.video_span import span

Options = Mapping[str, Mapping[str, Any]]

# A limit that a search keeps to, and the one by which its result is judged: the first may not be the larger.
LIMITS = (
    ("compress_splat.desktop_loss_db", "check_codecs.max_loss_db"),
    ("compress_splat.mobile_loss_db", "check_codecs.max_mobile_loss_db"),
)


def check_options(options: Options, where: str) -> None:
    """Raise UserError when options of one scene, {rule: {option: value}}, cannot end well together."""

    def value(name: str) -> Any:
        rule, _, option = name.partition(".")
        return options[rule][option]

    try:
        parse_crop(value("clean_splat.crop"))
        parse_annotations(value("bundle_web.annotations"))
        parse_up(value("map_scene.up"))
        parse_place(value("export_tiles.place"))
        parse_focal(value("import_photos.focal_length"))
        span(value("import_photos.video_start"), value("import_photos.video_end"))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    for search, judge in LIMITS:
        if value(search) > value(judge):
            raise UserError(
                f"{where}: {search} is {value(search)} and {judge} only {value(judge)}, so that the "
                "file would be refused after encoding; raise the second or lower the first"
            )
    largest, smallest = value("import_photos.max_side"), value("import_photos.min_side")
    if largest and smallest > largest:
        raise UserError(
            f"{where}: import_photos.min_side is {smallest} and max_side {largest}, so that no photo "
            "is left; max_side must be larger than min_side"
        )
    place = value("publish_web.to")
    scheme, mark, rest = place.partition("://")
    if mark and (scheme != "s3" or not rest.strip("/")):
        raise UserError(
            f"{where}: publish_web.to is {place!r}; give s3://BUCKET/PREFIX or a folder on this machine"
        )


def check_published(scenes: Mapping[str, Options]) -> None:
    """Raise UserError when two scenes, {name: options}, would be published in one place."""
    places: dict[str, str] = {}
    for scene, options in scenes.items():
        publish = options["publish_web"]
        if not publish["to"]:
            continue
        place = f"{publish['to'].rstrip('/')}/{publish['name'] or scene}"
        if place in places:
            raise UserError(
                f"scenes {places[place]!r} and {scene!r} would both be published at {place};"
                " set publish_web.name in the sheet, or leave it empty"
            )
        places[place] = scene


def delivery(text: str, options: Options, where: str) -> Delivery:
    """The files for other programs that a scene with these options asks for. Raises UserError on `text`."""
    tells = options["bundle_web"]["coordinates"]
    places = frozenset(
        name
        for name, item in DELIVERABLES.items()
        if tells or options.get(item.rule, {}).get("place")
    )
    try:
        return choose(text, places)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
