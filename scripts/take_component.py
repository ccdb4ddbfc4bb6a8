"""A further model of a scene's photos as a scene of its own: what the stages until mapping leave.

Needs: components.zip, photos.zip, pairs.json, features.json and contact.jpg of the scene of all photos.
Leaves: photos.zip, photos.json, contact.jpg, features.json, pairs.json, sparse/, sfm.json, georef.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import write_bytes
from scripts.lib.sfm.further import take_component


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, take the model and its photos out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--components", type=Path, required=True, help="components.zip")
    parser.add_argument("--number", type=int, required=True, help="of the model, from 2 on")
    parser.add_argument("--scene", required=True, help="name of the scene of all photos")
    parser.add_argument("--photos", type=Path, required=True, help="photos.zip of all photos")
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.json of all photos")
    parser.add_argument("--features", type=Path, required=True, help="features.json, copied")
    parser.add_argument("--contact", type=Path, required=True, help="contact.jpg, copied")
    parser.add_argument("--folder", type=Path, required=True, help="folder to write to")
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    taken = take_component(
        args.components, args.number, args.photos, args.pairs, args.folder, args.scene
    )
    for path, name in ((args.features, "features.json"), (args.contact, "contact.jpg")):
        write_bytes(args.folder / name, path.read_bytes())
    say(f"Group {args.number} of {args.scene}: {taken.registered} photos, {taken.points} points.")


if __name__ == "__main__":
    run_main(main)
