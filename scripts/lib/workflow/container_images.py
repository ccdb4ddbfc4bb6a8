"""The lock of container images, containers/images.yaml: what each stage runs in.

An image's tag is a hash of its recipe, so a tag never means two things, and a changed recipe without a
changed lock is seen. `digests` holds, per registry, what was pushed there: with it the name is exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from scripts.lib.core.console import UserError
from scripts.lib.core.files import write_bytes
from scripts.lib.workflow.recipes import recipe_hash
from scripts.lib.workflow.settings import read_yaml

LOCK = Path("containers", "images.yaml")
HEAD = """\
# Image of every stage; rules read names only from here. Written by `python -m scripts.tools.images`.
# tag: hash of containers/<name>/Dockerfile and the files it copies; digests: what was pushed, by registry.
"""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Image:
    """One image: its name, the tag of its recipe, and the digest that each registry gave it."""

    name: str
    tag: str
    digests: dict[str, str] = field(default_factory=dict)

    def tagged(self, registry: str) -> str:
        """Name with tag, as `docker push` takes it."""
        return f"{registry}/{self.name}:{self.tag}"

    def pinned(self, registry: str) -> str:
        """Name with the registry's digest once it is known, else with the tag."""
        digest = self.digests.get(registry)
        return f"{registry}/{self.name}@{digest}" if digest else self.tagged(registry)


def read_lock(root: Path) -> dict[str, Image]:
    """The images of containers/images.yaml, {name: image}. Raises UserError when an entry is malformed."""
    content = read_yaml(root / LOCK)
    images: dict[str, Image] = {}
    for name, entry in (content or {}).get("images", {}).items():
        entry = entry if isinstance(entry, dict) else {}
        digests = entry.get("digests") or {}
        if not re.fullmatch(r"[0-9a-f]+", str(entry.get("tag", ""))) or not all(
            DIGEST.fullmatch(str(digest)) for digest in digests.values()
        ):
            raise UserError(
                f"{LOCK}: the entry {name!r} is malformed; run `python -m scripts.tools.images`"
            )
        images[name] = Image(name, str(entry["tag"]), dict(digests))
    return images


def write_lock(root: Path, images: dict[str, Image]) -> None:
    """Write containers/images.yaml."""
    entries = {
        image.name: {"tag": image.tag} | ({"digests": image.digests} if image.digests else {})
        for image in images.values()
    }
    text = HEAD + yaml.safe_dump({"images": entries}, sort_keys=False)
    write_bytes(root / LOCK, text.encode())


def current(root: Path) -> dict[str, Image]:
    """The images that the recipes under containers/ ask for now.

    A digest is kept only where the recipe is the one that was pushed.
    """
    locked = read_lock(root) if (root / LOCK).exists() else {}
    images: dict[str, Image] = {}
    for dockerfile in sorted((root / "containers").glob("*/Dockerfile")):
        name = dockerfile.parent.name
        tag = recipe_hash(root, dockerfile)
        known = locked.get(name)
        images[name] = known if known and known.tag == tag else Image(name, tag)
    return images


def out_of_date(root: Path) -> list[str]:
    """One sentence for every image whose recipe and lock disagree; empty when all is well."""
    locked, wanted = read_lock(root), current(root)
    problems = [
        f"{LOCK} names the image {name!r}, but there is no containers/{name}/Dockerfile"
        for name in locked.keys() - wanted.keys()
    ]
    for name, image in wanted.items():
        if name not in locked:
            problems.append(f"containers/{name}/Dockerfile has no entry in {LOCK}")
        elif locked[name].tag != image.tag:
            problems.append(
                f"the image {name!r} is pinned to {locked[name].tag}, but its recipe"
                f" (containers/{name}/Dockerfile and the files it copies) is now {image.tag}"
            )
    return sorted(problems)


def rule_images(root: Path, registry: str) -> dict[str, str]:
    """What rules write after `container:`, {image: docker://...}."""
    return {name: f"docker://{image.pinned(registry)}" for name, image in read_lock(root).items()}
