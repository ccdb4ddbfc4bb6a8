"""What stands at the top of the configuration, and the columns of the sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scripts.lib.core.deliverables import DELIVERABLES
from scripts.lib.core.options import Options, option

NAME = "^[A-Za-z0-9][A-Za-z0-9_-]*$"  # as the wildcard constraint in rules/common.smk


@dataclass(frozen=True)
class WorkflowOptions(Options):
    """Options of the whole workflow. Below them there is one section for each rule."""

    scenes: str = option("config/scenes.tsv", "The sheet of scenes to build, tab-separated.", 1)
    results: str = option("results", "Folder for all results.", 1)
    only: str = option(
        "",
        "Build only these scenes of the sheet: names separated by commas. Empty builds all scenes.",
    )
    preset: Literal["draft", "standard", "high"] = option(
        "standard",
        """Time or quality: draft is a first look, standard is for publishing, high takes several times
        longer.""",
        per_scene=True,
    )
    device: Literal["auto", "cuda", "cpu"] = option(
        "auto",
        """Where training and rendering run. auto uses an NVIDIA GPU if there is a working one, otherwise the
        CPU, and prints which; cuda stops if there is no working GPU; cpu never uses a GPU.""",
        per_scene=True,
    )
    deliver: str = option(
        "",
        """Files for other programs, besides the page: names separated by commas, or all. Names:
        """
        + "; ".join(f"{name}: {item.meaning}" for name, item in DELIVERABLES.items()),
        per_scene=True,
    )
    components: int = option(
        1,
        """Groups of photos that get a page. Photos that overlap too little form several groups, of which the
        largest is the scene; with 3, the second and the third are the scenes NAME_2 and NAME_3. The report
        tells which groups there are.""",
        1,
        20,
        per_scene=True,
    )
    seed: int = option(0, "Seed of the random numbers in all rules.", 0, 2**31 - 1, per_scene=True)
    registry: str = option(
        "ghcr.io/splatmake",
        """Registry of the container images: host and path in lower case, without https:// and without a
        slash at the end. Your own may be, for example, an ECR:
        123456789012.dkr.ecr.eu-west-1.amazonaws.com/splatmake.""",
        pattern="^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$",
    )


@dataclass(frozen=True)
class SceneRow(Options):
    """One scene per line, tab-separated."""

    scene: str = option(
        "",
        "Name of the scene and of its results folder: letters, digits, - and _",
        most=100,
        pattern=NAME,
    )
    source: str = option(
        "",
        """A folder or a .zip of photos, or a video; the path may be relative to the working directory or
        absolute. Or an s3:// prefix or object with one of these""",
        1,
    )
    same_place_as: str = option(
        "",
        """Another scene of this sheet that shows the same place at another time. A page is made that
        compares the two, and a map of what changed""",
        most=100,
        pattern=NAME,
    )


REQUIRED = ("scene", "source")  # columns of the sheet
