"""What each photo was used for: training, validation or test; in words and photo by photo."""

from __future__ import annotations

from pathlib import PurePosixPath

from scripts.lib.contracts.split import SplitCounts
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import text

VALIDATED = "what to remove and how small the files may be"
WORDS = {
    "trained": "training",
    "steering": "validation",
    "judged": "test",
    "left_out": "left out: almost the same as a test photo",
}


def counts(files: StageFiles) -> SplitCounts | None:
    """How many photos were used for what, as the stages wrote it; None where that is not recorded."""
    return files.eval.split_counts or files.train.split_counts


def one_set(files: StageFiles) -> bool | None:
    """Whether the test photos were used for validation too; None where that is not recorded."""
    found = counts(files)
    return None if found is None else found.one_set


def sentence(files: StageFiles) -> str:
    """How many photos were used for what; empty where that is not recorded."""
    found = counts(files)
    if found is None:
        return ""
    trained, steering, judged = found.trained, found.steering, found.judged
    left_out = found.left_out
    if not judged:
        return (
            f"All {trained} photos were used for training and none was kept for testing, so the numbers are"
            " measured on photos that the scene was made from."
        )
    total = trained + judged + left_out + (0 if one_set(files) else steering)
    start = f"Of {total} photos, {trained} {_be(trained)} used for training"
    if left_out:
        start += f", {left_out} {_be(left_out)} left out because of showing almost the same as a test photo"
    if one_set(files):
        return (
            f"{start} and {judged} for both validation ({VALIDATED}) and test: there are too few photos for"
            " two separate sets, so the result is slightly too good."
        )
    return (
        f"{start}, {steering} for validation ({VALIDATED}), and {judged} for the test. The test "
        f"photos played no part in any decision and were measured once, at the end."
    )


def _be(number: int) -> str:
    return "was" if number == 1 else "were"


def uses(files: StageFiles) -> dict[str, str]:
    """Name of a photo, with and without its ending -> what it did.

    Names that are missing were used for training, as far as is recorded.
    """
    split = files.train.split
    found: dict[str, str] = {}
    if split is not None:
        for part, word in WORDS.items():
            found |= dict.fromkeys(getattr(split, part), word)
        if one_set(files):
            found |= dict.fromkeys(split.judged, "validation and test")
    elif files.eval.held_out:
        found = dict.fromkeys((view.name for view in files.eval.views), "test")
        found |= dict.fromkeys(files.train.left_out, WORDS["left_out"])
    return found | {_stem(name): word for name, word in found.items()}


def use_of(name: str, found: dict[str, str]) -> str:
    """What a photo did, by `uses`."""
    return found.get(name) or found.get(_stem(name)) or WORDS["trained"]


def _stem(name: str) -> str:
    return text(PurePosixPath(name).with_suffix("")) if name else ""
