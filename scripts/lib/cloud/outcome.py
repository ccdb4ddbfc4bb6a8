"""How a run ended, read from Snakemake's last lines and what lies in the bucket; and the letter about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scripts.lib.contracts.cost import Cost
from scripts.lib.contracts.outcome import Outcome, SceneOutcome
from scripts.lib.contracts.progress import Progress
from scripts.lib.contracts.published import Published
from scripts.lib.core.json_type import Json

CAUSE = "Cause: "  # as the executor plugin begins the line
BUNDLE = "bundle_web"  # the stage whose manifest says that a scene is done
SHOWN = 25  # lines of the log in a letter


def cause_of(lines: Sequence[str]) -> str:
    """The reason that a failed run gives: the executor's first `Cause:`, or Snakemake's own error."""
    for line in lines:
        if CAUSE in line:
            return line[line.index(CAUSE) + len(CAUSE) :].strip()
    for number, line in enumerate(lines):
        if "WorkflowError" in line or "Exception" in line:
            following = [text.strip() for text in lines[number + 1 : number + 3] if text.strip()]
            return " ".join([line.strip(), *following])
    return "unknown; the log's last lines may tell"


def is_unfinished(progress: Progress | None, scene: str) -> bool:
    """Whether the run was to make a scene's page and did not: what lies there is of a run before."""
    own = progress.scenes.get(scene) if progress else None
    stages = own.stages if own else ()
    return any(stage.rule == BUNDLE and stage.state != "done" for stage in stages)


def scene_outcome(page: bool, published: Published | None, cost: Cost | None) -> SceneOutcome:
    """What became of a scene that left these files (None: not there).

    `page`: its manifest is in the bucket, so it is done: a report or a publication that failed is trouble.
    """
    return SceneOutcome(
        state="done" if page else "failed",
        url=published.url if published else None,
        usd=cost.usd if cost else None,
    )


def outcome_of(
    code: int, lines: Sequence[str], scenes: Mapping[str, SceneOutcome], *, stopped: bool
) -> Outcome:
    """What became of a run whose Snakemake ended with `code`; it is done when all its scenes are."""
    if code == 0:
        return Outcome(state="done", scenes=scenes)
    if stopped:
        return Outcome(state="stopped", scenes=scenes)
    tail, cause = tuple(lines[-SHOWN:]), cause_of(lines)
    if scenes and all(scene.state == "done" for scene in scenes.values()):
        return Outcome(state="done", scenes=scenes, log=tail, trouble=(cause,))
    return Outcome(state="failed", cause=cause, scenes=scenes, log=tail)


def letter(job: str, scenes: Sequence[str], outcome: Outcome, *, log: bool) -> tuple[str, str]:
    """(subject, text) of the mail about a run; `log`: with the log's last lines, for the operator."""
    named = scenes[0] if len(scenes) == 1 else f"{len(scenes)} scenes"
    subject = f"splatmake: {named} {'is' if len(scenes) == 1 else 'are'} {outcome.state}"
    lines = [f"Run {job}, scene {', '.join(scenes)}: {outcome.state}."]
    if outcome.cause:
        lines += ["", f"Cause: {outcome.cause}"]
    pages = {name: scene.url for name, scene in outcome.scenes.items() if scene.url}
    if pages and len(scenes) == 1:
        lines += ["", *(f"The page: {url}" for url in pages.values())]
    elif pages:
        lines += ["", "The pages:", *(f"    {name}: {url}" for name, url in pages.items())]
    if outcome.usd is not None:
        lines.append(f"It cost ${outcome.usd:.2f}.")
    for trouble in outcome.trouble:
        lines += ["", f"The model is there, but not everything around it: {trouble}"]
    if log and outcome.log:
        lines += ["", "The last lines of the log:", *(f"    {line}" for line in outcome.log)]
    return subject, "\n".join(lines) + "\n"


def notice(job: str, outcome: Outcome) -> dict[str, Json]:
    """What a webhook is told of a run: no more than a mail, and nothing of the log."""
    return {
        "id": job,
        "state": outcome.state,
        "cause": outcome.cause,
        "scenes": {
            name: {"state": scene.state, "page": scene.url}
            for name, scene in outcome.scenes.items()
        },
        "usd": outcome.usd,
    }
