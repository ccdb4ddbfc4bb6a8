"""Command lines for docker, podman and buildah: build, push, ask a registry, try an image out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.core.console import UserError
from scripts.lib.workflow.container_images import Image

ENGINES = ("docker", "podman", "buildah")

# Which files an image makes of the photos, in turn: each image works on what the one before it left.
TRIALS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("sfm", ("undistorted.zip",)),
    ("train", ("eval.json", "codecs.json", "poster.jpg", "tour.mp4")),
    ("web", ("web/index.html", "report.html")),
)


def choose_engine(wanted: str | None) -> str:
    """The engine asked for, or the first of docker, podman, buildah on PATH. Raises UserError without one."""
    for engine in [wanted] if wanted else ENGINES:
        if shutil.which(engine):
            return engine
    missing = f"{wanted} is not" if wanted else f"none of {', '.join(ENGINES)} is"
    raise UserError(f"{missing} on PATH; install one of them, or name another with --engine")


def build_command(
    engine: str, image: Image, registry: str, revision: str, extra: Sequence[str] = ()
) -> list[str]:
    """Build `image` from the checkout in the working directory, labelled with git's `revision`."""
    return [
        engine, "build", "--platform", "linux/amd64",
        "--file", f"containers/{image.name}/Dockerfile",
        "--build-arg", f"REVISION={revision}",
        "--tag", image.tagged(registry),
        *extra, ".",
    ]  # fmt: skip


def push_command(engine: str, image: Image, registry: str, extra: Sequence[str] = ()) -> list[str]:
    """Push `image` to its registry."""
    return [engine, "push", *extra, image.tagged(registry)]


def digest_command(
    engine: str, image: Image, registry: str, extra: Sequence[str] = ()
) -> list[str]:
    """Ask the registry for the digest of `image`; podman and buildah leave that to their sister skopeo."""
    name = image.tagged(registry)
    if engine == "docker":
        form = "{{.Manifest.Digest}}"
        return ["docker", "buildx", "imagetools", "inspect", *extra, "--format", form, name]
    return ["skopeo", "inspect", *extra, "--format", "{{.Digest}}", f"docker://{name}"]


def trial_command(
    engine: str,
    image: Image,
    registry: str,
    checkout: Path,
    inputs: Path,
    outputs: Path,
    files: Sequence[str],
    extra: Sequence[str] = (),
) -> list[str]:
    """Make `files` of the scene `trial` in a container that sees a folder to read and one to write.

    `inputs` holds scenes.tsv and photos; `outputs` receives results/. Without `files` only a dry-run.
    """
    targets = [f"/output/results/trial/{file}" for file in files]
    return [
        engine, "run", "--rm", *extra,
        "--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp",
        "--volume", f"{checkout}:/workflow:ro",
        "--volume", f"{inputs}:/input:ro",
        "--volume", f"{outputs}:/output",
        "--workdir", "/output",
        image.tagged(registry),
        "snakemake", "--snakefile", "/workflow/Snakefile", "--cores", "all",
        "--configfile", "/workflow/config/config.yaml",
        "--config", "scenes=/input/scenes.tsv", "results=/output/results", "preset=draft",
        *(["--", *targets] if files else ["--dry-run"]),
    ]  # fmt: skip
