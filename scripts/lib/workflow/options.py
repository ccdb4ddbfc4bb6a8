"""What stands at the top of the configuration, and the columns of the sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scripts.lib.core.options import Options, option

NAME = "^[A-Za-z0-9][A-Za-z0-9_-]*$"  # as the wildcard constraint in rules/common.smk


@dataclass(frozen=True)
class WorkflowOptions(Options):
    """One section per rule; a section is handed to its script whole."""

    scenes: str = option("config/scenes.tsv", "The sheet of scenes to build, tab-separated.", 1)
    results: str = option("results", "Folder for everything that is made.", 1)
    only: str = option(
        "",
        "Scenes of the sheet to build this time, by name, separated by commas; empty builds all of them.",
    )
    preset: Literal["draft", "standard", "high"] = option(
        "standard",
        """Time against quality: draft is a first look, standard is for publishing, high takes several times
        longer.""",
        per_scene=True,
    )
    device: Literal["auto", "cuda", "cpu"] = option(
        "auto",
        """Where every rule that trains or renders computes: auto takes an NVIDIA GPU that works and else
        the CPU, and says so; cuda stops where there is none; cpu keeps every rule off GPUs.""",
        per_scene=True,
    )
    seed: int = option(
        0, "Start of every random draw, in every rule that makes one.", 0, 2**31 - 1, per_scene=True
    )
    registry: str = option(
        "ghcr.io/splatmake",
        """Where the container images lie: a host and a path in small letters, without scheme or final
        slash. Yours may be an ECR, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/splatmake.""",
        pattern="^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$",
    )


@dataclass(frozen=True)
class SceneRow(Options):
    """One scene a line, tab-separated."""

    scene: str = option(
        "",
        "Name of the scene and of its results folder: letters, digits, - and _",
        most=100,
        pattern=NAME,
    )
    source: str = option(
        "",
        """A folder or a .zip of photos, or a video, relative to the working directory or absolute; or an
        s3:// prefix or object of these""",
        1,
    )
