"""What each photo did for the splat: trained on, steering, judging; in words and photo by photo."""

from __future__ import annotations

from pathlib import PurePosixPath

from scripts.lib.contracts.split import SplitCounts
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import text

STEERED = "when to stop, what to clean away, how small the files may be"
WORDS = {
    "trained": "trained on",
    "steering": "steers",
    "judged": "judges",
    "left_out": "left out: nearly repeats one that judges",
}


def counts(files: StageFiles) -> SplitCounts | None:
    """How many photos did what, as the stages wrote it; None where nobody says."""
    return files.eval.split_counts or files.train.split_counts


def one_set(files: StageFiles) -> bool | None:
    """Whether the photos that judge steered too; None when nobody says."""
    found = counts(files)
    return None if found is None else found.one_set


def sentence(files: StageFiles) -> str:
    """How many photos were trained on, steered and judge; empty where nobody says."""
    found = counts(files)
    if found is None:
        return ""
    trained, steering, judged = found.trained, found.steering, found.judged
    left_out = found.left_out
    if not judged:
        return (
            f"All {trained} photos were trained on and none was kept to judge by, so the figures are of"
            " photos that the scene was made from."
        )
    total = trained + judged + left_out + (0 if one_set(files) else steering)
    start = f"Of {total} photos, {trained} {_be(trained)} trained on"
    if left_out:
        start += f", {left_out} {_be(left_out)} left out because of showing nearly what a judging one shows"
    if one_set(files):
        return (
            f"{start}, and {judged} judge the result after they had steered the work ({STEERED}): there are"
            " too few photos for two sets, so the figures flatter a little."
        )
    return (
        f"{start}, {steering} steered the work ({STEERED}), and {judged} judge the result: nothing was"
        " decided by these, they were measured once, at the end."
    )


def _be(number: int) -> str:
    return "was" if number == 1 else "were"


def uses(files: StageFiles) -> dict[str, str]:
    """Name of a photo, with and without its ending -> what it did.

    Names that are missing were trained on, as far as anyone says.
    """
    split = files.train.split
    found: dict[str, str] = {}
    if split is not None:
        for part, word in WORDS.items():
            found |= dict.fromkeys(getattr(split, part), word)
        if one_set(files):
            found |= dict.fromkeys(split.judged, "steers and judges")
    elif files.eval.held_out:
        found = dict.fromkeys((view.name for view in files.eval.views), "held out")
        found |= dict.fromkeys(files.train.left_out, WORDS["left_out"])
    return found | {_stem(name): word for name, word in found.items()}


def use_of(name: str, found: dict[str, str]) -> str:
    """What a photo did, by `uses`."""
    return found.get(name) or found.get(_stem(name)) or WORDS["trained"]


def _stem(name: str) -> str:
    return text(PurePosixPath(name).with_suffix("")) if name else ""
