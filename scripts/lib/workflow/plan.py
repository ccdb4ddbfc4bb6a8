"""What a run is to build, read and checked whole before its first job."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.lib.core.console import UserError
from scripts.lib.core.deliverables import Delivery
from scripts.lib.workflow.container_images import rule_images
from scripts.lib.workflow.groups import (
    Group,
    further_groups,
    group_options,
    rules_of,
    with_groups,
)
from scripts.lib.workflow.option_checks import check_published, delivery
from scripts.lib.workflow.pairs import same_places
from scripts.lib.workflow.precheck import check_sources
from scripts.lib.workflow.scenes import load_scenes
from scripts.lib.workflow.settings import Settings, scene_settings, scene_top, workflow_settings
from scripts.lib.workflow.sheet import where_of


@dataclass(frozen=True)
class Plan:
    """The configuration; by scene the sheet's row, each rule's options, the device; each stage's image."""

    settings: Settings
    scenes: dict[str, dict[str, str]]
    options: dict[str, dict[str, Settings]]
    devices: dict[str, str]
    images: dict[str, str]
    deliver: dict[str, Delivery] = field(default_factory=dict)
    further: dict[str, Group] = field(
        default_factory=dict
    )  # scenes that are a group of another's photos
    same_place: dict[str, str] = field(
        default_factory=dict
    )  # scenes that are compared with another one, and with which

    @property
    def results(self) -> str:
        """The results folder, with slashes and none at its end."""
        return Path(self.settings["results"]).as_posix()

    def rules_of(self, scene: str, rules: Iterable[str]) -> list[str]:
        """Those of `rules` that the scene has."""
        return rules_of(rules, scene in self.further)

    def train_image(self, scene: str) -> str:
        """The image of a scene's rules that train and render; on the CPU the small one without CUDA."""
        return self.images["train-cpu" if self.devices[scene] == "cpu" else "train"]

    def no_scene(self, name: str) -> str:
        """What to tell who asks for a scene that the sheet, or `only`, does not have."""
        if self.settings["only"]:
            return (
                f"scene {name!r} is not among those of only={self.settings['only']!r};"
                " add it there, or leave `only` out"
            )
        return (
            f"scene {name!r} is not in {self.settings['scenes']}; add a row for it,"
            f" or ask for one of: {', '.join(self.scenes)}"
        )


def read_plan(config: Mapping[str, Any], root: Path, sources_here: bool) -> Plan:
    """The plan that `config` and the sheet it names describe; `root` is the checkout.

    `sources_here`: sources without an address lie on this machine, and are looked at. Raises UserError with
    one sentence for the first thing that is wrong.
    """
    settings = workflow_settings(config, root)
    rows = load_scenes(Path(settings["scenes"]), root)
    scenes = chosen(rows, settings)
    same_place = same_places(scenes, rows, settings["scenes"])
    # Presets, then the configuration, then the sheet's row.
    options = {name: scene_settings(settings, config, row, root) for name, row in scenes.items()}
    tops = {name: scene_top(settings, row, root) for name, row in scenes.items()}
    if sources_here:
        check_sources(scenes, options, Path(settings["results"]))
    further = further_groups({name: top["components"] for name, top in tops.items()}, scenes)
    scenes = with_groups(scenes, further)
    for name, group in further.items():
        options[name] = group_options(options[group.scene], group)
        tops[name] = tops[group.scene]
    check_published(options)
    devices = {name: top["device"] for name, top in tops.items()}
    deliver = {
        name: delivery(top["deliver"], options[name], where_of(scenes[name]))
        for name, top in tops.items()
    }
    images = rule_images(root, settings["registry"])
    return Plan(settings, scenes, options, devices, images, deliver, further, same_place)


def chosen(
    scenes: Mapping[str, dict[str, str]], settings: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """The scenes that `only` names, in the order of the sheet; all where it is empty.

    Raises UserError when it names a scene that the sheet does not have.
    """
    wanted = [name.strip() for name in settings["only"].split(",") if name.strip()]
    for name in wanted:
        if name not in scenes:
            close = difflib.get_close_matches(name, scenes, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has: {', '.join(scenes)}"
            raise UserError(f"only names {name!r}, which is not in {settings['scenes']}; {hint}")
    return {name: row for name, row in scenes.items() if not wanted or name in wanted}
