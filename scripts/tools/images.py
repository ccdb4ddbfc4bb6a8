"""Container images of the stages: `python -m scripts.tools.images [update|build|push|lock|try] [NAME ...]`.

    python -m scripts.tools.images           write the tags of the recipes into containers/images.yaml
    python -m scripts.tools.images --check   fail when a recipe or an environment changed and its lock did not
    python -m scripts.tools.images build     build the images (or those named) with docker, podman or buildah
    python -m scripts.tools.images push      push them to the registry
    python -m scripts.tools.images lock      write the registry's digests into containers/images.yaml
    python -m scripts.tools.images try       run the sample scene through them, one folder in, one folder out

What follows `--` goes to the engine: `build train -- --no-cache`, `try -- --gpus all`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.workflow.container_images import DIGEST, Image, current, out_of_date, write_lock
from scripts.lib.workflow.options import WorkflowOptions
from scripts.lib.workflow.settings import read_yaml
from scripts.tools.engine import (
    ENGINES,
    TRIALS,
    build_command,
    choose_engine,
    digest_command,
    push_command,
    trial_command,
)
from scripts.tools.locks import disagreements, stale

TRIAL_PHOTOS = 14  # of the sample scene: enough to be registered, few enough for a minute


def configured_registry(root: Path) -> str:
    """`registry` of config/config.yaml, or the default."""
    config = read_yaml(root / "config" / "config.yaml") or {}
    return str(config.get("registry", WorkflowOptions().registry))


def check(root: Path) -> None:
    """Raise UserError naming every recipe, lock or environment that does not fit the rest."""
    problems = [*stale(root / "envs"), *disagreements(root / "envs"), *out_of_date(root)]
    if problems:
        raise UserError(
            "; ".join(problems) + " (then `python -m scripts.tools.images` and a new build)"
        )


def run(command: Sequence[str], root: Path, *, capture: bool = False) -> str:
    """Run an engine's command in the checkout, shown first; returns its output when captured.

    Raises UserError when it fails.
    """
    say("+ " + " ".join(command))
    try:
        result = subprocess.run(
            command, cwd=root, text=True, stdout=subprocess.PIPE if capture else None
        )
    except FileNotFoundError:
        raise UserError(
            f"{command[0]} is not on PATH; install it, or choose another --engine"
        ) from None
    if result.returncode:
        raise UserError(
            f"`{' '.join(command[:3])} ...` failed with code {result.returncode}; see above"
        )
    return (result.stdout or "").strip()


def is_pushed(engine: str, image: Image, registry: str) -> bool:
    """Whether the registry has this tag already. Raises UserError when the program to ask with is missing."""
    command = digest_command(engine, image, registry)
    if not shutil.which(command[0]):
        raise UserError(f"{command[0]} is not on PATH; install it to ask {registry} what it has")
    return subprocess.run(command, capture_output=True).returncode == 0


def revision(root: Path) -> str:
    """Git's name of the commit that is checked out, `-dirty` when files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    return result.stdout.strip() or "unknown"


def lock(
    engine: str,
    images: dict[str, Image],
    chosen: Sequence[str],
    registry: str,
    extra: Sequence[str],
) -> dict[str, Image]:
    """`images` with the registry's digests of those chosen. Raises UserError when one was not pushed."""
    locked = dict(images)
    for name in chosen:
        image = images[name]
        digest = run(digest_command(engine, image, registry, extra), ROOT, capture=True)
        if not DIGEST.fullmatch(digest):
            raise UserError(
                f"{registry} gave no digest for {image.tagged(registry)}; push it first"
            )
        locked[name] = replace(image, digests=image.digests | {registry: digest})
    return locked


def try_images(
    engine: str, images: dict[str, Image], named: Sequence[str], registry: str,
    photos: Path, folder: Path, extra: Sequence[str],
) -> None:  # fmt: skip
    """Photos to page by containers alone: `folder`/in is mounted to read, `folder`/out to write.

    Trains in the image `train` when it is `named`, else in `train-cpu`. Raises UserError without photos.
    """
    if engine == "buildah":
        raise UserError(
            "buildah only builds; give --engine docker or --engine podman to run images"
        )
    inputs, outputs = folder / "in", folder / "out"
    for path in (inputs, outputs):
        shutil.rmtree(path, ignore_errors=True)
    outputs.mkdir(parents=True)
    found = sorted(path for path in photos.glob("*") if path.is_file())
    if not found:
        raise UserError(f"{photos} holds no photos; name a folder of them with --photos")
    (inputs / "photos").mkdir(parents=True)
    for path in found[:TRIAL_PHOTOS]:
        shutil.copy(path, inputs / "photos")
    (inputs / "scenes.tsv").write_text("scene\tsource\ntrial\t/input/photos\n", encoding="utf-8")
    train = "train" if "train" in named else "train-cpu"
    for stage, files in (("runner", ()), *TRIALS):
        image = images[train if stage == "train" else stage]
        say(f"{image.name}: {', '.join(files) or 'a dry-run'}")
        run(trial_command(engine, image, registry, ROOT, inputs, outputs, files, extra), ROOT)
    say(f"Every image did its part: open {outputs / 'results' / 'trial' / 'web' / 'index.html'}")


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line asks."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    extra = words[cut + 1 :]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = ("update", "build", "push", "lock", "try")
    parser.add_argument("action", nargs="?", choices=actions, default="update")
    parser.add_argument("names", nargs="*", help="images; all when none is named")
    parser.add_argument(
        "--check", action="store_true", help="only compare, and fail on a difference"
    )
    parser.add_argument("--missing", action="store_true", help="build only what the registry lacks")
    parser.add_argument("--registry", help="by default `registry` of config/config.yaml")
    parser.add_argument("--engine", choices=ENGINES, help="by default the first that is on PATH")
    parser.add_argument(
        "--photos", type=Path, default=ROOT / "tests" / "data" / "sample" / "photos"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "trial")
    arguments = parser.parse_args(words[:cut])
    if arguments.check:
        check(ROOT)
        say("Recipes, environments and containers/images.yaml agree")
        return
    images = current(ROOT)
    unknown = [name for name in arguments.names if name not in images]
    if unknown:
        raise UserError(f"there is no image {unknown[0]!r}; there are {', '.join(images)}")
    chosen = arguments.names or list(images)
    registry = arguments.registry or configured_registry(ROOT)
    if arguments.action == "update":
        write_lock(ROOT, images)
        return
    engine = choose_engine(arguments.engine)
    if arguments.action == "lock":
        write_lock(ROOT, lock(engine, images, chosen, registry, extra))
    elif arguments.action == "try":
        folder = arguments.folder.resolve()
        try_images(engine, images, arguments.names, registry, arguments.photos, folder, extra)
    else:
        for name in chosen:
            if arguments.missing and is_pushed(engine, images[name], registry):
                say(f"{images[name].tagged(registry)} is in the registry already")
                continue
            if arguments.action == "build":
                command = build_command(engine, images[name], registry, revision(ROOT), extra)
            else:
                command = push_command(engine, images[name], registry, extra)
            run(command, ROOT)


if __name__ == "__main__":
    run_main(main)
